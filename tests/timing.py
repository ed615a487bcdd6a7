"""Periods put straight into MySQL, and its time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.leaderboard.rules.calendar import Schedule
from services.leaderboard.rules.periods import ScheduledWindow
from tests.system import rows

MAIN_BOARD = 1
WINDOW = 101
DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def mysql_now(mysql: Any) -> datetime:
    """MySQL's time."""
    [(now,)] = rows(mysql, "SELECT UTC_TIMESTAMP(6)")
    return utc(now)


def utc(time: datetime) -> datetime:
    """A time that MySQL has given."""
    return time.replace(tzinfo=UTC)


def plain(time: datetime) -> datetime:
    """A time as MySQL stores it."""
    return time.astimezone(UTC).replace(tzinfo=None)


def window(schedule: Schedule, grace: timedelta = MINUTE, **more: Any) -> ScheduledWindow:
    """A window of the main board."""
    return ScheduledWindow(MAIN_BOARD, WINDOW, schedule, grace, **more)


def hourly(first: datetime) -> Schedule:
    """An hour a period, from this moment on, to the second."""
    return Schedule(plain(first).replace(microsecond=0), 3600, "seconds")


def put(
    mysql: Any,
    starts_at: datetime,
    ends_at: datetime,
    *,
    closes_at: datetime | None = None,
    state: str = "open",
    board_id: int = MAIN_BOARD,
    window_id: int = WINDOW,
    number: int = 0,
) -> int:
    """A period as somebody has made it, which closes at its end if nothing else is said. Gives its id."""
    times = [plain(time) for time in (starts_at, ends_at, closes_at or ends_at)]
    with mysql.cursor() as cursor:
        cursor.execute(
            "INSERT INTO periods (board_id, window_id, number, starts_at, ends_at, closes_at, state)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (board_id, window_id, number, *times, state),
        )
        return int(cursor.lastrowid)


def states(mysql: Any, *period_ids: int) -> list[str]:
    """What is written down of these periods, in their order."""
    found = dict(rows(mysql, "SELECT id, state FROM periods WHERE id IN %s", period_ids))
    return [found[period_id] for period_id in period_ids]
