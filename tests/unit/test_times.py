"""A time is written as RFC 3339 has it, in UTC, whatever zone it is given in."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.common.times import write_time


@pytest.mark.parametrize(
    ("time", "written"),
    [
        (datetime(2026, 3, 1, 12, 30, 5, 67, UTC), "2026-03-01T12:30:05.000067Z"),
        (datetime(2026, 3, 1, tzinfo=UTC), "2026-03-01T00:00:00.000000Z"),
        (datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))), "2026-02-28T23:30:00.000000Z"),
        (datetime(999, 1, 1, tzinfo=UTC), "0999-01-01T00:00:00.000000Z"),
    ],
)
def test_a_time_is_written_in_utc_to_the_microsecond(time: datetime, written: str) -> None:
    assert write_time(time) == written
    assert datetime.fromisoformat(written) == time
