"""A repeat is told the session that there is, where it counts, and how its player stands there now."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.common.http.problems import InvalidRequest
from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.boards.board import Rule
from services.leaderboard.log.writer import Submitted
from services.leaderboard.operate.check import check
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, WEEK, define, make, tagged
from tests.playing import send, submit
from tests.system import Accounts, assert_problem, rows, serving
from tests.writing import counting

ALPS = tagged("alps", "alps", direction="ascending", windows=(ALL, DAY, WEEK))
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
SAID: dict[str, Any] = {
    "tags": {"track": "alps", "car": "red"},
    "metrics": {"laps": 3, "hits": 0},
    "extra": {"ghost": [1, 2.5, None], "name": "żółw"},
}


@pytest.fixture
async def service(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database
) -> AsyncIterator[httpx.AsyncClient]:
    """The service, on a database with a board of three windows beside the main one."""
    await make(leaderboard_database, ALPS)
    async with serving(create_app(leaderboard_settings)) as client:
        yield client


def places(answer: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(each["board"], each["window"], each["period_id"]) for each in answer["standings"]]


async def repeat(client: httpx.AsyncClient, headers: dict[str, str], score: int, **said: Any) -> dict[str, Any]:
    answer = await send(client, headers, score, KEY, **said)
    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (201, "true"), answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_repeat_has_an_answer_for_each_place_as_it_is_now(
    service: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    first = await submit(service, ada, 50, KEY, **SAID)
    assert len(places(first)) == 4
    assert await repeat(service, ada, 50, **SAID) == first
    await submit(service, ada, 40, **SAID)
    await submit(service, bob, 30, **SAID)
    again = await repeat(service, ada, 50, **SAID)
    assert places(again) == places(first)
    told = {(each["board"], each["window"]): each for each in again["standings"]}
    for window in ("all", "day", "week"):
        now = told["alps", window]
        assert (now["score"], now["rank"], now["total_players"], now["improved"]) == (40, 2, 2, False)
    assert (told["main", "all"]["score"], told["main", "all"]["rank"]) == (90, 1)
    assert (again["session_id"], again["total_score"], again["rank"]) == (first["session_id"], 90, 1)
    assert rows(mysql, "SELECT COUNT(*), SUM(sessions) FROM standings JOIN boards ON boards.id = board_id") == [(8, 12)]


async def test_a_repeat_after_the_end_of_a_period_counts_in_the_one_that_it_was_played_in(
    service: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    ada = accounts.new("Ada", 1)
    first = await submit(service, ada, 50, KEY, **SAID)
    [day] = [period_id for board, window, period_id in places(first) if window == "day"]
    # As if it had been yesterday: the row says which times are in it.
    rows(
        mysql,
        "UPDATE periods SET starts_at = starts_at - INTERVAL 1 DAY, ends_at = ends_at - INTERVAL 1 DAY,"
        " closes_at = NOW(6), state = 'closed' WHERE id = %s",
        day,
    )
    async with serving(create_app(leaderboard_settings)) as later:
        next_day = await submit(later, ada, 45, **SAID)
        assert [each for each in places(next_day) if each[1] == "day"] != [("alps", "day", day)]
        again = await repeat(later, ada, 50, **SAID)
    assert places(again) == places(first)
    told = {(each["board"], each["window"]): each for each in again["standings"]}
    assert (told["alps", "day"]["score"], told["alps", "day"]["rank"], told["alps", "day"]["improved"]) == (50, 1, True)
    assert (told["alps", "week"]["score"], told["alps", "week"]["improved"]) == (45, False)
    assert rows(mysql, "SELECT sessions, version FROM standings WHERE period_id = %s", day) == [(1, 1)]
    assert await check(leaderboard_settings) == []


async def test_a_repeat_after_a_change_of_the_rule_counts_where_it_did_and_nowhere_else(
    service: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    leaderboard_database: Database,
) -> None:
    ada = accounts.new("Ada", 1)
    first = await submit(service, ada, 50, KEY, **SAID)
    red = define("alps", rule=Rule(("car", "green")), direction="ascending", windows=(ALL, DAY, WEEK))
    await make(leaderboard_database, red, define("red", rule=Rule(("car", "red"))))
    async with serving(create_app(leaderboard_settings)) as later:
        again = await repeat(later, ada, 50, **SAID)
        assert again == first
        assert {each[0] for each in places(await submit(later, ada, 10, **SAID))} == {"main", "red"}
    assert rows(mysql, "SELECT sessions FROM standings JOIN boards ON id = board_id WHERE name = 'red' AND period_id = 0") == [
        (1,)
    ]
    assert await check(leaderboard_settings) == []


async def test_a_repeat_of_what_counts_nowhere_counts_nowhere(
    service: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_database: Database
) -> None:
    main = define("main", aggregate="total", max_score=1_000_000_000, windows=(ALL,))
    await make(leaderboard_database, main)  # without a rule

    async def taken_by_none() -> dict[str, Any]:
        return await submit(service, accounts.new("Ada", 1), 5)

    answer = await taken_by_none()
    while answer["standings"]:  # until the process has heard of it, within a second
        answer = await taken_by_none()
    first = await submit(service, accounts.new("Bob", 2), 5, KEY)
    assert (first["standings"], first["total_score"], first["rank"]) == ([], None, None)
    await make(leaderboard_database, define("later", rule=Rule()))
    assert await repeat(service, accounts.new("Bob", 2), 5) == first
    assert rows(mysql, "SELECT COUNT(*) FROM standings WHERE user_id = 2") == [(0,)]


@pytest.mark.parametrize("said", [SAID, {**SAID, "boards": ["alps"]}])
async def test_a_repeat_of_what_no_board_would_take_any_more_is_told_as_ever(
    service: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    leaderboard_database: Database,
    said: dict[str, Any],
) -> None:
    ada = accounts.new("Ada", 1)
    first = await submit(service, ada, 50, KEY, **said)
    main = define("main", aggregate="total", rule=Rule(), max_score=10, windows=(ALL,))
    closed = tagged("alps", "alps", direction="ascending", state="closed", windows=(ALL, DAY, WEEK))
    await make(leaderboard_database, main, closed)
    async with serving(create_app(leaderboard_settings)) as later:
        assert await repeat(later, ada, 50, **said) == first
        assert_problem(await send(later, ada, 50, **said), 422, "invalid-request")
        assert_problem(await send(later, ada, 50, "another", **said), 422, "invalid-request")
        assert_problem(await send(later, ada, 51, KEY, **said), 422, "idempotency-key-reused")
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(1,)]


async def test_a_repeat_beside_what_boards_do_not_take_any_more_is_told_as_ever(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    """They share a group, of which the one is to be decided anew."""
    await make(leaderboard_database, ALPS)
    async with counting(leaderboard_settings) as process:
        stored = await process.submit(1, 50, KEY, boards=["alps"])
        again = await process.submission(1, 50, KEY, boards=["alps"])
        new = await process.submission(2, 50, boards=["alps"])
        closed = tagged("alps", "alps", direction="ascending", state="closed", windows=(ALL, DAY, WEEK))
        await make(leaderboard_database, closed)
        told, refused = await asyncio.gather(*map(process.writer.submit, (again, new)), return_exceptions=True)
    assert isinstance(told, Submitted)
    assert (told.session_id, told.replayed, told.ranks) == (stored.session_id, True, stored.ranks)
    assert isinstance(refused, InvalidRequest)
    assert rows(mysql, "SELECT user_id FROM game_sessions") == [(1,)]


OTHERS: dict[str, dict[str, Any]] = {
    "score": {"score": 51},
    "another tag": {"tags": {"track": "alps", "car": "blue"}},
    "one tag less": {"tags": {"track": "alps"}},
    "a tag's name": {"tags": {"track": "alps", "Car": "red"}},
    "no tags": {"tags": {}},
    "another metric": {"metrics": {"laps": 4, "hits": 0}},
    "one metric less": {"metrics": {"laps": 3}},
    "extra": {"extra": {"ghost": [1, 2.5, None], "name": "zolw"}},
    "no extra": {"extra": None},
    "boards": {"boards": ["alps"]},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
async def test_what_says_something_else_is_no_repeat(
    service: httpx.AsyncClient, accounts: Accounts, mysql: Any, other: dict[str, Any]
) -> None:
    ada = accounts.new("Ada", 1)
    first = await submit(service, ada, 50, KEY, **SAID)
    before = rows(mysql, "SELECT board_id, period_id, score, sessions, version FROM standings ORDER BY 1, 2")
    body = {"score": 50, **SAID, **other}
    assert_problem(await send(service, ada, key=KEY, **body), 422, "idempotency-key-reused")
    assert rows(mysql, "SELECT board_id, period_id, score, sessions, version FROM standings ORDER BY 1, 2") == before
    assert await repeat(service, ada, 50, **SAID) == first


async def test_the_order_of_members_says_nothing(service: httpx.AsyncClient, accounts: Accounts) -> None:
    ada = accounts.new("Ada", 1)
    said = {**SAID, "boards": ["alps", "main"]}
    first = await submit(service, ada, 50, KEY, **said)
    turned = {name: dict(reversed(value.items())) for name, value in SAID.items() if name != "extra"}
    assert await repeat(service, ada, 50, **turned, extra=SAID["extra"], boards=["main", "alps"]) == first


async def test_a_session_of_before_there_were_digests_is_repeated_by_its_score(
    service: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada = accounts.new("Ada", 1)
    first = await submit(service, ada, 50, KEY)
    rows(mysql, "UPDATE game_sessions SET body_digest = NULL, places = NULL")
    assert await repeat(service, ada, 50) == first
    assert_problem(await send(service, ada, 51, KEY), 422, "idempotency-key-reused")
