"""Building the ranking index from the standings, in place, while reads and writes go on.

`python -m services.leaderboard.rebuild` builds it anew even where it is complete.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from time import monotonic

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.common.database import Database
from services.common.settings import load_settings
from services.leaderboard import repository, standings
from services.leaderboard.index import MOST_ROWS, UNAVAILABLE, Applied, Begun, IndexWriter
from services.leaderboard.progress import Bar
from services.leaderboard.repository import BoardPeriod
from services.leaderboard.scripting import RedisConnection
from services.leaderboard.sessions import Change
from services.leaderboard.settings import LeaderboardSettings

log = structlog.get_logger(__name__)

Progress = Callable[[list[Change]], Awaitable[None]]
"""Told of each batch that the index has."""

# Nobody waits for one batch, so a server that is busy for a moment need not end the whole build.
PATIENCE_SECONDS = 1.5
COMMAND_SECONDS = 600.0
"""What MySQL may take for one question of somebody's who waits at a terminal: it may be about very many rows."""
_ATTEMPTS = 3
# What is read from MySQL at once; told to the index MOST_ROWS at a time.
BATCH = 5 * MOST_ROWS
_WAIT_SECONDS = 0.2


class Lost(Exception):
    """The build is another's by now, or its keys are gone."""


async def build(
    database: Database, settings: LeaderboardSettings, at: BoardPeriod, cause: str = "", progress: Progress | None = None
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


async def _apply(index: IndexWriter, at: BoardPeriod, rows: list[Change], token: str) -> None:
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


async def _batches(database: Database, at: BoardPeriod) -> AsyncGenerator[list[Change], None]:
    """All standings by primary key. The next batch is read while the last one is told."""

    async def read(after: int) -> list[Change]:
        async with database.reading() as connection:
            return await standings.scan_rows(connection, at, after, BATCH)

    rows = await read(0)
    while rows:
        following = asyncio.create_task(read(rows[-1].user_id))
        try:
            yield rows
            rows = await following
        finally:
            following.cancel()


async def rebuild(settings: LeaderboardSettings) -> None:
    """Build every index anew, with a progress bar. Whoever else builds one is waited for."""
    settings = settings.model_copy(update={"mysql_timeout": COMMAND_SECONDS})
    account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
    database, cause = Database(settings, *account), f"asked {uuid.uuid4().hex}"
    try:
        async with database.reading() as connection:
            places = await repository.list_board_periods(connection)
        for at in places:
            async with database.reading() as connection:
                total = await standings.count_rows(connection, at)
            bar = Bar(f"Board {at.board_id}, period {at.period_id}", total)

            async def advance(rows: list[Change], bar: Bar = bar) -> None:
                bar.advance(len(rows))

            while await build(database, settings, at, cause, advance) is Begun.HELD:  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(_WAIT_SECONDS)
            bar.done()
    finally:
        await database.dispose()


if __name__ == "__main__":
    try:
        asyncio.run(rebuild(load_settings(LeaderboardSettings)))
    except (Lost, *UNAVAILABLE, SQLAlchemyError) as error:
        sys.exit(f"the index could not be built: {error or type(error).__name__}")
