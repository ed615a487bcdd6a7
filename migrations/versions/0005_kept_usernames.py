"""Names that were given up and are kept for a time."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"

_ID = mysql.BIGINT(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "kept_usernames",
        sa.Column("username_canonical", sa.String(32), primary_key=True),
        sa.Column("username", sa.String(32), nullable=False),
        sa.Column("user_id", _ID, comment="who may take it back; NULL: nobody"),
        sa.Column("kept_until", _TIME, nullable=False),
        sa.Index("ix_kept_usernames_user_id", "user_id"),
        sa.Index("ix_kept_usernames_kept_until", "kept_until"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_kept_usernames_user_id", ondelete="SET NULL"),
        **_TABLE,
    )


def downgrade() -> None:
    op.drop_table("kept_usernames")
