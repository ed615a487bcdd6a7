"""What is forgotten in time: done in the background, by every process, a batch a transaction so that nobody waits for it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database, reason

log = structlog.get_logger(__name__)

BATCH = 500
# A chore does its work on at most so many rows, as of a time, and gives how many they were.
Chore = Callable[[AsyncConnection, datetime, int], Awaitable[int]]


class Upkeep:
    """Does every chore when it starts, and again and again ``interval`` seconds after. ``rounds`` counts how often it did."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], chores: Mapping[str, Chore], *, interval: float
    ) -> None:
        self._database = database
        self._clock = clock
        self._chores = chores
        self._interval = interval
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.rounds = 0

    def start(self) -> None:
        """Begin. The service answers meanwhile, also when MySQL does not."""
        self._task = asyncio.create_task(self._go_round())

    async def stop(self) -> None:
        """End. A batch under way is rolled back, and done by whoever comes next."""
        self._stopping = True  # a library on the way may make an error of its own of a cancellation
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def round(self) -> None:
        """Do every chore to its end, batch by batch. One that fails is left to the next round."""
        for name, chore in self._chores.items():
            if self._stopping:
                return
            try:
                done = await self._do(chore)
            except (SQLAlchemyError, TimeoutError, OSError) as error:
                log.warning("upkeep failed, trying again later", chore=name, error=reason(error))
            else:
                if done:
                    log.info("upkeep", chore=name, rows=done)
        self.rounds += 1

    async def _do(self, chore: Chore) -> int:
        done = 0
        while True:
            now = self._clock()
            batch = await self._database.transaction(lambda connection: chore(connection, now, BATCH))  # noqa: B023 - run here
            done += batch
            if batch < BATCH:
                return done

    async def _go_round(self) -> None:
        while not self._stopping:
            try:
                await self.round()
            except Exception:  # a defect must not end the rounds
                log.exception("upkeep failed")
            if not self._stopping:
                await asyncio.sleep(self._interval)
