"""When the password of each session was given last."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"

_TIME = mysql.DATETIME(fsp=6)
_COMMENT = "when its password was given last"


def upgrade() -> None:
    op.add_column("refresh_families", sa.Column("authenticated_at", _TIME, comment=_COMMENT))
    # Of sessions that go on, it is known that it was given when they began.
    op.execute("UPDATE refresh_families SET authenticated_at = created_at")
    op.alter_column("refresh_families", "authenticated_at", existing_type=_TIME, existing_comment=_COMMENT, nullable=False)


def downgrade() -> None:
    op.drop_column("refresh_families", "authenticated_at")
