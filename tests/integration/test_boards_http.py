"""What boards there are, over HTTP: lists of them, one with what goes on in its windows, its periods, and bad input."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.boards import deletion, periods
from services.leaderboard.boards.board import Board, WindowDefinition
from services.leaderboard.boards.document import BoardDocument
from services.leaderboard.rules.calendar import Schedule
from services.leaderboard.rules.periods import Period
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, SEASON, WEEK, catalogue_of, define, make, play_on, tagged, without_indexes
from tests.playing import API, own_database
from tests.system import Accounts, assert_problem, eventually, serving

LATER = WindowDefinition("later", Schedule(datetime.fromisoformat("2999-01-01T00:00:00"), 1, "days"), False, 60)
MINUTE = WindowDefinition("minute", Schedule(datetime.fromisoformat("2026-01-01T00:00:00"), 60, "seconds"), False, 60)
ALPS = tagged("alps", "alps", title="Alps", direction="ascending", windows=(ALL, WEEK, DAY, SEASON, LATER))
LEVELS = [define(f"level.{number:02d}", windows=(ALL,)) for number in range(12)]


@pytest.fixture
async def service(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[httpx.AsyncClient]:
    """The service, on a database with boards."""
    async with own_database(leaderboard_settings) as database:
        await make(database, ALPS, *LEVELS)
    async with serving(create_app(leaderboard_settings)) as client:
        yield client


async def stored(settings: LeaderboardSettings, name: str) -> Board:
    async with catalogue_of(settings) as catalogue:
        return await catalogue.get(name)


async def begin(settings: LeaderboardSettings, name: str, window: str, *times: datetime) -> list[Period]:
    """The periods of a board's window at these times, as sessions make them; without a schedule, days that are written down."""
    board = await stored(settings, name)
    found = board.window(window)
    assert found is not None
    scheduled = board.scheduled(found)
    made = []
    async with own_database(settings) as database:
        for time in times:
            if scheduled is not None:
                period = await periods.find_or_make(database, scheduled, time)
            else:
                day = time.replace(hour=0, minute=0, second=0, microsecond=0)
                period = await periods.write_listed(
                    database,
                    board.board_id,
                    found.window_id,
                    title=f"{day:%d}",
                    starts_at=day,
                    ends_at=day + timedelta(days=1),
                    grace=timedelta(minutes=1),
                )
            assert period is not None
            made.append(period)
    return made


async def get(client: httpx.AsyncClient, path: str, **query: str | int) -> Any:
    answer = await client.get(f"{API}{path}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_new_system_has_the_main_board(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    await leaderboard.post(f"{API}/submit", json={"score": 5}, headers=accounts.new())
    shown = await get(leaderboard, "/boards/main")
    assert shown == {
        "name": "main",
        "title": "",
        "metric": "score",
        "aggregate": "total",
        "direction": "descending",
        "rule": {"where": {}},
        "min_score": 0,
        "max_score": 1_000_000_000,
        "show_extra": False,
        "submitters": "players",
        "state": "active",
        "windows": [
            {
                "name": "all",
                "zone": None,
                "first": None,
                "every": None,
                "grace": None,
                "keep": None,
                "listed": False,
                "rewards": [],
                "counts_from": None,
                "current": {"period_id": 0, "starts_at": None, "ends_at": None, "closes_at": None, "players": 1},
                "next_starts_at": None,
            }
        ],
    }


async def test_a_board_is_shown_as_it_was_written_down(service: httpx.AsyncClient) -> None:
    listed = (await get(service, "/boards", prefix="alps"))["boards"][0]
    single = await get(service, "/boards/alps")
    for shown in (listed, single):
        for window in shown["windows"]:
            for name in ("counts_from", "current", "next_starts_at"):
                window.pop(name, None)
        assert BoardDocument.model_validate(shown).definition() == ALPS


async def test_what_goes_on_is_told_before_and_after_the_first_session(
    service: httpx.AsyncClient, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=midnight.weekday())
    before = {window["name"]: window for window in (await get(service, "/boards/alps"))["windows"]}
    assert before["week"]["current"]["period_id"] is None
    assert before["week"]["current"]["players"] == 0
    assert (before["season"]["current"], before["season"]["next_starts_at"]) == (None, None)
    assert (before["later"]["current"], before["later"]["next_starts_at"]) == (None, "2999-01-01T00:00:00Z")
    [week] = await begin(leaderboard_settings, "alps", "week", now)
    [_, season, _] = await begin(leaderboard_settings, "alps", "season", *(now + timedelta(days=days) for days in (4, 0, 2)))
    play_on(mysql, "alps", 1, 2, 3)
    play_on(mysql, "alps", 1, 2, period_id=week.period_id)
    after = {window["name"]: window for window in (await get(service, "/boards/alps"))["windows"]}
    assert after["all"]["current"]["players"] == 0  # as of a moment ago
    assert after["week"] == before["week"] | {
        "current": before["week"]["current"] | {"period_id": week.period_id, "players": 2}
    }
    assert time_of(after["week"]["current"]["starts_at"]) == monday
    assert time_of(after["week"]["current"]["ends_at"]) == time_of(after["week"]["next_starts_at"]) == monday + timedelta(7)
    assert time_of(after["week"]["current"]["closes_at"]) == monday + timedelta(days=7, minutes=1)
    assert after["season"]["current"]["period_id"] == season.period_id
    assert time_of(after["season"]["next_starts_at"]) == midnight + timedelta(days=2)

    async def counted() -> bool:
        windows = {window["name"]: window for window in (await get(service, "/boards/alps"))["windows"]}
        return bool(windows["all"]["current"]["players"] == 3)

    await eventually(counted)


async def test_a_window_that_was_added_later_begins_with_its_next_period(
    service: httpx.AsyncClient, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    play_on(mysql, "level.00", 1)
    async with own_database(leaderboard_settings) as database:
        await make(database, define("level.00", windows=(ALL, DAY, MINUTE, LATER)))
    async with serving(create_app(leaderboard_settings)) as fresh:
        windows = {window["name"]: window for window in (await get(fresh, "/boards/level.00"))["windows"]}
    for name in ("day", "minute", "later"):
        assert windows[name]["current"] is None
        assert windows[name]["next_starts_at"] == windows[name]["counts_from"]
    assert time_of(windows["day"]["counts_from"]) > datetime.now(UTC)


async def test_boards_are_listed_by_name_page_by_page(service: httpx.AsyncClient) -> None:
    names: list[str] = []
    query: dict[str, Any] = {"limit": 5}
    while True:
        page = await get(service, "/boards", **query)
        names += [board["name"] for board in page["boards"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert names == ["alps", *(level.name for level in LEVELS), "main"]
    page = await get(service, "/boards", prefix="level.1", limit=2)
    assert ([board["name"] for board in page["boards"]], page["next_cursor"]) == (["level.10", "level.11"], None)
    assert await get(service, "/boards", prefix="nowhere") == {"boards": [], "next_cursor": None}


async def test_periods_are_listed_newest_first_page_by_page(
    service: httpx.AsyncClient, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    now = datetime.now(UTC)
    [week] = await begin(leaderboard_settings, "alps", "week", now)
    seasons = await begin(leaderboard_settings, "alps", "season", *(now + timedelta(days=days) for days in range(8)))
    [today] = await begin(leaderboard_settings, "alps", "day", now)
    play_on(mysql, "alps", 1, 2, period_id=today.period_id)
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE periods SET state = 'settled', players = 7 WHERE id = %s", (seasons[0].period_id,))
    made = sorted([week, today, *seasons], key=lambda each: (each.starts_at, each.period_id), reverse=True)
    for limit in (1, 2, 3, 10, 100):
        shown: list[dict[str, Any]] = []
        cursor_of: dict[str, Any] = {}
        while True:
            page = await get(service, "/boards/alps/periods", limit=limit, **cursor_of)
            shown += page["periods"]
            if page["next_cursor"] is None:
                break
            cursor_of = {"cursor": page["next_cursor"]}
        assert [each["period_id"] for each in shown] == [each.period_id for each in made]
    by_id = {each["period_id"]: each for each in shown}
    assert by_id[today.period_id] == {
        "period_id": today.period_id,
        "window": "day",
        "number": today.number,
        "title": None,
        "starts_at": today.starts_at.isoformat().replace("+00:00", "Z"),
        "ends_at": today.ends_at.isoformat().replace("+00:00", "Z"),
        "closes_at": today.closes_at.isoformat().replace("+00:00", "Z"),
        "state": "open",
        "players": 2,
    }
    assert {name: by_id[seasons[0].period_id][name] for name in ("window", "title", "state", "players")} == {
        "window": "season",
        "title": f"{now:%d}",
        "state": "settled",
        "players": 7,
    }
    weeks = await get(service, "/boards/alps/periods", window="week")
    assert [each["period_id"] for each in weeks["periods"]] == [week.period_id]
    assert await get(service, "/boards/alps/periods", window="all") == {"periods": [], "next_cursor": None}


async def test_a_board_that_is_new_is_found_by_its_name_at_once(
    service: httpx.AsyncClient, leaderboard_settings: LeaderboardSettings
) -> None:
    assert_problem(await service.get(f"{API}/boards/new"), 404, "board-not-found")
    async with own_database(leaderboard_settings) as database:
        await make(database, define("new"))
    assert (await get(service, "/boards/new"))["name"] == "new"


@pytest.mark.parametrize("name", ["nowhere", "a" * 64, "a.b-c_d"])
async def test_a_board_that_is_not_there_is_not_found(service: httpx.AsyncClient, name: str) -> None:
    for path in ("", "/periods"):
        assert_problem(await service.get(f"{API}/boards/{name}{path}"), 404, "board-not-found")


@pytest.mark.parametrize("name", ["Alps", "a" * 65, "ä", "a%20b", "-a", "a%0A", "*", "%F0%9F%8F%81"])
async def test_what_is_no_name_is_refused(service: httpx.AsyncClient, name: str) -> None:
    for path, parameter in (
        (f"/boards/{name}", "board"),
        (f"/boards/{name}/periods", "board"),
        (f"/boards?prefix={name}", "prefix"),
        (f"/boards/alps/periods?window={name}", "window"),
    ):
        answer = await service.get(f"{API}{path}")
        if name == "a%0A" and parameter == "board":
            assert answer.status_code in {400, 422}
            continue
        assert_problem(answer, 422, "invalid-request")
        assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


@pytest.mark.parametrize("path", ["/boards", "/boards/alps/periods"])
@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=1.0", "limit=", "limit=ten", "cursor=!", "cursor=", "cursor=%00"]
)
async def test_a_bad_page_is_refused(service: httpx.AsyncClient, path: str, query: str) -> None:
    answer = await service.get(f"{API}{path}?{query}")
    assert_problem(answer, 422, "invalid-request")
    assert [error["parameter"] for error in answer.json()["errors"]] == [query.partition("=")[0]]


async def test_a_window_that_the_board_lacks_is_not_found(service: httpx.AsyncClient) -> None:
    assert_problem(await service.get(f"{API}/boards/alps/periods?window=minute"), 404, "window-not-found")


async def test_a_cursor_of_another_list_is_refused(
    service: httpx.AsyncClient, leaderboard_settings: LeaderboardSettings, accounts: Accounts
) -> None:
    now = datetime.now(UTC)
    await begin(leaderboard_settings, "alps", "season", *(now + timedelta(days=days) for days in range(3)))
    player = accounts.new()
    for _ in range(2):
        await service.post(f"{API}/submit", json={"score": 5}, headers=player)
    boards = (await get(service, "/boards", limit=1))["next_cursor"]
    seasons = (await get(service, "/boards/alps/periods", limit=1, window="season"))["next_cursor"]
    every = (await get(service, "/boards/alps/periods", limit=1))["next_cursor"]
    sessions = (await service.get(f"{API}/sessions/me?limit=1", headers=player)).json()["next_cursor"]
    assert all((boards, seasons, every, sessions))
    for path, cursors in (
        ("/boards?", (seasons, every, sessions)),
        ("/boards?prefix=a&", (boards,)),
        ("/boards/alps/periods?", (boards, seasons, sessions)),
        ("/boards/alps/periods?window=season&", (every,)),
        ("/boards/level.00/periods?", (every,)),
        ("/sessions/me?", (boards, seasons, every)),
    ):
        for cursor in cursors:
            answer = await service.get(f"{API}{path}cursor={cursor}", headers=player)
            assert_problem(answer, 422, "invalid-request")
            assert [error["parameter"] for error in answer.json()["errors"]] == ["cursor"]


async def test_a_closed_board_is_shown_and_one_that_is_deleted_is_not(
    service: httpx.AsyncClient, leaderboard_settings: LeaderboardSettings
) -> None:
    async with own_database(leaderboard_settings) as database:
        await make(database, tagged("beta", "beta", state="closed", windows=(ALL, WEEK)))
        assert (await get(service, "/boards/beta"))["state"] == "closed"
        await deletion.delete(database, "beta", without_indexes)

    async def gone() -> bool:
        return (await service.get(f"{API}/boards/beta")).status_code == 404

    await eventually(gone)
