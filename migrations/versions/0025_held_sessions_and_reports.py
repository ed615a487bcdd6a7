"""Rules of boards that hold sessions, the queue of what is to be looked at, and reports of players.

It looks which columns are there: a run that was cut short between two statements is completed by the next one. Of the log of
sessions a comment changes, and nobody is kept waiting for that.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0025"
down_revision = "0024"

_SMALL_ID = mysql.INTEGER(unsigned=True)
_ID = mysql.BIGINT(unsigned=True)
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_HOLD = "which sessions are held until somebody has looked at them; NULL: none"
_STATE = "0: it counts in its places; 1: it was voided"
_HELD = f"{_STATE}; 2: it is held"


def upgrade() -> None:
    if not _has_hold():
        op.add_column("boards", sa.Column("hold", sa.JSON, comment=_HOLD))
    _comment_state(_HELD)
    for table in ("reviews", "reports", "reporters"):
        op.drop_table(table, if_exists=True)  # of a run that was cut short
    op.create_table(
        "reviews",
        sa.Column("session_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("board_id", _SMALL_ID, primary_key=True, autoincrement=False, comment="0: the queue of all boards"),
        sa.Column(
            "sort",
            mysql.INTEGER,
            nullable=False,
            comment="how many players reported it, negated: the most reported come first",
        ),
        sa.Column("reason", sa.JSON, comment="in the queue of all: by what it was held; NULL: it was not"),
        sa.Index("ix_reviews_board_id_sort_session_id", "board_id", "sort", "session_id"),
        **_TABLE,
    )
    op.create_table(
        "reports",
        sa.Column("session_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("user_id", _ID, primary_key=True, autoincrement=False, comment="who reported it"),
        sa.Column("reason", sa.String(500)),
        sa.Column("reported_at", mysql.DATETIME(fsp=6), nullable=False, server_default=sa.text("CURRENT_TIMESTAMP(6)")),
        sa.Index("ix_reports_user_id", "user_id"),
        **_TABLE,
    )
    op.create_table(
        "reporters",
        sa.Column("user_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Date, nullable=False, comment="the last one, in UTC, on which they reported any"),
        sa.Column("reports", _SMALL_ID, nullable=False, comment="how many on that day"),
        **_TABLE,
    )


def downgrade() -> None:
    """What was held is voided: the release before counts it as little, and can restore it."""
    tables = sa.inspect(op.get_bind()).get_table_names()
    if "reviews" in tables:
        held = "UPDATE game_sessions AS s JOIN reviews AS r ON r.session_id = s.id AND r.board_id = 0 SET s.state = 1"
        op.execute(f"{held} WHERE s.state = 2")
    for table in ("reporters", "reports", "reviews"):
        op.drop_table(table, if_exists=True)
    _comment_state(_STATE)
    if _has_hold():
        op.drop_column("boards", "hold")


def _comment_state(comment: str) -> None:
    op.execute(
        f"ALTER TABLE game_sessions MODIFY COLUMN state TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT '{comment}',"
        " ALGORITHM=INPLACE, LOCK=NONE"
    )


def _has_hold() -> bool:
    return any(column["name"] == "hold" for column in sa.inspect(op.get_bind()).get_columns("boards"))
