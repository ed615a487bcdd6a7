"""How many streams may be open in a process: in all, of a user, of an address."""

from collections import Counter
from typing import TypeVar

from services.leaderboard.errors import StreamsFull, TooManyStreams
from services.leaderboard.settings import LeaderboardSettings

K = TypeVar("K")

Subject = int | str
"""A user's id, or what a key is called."""


class StreamLimits:
    """One process's. Who holds a stream has taken it here, and gives it back when it ends."""

    def __init__(self, settings: LeaderboardSettings) -> None:
        self._most = settings.streams
        self._most_of_user = settings.streams_per_user
        self._most_of_address = settings.streams_per_address
        self._of_user: Counter[Subject] = Counter()
        self._of_address: Counter[str] = Counter()
        self.open = 0

    def take(self, user: Subject | None, address: str) -> None:
        """Count a stream. One whose ``address`` is not known, which is empty, is of none.

        Raises StreamsFull and TooManyStreams.
        """
        if self.open >= self._most:
            raise StreamsFull
        if user is not None and self._of_user[user] >= self._most_of_user:
            raise TooManyStreams("A user", self._most_of_user)
        if address and self._of_address[address] >= self._most_of_address:
            raise TooManyStreams("An address", self._most_of_address)
        self.open += 1
        self._of_address[address] += 1
        if user is not None:
            self._of_user[user] += 1

    def give_back(self, user: Subject | None, address: str) -> None:
        """Count one less."""
        self.open -= 1
        _take_from(self._of_address, address)
        if user is not None:
            _take_from(self._of_user, user)


def _take_from(counter: Counter[K], name: K) -> None:
    """Forget who has none left: addresses and users come and go."""
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
