"""Who may submit to a board, and when a session was played that a game server submits later.

It looks which columns are there: a run that was cut short is completed by the next one.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0021"
down_revision = "0020"

_SUBMITTERS = "players, or servers: no player's own token submits to it"
_PLAYED_AT = "when it was played, if a game server said so; NULL: when it was submitted"


def upgrade() -> None:
    if not _is_there("boards", "submitters"):
        column = sa.Column("submitters", sa.String(16), nullable=False, server_default="players", comment=_SUBMITTERS)
        op.add_column("boards", column)
    if not _is_there("game_sessions", "played_at"):
        op.add_column("game_sessions", sa.Column("played_at", mysql.DATETIME(fsp=6), comment=_PLAYED_AT))


def downgrade() -> None:
    # Boards of servers are everybody's again.
    for table, name in (("boards", "submitters"), ("game_sessions", "played_at")):
        if _is_there(table, name):
            op.drop_column(table, name)


def _is_there(table: str, name: str) -> bool:
    return any(column["name"] == name for column in sa.inspect(op.get_bind()).get_columns(table))
