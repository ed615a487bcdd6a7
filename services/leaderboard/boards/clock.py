"""MySQL's clock, as a process knows it: what counts when is decided by one clock, however far off a process's own is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """The process's own time."""
    return datetime.now(UTC)


class Clock:
    """The process's ``own`` clock, and how far it is off."""

    def __init__(self, own: Callable[[], datetime] = utc_now) -> None:
        self.own = own
        self._behind = timedelta()

    def now(self) -> datetime:
        """What time it is for MySQL, give or take half of the round trip that it was asked in."""
        return self.own() + self._behind

    def set(self, asked: datetime, told: datetime, answered: datetime) -> None:
        """MySQL ``told`` its time between ``asked`` and ``answered``, which are this process's."""
        self._behind = told - (asked + (answered - asked) / 2)
