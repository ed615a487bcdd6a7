"""Periods that are made one after the other tile time, whatever each maker's schedule says."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.leaderboard.rules.calendar import DAY, Schedule
from services.leaderboard.rules.periods import ScheduledWindow

ADVENT = datetime(2011, 12, 1)  # noqa: DTZ001 - a local time
# Zone data that differ: by whole hours, by half of one, by a skipped day.
ZONES = ("UTC", "Etc/GMT-1", "Etc/GMT+2", "Asia/Kolkata", "Pacific/Apia", "Africa/Casablanca", "Europe/Berlin")

makers = st.builds(Schedule, st.just(ADVENT), st.integers(1, 9), st.sampled_from(["days", "weeks"]), st.sampled_from(ZONES))
times = st.datetimes(datetime(2011, 12, 3), datetime(2012, 2, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it


def window(schedule: Schedule, counts_from: datetime | None = None) -> ScheduledWindow:
    return ScheduledWindow(1, 1, schedule, timedelta(minutes=1), counts_from)


@given(st.lists(st.tuples(makers, times), min_size=1, max_size=60))
def test_whoever_makes_them_in_whatever_order_no_two_periods_overlap_and_nothing_is_left_out(
    asked: list[tuple[Schedule, datetime]],
) -> None:
    made: list[tuple[datetime, datetime]] = []
    for schedule, time in asked:
        if any(start <= time < end for start, end in made):
            continue
        before = max((end for _, end in made if end <= time), default=None)
        after = min((start for start, _ in made if start > time), default=None)
        found = window(schedule).cut(time, before, after)
        assert found is not None
        assert found.starts_at <= time < found.ends_at
        occurrence = schedule.at(time)
        assert occurrence is not None
        # As long as its occurrence, but for what others have.
        assert found.starts_at in {occurrence.starts_at, before}
        assert found.ends_at in {occurrence.ends_at, after}
        made.append((found.starts_at, found.ends_at))
    for (_, end), (start, _) in pairwise(sorted(made)):
        assert end <= start


@pytest.mark.parametrize("hours", [-1, 0, 1, 24])
def test_nothing_is_in_a_period_before_its_window_counts(hours: int) -> None:
    counts_from = datetime(2026, 11, 25, 18, tzinfo=UTC)
    time = counts_from + timedelta(hours=hours)
    found = window(DAY, counts_from).cut(time, None, None)
    if hours < 0:
        assert found is None
    else:
        assert found is not None
        assert found.starts_at == max(counts_from, time.replace(hour=0))
        assert found.ends_at == time.replace(hour=0) + timedelta(days=1)


def test_before_its_first_time_a_window_has_no_period() -> None:
    later = Schedule(datetime(2027, 1, 1), 1, "days")  # noqa: DTZ001 - a local time
    assert window(later).cut(datetime(2026, 12, 31, 23, tzinfo=UTC), None, None) is None
    assert window(later).cut(datetime(2027, 1, 1, tzinfo=UTC), None, None) is not None
