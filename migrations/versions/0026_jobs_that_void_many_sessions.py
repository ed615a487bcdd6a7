"""Jobs that void many sessions, which of them each has voided, and entries of the log that are about no player.

A run that was cut short is completed by the next one.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0026"
down_revision = "0025"

_ID = mysql.BIGINT(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_NOW = sa.text("CURRENT_TIMESTAMP(6)")
_ZERO = sa.text("0")
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    for table in ("void_job_sessions", "void_jobs"):
        op.drop_table(table, if_exists=True)  # of a run that was cut short
    op.create_table(
        "void_jobs",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("filter", sa.JSON, nullable=False, comment="which sessions, as it was asked for"),
        sa.Column("board_id", mysql.INTEGER(unsigned=True), comment="the board that the filter names; NULL: none"),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("by_user_id", _ID, comment="who began it; NULL: a key"),
        sa.Column("by_client_id", sa.String(40), comment="the key that began it; NULL: one of staff"),
        sa.Column("undo_reason", sa.String(500)),
        sa.Column("undo_by_user_id", _ID, comment="who had it undone; NULL: a key, or nobody"),
        sa.Column("undo_by_client_id", sa.String(40), comment="the key that had it undone; NULL: one of staff, or nobody"),
        sa.Column("state", sa.String(16), nullable=False, comment="finding, voiding, done, cancelled, undoing, or undone"),
        sa.Column("upto_session_id", _ID, nullable=False, comment="the last session that it may void"),
        sa.Column("looked_at_session_id", _ID, nullable=False, comment="the last one that was held against the filter"),
        sa.Column("next_user_id", _ID, nullable=False, server_default=_ZERO, comment="the players before are gone through"),
        sa.Column("found", _ID, nullable=False, server_default=_ZERO, comment="sessions that fit the filter"),
        sa.Column("done", _ID, nullable=False, server_default=_ZERO, comment="of these, those that were gone through"),
        sa.Column("voided", _ID, nullable=False, server_default=_ZERO, comment="of these, those that it voided"),
        sa.Column(
            "restored", _ID, nullable=False, server_default=_ZERO, comment="of these, those that were restored by undoing"
        ),
        sa.Column("failed", _ID, nullable=False, server_default=_ZERO, comment="those that could not be voided, or restored"),
        sa.Column("players", _ID, nullable=False, server_default=_ZERO, comment="whose sessions were gone through"),
        sa.Column("held_by", mysql.BINARY(16), comment="the process that is at it; NULL: none was"),
        sa.Column("held_until", _TIME, comment="another process goes on with it from then on"),
        sa.Column("started_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("finished_at", _TIME, comment="NULL: it goes on"),
        sa.Index("ix_void_jobs_state", "state"),
        **_TABLE,
    )
    op.create_table(
        "void_job_sessions",
        sa.Column("job_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("user_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("session_id", _ID, primary_key=True, autoincrement=False),
        sa.Column(
            "state",
            mysql.TINYINT(unsigned=True),
            nullable=False,
            server_default=_ZERO,
            comment="0: found; 1: voided by the job, and by nobody since; 2: left alone; 3: restored; 4: could not be restored",
        ),
        sa.Column(
            "was",
            mysql.TINYINT(unsigned=True),
            nullable=False,
            server_default=_ZERO,
            comment="the state that the session had before",
        ),
        sa.Index("ix_void_job_sessions_session_id", "session_id"),
        **_TABLE,
    )


def downgrade() -> None:
    """What jobs have voided stays voided. Entries of the log about jobs go: the release before cannot show them."""
    op.drop_table("void_job_sessions", if_exists=True)
    op.drop_table("void_jobs", if_exists=True)
    op.execute("DELETE FROM moderation_log WHERE act LIKE 'void_job_%'")
