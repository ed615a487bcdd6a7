"""SQL of settling a period that is closed: one transaction, with the period's row held.

Nobody changes a standing of a period without a share of its row. So results, digest and event are those of one moment, and
whoever comes second finds the period settled.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database, UTCDateTime
from services.common.times import write_time
from services.leaderboard import events
from services.leaderboard.boards.document import parse_rewards
from services.leaderboard.boards.table import DELETING
from services.leaderboard.events import Kind
from services.leaderboard.models import Board, Period, Window
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.rewards import Reward
from services.leaderboard.seasons import outcome

_NOW = literal_column("NOW(6)", UTCDateTime())
# As text, like each statement that locks: what it locks is the row it names, and the server is not asked how to find it.
_LOCK = "SELECT board_id, window_id FROM periods FORCE INDEX (PRIMARY) WHERE id = :period_id AND state = 'closed' FOR UPDATE"
_OVER = "p.state = 'closed' OR (p.state = 'open' AND p.closes_at <= NOW(6))"
_COUNT = f"""
SELECT COUNT(*) FROM periods AS p JOIN boards AS b ON b.id = p.board_id AND b.state <> '{DELETING}'
JOIN windows AS w ON w.id = p.window_id WHERE {_OVER}"""
_LIST_CLOSED = f"""
SELECT p.id FROM periods AS p JOIN boards AS b ON b.id = p.board_id AND b.state <> '{DELETING}'
JOIN windows AS w ON w.id = p.window_id WHERE p.state = 'closed' ORDER BY p.closes_at, p.id LIMIT :limit"""


_DUE = f"""
SELECT ({_COUNT}), EXISTS (SELECT 1 FROM periods WHERE state = 'open' AND closes_at <= NOW(6)),
EXISTS (SELECT 1 FROM periods WHERE opened_at IS NULL AND starts_at <= NOW(6))"""


class Due(NamedTuple):
    """How many periods are over and not settled yet; whether any are over and open; and whether of any that has begun that has
    not been told.
    """

    unsettled: int
    open: bool
    begun: bool


class Settled(NamedTuple):
    """A period that has just been settled, and how many settled ones its window keeps: None if all."""

    board_id: int
    window_id: int
    keep: int | None


async def count_unsettled(connection: AsyncConnection) -> int:
    """How many periods are over and not settled yet."""
    count: int = (await connection.execute(text(_COUNT))).scalar_one()
    return count


async def look(database: Database) -> Due:
    """What is to be done about periods now."""
    [(unsettled, is_open, begun)] = await database.look(_DUE)
    return Due(unsettled, bool(is_open), bool(begun))


async def list_closed(connection: AsyncConnection, limit: int) -> Sequence[int]:
    """Periods that are closed and not settled yet, those first that have been so for longest."""
    return (await connection.scalars(text(_LIST_CLOSED), {"limit": limit})).all()


async def settle(connection: AsyncConnection, period_id: int, kept: int, *, wait: bool) -> Settled | None:
    """Settle a period that is closed: keep the first ``kept`` results, and write the event. None where it is settled already,
    where its board is being deleted, or where somebody has a share of it that is not waited for.
    """
    lock = text(_LOCK if wait else f"{_LOCK} SKIP LOCKED")
    locked = (await connection.execute(lock, {"period_id": period_id})).one_or_none()
    if locked is None:
        return None
    at = Place(locked.board_id, period_id)
    found = (await connection.execute(_definition(at.board_id, locked.window_id))).one_or_none()
    if found is None:
        return None
    now: datetime = found.now
    came_to = await outcome.store(connection, at, parse_rewards(found.rewards), kept)
    values = {
        "state": "settled",
        "players": came_to.players,
        "settled_at": now,
        "rewards": outcome.write_cutoffs(came_to.cutoffs),
        "digest": came_to.digest,
    }
    await connection.execute(update(Period).where(Period.id == period_id).values(**values))
    told = {
        "board": found.board,
        "window": found.window,
        "period_id": period_id,
        "settled_at": write_time(now),
        "players": came_to.players,
        "digest": came_to.digest.hex(),
    }
    await events.add(connection, Kind.PERIOD_SETTLED, told)
    return Settled(at.board_id, locked.window_id, found.keep)


async def find_rewards(connection: AsyncConnection, board_id: int, window_id: int) -> tuple[Reward, ...] | None:
    """The rewards of a window as they are now. None when its board is gone, or going."""
    found = (await connection.execute(_definition(board_id, window_id))).one_or_none()
    return None if found is None else parse_rewards(found.rewards)


def _definition(board_id: int, window_id: int) -> Select[Any]:
    """Of a board and its window what settling must know, and the time. Nothing where the board is being deleted."""
    return (
        select(Board.name.label("board"), Window.name.label("window"), Window.rewards, Window.keep, _NOW.label("now"))
        .join(Window, Window.board_id == Board.id)
        .where(Board.id == board_id, Window.id == window_id, Board.state != DELETING)
    )
