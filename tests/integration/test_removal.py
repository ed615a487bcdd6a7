"""A player leaves the board: their name and sessions are erased, ranks close up, and a later session starts anew."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.operate.check import check
from services.leaderboard.players import writer
from services.leaderboard.settings import LeaderboardSettings
from tests.faults.proxy import Fault, proxying
from tests.playing import API, get, play, remove, submit
from tests.system import Accounts, assert_problem, eventually, rows, serving

LOCKS = b"FOR UPDATE"


async def test_nothing_of_a_removed_player_is_left_and_ranks_close_up(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    ada, bob, cyd = (accounts.new(name, user_id) for user_id, name in ((1, "Ada"), (2, "Bob"), (3, "Cyd")))
    for player, scores in ((ada, (5, 0, 4)), (bob, (9,)), (cyd, (1,))):
        await play(leaderboard, player, *scores)
    await get(leaderboard, "top")  # a page is kept that has the name in it
    await remove(leaderboard, ada)
    page = await get(leaderboard, "top")
    assert [(row["rank"], row["username"]) for row in page["top"]] == [(1, "Bob"), (2, "Cyd")]
    assert page["total_players"] == 2
    assert await get(leaderboard, "rank/me", ada) == {"user_id": 1, "username": "Ada", "total_score": 0, "rank": None}
    assert await get(leaderboard, "sessions/me", ada) == {"sessions": [], "next_cursor": None}
    for path in ("rank/1", "around/1"):
        assert_problem(await leaderboard.get(f"{API}/{path}"), 404, "player-not-found")
    assert_problem(await leaderboard.get(f"{API}/around/me", headers=ada), 404, "player-not-found")
    assert [row["user_id"] for row in (await get(leaderboard, "around/3"))["players"]] == [2, 3]
    assert rows(mysql, "SELECT user_id FROM players ORDER BY user_id") == [(2,), (3,)]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions WHERE user_id = 1") == [(0,)]
    standing = rows(mysql, "SELECT score, sessions, reached_session_id, version FROM standings WHERE user_id = 1")
    assert standing == [(None, 0, 0, 4)]
    assert rows(mysql, "SELECT (SELECT COUNT(*) FROM erasures), (SELECT COUNT(*) FROM erased_keys)") == [(0, 0)]
    assert await check(leaderboard_settings) == []

    async def told() -> bool:
        return rows(mysql, "SELECT COUNT(*) FROM outbox") == [(0,)]

    await eventually(told)


async def test_a_later_session_starts_anew(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    await play(leaderboard, ada, 5, 9)
    await play(leaderboard, bob, 3)
    await remove(leaderboard, ada)
    answer = await submit(leaderboard, ada, 3)
    assert (answer["total_score"], answer["rank"]) == (3, 1)
    standing = rows(mysql, "SELECT score, sessions, reached_session_id, version FROM standings WHERE user_id = 1")
    assert standing == [(3, 1, answer["session_id"], 4)]
    assert [row["user_id"] for row in (await get(leaderboard, "top"))["top"]] == [2, 1]  # who had three points first


@pytest.mark.parametrize("age", [timedelta(seconds=310), timedelta(days=30), None])
async def test_nobody_leaves_whose_password_was_not_given_in_the_last_five_minutes(
    leaderboard: httpx.AsyncClient, accounts: Accounts, age: timedelta | None
) -> None:
    ada = accounts.new("Ada", 1, password_age=age)
    await play(leaderboard, ada, 5)  # all else needs none
    refused = await leaderboard.delete(f"{API}/me", headers=ada)
    assert_problem(refused, 401, "insufficient-user-authentication")
    assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_user_authentication", max_age=300'
    assert (await get(leaderboard, "rank/1"))["total_score"] == 5
    await remove(leaderboard, accounts.new("Ada", 1, password_age=timedelta(seconds=290)))
    assert_problem(await leaderboard.get(f"{API}/rank/1"), 404)


async def test_leaving_twice_is_leaving_once(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    ada = accounts.new("Ada", 1)
    await play(leaderboard, ada, 5)
    for _ in range(3):
        await remove(leaderboard, ada)
    assert rows(mysql, "SELECT score, version FROM standings") == [(None, 2)]


async def test_of_one_who_never_played_nothing_is_kept(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    await remove(leaderboard, accounts.new("Ada", 1))
    for table in ("standings", "players", "erasures", "outbox"):
        assert rows(mysql, f"SELECT COUNT(*) FROM {table}") == [(0,)]


async def test_who_plays_for_the_first_time_while_they_leave_has_that_session_counted(
    leaderboard: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
) -> None:
    """There was nothing to lock: so what is there a moment later is not looked at."""
    ada = accounts.new("Ada", 1)
    async with proxying(leaderboard_settings.mysql_host, leaderboard_settings.mysql_port) as proxy:
        behind = leaderboard_settings.model_copy(update={"mysql_port": proxy.port})
        async with serving(create_app(behind)) as leaderboard_behind:
            proxy.strike(Fault.DELAYED, b"", after=LOCKS)  # whatever comes after the lock
            leaving = asyncio.create_task(remove(leaderboard_behind, ada))
            await proxy.struck.wait()
            answer = await submit(leaderboard, ada, 5)
            proxy.release()
            await leaving
    assert await get(leaderboard, "rank/me", ada) == {"user_id": 1, "username": "Ada", "total_score": 5, "rank": 1}
    assert rows(mysql, "SELECT id FROM game_sessions") == [(answer["session_id"],)]
    assert await check(leaderboard_settings) == []


@pytest.mark.parametrize(("method", "path"), [("DELETE", "me"), ("PUT", "me"), ("GET", "me/export")])
async def test_nobody_does_it_for_another(leaderboard: httpx.AsyncClient, method: str, path: str) -> None:
    assert_problem(await leaderboard.request(method, f"{API}/{path}"), 401, "unauthenticated")
    bad = {"Authorization": "Bearer x"}
    assert_problem(await leaderboard.request(method, f"{API}/{path}", headers=bad), 401, "unauthenticated")


async def test_leaving_and_playing_at_the_same_time_leaves_each_standing_the_fold_of_what_remains(
    leaderboard: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "ERASED_AT_ONCE", 3)
    people = [accounts.new(user_id=user_id) for user_id in range(1, 6)]

    async def plays(client: httpx.AsyncClient) -> None:
        for number in range(15):
            await asyncio.gather(*(play(client, player, number % 3) for player in people))

    async def leave(client: httpx.AsyncClient) -> None:
        for number in range(15):
            await asyncio.gather(*(remove(client, player) for player in people[number % 2 :]))

    async with serving(create_app(leaderboard_settings)) as other:
        await asyncio.gather(plays(leaderboard), plays(other), leave(leaderboard), leave(other))
        assert rows(mysql, "SELECT COUNT(*) FROM erasures") == [(0,)]
        assert await check(leaderboard_settings) == []
        assert await get(other, "top") == await get(leaderboard, "top")
        await asyncio.gather(*(remove(other, player) for player in people))
        for client in (leaderboard, other):
            assert (await get(client, "top"))["top"] == []


async def test_the_check_tells_of_sessions_that_outlived_their_player(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    ada = accounts.new("Ada", 1)
    answer = await submit(leaderboard, ada, 5)
    [kept] = rows(mysql, "SELECT * FROM game_sessions")
    await remove(leaderboard, ada)
    rows(mysql, f"INSERT INTO game_sessions VALUES ({','.join(['%s'] * len(kept))})", *kept)
    assert await check(leaderboard_settings) == ["player 1: was removed, and has 1 sessions"]
    rows(mysql, "INSERT INTO erasures (user_id, upto_session_id) VALUES (1, %s)", answer["session_id"])
    assert await check(leaderboard_settings) == []


async def test_who_leaves_waits_for_nobody_else(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    people = [accounts.new(user_id=user_id) for user_id in (1, 2, 3)]
    for player in people:
        await play(leaderboard, player, 1)
    rows(mysql, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")  # else the gaps between them are locked as well
    mysql.begin()
    rows(mysql, "SELECT * FROM standings WHERE board_id = 1 AND period_id = 0 AND user_id IN (1, 3) FOR UPDATE")
    for table in ("players", "game_sessions"):
        rows(mysql, f"SELECT * FROM {table} WHERE user_id IN (1, 3) FOR UPDATE")
    await remove(leaderboard, people[1])
    mysql.rollback()
    assert rows(mysql, "SELECT user_id FROM standings WHERE score IS NOT NULL") == [(1,), (3,)]
