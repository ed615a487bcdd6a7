"""What a player who leaves had played is erased, all of it and nothing else, however much it is and whatever comes between."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.operate.check import check
from services.leaderboard.players import changes, writer
from services.leaderboard.players.changes import PlayerChange
from services.leaderboard.settings import LeaderboardSettings
from tests.playing import get, own_database, play, remove, send, submit
from tests.system import Accounts, Pause, assert_problem, eventually, rows, rows_are_awaited, serving

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_late_repeat_of_an_erased_submission_brings_nobody_back(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    for player in (ada, bob):
        assert (await send(leaderboard, player, 5, "key")).status_code == 201
    await remove(leaderboard, ada)
    for score in (5, 6):
        assert_problem(await send(leaderboard, ada, score, "key"), 409, "session-erased")
    assert rows(mysql, "SELECT score, version FROM standings WHERE user_id = 1") == [(None, 2)]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions WHERE user_id = 1") == [(0,)]
    assert (await send(leaderboard, bob, 5, "key")).headers["idempotent-replayed"] == "true"
    assert (await send(leaderboard, ada, 5, "another")).json()["total_score"] == 5
    [(digest,)] = rows(mysql, "SELECT digest FROM erased_keys")
    assert b"key" not in digest


async def test_very_many_sessions_are_erased_to_the_last(
    leaderboard: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "ERASED_AT_ONCE", 5)
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    for count in (4, 5, 6, 20):
        await play(leaderboard, bob, 1)
        await play(leaderboard, ada, *([1] * count))
        await remove(leaderboard, ada)
        assert rows(mysql, "SELECT user_id, COUNT(*) FROM game_sessions GROUP BY user_id") == [
            (2, rows(mysql, "SELECT sessions FROM standings WHERE user_id = 2")[0][0])
        ]
        assert rows(mysql, "SELECT COUNT(*) FROM erasures") == [(0,)]
    assert await check(leaderboard_settings) == []


async def test_who_plays_while_their_sessions_are_being_erased_has_those_sessions_and_no_others(
    leaderboard: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "ERASED_AT_ONCE", 2)
    pause, erase = Pause(), changes.erase

    async def held(connection: Any, user_id: int, now: datetime, limit: int) -> PlayerChange:
        await pause.here()
        return await erase(connection, user_id, now, limit)

    monkeypatch.setattr(changes, "erase", held)
    ada = accounts.new("Ada", 1)
    await play(leaderboard, ada, 1, 2, 3)
    assert (await send(leaderboard, ada, 4, "key")).status_code == 201
    leaving = asyncio.create_task(remove(leaderboard, ada))
    await pause.reached.wait()
    # Gone from the board, while two of the four sessions are still there.
    assert (await get(leaderboard, "top"))["top"] == []
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(2,)]
    assert await check(leaderboard_settings) == []
    repeated = await send(leaderboard, ada, 4, "key")
    assert repeated.headers["idempotent-replayed"] == "true"
    assert (repeated.json()["total_score"], repeated.json()["rank"]) == (0, None)
    answer = await submit(leaderboard, ada, 7)
    assert (answer["total_score"], answer["rank"]) == (7, 1)
    assert await check(leaderboard_settings) == []
    pause.go_on.set()
    await leaving
    assert rows(mysql, "SELECT id, score FROM game_sessions") == [(answer["session_id"], 7)]
    assert rows(mysql, "SELECT score, sessions, reached_session_id FROM standings") == [(7, 1, answer["session_id"])]
    assert await check(leaderboard_settings) == []
    assert_problem(await send(leaderboard, ada, 4, "key"), 409, "session-erased")


@pytest.mark.parametrize("at_once", [2, 1000])
async def test_a_session_that_waits_for_its_player_comes_after_the_removal_and_is_counted_alone(
    leaderboard: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    """Also while sessions of before are still being erased: its id is greater than theirs."""
    monkeypatch.setattr(writer, "ERASED_AT_ONCE", at_once)
    held_up, ada = accounts.new("Held", 1), accounts.new("Ada", 2)
    await play(leaderboard, held_up, 1)
    await play(leaderboard, ada, 1)
    mysql.begin()
    rows(mysql, "SELECT * FROM players WHERE user_id = 1 FOR UPDATE")
    async with serving(create_app(leaderboard_settings)) as other:
        on_its_way = asyncio.gather(submit(leaderboard, held_up, 1), submit(leaderboard, ada, 10))
        await eventually(lambda: rows_are_awaited(mysql, 1))
        await play(other, ada, 100, 200, 300, 400)
        pause, erase = Pause(), changes.erase

        async def held(connection: Any, user_id: int, now: datetime, limit: int) -> PlayerChange:
            await pause.here()
            return await erase(connection, user_id, now, limit)

        monkeypatch.setattr(changes, "erase", held)
        leaving = asyncio.create_task(remove(other, ada))
        if at_once == 2:
            await pause.reached.wait()
        else:
            await leaving
        mysql.rollback()
        _, answer = await on_its_way
        assert answer["total_score"] == 10  # counted after the removal, upon nothing
        pause.go_on.set()
        await leaving
        standing = rows(mysql, "SELECT score, sessions, reached_session_id FROM standings WHERE user_id = 2")
        remaining = rows(mysql, "SELECT id, score FROM game_sessions WHERE user_id = 2")
        names = rows(mysql, "SELECT username FROM players WHERE user_id = 2")
        assert (remaining, names) == ([(answer["session_id"], 10)], [("Ada",)])
        assert standing == [(10, 1, answer["session_id"])]
        assert await check(leaderboard_settings) == []
        assert await get(other, "top") == await get(leaderboard, "top")


async def test_an_erasure_that_was_left_over_is_finished_by_the_next_process(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    for player in (ada, bob):
        await play(leaderboard, player, *([1] * 7))
    async with own_database(leaderboard_settings) as database:
        for user_id in (1, 2):
            outcome = await database.transaction(partial(changes.remove, user_id=user_id, now=NOW, limit=2))
            assert (outcome.erased, outcome.pending) == (2, True)
    answer = await submit(leaderboard, bob, 5)
    assert rows(mysql, "SELECT user_id, COUNT(*) FROM game_sessions GROUP BY user_id") == [(1, 5), (2, 6)]
    async with serving(create_app(leaderboard_settings)) as next_one:

        async def finished() -> bool:
            return rows(mysql, "SELECT COUNT(*) FROM erasures") == [(0,)]

        await eventually(finished)
        assert rows(mysql, "SELECT user_id, id FROM game_sessions") == [(2, answer["session_id"])]
        assert [row["username"] for row in (await get(next_one, "top"))["top"]] == ["Bob"]
    assert await check(leaderboard_settings) == []


async def test_what_is_left_over_is_finished_a_batch_at_a_time(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    for user_id in (1, 2, 3):
        await play(leaderboard, accounts.new(user_id=user_id), *([1] * 4))
    async with own_database(leaderboard_settings) as database:
        for user_id in (1, 2, 3):
            await database.transaction(partial(changes.remove, user_id=user_id, now=NOW, limit=1))
        erased = [await database.transaction(lambda connection: changes.finish_erasures(connection, NOW, 4)) for _ in range(4)]
    assert erased == [4, 4, 1, 0]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]
    assert rows(mysql, "SELECT COUNT(*) FROM erasures") == [(0,)]
