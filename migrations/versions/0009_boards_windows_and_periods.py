"""Boards with windows and periods. The one board becomes `main`, with the window `all`."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"

_SMALL_ID = mysql.INTEGER(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_AGGREGATE = "total: the sum of all; best: the best one; latest: the last one"
_OLD_AGGREGATE = "total: the sum of all sessions; best: the best one"
_MAX_SCORE, _OLD_MAX_SCORE = "greatest value of one session", "greatest score of one session"


def upgrade() -> None:
    version = "what boards_version was raised to by the last change of the board or its windows"
    added: tuple[tuple[str, Any, str, str], ...] = (
        ("version", mysql.BIGINT(unsigned=True), "1", version),
        ("title", sa.String(100), "''", "what players read; empty: the name"),
        ("metric", sa.String(32), "'score'", "which of a session's values; score is the one that each has"),
        ("direction", sa.String(16), "'descending'", "descending: more is better; ascending: less is"),
        ("min_score", sa.BigInteger(), "0", "least value of one session"),
        ("show_extra", sa.Boolean(), "0", "whether the extra of the session that made a score is shown"),
        ("state", sa.String(16), "'active'", "active, closed, or deleting"),
    )
    for name, type_, of_old_rows, comment in added:
        op.add_column("boards", sa.Column(name, type_, nullable=False, server_default=sa.text(of_old_rows), comment=comment))
        op.alter_column(
            "boards", name, existing_type=type_, existing_nullable=False, existing_comment=comment, server_default=None
        )
    rule = "which sessions that name no board count; NULL: none, without tags: every one"
    op.add_column("boards", sa.Column("rule", sa.JSON, comment=rule))
    op.execute("""UPDATE boards SET rule = '{"where": {}}', direction = IF(`descending`, 'descending', 'ascending')""")
    op.drop_column("boards", "descending")
    op.drop_column("boards", "period")
    _comment("aggregate", sa.String(16), _OLD_AGGREGATE, _AGGREGATE)
    _comment("max_score", sa.BigInteger(), _OLD_MAX_SCORE, _MAX_SCORE)
    op.create_table(
        "windows",
        sa.Column("id", _SMALL_ID, primary_key=True, autoincrement=True),
        sa.Column("board_id", _SMALL_ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("position", _SMALL_ID, nullable=False, comment="among the board's windows; 0 is the one shown first"),
        sa.Column("kind", sa.String(16), nullable=False, comment="all, every, or listed"),
        sa.Column("every", _SMALL_ID, comment="so many units is a period long"),
        sa.Column("unit", sa.String(16), comment="seconds, days, weeks, or months"),
        sa.Column("zone", sa.String(64), comment="IANA time zone that its days are of; of seconds it is UTC"),
        sa.Column("first", _TIME, comment="when period 0 begins, in local time of the zone"),
        sa.Column("grace_seconds", _SMALL_ID, comment="from a period's end to its closing"),
        sa.Column("keep", _SMALL_ID, comment="settled periods that are kept; NULL: all"),
        sa.Column(
            "counts_from",
            _TIME,
            comment="added to a board that had sessions, it counts from its next period; NULL: from the first",
        ),
        sa.Index("uq_windows_board_id_name", "board_id", "name", unique=True),
        **_TABLE,
    )
    op.execute("INSERT INTO windows (board_id, name, position, kind) SELECT id, 'all', 0, 'all' FROM boards")
    op.create_table(
        "periods",
        sa.Column("id", _SMALL_ID, primary_key=True, autoincrement=True),
        sa.Column("board_id", _SMALL_ID, nullable=False),
        sa.Column("window_id", _SMALL_ID, nullable=False),
        sa.Column(
            "number",
            sa.BigInteger,
            nullable=False,
            comment="of which occurrence of the window it is; of listed ones, the how manieth",
        ),
        sa.Column("title", sa.String(100)),
        sa.Column("starts_at", _TIME, nullable=False, comment="the first moment in it"),
        sa.Column("ends_at", _TIME, nullable=False, comment="the first moment after it"),
        sa.Column("closes_at", _TIME, nullable=False, comment="nothing is counted from then on"),
        sa.Column("state", sa.String(16), nullable=False, comment="open, closed, settled, or expired"),
        sa.Column("players", mysql.BIGINT(unsigned=True), comment="how many were ranked when it was settled"),
        sa.Column("settled_at", _TIME),
        sa.Index("uq_periods_board_id_window_id_starts_at", "board_id", "window_id", "starts_at", unique=True),
        sa.Index("ix_periods_state_closes_at", "state", "closes_at"),
        **_TABLE,
    )
    op.create_table(
        "boards_version",
        sa.Column("id", _SMALL_ID, primary_key=True, autoincrement=False),
        sa.Column("version", mysql.BIGINT(unsigned=True), nullable=False),
        **_TABLE,
    )
    op.execute("INSERT INTO boards_version (id, version) VALUES (1, 1)")
    op.create_index("ix_boards_version", "boards", ["version"])


def downgrade() -> None:
    """Only the first board stays: the release before knows no other."""
    for table in ("boards_version", "periods", "windows"):
        op.drop_table(table)
    op.execute("DELETE FROM boards WHERE id <> 1")
    _comment("max_score", sa.BigInteger(), _MAX_SCORE, _OLD_MAX_SCORE)
    _comment("aggregate", sa.String(16), _AGGREGATE, _OLD_AGGREGATE)
    op.add_column(
        "boards",
        sa.Column(
            "period",
            sa.String(16),
            nullable=False,
            server_default="all",
            comment="all, or how often the board starts anew",
        ),
    )
    op.alter_column("boards", "period", existing_type=sa.String(16), existing_nullable=False, server_default=None)
    op.add_column(
        "boards",
        sa.Column("descending", sa.Boolean, nullable=False, server_default="1", comment="whether more is better"),
    )
    op.alter_column("boards", "descending", existing_type=sa.Boolean(), existing_nullable=False, server_default=None)
    for name in ("rule", "state", "show_extra", "min_score", "direction", "metric", "title", "version"):
        op.drop_column("boards", name)


def _comment(column: str, type_: Any, old: str, new: str) -> None:
    op.alter_column("boards", column, existing_type=type_, existing_nullable=False, existing_comment=old, comment=new)
