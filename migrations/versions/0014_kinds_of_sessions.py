"""Of which kind a session is: a browser's, whose refresh token is a cookie, or an app's, which keeps it itself."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_TYPE, _COMMENT = sa.String(16), "browser, or app"


def upgrade() -> None:
    # Sessions that go on are browsers': there were no others.
    op.add_column("refresh_families", sa.Column("kind", _TYPE, nullable=False, server_default="browser", comment=_COMMENT))
    op.alter_column(
        "refresh_families", "kind", existing_type=_TYPE, existing_nullable=False, existing_comment=_COMMENT, server_default=None
    )


def downgrade() -> None:
    # No session ends. Up again, those of apps count as browsers' until they are over.
    op.drop_column("refresh_families", "kind")
