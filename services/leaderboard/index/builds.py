"""The builds of a process: an index is built because somebody asked for its place.

Whoever reads a place that has no complete index is answered by MySQL, and says here that one is wanted. A few are built at
once, others wait, and each waits once. Of those who wait many are looked at together, since most are too small: with a session
each on a thousand small boards, a look at every place by itself took a third of the process (`make bench`, many-name).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Container
from contextlib import suppress
from enum import Enum
from time import monotonic

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.common.mysql.database import Database, reason
from services.leaderboard.index.build import Lost, Outcome, build, find_small
from services.leaderboard.index.connection import UNAVAILABLE
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.settings import LeaderboardSettings

log = structlog.get_logger(__name__)

AT_ONCE = 2
MOST_WAITING = 1_000
_LOOKED_AT = 50
_MOST_REMEMBERED = 10_000


class _Failed(Enum):
    FAILED = "failed"


# So soon after what came of it, it is not tried again.
PAUSE_SECONDS: dict[Outcome | _Failed, float] = {
    Outcome.BUILT: 0.0,
    Outcome.COMPLETE: 0.0,
    Outcome.HELD: 0.5,
    Outcome.OVERTAKEN: 0.1,
    Outcome.SMALL: 5.0,
    Outcome.FULL: 10.0,
    Outcome.GONE: 10.0,
    _Failed.FAILED: 0.25,
}


class Builds:
    """One process's builds. ``database`` is theirs alone: they may take long."""

    def __init__(self, database: Database, settings: LeaderboardSettings) -> None:
        self._database = database
        self._settings = settings
        self._of_watched = settings.model_copy(update={"index_from_players": 0})
        self._waiting: OrderedDict[Place, Ranked] = OrderedDict()
        # Those that wait and have players enough; and those that are looked at.
        self._large: OrderedDict[Place, Ranked] = OrderedDict()
        self._looked_at: set[Place] = set()
        self._under_way: set[Place] = set()
        self._workers: set[asyncio.Task[None]] = set()
        # What came of the last wish for a place, and until when it is not tried again.
        self._outcomes: OrderedDict[Place, tuple[Outcome | _Failed, float]] = OrderedDict()
        self._stopping = False
        self._failed = False
        self.watched: Container[Place] = ()
        """Places whose indexes are built however few players they have: somebody watches them live."""

    def want(self, place: Ranked) -> None:
        """Have the index of a place built, if it is worth it, as soon as it can be. Nothing if that is known already."""
        at = place.at
        waiting = self._waiting, self._looked_at, self._large
        if self._stopping or at in self._under_way or any(at in each for each in waiting):
            return
        if sum(map(len, waiting)) >= MOST_WAITING:
            return
        outcome, until = self._outcomes.get(at, (None, 0.0))
        if monotonic() < until and not (outcome is Outcome.SMALL and at in self.watched):
            return
        self._waiting[at] = place
        self._start_worker()

    def is_small(self, at: Place) -> bool:
        """Whether a place had too few players for an index when one was last wanted."""
        return at in self._outcomes and self._outcomes[at][0] is Outcome.SMALL

    async def settle(self, seconds: float) -> None:
        """Return when nothing is built any more, after so many seconds at the latest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._workers:  # one may have another begin
                    await asyncio.wait(self._workers)

    async def stop(self) -> None:
        """End what is under way, and begin nothing more."""
        self._stopping = True
        workers = [*self._workers]
        for worker in workers:
            worker.cancel()
        if workers:
            await asyncio.wait(workers)

    def _start_worker(self) -> None:
        if len(self._workers) < AT_ONCE:
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        while (self._waiting or self._large) and not self._stopping:
            if not self._large:
                await self._look()
                continue
            at, place = self._large.popitem(last=False)
            self._under_way.add(at)
            try:
                self._remember(place, await self._build(place))
            finally:
                self._under_way.discard(at)

    async def _look(self) -> None:
        """Tell the small ones from the others, of some who wait."""
        some = dict([self._waiting.popitem(last=False) for _ in range(min(_LOOKED_AT, len(self._waiting)))])
        self._looked_at |= some.keys()
        try:
            usual = [at for at in some if at not in self.watched]
            small = await find_small(self._database, usual, self._settings.index_from_players)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            self._tell_of_failure(error)
            for place in some.values():
                self._remember(place, _Failed.FAILED)
            return
        finally:
            self._looked_at -= some.keys()
        self._failed = False
        for at, place in some.items():
            if at in small:
                self._remember(place, Outcome.SMALL)
            else:
                self._large[at] = place
                self._start_worker()

    async def _build(self, place: Ranked) -> Outcome | _Failed:
        try:
            settings = self._of_watched if place.at in self.watched else self._settings
            outcome = await build(self._database, settings, place)
        except (*UNAVAILABLE, SQLAlchemyError, Lost) as error:  # it is begun again when it is asked for, and that is not said
            self._tell_of_failure(error)
        except Exception:
            log.exception("building the index failed")
        else:
            self._failed = False
            return outcome
        return _Failed.FAILED

    def _tell_of_failure(self, error: Exception) -> None:
        if not self._failed:
            log.warning("building the index failed, trying again", error=reason(error))
        self._failed = True

    def _remember(self, place: Ranked, outcome: Outcome | _Failed) -> None:
        before = self._outcomes.pop(place.at, None)
        if outcome is Outcome.FULL and (before is None or before[0] is not Outcome.FULL):
            log.warning(
                "redis has no room for the index of a place, answering from mysql",
                board=place.at.board_id,
                period=place.at.period_id,
            )
        self._outcomes[place.at] = outcome, monotonic() + PAUSE_SECONDS[outcome]
        if len(self._outcomes) > _MOST_REMEMBERED:
            self._outcomes.popitem(last=False)
