"""Whom a studio knows by accounts elsewhere."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0018"
down_revision = "0017"

_BYTES = "UTF-8, as bytes: text would be equal that differs in spaces at its end"


def upgrade() -> None:
    op.drop_table("external_identities", if_exists=True)  # of a run that was cut short
    op.create_table(
        "external_identities",
        sa.Column("provider", sa.String(32), primary_key=True),
        sa.Column("external_id", mysql.VARBINARY(512), primary_key=True, comment=_BYTES),
        sa.Column("user_id", mysql.BIGINT(unsigned=True), nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_external_identities_user_id", ondelete="CASCADE"),
        sa.Index("ix_external_identities_user_id", "user_id"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    """Users stay, as players whom nobody can sign in."""
    op.drop_table("external_identities", if_exists=True)
