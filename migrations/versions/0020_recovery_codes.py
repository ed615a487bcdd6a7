"""Recovery codes: what is good once in the place of a forgotten password."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.drop_table("recovery_codes", if_exists=True)  # of a run that was cut short
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", mysql.BIGINT(unsigned=True), primary_key=True, autoincrement=False),
        sa.Column("code_hash", mysql.BINARY(32), primary_key=True),
        sa.Column("made_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_recovery_codes_user_id", ondelete="CASCADE"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    op.drop_table("recovery_codes", if_exists=True)
