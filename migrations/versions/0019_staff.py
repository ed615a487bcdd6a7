"""Staff: roles, second factors and staff codes, and in which sessions a second factor was given.

It looks whether the column is there: a run that was cut short after the change is completed by the next one.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0019"
down_revision = "0018"

_ID, _TIME, _SECRET = mysql.BIGINT(unsigned=True), mysql.DATETIME(fsp=6), mysql.VARBINARY(255)
_GIVEN = "when its second factor was given last; NULL: it was not"


def upgrade() -> None:
    _drop_tables()  # of a run that was cut short
    op.create_table(
        "staff",
        sa.Column("user_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("role", sa.String(16), nullable=False, comment="admin, or moderator"),
        sa.Column("granted_by", _ID, comment="the admin who did; NULL: an operator"),
        sa.Column("granted_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_staff_user_id", ondelete="CASCADE"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "second_factors",
        sa.Column("user_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("secret", _SECRET, comment="encrypted; NULL: none is confirmed"),
        sa.Column("pending", _SECRET, comment="encrypted; what is to take its place"),
        sa.Column("confirmed_at", _TIME),
        sa.Column("last_step", _ID, nullable=False, comment="the time step whose code was used last"),
        sa.ForeignKeyConstraint(["user_id"], ["staff.user_id"], name="fk_second_factors_user_id", ondelete="CASCADE"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "staff_codes",
        sa.Column("user_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("code_hash", mysql.BINARY(32), primary_key=True),
        sa.ForeignKeyConstraint(["user_id"], ["staff.user_id"], name="fk_staff_codes_user_id", ondelete="CASCADE"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    if not _is_there():
        op.add_column("refresh_families", sa.Column("second_factor_at", _TIME, comment=_GIVEN))


def downgrade() -> None:
    """No session ends. Up again, nobody has a role."""
    _drop_tables()
    if _is_there():
        op.drop_column("refresh_families", "second_factor_at")


def _drop_tables() -> None:
    for table in ("staff_codes", "second_factors", "staff"):
        op.drop_table(table, if_exists=True)


def _is_there() -> bool:
    columns = sa.inspect(op.get_bind()).get_columns("refresh_families")
    return any(column["name"] == "second_factor_at" for column in columns)
