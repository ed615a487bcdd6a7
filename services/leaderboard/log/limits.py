"""How many sessions a player may have stored: a burst, and so many a second after it. Each process counts for itself."""

import math
from collections.abc import Callable, Sequence
from itertools import islice
from time import monotonic

from services.common.gather import Gather
from services.common.mysql.database import Database
from services.leaderboard.errors import TooManySubmissions
from services.leaderboard.log import history, submission_keys
from services.leaderboard.log.sessions import Submission

_GATHERED = 100
# Players looked at with each submission, whether they can be forgotten: more than one, so that they never grow in number.
_FORGOTTEN = 2


class Allowance:
    """A bucket a player, of ``burst``, that fills at ``per_second``: the generic cell rate algorithm (ITU-T I.371).

    Of each player one time is kept, at which the bucket is full again; of those whose bucket is full, nothing.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = monotonic) -> None:
        self._interval = 1 / per_second
        self._tolerance = self._interval * (burst - 1)
        self._clock = clock
        self._full_at: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, user_id: int) -> float:
        """Take one from the player's bucket. Gives 0, or after how many seconds there is one to take."""
        now = self._clock()
        for other in [each for each in islice(self._full_at, _FORGOTTEN) if self._full_at[each] <= now]:
            del self._full_at[other]
        full_at = max(now, self._full_at.pop(user_id, now))
        wait = full_at - now - self._tolerance
        if wait > 0:
            self._full_at[user_id] = full_at
            return wait
        self._full_at[user_id] = full_at + self._interval
        return 0.0

    def give_back(self, user_id: int) -> None:
        """Put back what was taken."""
        if user_id in self._full_at:
            self._full_at[user_id] -= self._interval


class SubmissionLimit:
    """One process's limit, which ``per_second`` of 0 takes off.

    A session that is stored already is free: a client that had no answer sends it again.
    """

    def __init__(self, database: Database, per_second: float, burst: int) -> None:
        self._database = database
        self._allowance = Allowance(per_second, burst) if per_second else None
        self._repeats: Gather[tuple[int, bytes], bool] = Gather(self._find_stored, most=_GATHERED)

    async def admit(self, submission: Submission) -> bool:
        """Whether ``submission`` was counted against its player, which is to be given back if nothing new was stored.

        Raises TooManySubmissions.
        """
        if self._allowance is None:
            return False
        wait = self._allowance.take(submission.user_id)
        if not wait:
            return True
        if await self.is_stored(submission.user_id, submission.key):
            return False
        raise TooManySubmissions(math.ceil(wait))

    async def is_stored(self, user_id: int, key: bytes) -> bool:
        """Whether a player's session is stored already. Raises what the database raises."""
        return submission_keys.is_clients(key) and await self._repeats.ask((user_id, key))

    async def are_stored(self, identities: Sequence[tuple[int, bytes]]) -> list[bool]:
        """The same of many sessions of game servers. Raises what the database raises."""
        found = await self._repeats.ask_all(identities)
        for each in found:
            if isinstance(each, BaseException):
                raise each
        return [each is True for each in found]

    def give_back(self, submission: Submission) -> None:
        """Nothing new was stored of ``submission``, which had been counted."""
        if self._allowance is not None:
            self._allowance.give_back(submission.user_id)

    async def _find_stored(self, identities: list[tuple[int, bytes]]) -> list[bool]:
        async with self._database.reading() as connection:
            stored = await history.list_stored(connection, identities)
        return [identity in stored for identity in identities]
