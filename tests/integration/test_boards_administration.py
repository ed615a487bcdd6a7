"""Boards are made and changed whole, by one after the other, and what cannot be changed is told."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.common.mysql.database import Database
from services.leaderboard.boards import administration
from services.leaderboard.boards.administration import AT_ONCE, BoardsConflict
from services.leaderboard.boards.board import Rule, WindowDefinition
from services.leaderboard.errors import BoardConflict
from services.leaderboard.rules.calendar import Schedule
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, SEASON, WEEK, catalogue_of, define, make, play_on, tagged
from tests.playing import own_database
from tests.system import eventually, rows, rows_are_awaited

NAMES = "SELECT name FROM boards WHERE id <> 1 ORDER BY id"


@pytest.fixture
async def database(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Database]:
    """MySQL as the leaderboard service sees it."""
    async with own_database(leaderboard_settings) as database:
        yield database


def version(mysql: Any) -> int:
    [(version,)] = rows(mysql, "SELECT version FROM boards_version")
    return int(version)


async def test_a_board_is_made_changed_and_left_alone(database: Database, mysql: Any) -> None:
    before = version(mysql)
    every = tagged(
        "alps", "alps", title="Alps", windows=(ALL, WEEK, SEASON), show_extra=True, submitters="servers", min_score=-5
    )
    assert (await administration.put(database, every)).outcome == "created"
    assert (await administration.put(database, every)).outcome == "unchanged"
    assert version(mysql) == before + 1
    changed = define("alps", title="Alpen", rule=Rule(), windows=(ALL, WEEK, SEASON, DAY))
    assert (await administration.put(database, changed)).outcome == "changed"
    assert (await administration.put(database, changed)).outcome == "unchanged"
    assert version(mysql) == before + 2
    columns = "title, metric, aggregate, direction, min_score, max_score, show_extra, submitters, state, version"
    assert rows(mysql, f"SELECT {columns} FROM boards WHERE name = 'alps'") == [
        ("Alpen", "score", "best", "descending", 0, 1000, 0, "players", "active", before + 2)
    ]
    assert rows(mysql, "SELECT name, position, kind, counts_from FROM windows WHERE board_id <> 1 ORDER BY position") == [
        ("all", 0, "all", None),
        ("week", 1, "every", None),
        ("season", 2, "listed", None),
        ("day", 3, "every", None),
    ]


async def test_what_is_written_is_what_is_read(database: Database, leaderboard_settings: LeaderboardSettings) -> None:
    cup = WindowDefinition(
        "cup", Schedule(datetime.fromisoformat("2026-12-01T18:00:00"), 3, "weeks", "Europe/Berlin"), False, 10, 52
    )
    minute = WindowDefinition("minute", Schedule(datetime.fromisoformat("2026-01-01T00:00:00"), 60, "seconds"), False, 60)
    definitions = [
        define("a", windows=(SEASON, minute, cup, ALL), state="closed"),
        tagged("b", "Zürich 'ü\"\\", metric="laps", aggregate="latest", direction="ascending", min_score=-(2**53) + 1),
        define("c", rule=Rule(), title="% äöü 🏁", max_score=2**53 - 1),
    ]
    await make(database, *definitions)
    async with catalogue_of(leaderboard_settings) as catalogue:
        assert [(await catalogue.get(each.name)).definition for each in definitions] == definitions


async def test_what_cannot_change_is_told_and_nothing_else_changes(database: Database, mysql: Any) -> None:
    await make(database, define("alps"), define("coast"))
    before = rows(mysql, "SELECT * FROM boards"), rows(mysql, "SELECT * FROM windows"), version(mysql)
    with pytest.raises(BoardConflict) as refused:
        await administration.put(database, define("alps", title="New", metric="laps", windows=(ALL,)))
    assert [error.pointer for error in refused.value.errors] == ["#/metric", "#/windows"]
    new = [define(f"new{number}") for number in range(AT_ONCE)]
    with pytest.raises(BoardsConflict) as stopped:
        await make(database, *new, define("coast", aggregate="latest"), define("alps", title="New"))
    assert [fault.at for fault in stopped.value.faults] == [("boards", AT_ONCE, "aggregate")]
    assert before == (rows(mysql, "SELECT * FROM boards"), rows(mysql, "SELECT * FROM windows"), version(mysql))


async def test_a_plan_tells_and_changes_nothing(database: Database, mysql: Any) -> None:
    await make(database, define("alps"), define("coast"))
    before = version(mysql)
    planned = await administration.plan(database, [define("alps"), define("coast", title="C"), define("new")])
    assert [change.outcome for change in planned] == ["unchanged", "changed", "created"]
    assert version(mysql) == before
    assert rows(mysql, NAMES) == [("alps",), ("coast",)]


async def test_those_who_make_boards_at_once_come_one_after_the_other(database: Database, mysql: Any) -> None:
    before = version(mysql)
    names = [f"level{number}" for number in range(30)]
    files = [[define(name, title=title) for name in order] for title, order in (("one", names), ("two", names[::-1]))]
    changes = await asyncio.gather(*(administration.put_all(database, files[number % 2]) for number in range(8)))
    outcomes = [{change.outcome for change in each} for each in changes]
    assert outcomes.count({"created"}) == 1
    assert sum(outcome != {"unchanged"} for outcome in outcomes) == version(mysql) - before
    assert len(rows(mysql, "SELECT DISTINCT title FROM boards WHERE id <> 1")) == 1
    assert rows(mysql, "SELECT COUNT(*), COUNT(DISTINCT name) FROM boards WHERE id <> 1") == [(30, 30)]
    assert rows(mysql, "SELECT COUNT(*) FROM windows WHERE board_id <> 1") == [(60,)]


async def test_a_window_that_is_added_to_a_board_with_sessions_counts_from_its_next_period(
    database: Database, mysql: Any
) -> None:
    await make(database, define("played", windows=(SEASON,)), define("new", windows=(SEASON,)))
    play_on(mysql, "played", 1)
    for windows in ((SEASON, ALL), (SEASON, WEEK, ALL)):
        with pytest.raises(BoardConflict) as refused:
            await administration.put(database, define("played", windows=windows))
        assert [error.pointer for error in refused.value.errors] == [f"#/windows/{len(windows) - 1}"]
    other = WindowDefinition("cups", listed=True, grace_seconds=60)
    minute = WindowDefinition("minute", Schedule(datetime.fromisoformat("2026-01-01T00:00:00"), 60, "seconds"), False, 60)
    later = WindowDefinition("later", Schedule(datetime.fromisoformat("2999-01-01T00:00:00"), 1, "days"), False, 60)
    now = datetime.now(UTC)
    await make(database, define("played", windows=(SEASON, DAY, other, minute, later)))
    await make(database, define("new", windows=(SEASON, DAY, ALL)))
    found = dict(
        rows(mysql, "SELECT w.name, counts_from FROM windows w JOIN boards b ON b.id = board_id WHERE b.name = 'played'")
    )
    assert (found["season"], found["cups"]) == (None, None)
    assert found["later"] == datetime(2999, 1, 1)  # noqa: DTZ001 - as MySQL gives it
    soon = (now + timedelta(seconds=5)).replace(tzinfo=None)
    midnight = datetime(soon.year, soon.month, soon.day) + timedelta(days=1)  # noqa: DTZ001
    assert found["day"] == midnight
    assert timedelta() < found["minute"] - soon <= timedelta(seconds=90)
    assert found["minute"].second == 0
    assert rows(
        mysql,
        "SELECT COUNT(*) FROM windows w JOIN boards b ON b.id = board_id WHERE b.name = 'new' AND counts_from IS NOT NULL",
    ) == [(0,)]


async def test_a_board_that_is_closed_ends_its_periods_and_waits_for_what_is_being_counted(
    database: Database, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    await make(database, define("alps"), define("coast"))
    ids = dict(rows(mysql, "SELECT name, id FROM boards"))
    with mysql.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO periods (board_id, window_id, number, starts_at, ends_at, closes_at, state)"
            " SELECT %s, id, 1, NOW(6) - INTERVAL 1 DAY, NOW(6) + INTERVAL 1 DAY, NOW(6) + INTERVAL 1 DAY, 'open'"
            " FROM windows WHERE board_id = %s AND name = 'week'",
            [(ids["alps"], ids["alps"]), (ids["coast"], ids["coast"])],
        )
    async with own_database(leaderboard_settings) as other, other.engine.begin() as group:
        await group.exec_driver_sql(f"SELECT id FROM boards WHERE id = {ids['alps']} LOCK IN SHARE MODE")
        closing = asyncio.create_task(administration.put(database, define("alps", state="closed")))

        async def waits() -> bool:
            return await rows_are_awaited(mysql)

        await eventually(waits)
        assert rows(mysql, "SELECT COUNT(*) FROM periods WHERE closes_at > NOW(6)") == [(2,)]
        await group.rollback()
        assert (await closing).outcome == "changed"
    over = "SELECT board_id FROM periods WHERE closes_at <= NOW(6)"
    assert rows(mysql, over) == [(ids["alps"],)]
    assert rows(mysql, "SELECT state FROM boards WHERE name = 'alps'") == [("closed",)]
    assert (await administration.put(database, define("alps"))).outcome == "changed"


async def test_a_board_that_does_not_change_waits_for_nobody(
    database: Database, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    await make(database, define("alps"), define("coast"))
    async with own_database(leaderboard_settings) as other, other.engine.begin() as group:
        await group.exec_driver_sql("SELECT id FROM boards WHERE name = 'alps' LOCK IN SHARE MODE")
        async with asyncio.timeout(2):
            changes = await administration.put_all(database, [define("alps"), define("coast", title="Coast")])
        assert [change.outcome for change in changes] == ["unchanged", "changed"]


@pytest.mark.parametrize("boards", [2, 300])
async def test_boards_that_are_locked_wait_for_no_others(
    database: Database, mysql: Any, leaderboard_settings: LeaderboardSettings, boards: int
) -> None:
    await make(database, *(define(f"level{number}") for number in range(boards)))
    ids = [row[0] for row in rows(mysql, "SELECT id FROM boards WHERE id <> 1")]
    async with own_database(leaderboard_settings) as other, other.engine.begin() as group:
        await group.exec_driver_sql("SELECT id, state FROM boards FORCE INDEX (PRIMARY) WHERE id = 1 LOCK IN SHARE MODE")
        async with database.engine.begin() as holder, asyncio.timeout(2):
            await administration.lock_boards(holder, ids)
        waiting = asyncio.create_task(database.transaction(lambda holder: administration.lock_boards(holder, [*ids, 1])))

        async def waits() -> bool:
            return await rows_are_awaited(mysql)

        await eventually(waits)
        await group.rollback()
        await waiting
