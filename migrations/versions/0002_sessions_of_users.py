"""Sessions of users: families of refresh tokens as rows of their own."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"

_ID = mysql.BIGINT(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "refresh_families",
        sa.Column("id", mysql.BINARY(16), primary_key=True),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_used_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False, comment="over then, if it is not used before"),
        sa.Column("ends_at", _TIME, nullable=False, comment="over then, however much it is used"),
        sa.Column("address", sa.String(45), nullable=False, comment="where it was used last; empty: not known"),
        sa.Column("user_agent", sa.String(256), nullable=False),
        sa.Index("ix_refresh_families_user_id", "user_id"),
        sa.Index("ix_refresh_families_expires_at", "expires_at"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_refresh_families_user_id", ondelete="CASCADE"),
        **_TABLE,
    )
    # Who is signed in stays so. Those sessions last as long as their newest token, and at most the default from now.
    op.execute(
        "INSERT INTO refresh_families (id, user_id, created_at, last_used_at, expires_at, ends_at, address, user_agent)"
        " SELECT family_id, MIN(user_id), MIN(issued_at), MAX(issued_at), MAX(expires_at),"
        " GREATEST(MAX(expires_at), UTC_TIMESTAMP(6) + INTERVAL 90 DAY), '', ''"
        " FROM refresh_tokens GROUP BY family_id"
        " HAVING SUM(revoked_at IS NOT NULL) = 0 AND SUM(used_at IS NULL AND expires_at > UTC_TIMESTAMP(6)) > 0"
    )
    op.drop_constraint("fk_refresh_tokens_user_id", "refresh_tokens", type_="foreignkey")
    op.drop_index("ix_refresh_tokens_user_id", "refresh_tokens")
    op.drop_index("ix_refresh_tokens_family_id", "refresh_tokens")
    op.drop_column("refresh_tokens", "user_id")
    op.drop_column("refresh_tokens", "revoked_at")


def downgrade() -> None:
    """Everybody is signed out: what a token was worth is not known without its family."""
    op.execute("DELETE FROM refresh_tokens")
    op.add_column("refresh_tokens", sa.Column("revoked_at", _TIME))
    op.add_column("refresh_tokens", sa.Column("user_id", _ID, nullable=False))
    op.create_index("ix_refresh_tokens_family_id", "refresh_tokens", ["family_id"])
    op.create_index("ix_refresh_tokens_user_id", "refresh_tokens", ["user_id"])
    op.create_foreign_key("fk_refresh_tokens_user_id", "refresh_tokens", "users", ["user_id"], ["id"], ondelete="CASCADE")
    op.drop_table("refresh_families")
