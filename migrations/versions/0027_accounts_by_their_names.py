"""The board finds accounts by their names: sessions that are imported may name players.

It looks whether the index is there: a run that was cut short after the change is completed by the next one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

_INDEX = "ix_account_changes_username_canonical"


def upgrade() -> None:
    if not _is_there():
        op.create_index(_INDEX, "account_changes", ["username_canonical"])


def downgrade() -> None:
    if _is_there():
        op.drop_index(_INDEX, "account_changes")


def _is_there() -> bool:
    return any(index["name"] == _INDEX for index in sa.inspect(op.get_bind()).get_indexes("account_changes"))
