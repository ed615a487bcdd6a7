"""What the board must know of accounts, in a table of auth's that the leaderboard service may read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0015"
down_revision = "0014"

_TIME = mysql.DATETIME(fsp=6)


def upgrade() -> None:
    op.drop_table("account_changes", if_exists=True)  # of a run that was cut short
    op.create_table(
        "account_changes",
        sa.Column("id", mysql.BIGINT(unsigned=True), primary_key=True, autoincrement=False, comment="the user's"),
        sa.Column("username", sa.String(32), nullable=False, comment="empty: the account has ended"),
        sa.Column("username_canonical", sa.String(32), nullable=False),
        sa.Column("ended_at", _TIME, nullable=True, comment="NULL: it has not"),
        sa.Column("changed_at", _TIME, nullable=True, comment="by MySQL's clock; NULL: it is as it was made"),
        sa.Index("ix_account_changes_changed_at", "changed_at"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    # Accounts first: whoever has one has not ended.
    op.execute(
        "INSERT INTO account_changes (id, username, username_canonical) SELECT id, username, username_canonical FROM users"
    )
    op.execute(
        "INSERT IGNORE INTO account_changes (id, username, username_canonical, ended_at, changed_at)"
        " SELECT user_id, '', '', MAX(occurred_at), MAX(occurred_at) FROM audit_events"
        " WHERE event = 'account_deleted' AND user_id IS NOT NULL GROUP BY user_id"
    )


def downgrade() -> None:
    op.drop_table("account_changes", if_exists=True)
