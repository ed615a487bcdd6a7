"""When a window of a board starts anew: its occurrences, found by arithmetic alone.

Occurrence k is k steps after the first one, in local time, and only then made a moment of UTC. Recurrence rules (RFC 5545) are
not used: they contradict themselves on local times that do not exist, and look-ups in them take time that grows with k.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo, available_timezones

Unit = Literal["seconds", "days", "weeks", "months"]
UNITS: Final[tuple[Unit, ...]] = get_args(Unit)

FIRST_YEARS = range(1970, 3000)
"""Years that a schedule may begin in."""
LAST_YEAR = 9998
"""The last year with occurrences. Whatever zone such a time is in, and whatever grace is added to it, it is one for MySQL."""
MIN_SECONDS = 60
# A century at most: so no occurrence that is asked for in our time is beyond the last year.
_MOST: Final[dict[Unit, int]] = {"seconds": 3_155_760_000, "days": 36_525, "weeks": 5_217, "months": 1_200}

_EVERY = re.compile(r"([0-9]{1,10}) (second|day|week|month)s?")
_FIRST = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(Z?)")
_END = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
# Names in the zone data that mean something else on each machine, or nothing.
_NOT_ZONES = frozenset({"localtime", "posixrules", "Factory"})


class InvalidSchedule(ValueError):
    """Nothing can be found by such a schedule. ``field`` says what is wrong with it: zone, first, or every."""

    def __init__(self, field: Literal["zone", "first", "every"], message: str) -> None:
        super().__init__(message)
        self.field = field


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones() - _NOT_ZONES)


@cache
def _zone(name: str) -> ZoneInfo:
    """The zone, with the data that it had when it was first asked for. Names are looked up in the list: they become paths."""
    if name not in _zone_names():
        raise InvalidSchedule("zone", "There is no such time zone in IANA's list, like Europe/Berlin or UTC.")
    return ZoneInfo(name)


class Occurrence(NamedTuple):
    """A stretch of a schedule: from ``starts_at``, which is in it, to ``ends_at``, which is not. Both are UTC."""

    number: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    """A window starts anew at ``first``, and so many units after it, again and again.

    ``first`` is a local time of ``zone``, without tzinfo; where the unit is seconds it is UTC. A local time that is not there,
    since clocks were put forward, counts with the offset before the change; of one that is there twice the first counts. A day
    of the month that is not there is the month's last. Raises InvalidSchedule.
    """

    first: datetime
    every: int
    unit: Unit
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise InvalidSchedule("every", f"The unit is none of {', '.join(UNITS)}.")
        least, most = MIN_SECONDS if self.unit == "seconds" else 1, _MOST[self.unit]
        if not least <= self.every <= most:
            raise InvalidSchedule("every", f"A period has {least} to {most} {self.unit}, not {self.every}.")
        if self.unit == "seconds" and self.zone != "UTC":
            raise InvalidSchedule("zone", "Periods of seconds are counted in UTC and have no other zone.")
        if self.first.tzinfo is not None:
            raise InvalidSchedule("first", "The first time is a local time: its offset follows from the zone.")
        if self.first.microsecond:
            raise InvalidSchedule("first", "The first time is one of whole seconds.")
        if self.first.year not in FIRST_YEARS:
            raise InvalidSchedule(
                "first", f"The first time is in the years {FIRST_YEARS[0]} to {FIRST_YEARS[-1]}, not in {self.first.year}."
            )
        _zone(self.zone)

    @classmethod
    def parse(cls, first: str, every: str, zone: str | None = None) -> "Schedule":
        """A schedule as people write it: ``2026-12-01T18:00:00``, ``3 weeks``, ``Europe/Berlin``; UTC where no zone is named.

        ``first`` may end with Z where the zone is UTC. Raises InvalidSchedule.
        """
        length = _EVERY.fullmatch(every)
        if length is None:
            raise InvalidSchedule("every", 'How long a period is, is written "60 seconds", "1 day", "3 weeks", or "2 months".')
        time = _FIRST.fullmatch(first)
        if time is None:
            raise InvalidSchedule("first", 'The first time is written "2026-12-01T18:00:00".')
        zone = "UTC" if zone is None else zone
        if time[2] and zone != "UTC":
            raise InvalidSchedule("first", "The first time ends with Z, which is UTC, but it is a local time of the zone.")
        try:
            begin = datetime.fromisoformat(time[1])
        except ValueError as error:
            raise InvalidSchedule("first", f"There is no such time as {time[1]}.") from error
        [unit] = [unit for unit in UNITS if unit == f"{length[2]}s"]
        return cls(begin, int(length[1]), unit, zone)

    def occurrence(self, number: int) -> datetime:
        """When occurrence ``number`` begins; 0 is the first. In UTC.

        It may begin with the one before: where clocks skip a whole day, that day has no length. It never begins earlier, since
        no zone skips more than a day. Raises ValueError where there is none: before the first one, and after `LAST_YEAR`.
        """
        if number < 0:
            raise ValueError("There is no occurrence before the first one.")
        local = self._local(number)
        if local is None:
            raise ValueError(f"Occurrence {number} is after the year {LAST_YEAR}.")
        # fold=0 is both rules: the offset before a gap, and the first of two (PEP 495).
        return local.replace(tzinfo=_zone(self.zone), fold=0).astimezone(UTC)

    def number_at(self, time: datetime) -> int | None:
        """The number of the last occurrence that has begun at ``time``. None before the first one.

        Raises ValueError for a time without a zone, and for one after `LAST_YEAR`.
        """
        if time.tzinfo is None:
            raise ValueError("A time without a zone is not a moment.")
        if time >= _END:
            raise ValueError(f"The time is after the year {LAST_YEAR}.")
        if time < self.occurrence(0):
            return None
        guess = self._guess(time.astimezone(_zone(self.zone)).replace(tzinfo=None))
        # Where clocks change, an occurrence begins up to a day before or after its local time is shown: so it may be the one
        # after, or the one before. Of months it may be the one before that, where the skipped day is the last of a month.
        return next(number for number in range(guess + 1, guess - 3, -1) if self._has_begun(number, time))

    def at(self, time: datetime) -> Occurrence | None:
        """The occurrence that ``time`` is in, which is never one of no length. None before the first one.

        Raises ValueError as `number_at` does, and when it ends after `LAST_YEAR`.
        """
        number = self.number_at(time)
        return None if number is None else Occurrence(number, self.occurrence(number), self.occurrence(number + 1))

    def _local(self, number: int) -> datetime | None:
        """The local time of an occurrence. None after `LAST_YEAR`."""
        steps = number * self.every
        try:
            if self.unit != "months":
                local = self.first + timedelta(**{self.unit: steps})
            else:
                years, month = divmod(self.first.month - 1 + steps, 12)
                year = self.first.year + years
                day = min(self.first.day, monthrange(year, month + 1)[1])
                local = self.first.replace(year=year, month=month + 1, day=day)
        except (OverflowError, ValueError):  # the year 10,000 is none
            return None
        return local if local.year <= LAST_YEAR else None

    def _guess(self, local: datetime) -> int:
        """The last occurrence whose local time has come, were clocks never changed. Of months: that of the month it is."""
        if self.unit != "months":
            return (local - self.first) // timedelta(**{self.unit: self.every})
        return (12 * (local.year - self.first.year) + local.month - self.first.month) // self.every

    def _has_begun(self, number: int, time: datetime) -> bool:
        return self._local(number) is not None and self.occurrence(number) <= time


DAY: Final = Schedule(datetime(1970, 1, 1), 1, "days")  # noqa: DTZ001 - a local time of its zone
WEEK: Final = Schedule(datetime(1970, 1, 5), 1, "weeks")  # noqa: DTZ001 - a Monday (ISO 8601)
MONTH: Final = Schedule(datetime(1970, 1, 1), 1, "months")  # noqa: DTZ001
