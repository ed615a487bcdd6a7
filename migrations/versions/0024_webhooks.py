"""Webhooks, what they are told, and what was done about them in the log of moderation.

It looks which columns are there: a run that was cut short between two statements is completed by the next one.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0024"
down_revision = "0023"

_ID = mysql.BIGINT(unsigned=True)
_INT = mysql.INTEGER(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_NOW = sa.text("CURRENT_TIMESTAMP(6)")
_TABLE = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_NONCE = "random, one for all that are written at once; NULL: from before there were webhooks"
_NEXT_AT = "pending: when it is tried next, or again if who tries it now does not come back; else: when it is forgotten"


def upgrade() -> None:
    if not _has("events", "nonce"):
        op.execute(f"ALTER TABLE events ADD COLUMN nonce BINARY(8) NULL COMMENT '{_NONCE}', ALGORITHM=INSTANT")
    op.execute(
        "ALTER TABLE moderation_log MODIFY COLUMN user_id BIGINT UNSIGNED NULL"
        " COMMENT 'the player whom it was about; NULL: a webhook, a job'"
    )
    for table in ("deliveries", "webhooks"):
        op.drop_table(table, if_exists=True)  # of a run that was cut short
    op.create_table(
        "webhooks",
        sa.Column("id", _INT, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("events", sa.JSON, nullable=False, comment="the kinds of events that it is told of"),
        sa.Column("state", sa.String(16), nullable=False, server_default="on", comment="on, or off: it answered 410"),
        sa.Column("paused_until", _TIME, comment="nothing is sent before, as its Retry-After said; NULL: it did not"),
        sa.Column("secret", mysql.VARBINARY(256), nullable=False, comment="what signs, encrypted"),
        sa.Column("old_secret", mysql.VARBINARY(256), comment="the one before, which signs too; NULL: none"),
        sa.Column("old_secret_until", _TIME),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Index("uq_webhooks_name", "name", unique=True),
        **_TABLE,  # type: ignore[arg-type]  # options of the table, of which mypy knows none
    )
    op.create_table(
        "deliveries",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("webhook_id", _INT, nullable=False),
        sa.Column("event_id", _ID, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, server_default="pending", comment="pending, delivered, or failed"),
        sa.Column("next_at", _TIME, nullable=False, server_default=_NOW, comment=_NEXT_AT),
        sa.Column("tries", _INT, nullable=False, server_default=sa.text("0"), comment="how often it was tried"),
        sa.Column("tried_at", _TIME, comment="when it was last; NULL: never"),
        sa.Column("status", _INT, comment="what it was answered; NULL: nothing"),
        sa.Column("error", sa.String(200), comment="why the last try failed; NULL: it did not"),
        sa.Index("ix_deliveries_webhook_id_state_next_at", "webhook_id", "state", "next_at"),
        sa.Index("ix_deliveries_webhook_id_id", "webhook_id", "id"),
        sa.Index("ix_deliveries_state_next_at", "state", "next_at"),
        **_TABLE,  # type: ignore[arg-type]  # as above
    )


def downgrade() -> None:
    """Nobody is told of events any more, and what was done about webhooks is not known any more."""
    op.drop_table("deliveries", if_exists=True)
    op.drop_table("webhooks", if_exists=True)
    op.execute("DELETE FROM moderation_log WHERE user_id IS NULL")
    op.execute(
        "ALTER TABLE moderation_log MODIFY COLUMN user_id BIGINT UNSIGNED NOT NULL COMMENT 'the player whom it was about'"
    )
    if _has("events", "nonce"):
        op.drop_column("events", "nonce")


def _has(table: str, name: str) -> bool:
    return any(column["name"] == name for column in sa.inspect(op.get_bind()).get_columns(table))
