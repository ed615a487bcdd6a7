"""Periods end by MySQL's clock, and those of a listed window are written down one by one."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pymysql.cursors import DictCursor
from sqlalchemy import Connection, event

from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.boards import periods
from services.leaderboard.errors import PeriodConflict
from services.leaderboard.rules import calendar
from services.leaderboard.rules.periods import Period
from services.leaderboard.seasons import settling
from services.leaderboard.settings import LeaderboardSettings
from tests.system import eventually, rows, rows_are_awaited, serving
from tests.timing import DAY, HOUR, MAIN_BOARD, MINUTE, SECOND, WINDOW, mysql_now, plain, put, states, window

SHARE = "SELECT state FROM periods FORCE INDEX (PRIMARY) WHERE id = %s LOCK IN SHARE MODE"


async def close(database: Database, period_id: int) -> bool:
    return await database.transaction(lambda connection: periods.close(connection, period_id))


async def close_over(database: Database, now: datetime, limit: int = 500) -> int:
    return await database.transaction(lambda connection: periods.close_over(connection, now, limit))


async def test_a_period_closes_once_when_its_time_is_over(leaderboard_database: Database, mysql: Any) -> None:
    now = mysql_now(mysql)
    over = put(mysql, now - 2 * HOUR, now - HOUR, closes_at=now)
    ended = put(mysql, now - HOUR, now, closes_at=now + HOUR)
    settled = put(mysql, now - 3 * HOUR, now - 2 * HOUR, state="settled")
    assert [await close(leaderboard_database, period_id) for period_id in (over, ended, settled, settled + 1)] == [
        True,
        False,
        False,
        False,
    ]
    assert not await close(leaderboard_database, over)
    assert states(mysql, over, ended, settled) == ["closed", "open", "settled"]


async def test_closing_waits_for_the_sessions_that_are_being_counted(
    leaderboard_database: Database, mysql: Any, other: Any
) -> None:
    now = mysql_now(mysql)
    over, another = (put(mysql, now - hours * HOUR, now - (hours - 1) * HOUR) for hours in (1, 2))
    other.execute(SHARE, (over,))
    closing = asyncio.create_task(close(leaderboard_database, over))
    await eventually(lambda: rows_are_awaited(mysql))
    assert await close(leaderboard_database, another), "a row that nobody holds is not waited for"
    assert states(mysql, over) == ["open"]
    other.connection.commit()
    assert await closing
    assert states(mysql, over) == ["closed"]


async def test_sessions_that_are_to_be_counted_wait_for_a_closing_and_then_see_it(
    leaderboard_database: Database, mysql: Any, other: Any
) -> None:
    now = mysql_now(mysql)
    over, another = (put(mysql, now - hours * HOUR, now - (hours - 1) * HOUR) for hours in (1, 2))
    async with leaderboard_database.engine.begin() as connection:
        assert await periods.close(connection, over)
        other.execute(SHARE, (another,))
        sharing = asyncio.create_task(asyncio.to_thread(other.execute, SHARE, (over,)))
        await eventually(lambda: rows_are_awaited(mysql))
    await sharing
    assert other.fetchall() == (("closed",),)


async def test_what_is_over_is_closed_in_batches(leaderboard_database: Database, mysql: Any) -> None:
    now = mysql_now(mysql)
    over = [put(mysql, now - (hours + 1) * HOUR, now - hours * HOUR) for hours in range(5)]
    running = put(mysql, now, now + HOUR)
    assert [await close_over(leaderboard_database, now, 3) for _ in range(3)] == [3, 2, 0]
    assert states(mysql, *over, running) == ["closed"] * 5 + ["open"]


async def test_the_clock_of_a_process_closes_nothing(leaderboard_database: Database, mysql: Any) -> None:
    now = mysql_now(mysql)
    running = put(mysql, now, now + HOUR)
    assert await close_over(leaderboard_database, now + DAY) == 0
    assert states(mysql, running) == ["open"]


async def test_a_period_that_is_held_keeps_no_other_from_being_closed(
    leaderboard_database: Database, mysql: Any, other: Any
) -> None:
    now = mysql_now(mysql)
    over = [put(mysql, now - (hours + 1) * HOUR, now - hours * HOUR) for hours in range(3)]
    other.execute(SHARE, (over[1],))
    assert await close_over(leaderboard_database, now) == 2
    assert states(mysql, *over) == ["closed", "open", "closed"]
    closing = asyncio.create_task(close_over(leaderboard_database, now))
    await eventually(lambda: rows_are_awaited(mysql))
    other.connection.commit()
    assert await closing == 1
    assert states(mysql, *over) == ["closed"] * 3


async def test_a_process_closes_what_is_over_by_itself(leaderboard_settings: LeaderboardSettings, mysql: Any) -> None:
    now = mysql_now(mysql)
    over, running = put(mysql, now - HOUR, now), put(mysql, now, now + HOUR)

    async def is_closed() -> bool:
        return states(mysql, over, running) == ["closed", "open"]

    async with serving(create_app(leaderboard_settings)):
        await eventually(is_closed)


async def test_a_board_that_is_closed_ends_what_is_running_there_and_nothing_else(
    leaderboard_database: Database, mysql: Any
) -> None:
    now = mysql_now(mysql)
    running = put(mysql, now - HOUR, now + HOUR)
    in_grace = put(mysql, now - 2 * HOUR, now - HOUR, closes_at=now + HOUR)
    over = put(mysql, now - 3 * HOUR, now - 2 * HOUR)
    settled = put(mysql, now - 4 * HOUR, now - 3 * HOUR, closes_at=now + HOUR, state="settled")
    planned = put(mysql, now + HOUR, now + 2 * HOUR)
    elsewhere = put(mysql, now - HOUR, now + HOUR, board_id=MAIN_BOARD + 1)
    before = dict(rows(mysql, "SELECT id, closes_at FROM periods"))
    for _ in range(2):
        await leaderboard_database.transaction(lambda connection: periods.end_all(connection, [MAIN_BOARD]))
        after = dict(rows(mysql, "SELECT id, closes_at FROM periods"))
        assert {each for each in after if after[each] != before[each]} == {running, in_grace}
        assert plain(now) < after[running] == after[in_grace] <= plain(mysql_now(mysql))
    assert await close_over(leaderboard_database, now) == 3
    assert states(mysql, over, settled, planned, elsewhere) == ["closed", "settled", "open", "open"]


Write = Callable[..., Awaitable[Period]]


@pytest.fixture
def write(leaderboard_database: Database) -> Write:
    """Writes down a period of a listed window."""
    return partial(periods.write_listed, leaderboard_database, MAIN_BOARD, WINDOW, title=None, grace=MINUTE)


async def test_periods_of_a_listed_window_are_written_down_with_gaps_between(
    write: Write, leaderboard_database: Database, mysql: Any
) -> None:
    now = mysql_now(mysql)
    season = await write(title="Winter", starts_at=now - HOUR, ends_at=now + DAY)
    assert (season.number, season.title, season.closes_at, season.state) == (1, "Winter", now + DAY + MINUTE, "open")
    following = await write(title="Sommer ☀", starts_at=now + 3 * DAY, ends_at=now + 4 * DAY)
    between = await write(starts_at=now + 2 * DAY, ends_at=now + 3 * DAY)
    assert (following.number, between.number) == (2, 3)
    async with leaderboard_database.reading() as connection:
        assert await periods.find(connection, MAIN_BOARD, WINDOW, now + DAY + HOUR) is None
        assert await periods.list_periods(connection, MAIN_BOARD, WINDOW, None, 10) == [following, between, season]
    assert await write(title="Winter", starts_at=now - HOUR, ends_at=now + DAY) == season


async def test_a_listed_period_has_no_time_of_another(write: Write, mysql: Any) -> None:
    now = mysql_now(mysql)
    await write(starts_at=now + DAY, ends_at=now + 2 * DAY)
    await write(starts_at=now + 3 * DAY, ends_at=now + 4 * DAY)
    for starts_at, ends_at in [
        (now, now + DAY + SECOND),
        (now + 2 * DAY - SECOND, now + 3 * DAY),
        (now + DAY + HOUR, now + DAY + 2 * HOUR),
        (now, now + 5 * DAY),
        (now + 2 * DAY, now + 3 * DAY + timedelta(microseconds=1)),
    ]:
        with pytest.raises(PeriodConflict, match="has some of this time"):
            await write(starts_at=starts_at, ends_at=ends_at)
    with pytest.raises(PeriodConflict, match="has some of this time"):
        await write(title="of another title", starts_at=now + DAY, ends_at=now + 2 * DAY)
    await write(starts_at=now + 2 * DAY, ends_at=now + 3 * DAY)
    assert rows(mysql, "SELECT COUNT(*) FROM periods") == [(3,)]


async def test_of_overlapping_periods_that_are_written_at_once_one_is_there(write: Write, mysql: Any) -> None:
    now = mysql_now(mysql)
    answers = await asyncio.gather(
        *(write(starts_at=now + hours * HOUR, ends_at=now + (hours + 10) * HOUR) for hours in range(1, 9)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, Period) for answer in answers) == 1
    assert sum(isinstance(answer, PeriodConflict) for answer in answers) == 7
    assert rows(mysql, "SELECT COUNT(*) FROM periods") == [(1,)]


async def test_no_period_is_written_that_would_be_closed_or_whose_board_is_gone(
    write: Write, leaderboard_database: Database, mysql: Any
) -> None:
    now = mysql_now(mysql)
    with pytest.raises(PeriodConflict, match="closed already"):
        await write(starts_at=now - DAY, ends_at=now - MINUTE)
    with pytest.raises(PeriodConflict, match="not there any more"):
        await periods.write_listed(
            leaderboard_database, MAIN_BOARD + 1, WINDOW, title=None, starts_at=now, ends_at=now + DAY, grace=MINUTE
        )
    with pytest.raises(ValueError, match="does not end"):
        await write(starts_at=now, ends_at=now)
    assert rows(mysql, "SELECT COUNT(*) FROM periods") == [(0,)]


async def test_a_listed_period_that_has_not_begun_can_be_taken_back(
    write: Write, leaderboard_database: Database, mysql: Any
) -> None:
    now = mysql_now(mysql)
    begun = await write(starts_at=now - HOUR, ends_at=now)
    about_to = await write(starts_at=now + periods.NOT_TAKEN_BACK, ends_at=now + HOUR)
    planned = await write(starts_at=now + HOUR, ends_at=now + DAY)
    for board_id, period, taken in [
        (MAIN_BOARD, begun, False),
        (MAIN_BOARD, about_to, False),
        (MAIN_BOARD + 1, planned, False),
        (MAIN_BOARD, planned, True),
        (MAIN_BOARD, planned, False),
    ]:
        assert await periods.take_back(leaderboard_database, board_id, period.period_id) is taken
    assert rows(mysql, "SELECT id FROM periods ORDER BY id") == [(begun.period_id,), (about_to.period_id,)]
    assert (await write(starts_at=now + 2 * HOUR, ends_at=now + DAY)).period_id > planned.period_id


LOCKS = re.compile("FOR UPDATE|SHARE MODE|^UPDATE|^DELETE")


@contextmanager
def explained(database: Database, mysql: Any) -> Iterator[list[tuple[str, Any, Any]]]:
    """The statements that lock, each with how MySQL finds their rows, at the moment at which it is sent."""
    plans: list[tuple[str, Any, Any]] = []

    def explain(_connection: Connection, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if LOCKS.search(statement):
            with mysql.cursor(DictCursor) as cursor:
                cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {statement}", values)
                plans.extend((statement, plan["type"], plan["key"]) for plan in cursor.fetchall())

    event.listen(database.engine.sync_engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", explain)


@pytest.mark.parametrize("others", [0, 400, 5000])
async def test_every_statement_that_locks_finds_its_rows_by_the_primary_key(
    others: int, leaderboard_database: Database, mysql: Any
) -> None:
    now = mysql_now(mysql)
    over = [put(mysql, now - (hours + 2) * HOUR, now - (hours + 1) * HOUR) for hours in range(2)]
    planned = put(mysql, now + 2 * DAY, now + 3 * DAY)
    put(mysql, now - HOUR, now + HOUR)
    times = [(plain(now - number * MINUTE), plain(now - (number - 1) * MINUTE)) for number in range(others)]
    with mysql.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO periods (board_id, window_id, number, starts_at, ends_at, closes_at, state)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (MAIN_BOARD, WINDOW + 1 + number % 50, number, *starts_and_ends, plain(now + (number % 3 - 1) * HOUR), "open")
                for number, starts_and_ends in enumerate(times)
            ],
        )
        cursor.execute("ANALYZE TABLE periods")
    with explained(leaderboard_database, mysql) as plans:
        assert await close(leaderboard_database, over[0])
        assert await close_over(leaderboard_database, now)
        await leaderboard_database.transaction(lambda connection: periods.end_all(connection, [MAIN_BOARD]))
        assert await periods.find_or_make(leaderboard_database, window(calendar.DAY), now + 9 * DAY)
        assert await periods.take_back(leaderboard_database, MAIN_BOARD, planned)
        assert await leaderboard_database.transaction(lambda connection: periods.share(connection, over)) == dict.fromkeys(
            over, "closed"
        )
        assert await leaderboard_database.transaction(lambda connection: periods.tell_begun(connection, 3)) == 3
        await leaderboard_database.transaction(
            lambda connection: settling.settle(connection, over[0], 1, wait=True)  # whose window is not there
        )
    assert [(statement.split()[0], key) for statement, _, key in plans] == [
        ("UPDATE", "PRIMARY"),
        *(("SELECT", "PRIMARY"), ("UPDATE", "PRIMARY")),
        ("UPDATE", "PRIMARY"),
        *(("SELECT", "PRIMARY"), ("UPDATE", "PRIMARY")),
        *(("SELECT", "PRIMARY"), ("DELETE", "PRIMARY")),
        ("SELECT", "PRIMARY"),
        *(("SELECT", "PRIMARY"), ("UPDATE", "PRIMARY")),
        ("SELECT", "PRIMARY"),
    ]
    assert {how for _, how, _ in plans} <= {"const", "range"}
