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
    op.drop_column("game_sessions", "places")
    op.drop_index("ix_standings_user_id", "standings")
    op.create_index("ix_standings_score", "standings", ["board_id", "period_id", sa.text("score DESC"), "reached_session_id"])
    op.drop_index("ix_standings_order", "standings")
    op.execute("ALTER TABLE standings RENAME INDEX ix_standings_score TO ix_standings_order")
    op.drop_column("standings", "sort")
