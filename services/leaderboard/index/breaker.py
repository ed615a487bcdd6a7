"""The circuit breaker in front of Redis: a server that does not answer costs one time-out, not one a request."""

from enum import Enum, auto
from time import monotonic

import structlog

log = structlog.get_logger(__name__)

# Redis is read only while the follower's last good round did not begin longer ago than this. Rounds begin four times a second
# and hear of what was noted a quarter of a second before, so what another process could not tell shows within a second. This
# bound is for rounds that fail, and wider: were it hardly longer than a round, a slow one would send every read to MySQL, which
# would make the next one slower.
FOLLOWED_SECONDS = 2.0


class State(Enum):
    OPEN = auto()
    """Redis is left alone."""
    RECOVERING = auto()
    """Redis answers again: what changes is told to it, but nothing is read from it yet."""
    CLOSED = auto()
    """Redis is used."""


class Breaker:
    """Open from the start and after a failure, closed when the follower has brought Redis up to date.

    It is never tried by a request, so while Redis is away a request pays nothing for it.
    """

    def __init__(self) -> None:
        self.state = State.OPEN
        self._followed_at = -FOLLOWED_SECONDS
        self._told: bool | None = None

    @property
    def writable(self) -> bool:
        return self.state is not State.OPEN

    @property
    def readable(self) -> bool:
        return self.state is State.CLOSED and monotonic() - self._followed_at < FOLLOWED_SECONDS

    def followed(self, began: float) -> None:
        """The follower has been round, and has left nothing untold that was noted before that round ``began``."""
        self._followed_at = began

    def open(self, error: BaseException) -> None:
        """Redis failed. Said once, however many requests find out."""
        self.state = State.OPEN
        if self._told is not False:
            log.warning("redis unavailable, answering from mysql", error=str(error) or type(error).__name__)
            self._told = False

    def recover(self) -> None:
        """Redis answered: from now on it hears of changes."""
        self.state = State.RECOVERING

    def close(self) -> None:
        """Redis holds nothing outdated: from now on it is read, unless a change could not be told since ``recover``."""
        if self.state is State.RECOVERING:
            self.state = State.CLOSED
            if self._told is not True:
                log.info("redis available, reading through it")
                self._told = True
