"""What submissions were answered with, for those that are sent again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column(
        "game_sessions",
        sa.Column("answered_total", mysql.BIGINT(), comment="the total that its submission was answered with"),
    )
    op.add_column(
        "game_sessions",
        sa.Column("answered_rank", mysql.BIGINT(unsigned=True), comment="the rank that it was answered with"),
    )


def downgrade() -> None:
    op.drop_column("game_sessions", "answered_rank")
    op.drop_column("game_sessions", "answered_total")
