"""What is forgotten in time: done in the background, by every process, a batch a transaction so that nobody waits for it."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database, reason
from services.common.mysql.rounds import FAILURES, Rounds

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
        self._going_round = Rounds(self.round, interval, name="upkeep")
        self.rounds = 0

    def start(self) -> None:
        """Begin. The service answers meanwhile, also when MySQL does not."""
        self._going_round.start()

    async def stop(self) -> None:
        """End. A batch under way is rolled back, and done by whoever comes next."""
        await self._going_round.stop()

    async def round(self) -> None:
        """Do every chore to its end, batch by batch. One that fails is left to the next round."""
        for name, chore in self._chores.items():
            if self._going_round.stopping:
                return
            try:
                done = await self._do(chore)
            except FAILURES as error:
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
