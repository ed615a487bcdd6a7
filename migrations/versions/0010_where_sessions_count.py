"""Where sessions count, one order for boards of either direction, and no answers of then."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"

_PLACES = "where it counts, as rules/places.py packs it; NULL: on the first board, in all time"
_SORT = "the score, negated where more is better: the least stands first"


def upgrade() -> None:
    op.add_column("standings", sa.Column("sort", sa.BigInteger, comment=_SORT))
    op.execute("UPDATE standings SET sort = -score")
    op.create_index("ix_standings_sort", "standings", ["board_id", "period_id", "sort", "reached_session_id"])
    op.drop_index("ix_standings_order", "standings")
    op.execute("ALTER TABLE standings RENAME INDEX ix_standings_sort TO ix_standings_order")
    op.create_index("ix_standings_user_id", "standings", ["user_id"])
    op.add_column("game_sessions", sa.Column("places", mysql.VARBINARY(192), comment=_PLACES))
    digest = "what tells whether a repeat says the same; NULL: only its score does"
    op.add_column("game_sessions", sa.Column("body_digest", mysql.BINARY(16), comment=digest))
    op.add_column("game_sessions", sa.Column("metrics", sa.JSON, comment="values beside the score, by metric"))
    op.add_column("game_sessions", sa.Column("tags", sa.JSON, comment="what it is tagged with"))
    op.create_table(
        "session_extras",
        sa.Column("session_id", mysql.BIGINT(unsigned=True), primary_key=True, autoincrement=False),
        sa.Column("extra", sa.String(1024), nullable=False, comment="JSON, as the client sent it"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.drop_column("game_sessions", "answered_rank")
    op.drop_column("game_sessions", "answered_total")


def downgrade() -> None:
    """What was answered is not known any more: a repeat is answered with what is known then."""
    op.add_column(
        "game_sessions",
        sa.Column("answered_total", sa.BigInteger, comment="the total that its submission was answered with"),
    )
    op.add_column(
        "game_sessions",
        sa.Column("answered_rank", mysql.BIGINT(unsigned=True), comment="the rank that it was answered with"),
    )
    op.drop_table("session_extras")
    for name in ("tags", "metrics", "body_digest", "places"):
        op.drop_column("game_sessions", name)
    op.drop_index("ix_standings_user_id", "standings")
    op.create_index("ix_standings_score", "standings", ["board_id", "period_id", sa.text("score DESC"), "reached_session_id"])
    op.drop_index("ix_standings_order", "standings")
    op.execute("ALTER TABLE standings RENAME INDEX ix_standings_score TO ix_standings_order")
    op.drop_column("standings", "sort")
