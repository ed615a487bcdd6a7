"""How many passwords a delay has turned away is not counted any more: nobody read it.

It looks whether the column is there: a run that was cut short after the change is completed by the next one.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013"
down_revision = "0012"

_COUNT = mysql.INTEGER(unsigned=True)
_COMMENT = "attempts that this delay turned away"


def upgrade() -> None:
    if _is_there():
        op.drop_column("password_attempts", "refusals")


def downgrade() -> None:
    if not _is_there():
        op.add_column("password_attempts", sa.Column("refusals", _COUNT, nullable=False, comment=_COMMENT))


def _is_there() -> bool:
    return any(column["name"] == "refusals" for column in sa.inspect(op.get_bind()).get_columns("password_attempts"))
