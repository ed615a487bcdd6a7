"""Goes on with the jobs that void many sessions: in every process, of which one is at a job at a time.

After each step it rests for as long as the step took: so players' submissions find MySQL and the process free half of the
time, however large the job is and however slow the machine.
"""

import asyncio
import os
from functools import partial
from time import monotonic

import structlog

from services.common.http.problems import ServiceUnavailable
from services.common.mysql.database import Database
from services.common.mysql.rounds import FAILURES, Rounds
from services.leaderboard.errors import TotalTooLarge
from services.leaderboard.players.writer import PlayerWriter
from services.leaderboard.voids import jobs, steps
from services.leaderboard.voids.jobs import GOING_ON, State
from services.leaderboard.voids.steps import Step

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 1.0
"""From one look for jobs to the next."""
RESTS = 1.0
"""How many times as long as a step took the rest after it is. With 1.5 a fifth of a million sessions took a quarter longer."""
_LONGEST_REST_SECONDS = 2.0
_AWAY: tuple[type[Exception], ...] = (*FAILURES, ServiceUnavailable)


class VoidWorker:
    """One process's. ``players`` changes players one by one, and tells Redis of each."""

    def __init__(
        self, database: Database, players: PlayerWriter, *, interval: float = INTERVAL_SECONDS, rests: float = RESTS
    ) -> None:
        self._database = database
        self._players = players
        self._rests = rests
        self._holder = os.urandom(16)
        self._rounds = Rounds(
            self.round,
            interval,
            name="going on with jobs",
            failing="jobs cannot be gone on with, trying again",
            failures=_AWAY,
        )

    async def start(self) -> None:
        """Begin. The service answers meanwhile, also when MySQL does not."""
        self._rounds.start()

    async def stop(self) -> None:
        """End. A step under way is rolled back, and done by whoever comes next."""
        await self._rounds.stop()

    def wake(self) -> None:
        """There is a job: look at once."""
        self._rounds.wake()

    async def round(self) -> None:
        """Go on with every job that no other process is at, to the end of it. Raises what the database raises."""
        while not self._rounds.stopping:
            found = await jobs.find_next(self._database, self._holder)
            if found is None:
                return
            if not await self._go_on(*found):
                return

    async def _go_on(self, job_id: int, state: State | None) -> bool:
        """Until the job is at its end, or another process is at it. Gives whether none is."""
        log.info("going on with a job", job_id=job_id, state=state, holder=self._holder.hex())
        while state in GOING_ON and not self._rounds.stopping:
            began = monotonic()
            state = await self._step(job_id, state)
            self._rounds.failing = False
            await asyncio.sleep(min(self._rests * (monotonic() - began), _LONGEST_REST_SECONDS))
        log.info("left a job", job_id=job_id, state=state)
        return state is not None

    async def _step(self, job_id: int, state: State) -> State | None:
        if state is State.FINDING:
            return await self._database.transaction(lambda connection: steps.look(connection, job_id, self._holder))
        work = partial(steps.change, job_id=job_id, holder=self._holder, state=state)
        try:
            step: Step = await self._players.change(work)
        except _AWAY:
            raise
        except Exception as error:
            # One player does not keep the others waiting.
            if not isinstance(error, TotalTooLarge):
                log.exception("sessions of a player could not be changed", job_id=job_id)
            step = await self._players.change(partial(work, fails=True))
        if step.pending and step.user_id is not None:
            await self._players.fold(step.user_id)
        return step.state
