"""What a period is, and from when to when one is made."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from services.leaderboard.rules.calendar import Occurrence, Schedule

PeriodState = Literal["open", "closed", "settled", "expired"]


class Period(NamedTuple):
    """A stretch of a window: from ``starts_at``, which is in it, to ``ends_at``, which is not. All times are UTC.

    Nothing is counted in it from ``closes_at`` on: then it is closed, whether or not somebody has written that down already.
    ``number``: of which of the window's occurrences it is. Where zone data changed, several may be of one. ``players``: how
    many were ranked when it was settled.
    """

    period_id: int
    board_id: int
    window_id: int
    number: int
    title: str | None
    starts_at: datetime
    ends_at: datetime
    closes_at: datetime
    state: PeriodState
    players: int | None

    def has(self, time: datetime) -> bool:
        """Whether ``time`` is in it."""
        return self.starts_at <= time < self.ends_at


@dataclass(frozen=True, slots=True)
class ScheduledWindow:
    """A window whose periods follow from a schedule.

    Each closes ``grace`` after its end. Nothing is in any before ``counts_from``.
    """

    board_id: int
    window_id: int
    schedule: Schedule
    grace: timedelta
    counts_from: datetime | None = None

    def next_start(self, time: datetime) -> datetime:
        """When what follows a time begins at which nothing counts: the first period, or the next occurrence."""
        found = self.cut(time, None, None)
        return max(filter(None, (self.schedule.occurrence(0), self.counts_from))) if found is None else found.ends_at

    def cut(self, time: datetime, before: datetime | None, after: datetime | None) -> Occurrence | None:
        """The stretch around ``time`` that is no period yet. None where the window has nothing at that time.

        ``before`` is when the period before ends, no later than ``time``, and ``after`` when the one after begins, if there are
        any: they may be of a process with other zone data, and what they have, they keep. So periods tile time whatever the
        schedules say, as long as each is made when those on both sides are known.
        """
        found = self.schedule.at(time)
        if found is None or (self.counts_from is not None and time < self.counts_from):
            return None
        starts_at = max([found.starts_at, *filter(None, (before, self.counts_from))])
        ends_at = found.ends_at if after is None else min(found.ends_at, after)
        return Occurrence(found.number, starts_at, ends_at)
