"""Building the ranking index from the standings, in place, while reads and writes go on."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import aclosing
from enum import Enum, auto
from time import monotonic

import structlog
from sqlalchemy import func, select

from services.common.mysql.database import Database
from services.leaderboard.boards.table import DELETING
from services.leaderboard.index.connection import UNAVAILABLE, RedisConnection
from services.leaderboard.index.epoch import get_epoch
from services.leaderboard.index.writer import MOST_ROWS, Applied, Begun, IndexWriter, Status
from services.leaderboard.models import Board, Standing
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.standings import table
from services.leaderboard.standings.queries import at_place, count_some

log = structlog.get_logger(__name__)

Progress = Callable[[list[StandingRow]], Awaitable[None]]
"""Told of each batch that the index has."""

# Nobody waits for one batch, so a server that is busy for a moment need not end the whole build.
PATIENCE_SECONDS = 1.5
_ATTEMPTS = 3
BYTES_A_PLAYER = 210
"""What a player takes of Redis' memory (`make bench`, at a million players)."""
COUNTED_AT_ONCE = 200_000
"""Players a statement: ten million in one take longer than a statement may."""
# What is read from MySQL at once; told to the index MOST_ROWS at a time.
BATCH = 5 * MOST_ROWS


class Lost(Exception):
    """The build is another's by now, or its keys are gone."""


class Outcome(Enum):
    """What became of a wish for an index."""

    BUILT = auto()
    COMPLETE = auto()
    """There was one."""
    HELD = auto()
    """Another is building it."""
    OVERTAKEN = auto()
    """Another began to just now."""
    SMALL = auto()
    """There are too few players for one to be worth it: MySQL answers as fast."""
    FULL = auto()
    """Redis has no room for it."""
    GONE = auto()
    """The board is being deleted, or there is none."""


async def build(database: Database, settings: LeaderboardSettings, place: Ranked, progress: Progress | None = None) -> Outcome:
    """Build the index of a place, unless it is complete, another builds it, or none is worth it; says which.

    The scan begins after the index has been told that it is being built: what is committed before that, it sees, and what is
    committed later is told to the index by its writer, or by the follower. So nothing is missed, and since the index keeps
    the newest version, nothing is outdated by a batch that comes late.

    The epoch is read after Redis was looked at, and the build begins only if there is still what was there then. So one that is
    held up in between never undoes what was built in a newer epoch.

    Whoever deletes a board removes its indexes once nobody is shown it. So the board is looked for after the build has begun:
    what was begun before the removal is removed by that, and what was begun later is removed here.

    Raises Lost, one of UNAVAILABLE, or SQLAlchemyError; it can then be begun again.
    """
    if await find_small(database, [place.at], settings.index_from_players):
        return Outcome.SMALL
    redis = RedisConnection(settings, PATIENCE_SECONDS)
    try:
        index, token, began = IndexWriter(redis), uuid.uuid4().hex, monotonic()
        found = await index.status(place.at, "")
        async with database.reading() as connection:
            epoch = await get_epoch(connection)
        if not await _has_room(database, place.at, found):
            # What is there of an older epoch takes up room, and would have to be told each change.
            dropped = found.build and await index.drop(place, epoch, found.build)
            return Outcome[dropped] if dropped in (Begun.COMPLETE, Begun.HELD) else Outcome.FULL
        begun = await index.begin(place, epoch, token, found.build)
        if begun is not Begun.BEGUN:
            return Outcome[begun]
        if not await _is_shown(database, place.at.board_id):
            await index.remove([place.at])
            return Outcome.GONE
        players = 0
        async with aclosing(_batches(database, place.at)) as batches:
            async for rows in batches:
                for start in range(0, len(rows), MOST_ROWS):
                    await _apply(index, place, rows[start : start + MOST_ROWS], epoch, token)
                players += len(rows)
                if progress is not None:
                    await progress(rows)
        if await index.finish(place, epoch, token) is not Applied.OK:
            raise Lost("the index was not whole when it was finished")
    finally:
        # Whoever asked may stop us here, since the index is complete already.
        await asyncio.shield(redis.aclose())
    at, seconds = place.at, round(monotonic() - began, 2)
    log.info("built the index", board=at.board_id, period=at.period_id, players=players, seconds=seconds)
    return Outcome.BUILT


async def find_small(database: Database, places: Collection[Place], from_players: int) -> Collection[Place]:
    """Those of places that have fewer players than that."""
    if not from_players or not places:
        return ()
    async with database.reading() as connection:
        players = await count_some(connection, places, from_players)
    return {at for at, count in players.items() if count < from_players}


async def _is_shown(database: Database, board_id: int) -> bool:
    async with database.reading() as connection:
        shown = select(Board.id).where(Board.id == board_id, Board.state != DELETING)
        return await connection.scalar(shown) is not None


async def _has_room(database: Database, at: Place, found: Status) -> bool:
    """Whether Redis has room for all players, once what it has of them now is gone."""
    if not found.max_memory:
        return True
    room = found.players + (found.max_memory - found.used_memory) // BYTES_A_PLAYER
    after = 0
    while room >= 0:
        players, after = await _count_some(database, at, after, COUNTED_AT_ONCE)
        room -= players
        if players < COUNTED_AT_ONCE:
            return room >= 0
    return False


async def _count_some(database: Database, at: Place, after: int, most: int) -> tuple[int, int]:
    """How many players there are after one, by id, of so many that are looked at; and the last of them."""
    some = select(Standing.user_id).where(*at_place(at), Standing.user_id > after)
    some_of_them = some.order_by(Standing.user_id).limit(most).subquery()
    counted = select(func.count(), func.coalesce(func.max(some_of_them.c.user_id), 0)).select_from(some_of_them)
    async with database.reading() as connection:
        players, last = (await connection.execute(counted)).one()
        return players, int(last)


async def _apply(index: IndexWriter, place: Ranked, rows: list[StandingRow], epoch: str, token: str) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            applied = await index.apply(place, rows, epoch, token)
        except UNAVAILABLE:
            if attempt == _ATTEMPTS:
                raise
        else:
            if applied is not Applied.OK:
                raise Lost("another has begun to build the index, or its keys are gone")
            return


async def _batches(database: Database, at: Place) -> AsyncGenerator[list[StandingRow], None]:
    """All standings by primary key. The next batch is read while the last one is told."""

    async def read(after: int) -> list[StandingRow]:
        async with database.reading() as connection:
            return await table.scan_rows(connection, at, after, BATCH)

    rows = await read(0)
    while rows:
        following = asyncio.create_task(read(rows[-1].user_id))
        try:
            yield rows
            rows = await following
        finally:
            following.cancel()
