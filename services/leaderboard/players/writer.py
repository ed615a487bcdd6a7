"""What changes one player: committed, and told to the ranking index, before it is answered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.gather import SharedWork
from services.common.http.problems import ServiceUnavailable
from services.common.mysql.database import CommitUnknown, Database, reason
from services.common.mysql.retries import Retries, is_away
from services.leaderboard.boards.places import Places
from services.leaderboard.log.writer import ApplyAndRank
from services.leaderboard.players import changes
from services.leaderboard.players.changes import PlayerChange
from services.leaderboard.settings import LeaderboardSettings

log = structlog.get_logger(__name__)

C = TypeVar("C", bound=PlayerChange)

# The player's own submissions wait for one such transaction, a few hundredths of a second.
ERASED_AT_ONCE = 1000


# Players changed at once, so that those who leave take some of the connections of ``database``, and never all.
_AT_ONCE = 4


class PlayerWriter:
    """Changes players. One player is changed by one transaction at a time: who asks for the same meanwhile shares the next.

    ``told`` is given the outbox's note of each change that Redis has heard of.
    """

    def __init__(
        self,
        database: Database,
        settings: LeaderboardSettings,
        clock: Callable[[], datetime],
        *,
        places: Places,
        apply_and_rank: ApplyAndRank,
        told: Callable[[int], None],
    ) -> None:
        self._database = database
        self._timeout = settings.mysql_timeout
        self._clock = clock
        self._known_places = places
        self._apply_and_rank = apply_and_rank
        self._told = told
        self._shared: SharedWork[None] = SharedWork()
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def rename(self, user_id: int, username: str) -> None:
        """Show a player by the name that their account has, or by ``username`` if auth has not said any.

        Raises ServiceUnavailable.
        """

        async def rename() -> None:
            await self.change(lambda connection: changes.rename(connection, user_id, username))

        await self._shared.ask(("rename", user_id, username), rename)

    async def remove(self, user_id: int) -> None:
        """Take a player off every board, and erase their name and their sessions.

        From the first transaction on the player is gone from every board, by name and by rank, and what is to be erased is
        written down: should this not come to its end, others go on with it. What the player submits meanwhile starts anew.

        Raises ServiceUnavailable, after which it may be under way, and may be asked for again.
        """

        async def remove() -> None:
            outcome = await self.change(lambda connection: changes.remove(connection, user_id, self._clock(), ERASED_AT_ONCE))
            while outcome.pending:
                outcome = await self.change(
                    lambda connection: changes.erase(connection, user_id, self._clock(), ERASED_AT_ONCE)
                )

        await self._shared.ask(("remove", user_id), remove)

    async def fold(self, user_id: int) -> None:
        """Go on folding a player's standings anew, to the end of it. Raises ServiceUnavailable, after which others go on."""

        async def fold() -> None:
            while (await self.change(lambda connection: changes.fold(connection, user_id))).pending:
                pass

        await self._shared.ask(("fold", user_id), fold)

    async def change(self, work: Callable[[AsyncConnection], Awaitable[C]]) -> C:
        """Commit ``work``, then tell Redis, also of what has not changed: whoever asks again may have had no answer.

        The first time, Redis may not have heard. Raises what ``work`` raises, and ServiceUnavailable.
        """
        outcome = await self._settle(work)
        await self._tell(outcome)
        return outcome

    async def _settle(self, work: Callable[[AsyncConnection], Awaitable[C]]) -> C:
        """Run ``work`` in a transaction until it is known to be committed. Done twice, it must come to the same."""
        try:
            async with self._turn():
                retries = Retries(self._timeout)
                while True:
                    try:
                        return await self._database.attempt(work)
                    except (CommitUnknown, SQLAlchemyError, TimeoutError, OSError) as error:
                        await retries.after(error)
        except Exception as error:
            if not is_away(error):
                raise
            log.warning("player not changed", error=reason(error))
            raise ServiceUnavailable("The database did not answer. Try again in a moment.") from error

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the places there are, once it is free. Raises TimeoutError when that takes longer than a transaction may."""
        async with asyncio.timeout(self._timeout):
            await self._places.acquire()
        try:
            yield
        finally:
            self._places.release()

    async def _tell(self, outcome: PlayerChange) -> None:
        """Whatever goes wrong, the change is stored: the outbox remembers what to tell."""
        try:
            places = await self._known_places.ranked([at for at, _ in outcome.standings])
            heard = await self._apply_and_rank([(places[at], [row]) for at, row in outcome.standings if at in places])
        except Exception:
            log.exception("could not tell redis of a change")
        else:
            if outcome.note is not None and all(aheads is not None for aheads in heard):
                self._told(outcome.note)
