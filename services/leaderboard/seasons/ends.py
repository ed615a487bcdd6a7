"""Ends periods, in every process: closes those whose time is over, and settles each once, whoever does it.

Whatever ended while no process ran is settled when one starts.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from functools import partial

import structlog

from services.common.mysql.database import Database
from services.common.mysql.retries import is_away
from services.common.mysql.rounds import Rounds
from services.leaderboard.boards import periods
from services.leaderboard.seasons import expiry, settling
from services.leaderboard.seasons.settling import Settled
from services.leaderboard.settings import LeaderboardSettings

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 1.0
"""From one look for periods that are over to the next."""
SETTLING_SECONDS = 60.0
"""What one may take to be settled: all of its players are counted, and more than once."""
_BATCH = 500


class PeriodEnds:
    """One process's, with a connection of its own."""

    def __init__(self, settings: LeaderboardSettings, *, interval: float = INTERVAL_SECONDS) -> None:
        patient = settings.model_copy(update={"mysql_timeout": max(SETTLING_SECONDS, settings.mysql_timeout)})
        account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
        self._database = Database(patient, *account, pool_size=1)
        self._kept = settings.results
        self._rounds = Rounds(self.round, interval, name="ending periods", failing="periods cannot be ended, trying again")
        self.waiting = 0
        """How many periods were over and not settled, when that was looked at last."""

    async def start(self) -> None:
        """Begin. The service answers meanwhile, also when MySQL does not."""
        self._rounds.start()

    async def stop(self) -> None:
        """End. A settling under way is rolled back, and done by whoever comes next."""
        await self._rounds.stop()
        await self._database.dispose()

    async def round(self) -> None:
        """End every period that is over, and tell of those that have begun. Raises what the database raises."""
        due = await settling.look(self._database)
        self.waiting = due.unsettled
        if due.open:
            while await self._database.transaction(lambda connection: periods.close_over(connection, _now(), _BATCH)):
                pass
        if due.unsettled:
            await self._settle_closed()
        if due.begun:
            while await self._database.transaction(lambda connection: periods.tell_begun(connection, _BATCH)) == _BATCH:
                pass

    async def _settle_closed(self) -> None:
        """Settle what is closed: those first of which nobody has a share, and then those of which somebody has."""
        wait = False
        while not self._rounds.stopping:
            async with self._database.reading() as connection:
                closed = await settling.list_closed(connection, _BATCH)
            settled = [each for each in [await self._settle(period_id, wait=wait) for period_id in closed] if each]
            await self._expire({each.window_id for each in settled if each.keep is not None})
            if not settled and (wait or not closed):
                return
            wait = not settled

    async def _settle(self, period_id: int, *, wait: bool) -> Settled | None:
        work = partial(settling.settle, period_id=period_id, kept=self._kept, wait=wait)
        try:
            settled = await self._database.transaction(work)
        except Exception as error:
            if is_away(error):
                raise
            log.exception("a period could not be settled", period_id=period_id)
            return None
        if settled is not None:
            self.waiting = max(0, self.waiting - 1)
            log.info("settled", period_id=period_id)
        return settled

    async def _expire(self, window_ids: Collection[int]) -> None:
        """What these windows do not keep any more. Of others that is looked for now and then, by upkeep."""
        work = partial(expiry.expire, _now=_now(), limit=_BATCH, windows=window_ids)
        while window_ids and await self._database.transaction(work) == _BATCH:
            pass


def _now() -> datetime:
    return datetime.now(UTC)
