"""Submitting sessions and reading the board, on real MySQL and Redis."""

import asyncio
from collections import defaultdict
from typing import Any

import httpx
import pytest

from services.common.tokens import Scope
from services.leaderboard.app import create_app
from services.leaderboard.rules.ranking import MAX_TOTAL, Session, fold
from services.leaderboard.settings import LeaderboardSettings
from tests.playing import API, get, submit
from tests.system import Accounts, assert_problem, eventually, rows, serving

Cursor = "pymysql.Connection[pymysql.cursors.Cursor]"


async def test_a_submission_is_answered_with_its_session_the_total_and_the_rank(
    leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    ada = accounts.new("Ada", 7)
    first = await submit(leaderboard, ada, 30)
    second = await submit(leaderboard, ada, 12)
    standing = {"board": "main", "window": "all", "period_id": 0, "rank": 1, "total_players": 1, "counted": True}
    assert first == {
        "session_id": first["session_id"],
        "user_id": 7,
        "username": "Ada",
        "total_score": 30,
        "rank": 1,
        "held": False,
        "standings": [standing | {"score": 30, "improved": True}],
    }
    assert (second["total_score"], second["standings"]) == (42, [standing | {"score": 42, "improved": True}])
    assert second["session_id"] > first["session_id"]


async def test_the_board_shows_everyone_in_order_at_once(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    assert await get(leaderboard, "top") == {"top": [], "limit": 10, "offset": 0, "total_players": 0}
    for name, score in (("ada", 10), ("bob", 30), ("cleo", 20)):
        await submit(leaderboard, accounts.new(name), score)
    page = await get(leaderboard, "top", limit=2, offset=0)
    assert [(p["rank"], p["username"], p["total_score"]) for p in page["top"]] == [(1, "bob", 30), (2, "cleo", 20)]
    assert page["total_players"] == 3
    rest = await get(leaderboard, "top", limit=2, offset=2)
    assert [(p["rank"], p["username"]) for p in rest["top"]] == [(3, "ada")]
    assert (await get(leaderboard, "top", limit=2, offset=3))["top"] == []


async def test_equal_totals_share_a_rank_and_who_reached_it_first_stands_first(
    leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    names = ["ada", "bob", "cleo", "dan", "eve"]
    tokens = {name: accounts.new(name) for name in names}
    for name, score in (("ada", 5), ("bob", 10), ("cleo", 10), ("dan", 3), ("ada", 5), ("eve", 0), ("bob", 0)):
        await submit(leaderboard, tokens[name], score)
    # ada reached 10 last; bob's later zero changed nothing.
    expected = [(1, "bob"), (1, "cleo"), (1, "ada"), (4, "dan"), (5, "eve")]
    page = await get(leaderboard, "top")
    assert [(p["rank"], p["username"]) for p in page["top"]] == expected
    for offset in range(5):
        window = await get(leaderboard, "top", limit=2, offset=offset)
        assert [(p["rank"], p["username"]) for p in window["top"]] == expected[offset : offset + 2]
    for rank, name in expected:
        mine = (await leaderboard.get(f"{API}/rank/me", headers=tokens[name])).json()
        theirs = (await leaderboard.get(f"{API}/rank/{mine['user_id']}")).json()
        assert mine == theirs
        assert (mine["rank"], mine["username"]) == (rank, name)


async def test_before_the_first_session_there_is_no_rank(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    answer = await leaderboard.get(f"{API}/rank/me", headers=accounts.new("Ada", 5))
    assert answer.json() == {"user_id": 5, "username": "Ada", "total_score": 0, "rank": None}
    assert_problem(await leaderboard.get(f"{API}/rank/5"), 404, "player-not-found")


async def test_the_board_shows_the_name_that_the_last_token_carried(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    await submit(leaderboard, accounts.new("Before", 9), 1)
    await submit(leaderboard, accounts.new("After", 9), 1)
    assert (await get(leaderboard, "top"))["top"][0]["username"] == "After"
    assert (await leaderboard.get(f"{API}/rank/9")).json()["username"] == "After"


async def test_sessions_at_once_are_all_counted_and_each_standing_is_the_fold_of_its_sessions(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    players = [accounts.new() for _ in range(4)]
    answers = await asyncio.gather(
        *(submit(leaderboard, player, score) for score in (0, 5, 0, 7, 5, 1) for player in players for _ in range(5))
    )
    assert len({answer["session_id"] for answer in answers}) == 120
    sessions = defaultdict(list)
    for user_id, session_id, score in rows(mysql, "SELECT user_id, id, score FROM game_sessions ORDER BY RAND()"):
        sessions[user_id].append(Session(session_id, score))
    standings = rows(mysql, "SELECT user_id, score, sessions, reached_session_id, version FROM standings")
    assert len(standings) == 4
    for user_id, *tally, version in standings:
        folded = fold(sessions[user_id])
        assert folded is not None
        assert tally == [folded.score, folded.sessions, folded.reached_session_id]
        assert 1 <= version <= 30  # one change a group


@pytest.mark.parametrize(
    ("sessions", "reached"),
    [([0, 0, 0], 0), ([0, 4, 0], 1), ([4, 0, 2], 2), ([0, 0, 9], 2), ([3], 0), ([5, 5], 1)],
)
async def test_mysql_folds_as_the_rules_do(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, sessions: list[int], reached: int
) -> None:
    player = accounts.new()
    ids = [(await submit(leaderboard, player, score))["session_id"] for score in sessions]
    [row] = rows(mysql, "SELECT score, sessions, reached_session_id, version FROM standings")
    assert row == (sum(sessions), len(sessions), ids[reached], len(sessions))


async def test_a_removed_player_is_nowhere_and_starts_anew(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada, bob = accounts.new("ada", 1), accounts.new("bob", 2)
    await submit(leaderboard, ada, 50)
    await submit(leaderboard, bob, 40)
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE standings SET score = NULL, sort = NULL, version = version + 1 WHERE user_id = 1")
        cursor.execute("UPDATE index_epoch SET epoch = RANDOM_BYTES(8)")
    await submit(leaderboard, bob, 0)

    async def gone() -> bool:
        page = await get(leaderboard, "top")
        return [(p["rank"], p["username"]) for p in page["top"]] == [(1, "bob")] and page["total_players"] == 1

    await eventually(gone)
    assert_problem(await leaderboard.get(f"{API}/rank/1"), 404)
    anew = await submit(leaderboard, ada, 0)
    assert (anew["total_score"], anew["rank"]) == (0, 2)
    [row] = rows(mysql, "SELECT score, sessions, reached_session_id, version FROM standings WHERE user_id = 1")
    assert row == (0, 1, anew["session_id"], 3)


async def test_a_total_stays_below_two_to_the_53(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    ada = accounts.new("ada", 1)
    await submit(leaderboard, ada, 1)
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE standings SET score = %s, sort = -score", (MAX_TOTAL - 5,))
    refused = await leaderboard.post(f"{API}/submit", json={"score": 6}, headers=ada)
    assert_problem(refused, 409, "total-too-large")
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(1,)]
    assert (await submit(leaderboard, ada, 5))["total_score"] == MAX_TOTAL


async def test_a_board_can_take_less_than_the_greatest_score(
    leaderboard_settings: LeaderboardSettings, accounts: Accounts, mysql: Any
) -> None:
    rows(mysql, "UPDATE boards SET max_score = 100 WHERE id = 1")
    async with serving(create_app(leaderboard_settings)) as leaderboard:
        refused = await leaderboard.post(f"{API}/submit", json={"score": 101}, headers=accounts.new())
        assert_problem(refused, 422, "invalid-request")
        assert refused.json()["errors"] == [{"pointer": "#/score", "detail": "The board main takes values from 0 to 100."}]
        await submit(leaderboard, accounts.new(), 100)


async def test_the_outbox_is_empty_soon_after_the_last_submission(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    await asyncio.gather(*(submit(leaderboard, accounts.new(), 5) for _ in range(20)))

    async def empty() -> bool:
        return rows(mysql, "SELECT COUNT(*) FROM outbox") == [(0,)]

    await eventually(empty)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/rank/me"),
        ("GET", "/around/me"),
        ("GET", "/sessions/me"),
        ("PUT", "/me"),
        ("DELETE", "/me"),
        ("GET", "/me/export"),
    ],
)
async def test_a_key_has_no_affairs_of_a_player(
    leaderboard: httpx.AsyncClient, accounts: Accounts, method: str, path: str
) -> None:
    refused = await leaderboard.request(method, f"{API}{path}", headers=accounts.new_key(Scope.SCORES))
    assert_problem(refused, 403, "not-for-keys")
