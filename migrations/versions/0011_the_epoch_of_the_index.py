"""The epoch of the ranking index. It replaces the notes that everything may have changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"

_EPOCH = "random; whatever makes every index doubtful sets another one"
_CHANGED = "[[board_id, period_id, user_id], …]"


def upgrade() -> None:
    op.create_table(
        "index_epoch",
        sa.Column("id", mysql.INTEGER(unsigned=True), primary_key=True, autoincrement=False),
        sa.Column("epoch", mysql.BINARY(8), nullable=False, comment=_EPOCH),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    # No index has this epoch, so what such notes asked for comes to pass.
    op.execute("INSERT INTO index_epoch (id, epoch) VALUES (1, RANDOM_BYTES(8))")
    op.execute("DELETE FROM outbox WHERE changed IS NULL")
    op.alter_column("outbox", "changed", existing_type=sa.JSON(), existing_comment=_CHANGED, nullable=False)


def downgrade() -> None:
    op.alter_column("outbox", "changed", existing_type=sa.JSON(), existing_comment=_CHANGED, nullable=True)
    # Rows that changed under another epoch may be told nowhere.
    op.execute("INSERT INTO outbox (changed) VALUES (NULL)")
    op.drop_table("index_epoch")
