"""Results of periods, their rewards, and events.

It looks which columns are there: a run that was cut short is completed by the next one.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0022"
down_revision = "0021"

_SMALL_ID = mysql.INTEGER(unsigned=True)
_ID = mysql.BIGINT(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_COLUMNS: tuple[tuple[str, str, Any, str], ...] = (
    ("windows", "rewards", sa.JSON(), "who is rewarded when its periods are settled; NULL: nobody"),
    ("periods", "opened_at", _TIME, "when it was told to have begun; NULL: not yet"),
    ("periods", "rewards", sa.JSON(), "those it was settled with, and how far each reached; NULL: it was not"),
    ("periods", "digest", mysql.BINARY(32), "SHA-256 of its results; NULL: it was not settled"),
    ("periods", "drop_at", _TIME, "expired, its standings go from then on; NULL: they stay, or are gone"),
)
_INDEXES = {"ix_periods_opened_at_starts_at": ["opened_at", "starts_at"], "ix_periods_drop_at": ["drop_at"]}


def upgrade() -> None:
    for table, name, type_, comment in _COLUMNS:
        if not _has_column(table, name):
            op.add_column(table, sa.Column(name, type_, comment=comment))
    # Nobody waits to be told of what began before.
    op.execute("UPDATE periods SET opened_at = starts_at WHERE opened_at IS NULL AND starts_at <= UTC_TIMESTAMP(6)")
    for name, columns in _INDEXES.items():
        if not _has_index(name):
            op.create_index(name, "periods", columns)
    op.drop_table("results", if_exists=True)  # of a run that was cut short
    op.create_table(
        "results",
        sa.Column("period_id", _SMALL_ID, primary_key=True, autoincrement=False),
        sa.Column("position", _SMALL_ID, primary_key=True, autoincrement=False, comment="from 1 on, in the order of the board"),
        sa.Column("rank", _SMALL_ID, nullable=False, comment="equal scores share one"),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("score", sa.BigInteger, nullable=False),
        sa.Column("reward", sa.String(64)),
        sa.Index("uq_results_period_id_user_id", "period_id", "user_id", unique=True),
        sa.Index("ix_results_user_id", "user_id"),
        **_TABLE,
    )
    op.drop_table("events", if_exists=True)
    op.create_table(
        "events",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(32), nullable=False, comment="as period.settled"),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False, server_default=sa.text("CURRENT_TIMESTAMP(6)")),
        **_TABLE,
    )


def downgrade() -> None:
    """Periods that were settled are closed again: the release before settles none, and does not expire any."""
    op.drop_table("events", if_exists=True)
    op.drop_table("results", if_exists=True)
    op.execute("UPDATE periods SET state = 'closed', players = NULL, settled_at = NULL WHERE state = 'settled'")
    for name in _INDEXES:
        if _has_index(name):
            op.drop_index(name, "periods")
    for table, name, *_ in reversed(_COLUMNS):
        if _has_column(table, name):
            op.drop_column(table, name)


def _has_column(table: str, name: str) -> bool:
    return any(column["name"] == name for column in sa.inspect(op.get_bind()).get_columns(table))


def _has_index(name: str) -> bool:
    return any(index["name"] == name for index in sa.inspect(op.get_bind()).get_indexes("periods"))
