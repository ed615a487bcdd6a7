"""Of which kind a session is: a browser's, whose refresh token is a cookie, or an app's, which keeps it itself.

It looks whether the column is there: a run that was cut short after the change is completed by the next one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_TYPE, _COMMENT = sa.String(16), "browser, or app"


def upgrade() -> None:
    # Sessions that go on are browsers': there were no others.
    column = sa.Column("kind", _TYPE, nullable=False, server_default="browser", comment=_COMMENT)
    if not _is_there():
        op.add_column("refresh_families", column)
    op.alter_column(
        "refresh_families", "kind", existing_type=_TYPE, existing_nullable=False, existing_comment=_COMMENT, server_default=None
    )


def downgrade() -> None:
    # No session ends. Up again, those of apps count as browsers' until they are over.
    if _is_there():
        op.drop_column("refresh_families", "kind")


def _is_there() -> bool:
    return any(column["name"] == "kind" for column in sa.inspect(op.get_bind()).get_columns("refresh_families"))
