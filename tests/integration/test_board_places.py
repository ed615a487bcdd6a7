"""Which board, window and period is read, and which are not there, not there any more, or malformed."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from services.common.mysql.database import Database
from services.leaderboard.boards import periods as table
from services.leaderboard.boards.places import Places
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import catalogue_of, make
from tests.playing import API, own_database, submit
from tests.reading import ALPS, Both, Weeks, indexed, same
from tests.system import Accounts, assert_problem, eventually, rows


@pytest.mark.parametrize("route", ["top", "rank/1", "rank/me", "around/1", "around/me"])
async def test_what_is_not_there_is_not_found(services: Both, weeks: Weeks, accounts: Accounts, mysql: Any, route: str) -> None:
    player = accounts.new(user_id=1)
    [(other,)] = rows(mysql, "SELECT MAX(id) + 1 FROM periods")
    await submit(services[0], player, 1, boards=["quiet"])
    quiet = (await services[0].get(f"{API}/boards/quiet/top")).json()["period_id"]
    assert quiet == other
    for path, kind in (
        ("nowhere/{}", "board-not-found"),
        ("nowhere/{}?window=day", "board-not-found"),
        ("alps/{}?window=day", "window-not-found"),
        ("alps/{}?window=day&period=previous", "window-not-found"),
        ("quiet/{}?window=all", "window-not-found"),
        (f"alps/{{}}?period={quiet}", "period-not-found"),  # of another board
        (f"alps/{{}}?window=week&period={quiet}", "period-not-found"),
        (f"alps/{{}}?window=all&period={weeks.this_week}", "period-not-found"),  # of another window
        (f"alps/{{}}?window=nowhere&period={weeks.this_week}", "period-not-found"),
        ("alps/{}?period=9999999", "period-not-found"),
        ("alps/{}?period=9999999999", "period-not-found"),
        ("quiet/{}?period=0", "period-not-found"),
        ("alps/{}?window=week&period=0", "period-not-found"),
        ("alps/{}?window=nowhere&period=0", "period-not-found"),
        ("alps/{}?window=all&period=previous", "period-not-found"),
    ):
        for client in services:
            answer = await client.get(f"{API}/boards/{path.format(route)}", headers=player)
            assert_problem(answer, 404, kind)


@pytest.mark.parametrize("route", ["/boards/alps/top", "/boards/alps/rank/1", "/boards/alps/around/me", "/top", "/rank/me"])
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("period=-1", "period"),
        ("period=next", "period"),
        ("period=", "period"),
        ("period=1.0", "period"),
        ("period=11111111111", "period"),
        ("period=1%0A", "period"),
        ("period=%D9%A1", "period"),
        ("window=", "window"),
        ("window=Week", "window"),
        ("window=a%0A", "window"),
        (f"window={'a' * 65}", "window"),
    ],
)
async def test_what_is_no_window_or_period_is_refused(
    leaderboard: httpx.AsyncClient, accounts: Accounts, route: str, query: str, parameter: str
) -> None:
    answer = await leaderboard.get(f"{API}{route}?{query}", headers=accounts.new())
    assert_problem(answer, 422, "invalid-request")
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


async def test_what_is_not_kept_any_more_is_gone(services: Both, weeks: Weeks, accounts: Accounts, mysql: Any) -> None:
    player = accounts.new(user_id=1)
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE periods SET state = 'expired' WHERE id = %s", (weeks.last_week,))
    for client in services:

        async def is_gone(client: httpx.AsyncClient = client) -> bool:
            return (await client.get(f"{API}/boards/alps/top?period={weeks.last_week}")).status_code == 410

        await eventually(is_gone, 2)
        for route in ("top", "rank/1", "rank/me", "around/1", "around/me"):
            for query in (f"period={weeks.last_week}", "period=previous", f"window=week&period={weeks.last_week}"):
                assert_problem(await client.get(f"{API}/boards/alps/{route}?{query}", headers=player), 410, "period-expired")
        assert_problem(await client.get(f"{API}/boards/quiet/top?period={weeks.last_week}"), 404, "period-not-found")
        assert (await client.get(f"{API}/boards/alps/top")).json()["period_id"] == weeks.this_week


async def test_a_cursor_is_good_for_the_place_that_gave_it(services: Both, weeks: Weeks) -> None:
    async def cursor_of(path: str) -> str:
        return str((await services[0].get(f"{API}{path}")).json()["next_cursor"])

    week = await cursor_of("/boards/alps/top?limit=1")
    last_week = await cursor_of("/boards/alps/top?limit=1&period=previous")
    ever = await cursor_of("/boards/alps/top?limit=1&window=all")
    boards = await cursor_of("/boards?limit=1")
    for client in services:
        for path, cursor in (
            ("", last_week), ("", ever), ("", boards), ("", "!"), ("", ""), ("", "dDE6MC01"), ("", "a" * 161),
            ("period=previous&", week), ("window=all&", week), (f"period={weeks.last_week}&", week),
        ):  # fmt: skip
            answer = await client.get(f"{API}/boards/alps/top?{path}cursor={cursor}")
            assert_problem(answer, 422, "invalid-request")
            assert [error["parameter"] for error in answer.json()["errors"]] == ["cursor"]
        for cursor in (week, "!"):  # nobody has played there
            assert_problem(await client.get(f"{API}/boards/quiet/top?cursor={cursor}"), 422, "invalid-request")
        for query in ("", "window=week&", "period=current&", f"period={weeks.this_week}&"):
            assert (await client.get(f"{API}/boards/alps/top?{query}cursor={week}")).status_code == 200


async def test_a_board_may_cease_to_show_what_was_kept_with_sessions(
    services: Both, leaderboard_settings: LeaderboardSettings
) -> None:
    paths = ("/boards/alps/top", "/boards/alps/rank/1", "/boards/alps/around/1")
    for show_extra in (False, True):
        async with own_database(leaderboard_settings) as database:
            await make(database, replace(ALPS, show_extra=show_extra))
        for client in services:
            for path in paths:

                async def is_so(client: httpx.AsyncClient = client, path: str = path) -> bool:
                    return ("extra" in (await client.get(f"{API}{path}")).text) == show_extra  # noqa: B023 - awaited here

                await eventually(is_so)


async def test_a_season_is_read_by_its_period(
    services: Both, leaderboard_settings: LeaderboardSettings, mysql: Any, accounts: Accounts
) -> None:
    [(board_id, window_id)] = rows(
        mysql,
        "SELECT w.board_id, w.id FROM windows AS w JOIN boards AS b ON b.id = w.board_id "
        "WHERE b.name = 'alps' AND w.name = 'season'",
    )
    now = datetime.now(UTC)
    async with own_database(leaderboard_settings) as database:
        season = await table.write_listed(
            database,
            board_id,
            window_id,
            title="One",
            starts_at=now - timedelta(days=1),
            ends_at=now + timedelta(days=1),
            grace=timedelta(minutes=1),
        )

    async def counts() -> bool:
        answer = await submit(services[0], accounts.new(user_id=1), 3, boards=["alps"])
        return season.period_id in [each["period_id"] for each in answer["standings"]]

    await eventually(counts)
    await indexed(services, "alps", window="season")
    page = await same(services, "/boards/alps/top?window=season")
    assert (page["window"], page["period_id"], [row["score"] for row in page["top"]]) == ("season", season.period_id, [3])
    assert await same(services, f"/boards/alps/top?period={season.period_id}") == page


async def test_who_asks_after_a_period_has_begun_is_told_of_it_though_others_asked_before(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, services: Both, accounts: Accounts
) -> None:
    await submit(services[0], accounts.new(), 1, boards=["quiet"])
    today = datetime.now(UTC)
    times = [today - timedelta(days=40)]
    async with catalogue_of(leaderboard_settings) as catalogue:
        places = Places(catalogue, leaderboard_database)
        before = asyncio.create_task(places.shown("quiet", "day", None, lambda: times[-1]))
        await asyncio.sleep(0)  # they have asked, and share what is asked next
        times.append(today)
        after = await places.shown("quiet", "day", None, lambda: times[-1])
        await before
    assert after.place is not None


async def test_the_previous_period_is_not_looked_for_by_each_who_reads_it(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, weeks: Weeks
) -> None:
    statements: list[str] = []
    event.listen(leaderboard_database.engine.sync_engine, "before_cursor_execute", lambda *each: statements.append(each[2]))
    async with catalogue_of(leaderboard_settings) as catalogue:
        places = Places(catalogue, leaderboard_database)
        for _ in range(10):
            shown = await places.shown("alps", "week", "previous", lambda: datetime.now(UTC))
            assert shown.place is not None
            assert shown.place.at.period_id == weeks.last_week
    assert 1 <= len([each for each in statements if "periods" in each]) <= 2


async def test_a_period_that_is_made_later_may_become_the_previous_one(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, weeks: Weeks
) -> None:
    """Whoever was late, within the grace of a week that nobody had played in."""
    shift = "starts_at {0} INTERVAL 7 DAY, ends_at {0} INTERVAL 7 DAY, closes_at {0} INTERVAL 7 DAY"
    with mysql.cursor() as cursor:
        earlier = ", ".join(f"{part.split()[0]} = {part}" for part in shift.format("-").split(", "))
        cursor.execute(f"UPDATE periods SET {earlier} WHERE id = %s", (weeks.last_week,))
        async with catalogue_of(leaderboard_settings) as catalogue:
            places = Places(catalogue, leaderboard_database)

            async def previous() -> int | None:
                shown = await places.shown("alps", "week", "previous", lambda: datetime.now(UTC))
                return shown.place and shown.place.at.period_id

            assert await previous() == weeks.last_week
            cursor.execute(
                "INSERT INTO periods (board_id, window_id, number, starts_at, ends_at, closes_at, state) "
                f"SELECT board_id, window_id, number, {shift.format('+')}, state FROM periods WHERE id = %s",
                (weeks.last_week,),
            )
            assert await previous() == cursor.lastrowid
