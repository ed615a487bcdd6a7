"""Accounts, game sessions and standings."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

_ID = mysql.BIGINT(unsigned=True)
_SMALL_ID = mysql.INTEGER(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_NOW = sa.text("CURRENT_TIMESTAMP(6)")
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("username", sa.String(32), nullable=False),
        sa.Column("username_canonical", sa.String(32), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        **_TABLE,
    )
    op.create_index("uq_users_username_canonical", "users", ["username_canonical"], unique=True)
    op.create_table(
        "refresh_tokens",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("family_id", mysql.BINARY(16), nullable=False),
        sa.Column("token_hash", mysql.BINARY(32), nullable=False),
        sa.Column("issued_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME),
        sa.Column("revoked_at", _TIME),
        sa.Index("uq_refresh_tokens_token_hash", "token_hash", unique=True),
        sa.Index("ix_refresh_tokens_family_id", "family_id"),
        sa.Index("ix_refresh_tokens_user_id", "user_id"),
        sa.Index("ix_refresh_tokens_expires_at", "expires_at"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_refresh_tokens_user_id", ondelete="CASCADE"),
        **_TABLE,
    )
    boards = op.create_table(
        "boards",
        sa.Column("id", _SMALL_ID, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column(
            "aggregate",
            sa.String(16),
            nullable=False,
            comment="total: the sum of all sessions; best: the best one",
        ),
        sa.Column("descending", sa.Boolean, nullable=False, comment="whether more is better"),
        sa.Column("period", sa.String(16), nullable=False, comment="all, or how often the board starts anew"),
        sa.Column("max_score", sa.BigInteger, nullable=False, comment="greatest score of one session"),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Index("uq_boards_name", "name", unique=True),
        **_TABLE,
    )
    op.bulk_insert(
        boards,
        [
            {
                "id": 1,
                "name": "main",
                "aggregate": "total",
                "descending": True,
                "period": "all",
                "max_score": 1_000_000_000,
            }
        ],
    )
    op.create_table(
        "players",
        sa.Column("user_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("username", sa.String(32), nullable=False),
        **_TABLE,
    )
    op.create_table(
        "game_sessions",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column(
            "submission_key",
            mysql.VARBINARY(80),
            nullable=False,
            comment="makes a repeated submission the same one",
        ),
        sa.Column("group_id", mysql.BINARY(16), nullable=False, comment="the transaction that stored it"),
        sa.Column("score", sa.BigInteger, nullable=False),
        sa.Column("submitted_at", _TIME, nullable=False),
        sa.Index("uq_game_sessions_user_id_submission_key", "user_id", "submission_key", unique=True),
        sa.Index("ix_game_sessions_user_id_id", "user_id", "id"),
        **_TABLE,
    )
    op.create_table(
        "standings",
        sa.Column("board_id", _SMALL_ID, primary_key=True, autoincrement=False),
        sa.Column("period_id", _SMALL_ID, primary_key=True, autoincrement=False, comment="0 is all time"),
        sa.Column("user_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("score", sa.BigInteger),
        sa.Column("sessions", _ID, nullable=False, comment="how many sessions made the score"),
        sa.Column(
            "reached_session_id",
            _ID,
            nullable=False,
            comment="the session that reached it: who was first stands first",
        ),
        sa.Column("version", _ID, nullable=False, comment="grows by one with every change of the row"),
        sa.Index("ix_standings_order", "board_id", "period_id", sa.desc("score"), "reached_session_id"),
        **_TABLE,
    )
    op.create_table(
        "outbox",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("changed", sa.JSON, comment="[[board_id, period_id, user_id], …]"),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        **_TABLE,
    )


def downgrade() -> None:
    for table in ("outbox", "standings", "game_sessions", "players", "boards", "refresh_tokens", "users"):
        op.drop_table(table)
