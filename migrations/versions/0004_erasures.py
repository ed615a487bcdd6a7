"""What erasing a player's sessions needs: which erasures are under way, and which submissions may not come again."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"

_ID = mysql.BIGINT(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("user_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("upto_session_id", _ID, nullable=False, comment="the last of the sessions that are to be erased"),
        sa.Column("begun_at", _TIME, nullable=False, server_default=sa.text("CURRENT_TIMESTAMP(6)")),
        **_TABLE,
    )
    op.create_table(
        "erased_keys",
        sa.Column("digest", mysql.BINARY(32), primary_key=True, comment="SHA-256 of the player and the submission key"),
        sa.Column("forget_at", _TIME, nullable=False),
        sa.Index("ix_erased_keys_forget_at", "forget_at"),
        **_TABLE,
    )


def downgrade() -> None:
    op.drop_table("erased_keys")
    op.drop_table("erasures")
