"""The follower: tells Redis of changes whose own process could not, and brings Redis back after an outage.

Every process runs one. The outbox holds what Redis may not have heard of; a change is noted there in its own transaction,
so nothing committed is ever missing from it.
"""

import asyncio
from collections import deque
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.common.database import Database
from services.leaderboard import repository
from services.leaderboard.breaker import Breaker
from services.leaderboard.pages import PageCache
from services.leaderboard.settings import LeaderboardSettings

log = structlog.get_logger(__name__)

# A writer tells Redis itself at once; a note this old has a writer that could not.
NOTE_AGE_MS = 250
NOTES_A_ROUND = 1000
# Past this many notes, one that says that everything changed is shorter, and as true.
MAX_NOTES = 100_000
ROUNDS_BETWEEN_COUNTS = 40


class Follower:
    """One process's follower."""

    def __init__(self, database: Database, cache: PageCache, breaker: Breaker, settings: LeaderboardSettings) -> None:
        self._database = database
        self._cache = cache
        self._breaker = breaker
        self._interval = settings.follower_interval
        self._told: deque[int] = deque()
        self._rounds_away = 0
        self._database_away = False

    def told(self, note: int) -> None:
        """Redis has heard of the change that ``note`` is about: the note can go, off the answer's path."""
        self._told.append(note)

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            try:
                await self.round()
            except Exception:  # a defect must not end the rounds: without them Redis is never used again
                log.exception("follower round failed")
            await asyncio.sleep(self._interval)

    async def round(self) -> None:
        """Remove notes that are done, then tell Redis of those that are not. Without MySQL nothing can have changed."""
        try:
            await self._forget_told()
            if self._breaker.writable:
                await self._tell()
            else:
                await self._recover()
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            if not self._database_away:
                log.warning("follower cannot reach mysql", error=str(getattr(error, "orig", None) or error))
            self._database_away = True
        else:
            self._database_away = False
        self._breaker.followed()

    async def _forget_told(self) -> None:
        done = [self._told.popleft() for _ in range(len(self._told))]
        if not done:
            return
        try:
            await self._database.transaction(lambda connection: repository.delete_outbox(connection, done))
        except BaseException:
            self._told.extendleft(done)
            raise

    async def _tell(self) -> None:
        """Outdate what the notes of writers that could not do it themselves are about."""
        await self._cache.probe()
        while True:
            async with self._database.reading() as connection:
                notes = await repository.list_outbox(connection, NOTE_AGE_MS, NOTES_A_ROUND)
                everywhere = any(where is None for _, where in notes)
                places = (
                    await repository.list_board_periods(connection)
                    if everywhere
                    else {at for _, where in notes for at in where or ()}
                )
            for at in places:
                if not await self._cache.renew(at):
                    return
            told = partial(repository.delete_outbox, ids=[note for note, _ in notes])
            await self._database.transaction(told)
            if len(notes) < NOTES_A_ROUND:
                return

    async def _recover(self) -> None:
        """Try Redis again; while it stays away, keep the outbox short. What is in the outbox is told in the next round."""
        async with self._database.reading() as connection:
            everywhere = await repository.list_board_periods(connection)
        if await self._cache.recover(everywhere):
            self._rounds_away = 0
            return
        self._rounds_away += 1
        if self._rounds_away % ROUNDS_BETWEEN_COUNTS == 0:
            async with self._database.reading() as connection:
                notes = await repository.list_outbox_ids(connection)
            if len(notes) > MAX_NOTES:
                await self._database.transaction(lambda connection: repository.replace_outbox(connection, notes))
