"""Guests: accounts without a password, and since when nobody can reach them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0016"
down_revision = "0015"

_HASH = sa.String(255)
_NO_PASSWORD = "NULL: a guest, who has no password"  # noqa: S105 - a comment
_UNREACHABLE = "when it was seen that its last session had ended; NULL: it was not"
# Of guests, in a schema that knows none: a hash that no password has.
_NOBODYS = "''"


def upgrade() -> None:
    op.alter_column("users", "password_hash", existing_type=_HASH, nullable=True, comment=_NO_PASSWORD)
    op.drop_table("guests", if_exists=True)  # of a run that was cut short
    op.create_table(
        "guests",
        sa.Column("user_id", mysql.BIGINT(unsigned=True), primary_key=True, autoincrement=False),
        sa.Column("unreachable_since", mysql.DATETIME(fsp=6), comment=_UNREACHABLE),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_guests_user_id", ondelete="CASCADE"),
        sa.Index("ix_guests_unreachable_since", "unreachable_since"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.execute(f"UPDATE users SET password_hash = NULL WHERE password_hash = {_NOBODYS}")
    op.execute("INSERT INTO guests (user_id) SELECT id FROM users WHERE password_hash IS NULL")


def downgrade() -> None:
    """Guests keep their accounts and their sessions."""
    op.drop_table("guests", if_exists=True)
    op.execute(f"UPDATE users SET password_hash = {_NOBODYS} WHERE password_hash IS NULL")
    op.alter_column("users", "password_hash", existing_type=_HASH, existing_comment=_NO_PASSWORD, nullable=False, comment=None)
