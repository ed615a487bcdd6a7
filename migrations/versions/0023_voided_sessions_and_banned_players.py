"""Voided sessions, banned players, and the log of what staff did.

It looks which columns are there: a run that was cut short between two statements is completed by the next one. The log of
sessions may be long, so its column is added without going through it, and without keeping anybody waiting.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0023"
down_revision = "0022"

_ID = mysql.BIGINT(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_NOW = sa.text("CURRENT_TIMESTAMP(6)")
_TABLE = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_STATE = "0: it counts in its places; 1: it was voided"
_BANNED_AT = "counted nowhere since; NULL: not banned"


def upgrade() -> None:
    if not _has("game_sessions", "state"):
        op.execute(
            "ALTER TABLE game_sessions ADD COLUMN state TINYINT UNSIGNED NOT NULL DEFAULT 0"
            f" COMMENT '{_STATE}', ALGORITHM=INSTANT"
        )
    if not _has("players", "banned_at"):
        op.execute(f"ALTER TABLE players ADD COLUMN banned_at DATETIME(6) NULL COMMENT '{_BANNED_AT}', ALGORITHM=INSTANT")
    for table in ("foldings", "moderation_log"):
        op.drop_table(table, if_exists=True)  # of a run that was cut short
    op.create_table(
        "foldings",
        sa.Column("user_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("begun_at", _TIME, nullable=False, server_default=_NOW),
        **_TABLE,  # type: ignore[arg-type]  # options of the table, of which mypy knows none
    )
    op.create_table(
        "moderation_log",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("act", sa.String(32), nullable=False),
        sa.Column("user_id", _ID, nullable=False, comment="the player whom it was about"),
        sa.Column("session_id", _ID, comment="the session that it was about; NULL: the player"),
        sa.Column("by_user_id", _ID, comment="who did it; NULL: a key"),
        sa.Column("by_client_id", sa.String(40), comment="the key that did it; NULL: one of staff"),
        sa.Column("reason", sa.String(500)),
        sa.Column("was", sa.JSON, nullable=False, comment="what it found"),
        sa.Column("became", sa.JSON, nullable=False, comment="what it made of that"),
        sa.Column("done_at", _TIME, nullable=False, server_default=_NOW),
        sa.Index("ix_moderation_log_user_id_id", "user_id", "id"),
        **_TABLE,  # type: ignore[arg-type]  # as above
    )


def downgrade() -> None:
    """What was voided counts again with the next folding, and who was banned plays on: what was done is not known any more."""
    op.drop_table("moderation_log", if_exists=True)
    op.drop_table("foldings", if_exists=True)
    if _has("players", "banned_at"):
        op.drop_column("players", "banned_at")
    if _has("game_sessions", "state"):
        op.drop_column("game_sessions", "state")


def _has(table: str, name: str) -> bool:
    return any(column["name"] == name for column in sa.inspect(op.get_bind()).get_columns(table))
