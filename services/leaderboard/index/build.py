"""Building the ranking index from the standings, in place, while reads and writes go on."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from time import monotonic

import structlog

from services.common.mysql.database import Database
from services.leaderboard.index.connection import UNAVAILABLE, RedisConnection
from services.leaderboard.index.writer import MOST_ROWS, Applied, Begun, IndexWriter
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.standings import table

log = structlog.get_logger(__name__)

Progress = Callable[[list[StandingRow]], Awaitable[None]]
"""Told of each batch that the index has."""

# Nobody waits for one batch, so a server that is busy for a moment need not end the whole build.
PATIENCE_SECONDS = 1.5
_ATTEMPTS = 3
# What is read from MySQL at once; told to the index MOST_ROWS at a time.
BATCH = 5 * MOST_ROWS


class Lost(Exception):
    """The build is another's by now, or its keys are gone."""


async def build(
    database: Database, settings: LeaderboardSettings, at: Place, cause: str = "", progress: Progress | None = None
) -> Begun:
    """Build the index of a board and period, unless it is complete or another builds it; says which.

    The scan begins after the index has been told that it is being built: what is committed before that, it sees, and what is
    committed later is told to the index by its writer, or by the follower. So nothing is missed, and since the index keeps
    the newest version, nothing is outdated by a batch that comes late.

    Raises Lost, one of UNAVAILABLE, or SQLAlchemyError; it can then be begun again.
    """
    redis = RedisConnection(settings, PATIENCE_SECONDS)
    try:
        index, token, began = IndexWriter(redis), uuid.uuid4().hex, monotonic()
        begun = await index.begin(at, token, cause)
        if begun is not Begun.BEGUN:
            return begun
        players = 0
        async with aclosing(_batches(database, at)) as batches:
            async for rows in batches:
                for start in range(0, len(rows), MOST_ROWS):
                    await _apply(index, at, rows[start : start + MOST_ROWS], token)
                players += len(rows)
                if progress is not None:
                    await progress(rows)
        if await index.finish(at, token) is not Applied.OK:
            raise Lost("the index was not whole when it was finished")
    finally:
        await redis.aclose()
    log.info("built the index", board=at.board_id, period=at.period_id, players=players, seconds=round(monotonic() - began, 2))
    return begun


async def _apply(index: IndexWriter, at: Place, rows: list[StandingRow], token: str) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            applied = await index.apply(at, rows, token)
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
