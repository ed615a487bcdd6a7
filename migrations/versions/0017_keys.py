"""Keys, by which game servers sign in: their secrets, and which were revoked."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0017"
down_revision = "0016"

_ID = mysql.BIGINT(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    downgrade()  # of a run that was cut short
    op.create_table(
        "api_keys",
        sa.Column("client_id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(255), nullable=False, comment="as RFC 6749, section 3.3 writes them"),
        sa.Column("created_by", _ID, nullable=True, comment="NULL: the account is gone"),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=True, comment="NULL: it does not expire"),
        sa.Column("last_used_at", _TIME, nullable=True, comment="to the minute; NULL: it was not used"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_api_keys_created_by", ondelete="SET NULL"),
        sa.Index("ix_api_keys_created_by", "created_by"),
        **_TABLE,
    )
    op.create_table(
        "key_secrets",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("client_id", sa.String(40), nullable=False),
        sa.Column("secret_hash", mysql.BINARY(32), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["api_keys.client_id"], name="fk_key_secrets_client_id", ondelete="CASCADE"),
        sa.Index("ix_key_secrets_client_id", "client_id", "id"),
        **_TABLE,
    )
    op.create_table(
        "key_endings",
        sa.Column("client_id", sa.String(40), primary_key=True),
        sa.Column("ended_at", _TIME, nullable=False, comment="by MySQL's clock"),
        sa.Index("ix_key_endings_ended_at", "ended_at"),
        **_TABLE,
    )


def downgrade() -> None:
    for table in ("key_endings", "key_secrets", "api_keys"):
        op.drop_table(table, if_exists=True)
