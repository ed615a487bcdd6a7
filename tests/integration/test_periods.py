"""Rows say which period a time is in, and periods tile time, whoever makes them and whatever zone data they have."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle, pairwise
from random import Random
from typing import Any

import pytest

from services.common.mysql.database import Database
from services.leaderboard.boards import periods
from services.leaderboard.rules import calendar
from services.leaderboard.rules.calendar import Schedule
from services.leaderboard.rules.periods import Period, ScheduledWindow
from services.leaderboard.settings import LeaderboardSettings
from tests.playing import own_database
from tests.system import eventually, rows, rows_are_awaited
from tests.timing import DAY, HOUR, MAIN_BOARD, MINUTE, SECOND, WINDOW, hourly, mysql_now, plain, put, utc, window

MAKERS = 8
MIDNIGHT = datetime(2020, 1, 1)  # noqa: DTZ001 - a local time


async def find(database: Database, time: datetime) -> Period | None:
    async with database.reading() as connection:
        return await periods.find(connection, MAIN_BOARD, WINDOW, time)


async def made(database: Database, asked: ScheduledWindow, time: datetime) -> Period:
    period = await periods.find_or_make(database, asked, time)
    assert period is not None
    assert period.has(time)
    return period


def stretches(mysql: Any) -> list[tuple[datetime, datetime]]:
    """When each period that there is begins and ends, oldest first."""
    found = rows(mysql, "SELECT starts_at, ends_at FROM periods WHERE window_id = %s ORDER BY starts_at", WINDOW)
    return [(utc(starts_at), utc(ends_at)) for starts_at, ends_at in found]


async def test_a_period_is_made_when_a_session_needs_it_and_found_from_then_on(
    leaderboard_database: Database, mysql: Any
) -> None:
    now = mysql_now(mysql)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    assert await find(leaderboard_database, now) is None
    period = await made(leaderboard_database, window(calendar.DAY), now)
    assert period == Period(
        period_id=period.period_id,
        board_id=MAIN_BOARD,
        window_id=WINDOW,
        number=(today - datetime(1970, 1, 1, tzinfo=UTC)).days,
        title=None,
        starts_at=today,
        ends_at=today + DAY,
        closes_at=today + DAY + MINUTE,
        state="open",
        players=None,
    )
    for time in (today, now, today + DAY - SECOND):
        assert await made(leaderboard_database, window(calendar.DAY), time) == period
        assert await find(leaderboard_database, time) == period
    assert await find(leaderboard_database, today - SECOND) is None
    assert await find(leaderboard_database, today + DAY) is None
    async with leaderboard_database.reading() as connection:
        assert await periods.list_by_id(connection, [period.period_id]) == [period]
        assert await periods.list_by_id(connection, [period.period_id + 1]) == []


async def test_of_many_who_need_a_period_at_once_one_makes_it(leaderboard_settings: LeaderboardSettings, mysql: Any) -> None:
    now = mysql_now(mysql)
    async with own_database(leaderboard_settings) as one, own_database(leaderboard_settings) as another:
        found = await asyncio.gather(
            *(periods.find_or_make(database, window(calendar.DAY), now) for database in (one, another) * MAKERS)
        )
    assert len(set(found)) == 1
    assert found[0] is not None
    assert len(stretches(mysql)) == 1


@pytest.mark.parametrize(
    "schedules",
    [
        # As if a zone had been moved, by whole hours and by half of one, in the data of one process.
        (Schedule(MIDNIGHT, 1, "days", "Etc/GMT-1"), Schedule(MIDNIGHT, 1, "days", "Etc/GMT+2")),
        (Schedule(MIDNIGHT, 1, "days", "Asia/Kolkata"), Schedule(MIDNIGHT, 1, "days", "Etc/GMT-5")),
        (Schedule(MIDNIGHT, 3, "days", "Africa/Casablanca"), Schedule(MIDNIGHT, 3, "days", "UTC")),
    ],
)
async def test_periods_tile_time_whatever_zone_data_the_processes_that_make_them_have(
    schedules: Sequence[Schedule], leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    now = mysql_now(mysql).replace(minute=0, second=0, microsecond=0)
    times = [now + half_hours * HOUR / 2 for half_hours in range(-9 * 48, 48)]
    Random(14).shuffle(times)
    found: dict[datetime, Period] = {}

    async def play(database: Database, schedule: Schedule, some: list[datetime]) -> None:
        for time in some:
            found[time] = await made(database, window(schedule, grace=15 * DAY), time)

    async with own_database(leaderboard_settings) as one, own_database(leaderboard_settings) as another:
        processes = zip(range(MAKERS), cycle(zip((one, another), schedules, strict=True)))
        await asyncio.gather(*(play(*process, times[maker::MAKERS]) for maker, process in processes))
        for time, period in found.items():
            assert await find(one, time) == period
    tiles = stretches(mysql)
    assert {(period.starts_at, period.ends_at) for period in found.values()} == set(tiles)
    for (_, end), (start, _) in pairwise(tiles):
        assert end == start
    assert len(tiles) > 240 / 24 / 3


async def test_what_two_processes_leave_between_their_periods_is_one_of_its_own(
    leaderboard_database: Database, mysql: Any
) -> None:
    """Numbers k and k + 1 are taken on both sides of it, so it shares one of them."""
    early, late = window(Schedule(MIDNIGHT, 1, "days", "Etc/GMT-1")), window(Schedule(MIDNIGHT, 1, "days", "UTC"))
    border = mysql_now(mysql).replace(hour=0, minute=0, second=0, microsecond=0) + 2 * DAY
    before = await made(leaderboard_database, early, border - 2 * HOUR)
    after = await made(leaderboard_database, late, border)
    assert (before.ends_at, after.starts_at) == (border - HOUR, border)
    between = await made(leaderboard_database, late, border - MINUTE)
    assert (between.starts_at, between.ends_at) == (border - HOUR, border)
    assert (before.number, between.number, after.number) == (after.number - 1, after.number - 1, after.number)
    assert await made(leaderboard_database, early, border - MINUTE) == between


async def test_a_period_keeps_its_times_when_its_zone_changes(leaderboard_database: Database, mysql: Any) -> None:
    before, after = Schedule(MIDNIGHT, 1, "days", "Etc/GMT-3"), Schedule(MIDNIGHT, 1, "days", "Etc/GMT-2")
    noon = (mysql_now(mysql) + DAY).replace(hour=12, minute=0, second=0, microsecond=0)  # of a day that is not over
    period = await made(leaderboard_database, window(before), noon)
    assert (period.starts_at, period.ends_at) == (noon - 15 * HOUR, noon + 9 * HOUR)
    assert await made(leaderboard_database, window(after), noon) == period
    # The next one begins where it ends, an hour before the clocks of now say midnight, and ends when they do.
    following = await made(leaderboard_database, window(after), noon + 11 * HOUR)
    assert (following.starts_at, following.ends_at) == (noon + 10 * HOUR, noon + 34 * HOUR)
    rest = await made(leaderboard_database, window(after), noon + 9 * HOUR)
    assert (rest.starts_at, rest.ends_at) == (noon + 9 * HOUR, noon + 10 * HOUR)


async def test_what_would_be_closed_already_is_not_made(
    leaderboard_database: Database, mysql: Any, other: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    now = mysql_now(mysql)
    ended = hourly(now - HOUR - 10 * MINUTE)
    other.execute("SELECT id FROM boards WHERE id = %s FOR UPDATE", (MAIN_BOARD,))
    for grace, time in [
        (9 * MINUTE, now - 11 * MINUTE),  # it ended ten minutes ago
        (9 * MINUTE, now - HOUR),
        (9 * MINUTE, now - 2 * HOUR),  # before the first one
        (DAY, now - 1000 * DAY),
    ]:
        # Who sends such times does not so much as wait for the board.
        assert await periods.find_or_make(leaderboard_database, window(ended, grace), time) is None
    other.connection.rollback()
    assert await periods.find_or_make(leaderboard_database, window(calendar.MONTH, 20 * DAY), now - 1000 * DAY) is None
    assert stretches(mysql) == []
    still_open = await made(leaderboard_database, window(ended, 11 * MINUTE), now - 11 * MINUTE)
    assert still_open.state == "open"
    assert await find(leaderboard_database, now - 11 * MINUTE) == still_open


async def test_what_is_closed_by_the_time_it_would_be_made_is_not(
    leaderboard_database: Database, mysql: Any, other: Any
) -> None:
    """The period closes while its maker waits for the board."""
    ends_at = mysql_now(mysql).replace(microsecond=0) - HOUR
    closes_at = mysql_now(mysql) + 2 * SECOND
    late = window(hourly(ends_at - HOUR), closes_at - ends_at)
    other.execute("SELECT id FROM boards WHERE id = %s LOCK IN SHARE MODE", (MAIN_BOARD,))
    making = asyncio.create_task(periods.find_or_make(leaderboard_database, late, ends_at - MINUTE))
    await eventually(lambda: rows_are_awaited(mysql))

    async def is_over() -> bool:
        return mysql_now(mysql) > closes_at

    await eventually(is_over)
    other.connection.rollback()
    assert await making is None
    assert stretches(mysql) == []


@pytest.mark.parametrize("state", ["closed", "deleting"])
async def test_no_period_is_made_on_a_board_that_is_not_active(state: str, leaderboard_database: Database, mysql: Any) -> None:
    now = mysql_now(mysql)
    running = put(mysql, now - HOUR, now + HOUR)
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE boards SET state = %s WHERE id = %s", (state, MAIN_BOARD))
        try:
            found = await periods.find_or_make(leaderboard_database, window(calendar.DAY), now)
            assert found is not None
            assert found.period_id == running
            assert await periods.find_or_make(leaderboard_database, window(calendar.DAY), now + 2 * HOUR) is None
        finally:
            cursor.execute("UPDATE boards SET state = 'active' WHERE id = %s", (MAIN_BOARD,))


async def test_no_period_is_made_on_a_board_that_is_gone(leaderboard_database: Database, mysql: Any) -> None:
    gone = ScheduledWindow(MAIN_BOARD + 1, WINDOW, calendar.DAY, MINUTE)
    assert await periods.find_or_make(leaderboard_database, gone, mysql_now(mysql)) is None


async def test_a_window_that_was_added_has_no_period_before_it_counts(leaderboard_database: Database, mysql: Any) -> None:
    now = mysql_now(mysql)
    counts_from = now.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    added = window(calendar.DAY, counts_from=counts_from)
    assert await periods.find_or_make(leaderboard_database, added, now) is None
    # Who has other zone data cuts the first one where it begins to count.
    elsewhere = window(Schedule(MIDNIGHT, 1, "days", "Etc/GMT-1"), counts_from=counts_from)
    first = await made(leaderboard_database, elsewhere, counts_from)
    assert (first.starts_at, first.ends_at) == (counts_from, counts_from + DAY - HOUR)


async def test_the_periods_of_a_window_are_listed_newest_first_page_by_page(leaderboard_database: Database, mysql: Any) -> None:
    now = mysql_now(mysql)
    put(mysql, now, now + HOUR, window_id=WINDOW + 1)
    put(mysql, now, now + HOUR, board_id=MAIN_BOARD + 1)
    ids = [put(mysql, now - hours * HOUR, now - (hours - 1) * HOUR, number=7 - hours // 2) for hours in range(7)]
    listed: list[int] = []
    before: datetime | None = None
    async with leaderboard_database.reading() as connection:
        while page := await periods.list_periods(connection, MAIN_BOARD, WINDOW, before, 3):
            listed += [period.period_id for period in page]
            before = page[-1].starts_at
    assert listed == ids


async def test_what_is_over_is_shown_as_closed_before_anybody_has_written_that_down(
    leaderboard_database: Database, mysql: Any
) -> None:
    now = mysql_now(mysql)
    for number, (closes_at, state) in enumerate(
        [(now, "open"), (now + HOUR, "open"), (now, "closed"), (now, "settled"), (now, "expired")]
    ):
        put(mysql, now - (number + 2) * HOUR, now - (number + 1) * HOUR, closes_at=closes_at, state=state)
    async with leaderboard_database.reading() as connection:
        listed = await periods.list_periods(connection, MAIN_BOARD, WINDOW, None, 10)
    assert [period.state for period in listed] == ["closed", "open", "closed", "settled", "expired"]
    assert {period.closes_at for period in listed} == {now, now + HOUR}


async def test_a_window_tells_its_current_period_and_the_one_before(leaderboard_database: Database, mysql: Any) -> None:
    now = mysql_now(mysql)
    first = put(mysql, now - 5 * HOUR, now - 4 * HOUR)
    second = put(mysql, now - 2 * HOUR, now - HOUR)
    third = put(mysql, now - HOUR, now + HOUR)
    elsewhere = put(mysql, now - HOUR, now + HOUR, window_id=WINDOW + 1)
    put(mysql, now - 2 * HOUR, now - HOUR, window_id=WINDOW + 2)
    async with leaderboard_database.reading() as connection:

        async def running(time: datetime) -> list[int | None]:
            found = await periods.find_running(connection, MAIN_BOARD, WINDOW, time)
            return [None if period is None else period.period_id for period in found]

        assert await running(now) == [third, second]
        assert await running(now - HOUR - SECOND) == [second, first]
        assert await running(now - 3 * HOUR) == [None, first]
        assert await running(now - 5 * HOUR) == [first, None]
        assert await running(now - 6 * HOUR) == [None, None]
        assert await running(now + HOUR) == [None, third]
        windows = [(MAIN_BOARD, WINDOW + number) for number in range(4)]
        each = await periods.find_each(connection, windows, now)
        assert {window_id: period.period_id for window_id, period in each.items()} == {WINDOW: third, WINDOW + 1: elsewhere}
        assert await periods.find_each(connection, [], now) == {}


async def test_times_are_kept_to_the_microsecond(leaderboard_database: Database, mysql: Any) -> None:
    ends_at = mysql_now(mysql).replace(microsecond=999_999) + HOUR
    put(mysql, ends_at - HOUR, ends_at)
    found = await find(leaderboard_database, ends_at.replace(microsecond=999_998))
    assert found is not None
    assert plain(found.ends_at) == plain(ends_at)
    assert await find(leaderboard_database, ends_at) is None
