"""SQL that reads boards with their windows."""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.leaderboard.boards.board import Board, Definition, Window, WindowDefinition
from services.leaderboard.boards.document import parse_hold, parse_rewards, parse_rule
from services.leaderboard.rules.calendar import InvalidSchedule, Schedule, Unit
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.ranking import Aggregate, Counting

log = structlog.get_logger(__name__)

DELETING = "deleting"
"""The state of a board that is being deleted. It is there for its own name alone, and nobody is shown it."""
_VERSION = "SELECT version, NOW(6) FROM boards_version WHERE id = 1"

# By the driver, and not by SQLAlchemy's types: 10,000 boards with 30,000 windows are what a process reads when it starts.
_BOARDS = (
    "SELECT b.id, b.version, b.name, b.title, b.metric, b.aggregate, b.direction, b.rule, b.min_score, b.max_score,"
    " b.show_extra, b.submitters, b.hold, b.state FROM boards b WHERE b.state <> %s AND "
)
_WINDOWS = (
    "SELECT w.board_id, w.id, w.name, w.kind, w.every, w.unit, w.zone, w.first, w.grace_seconds, w.keep, w.counts_from,"
    " w.rewards"
    " FROM boards b JOIN windows w ON w.board_id = b.id WHERE b.state <> %s AND {} ORDER BY w.board_id, w.position"
)

_SHARE = (
    "SELECT id, metric, aggregate, direction, state FROM boards FORCE INDEX (PRIMARY) WHERE id IN ({ids})"
    " ORDER BY id LOCK IN SHARE MODE"
)


async def look(database: Database) -> tuple[int, datetime]:
    """What the changes of boards have come to, and what time it is for MySQL."""
    [(version, now)] = await database.look(_VERSION)
    return version, now.replace(tzinfo=UTC)


async def get_version(connection: AsyncConnection) -> tuple[int, datetime]:
    """The same as this connection reads it."""
    row: tuple[int, datetime] = tuple((await connection.exec_driver_sql(_VERSION)).one())
    return row[0], row[1].replace(tzinfo=UTC)


async def list_boards(connection: AsyncConnection, after_version: int = 0) -> list[Board]:
    """Boards that were changed after a version; all of them by default."""
    return await _list(connection, "b.version > %s", (after_version,))


async def list_named(connection: AsyncConnection, names: Collection[str]) -> list[Board]:
    """Those of these boards that there are."""
    if not names:
        return []
    return await _list(connection, f"b.name IN ({', '.join(['%s'] * len(names))})", tuple(names))


async def list_countings(connection: AsyncConnection) -> dict[int, tuple[str, Counting]]:
    """By which metric each board counts, and how."""
    return {board.board_id: (board.definition.metric, board.counting) for board in await list_boards(connection)}


async def share_countings(connection: AsyncConnection, board_ids: Collection[int]) -> dict[int, tuple[str, Counting]]:
    """The same of these boards, which stay what they are until the transaction ends. Of those that are gone, nothing."""
    if not board_ids:
        return {}
    found = await connection.exec_driver_sql(_SHARE.format(ids=",".join([f"{each:d}" for each in sorted(board_ids)])))
    rows: Sequence[Any] = found.all()
    return {
        board_id: (metric, Counting(Aggregate(aggregate), Direction(direction)))
        for board_id, metric, aggregate, direction, state in rows
        if state != DELETING
    }


async def list_deleting(connection: AsyncConnection, names: Collection[str]) -> set[str]:
    """Those of these names whose boards are being deleted."""
    if not names:
        return set()
    statement = f"SELECT name FROM boards WHERE state = %s AND name IN ({', '.join(['%s'] * len(names))})"
    return {row[0] for row in await connection.exec_driver_sql(statement, (DELETING, *names))}


async def count_boards(connection: AsyncConnection) -> int:
    """How many boards there are."""
    found = await connection.exec_driver_sql("SELECT COUNT(*) FROM boards WHERE state <> %s", (DELETING,))
    count: int = found.scalar_one()
    return count


async def list_ids(connection: AsyncConnection) -> set[int]:
    """The boards that there are."""
    return {row[0] for row in await connection.exec_driver_sql("SELECT id FROM boards WHERE state <> %s", (DELETING,))}


async def _list(connection: AsyncConnection, where: str, values: tuple[Any, ...]) -> list[Board]:
    """Boards first: a window that is added between the two reads is then only there early, and read again with its version."""
    boards: Sequence[Any] = (await connection.exec_driver_sql(_BOARDS + where, (DELETING, *values))).all()
    found: Sequence[Any] = (await connection.exec_driver_sql(_WINDOWS.format(where), (DELETING, *values))).all()
    windows: dict[int, list[Window]] = {}
    unreadable: set[int] = set()
    for row in found:
        try:
            windows.setdefault(row[0], []).append(_window(*row[1:]))
        except InvalidSchedule as error:  # a zone that this process has no data of: the other boards are not to go without
            log.error("a window cannot be read", board_id=row[0], window_id=row[1], error=str(error))  # noqa: TRY400
            unreadable.add(row[0])
    readable = (row for row in boards if row[0] in windows and row[0] not in unreadable)
    return [_board(tuple(windows[row[0]]), *row) for row in readable]


def _board(windows: tuple[Window, ...], board_id: int, version: int, *row: Any) -> Board:
    name, title, metric, aggregate, direction, rule, least, most, show_extra, submitters, hold, state = row
    definition = Definition(
        name,
        title,
        metric,
        aggregate,
        direction,
        None if rule is None else parse_rule(json.loads(rule)),
        least,
        most,
        bool(show_extra),
        submitters,
        state,
        tuple([window.definition for window in windows]),
        None if hold is None else parse_hold(json.loads(hold)),
    )
    return Board(board_id, version, definition, windows)


def _window(window_id: int, name: str, kind: str, *row: Any) -> Window:
    every, unit, zone, first, grace_seconds, keep, counts_from, written = row
    schedule = _schedule(first, every, unit, zone) if kind == "every" else None
    rewards = () if written is None else parse_rewards(json.loads(written))
    definition = WindowDefinition(name, schedule, kind == "listed", grace_seconds, keep, rewards)
    return Window(window_id, definition, None if counts_from is None else counts_from.replace(tzinfo=UTC))


@lru_cache(maxsize=4096)
def _schedule(first: datetime, every: int, unit: Unit, zone: str) -> Schedule:
    """Most boards share a few."""
    return Schedule(first, every, unit, zone)
