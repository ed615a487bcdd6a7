"""The audit log, and the count of passwords that were tried in vain."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"

_ID = mysql.BIGINT(unsigned=True)
_COUNT = mysql.INTEGER(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("user_id", _ID, comment="no foreign key: what happened outlives the account"),
        sa.Column("address", sa.String(64), comment="forgotten after a set time"),
        sa.Column("detail", sa.JSON),
        sa.Column("occurred_at", _TIME, nullable=False),
        sa.Index("ix_audit_events_user_id", "user_id"),
        sa.Index("ix_audit_events_event", "event", "occurred_at"),
        sa.Index("ix_audit_events_address", "address", "occurred_at"),
        **_TABLE,
    )
    op.create_table(
        "password_attempts",
        sa.Column("account_key", mysql.BINARY(32), primary_key=True),
        sa.Column("failures", _COUNT, nullable=False, comment="attempts since the last right password"),
        sa.Column("attempt_id", mysql.BINARY(16), nullable=False, comment="the last attempt that was let through"),
        sa.Column("delayed_until", _TIME, nullable=False, comment="until then no password is looked at"),
        sa.Column("refusals", _COUNT, nullable=False, comment="attempts that this delay turned away"),
        sa.Column("counted_at", _TIME, nullable=False),
        sa.Index("ix_password_attempts_counted_at", "counted_at"),
        **_TABLE,
    )


def downgrade() -> None:
    op.drop_table("password_attempts")
    op.drop_table("audit_events")
