"""A player leaves the board: their name and sessions are erased, ranks close up, and a later session starts anew."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest

from services.common.database import Database
from services.leaderboard import player_writer, players
from services.leaderboard.app import create_app
from services.leaderboard.check import check
from services.leaderboard.players import Outcome
from services.leaderboard.settings import LeaderboardSettings
from tests.ranked import database_of
from tests.system import Accounts, assert_problem, eventually, rows_are_awaited, serving

API = "/api/leaderboard"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def rows(connection: Any, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


async def play(client: httpx.AsyncClient, headers: dict[str, str], *scores: int) -> list[dict[str, Any]]:
    answers = [await client.post(f"{API}/submit", json={"score": score}, headers=headers) for score in scores]
    assert {answer.status_code for answer in answers} == {201}
    return [answer.json() for answer in answers]


async def submit_by_key(client: httpx.AsyncClient, headers: dict[str, str], score: int, key: str) -> httpx.Response:
    return await client.post(f"{API}/submit", json={"score": score}, headers={**headers, "Idempotency-Key": key})


async def remove(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.delete(f"{API}/me", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")


async def get(client: httpx.AsyncClient, path: str, headers: dict[str, str] | None = None) -> Any:
    answer = await client.get(f"{API}/{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


@asynccontextmanager
async def own_database(settings: LeaderboardSettings) -> AsyncIterator[Database]:
    database = database_of(settings)
    try:
        yield database
    finally:
        await database.dispose()


class Pause:
    """Where the first who comes by is held until let go. Everyone else passes."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def here(self) -> None:
        if not self.reached.is_set():
            self.reached.set()
            await self.go_on.wait()


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
    [answer] = await play(leaderboard, ada, 3)
    assert (answer["total_score"], answer["rank"]) == (3, 1)
    standing = rows(mysql, "SELECT score, sessions, reached_session_id, version FROM standings WHERE user_id = 1")
    assert standing == [(3, 1, answer["session_id"], 4)]
    assert [row["user_id"] for row in (await get(leaderboard, "top"))["top"]] == [2, 1]  # who had three points first


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
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There was nothing to lock: so what is there a moment later is not looked at."""
    pause, lock = Pause(), players._lock

    async def held(*arguments: Any) -> Any:
        locked = await lock(*arguments)
        await pause.here()
        return locked

    monkeypatch.setattr(players, "_lock", held)
    ada = accounts.new("Ada", 1)
    leaving = asyncio.create_task(remove(leaderboard, ada))
    await pause.reached.wait()
    [answer] = await play(leaderboard, ada, 5)
    pause.go_on.set()
    await leaving
    assert await get(leaderboard, "rank/me", ada) == {"user_id": 1, "username": "Ada", "total_score": 5, "rank": 1}
    assert rows(mysql, "SELECT id FROM game_sessions") == [(answer["session_id"],)]
    assert await check(leaderboard_settings) == []


@pytest.mark.parametrize(("method", "path"), [("DELETE", "me"), ("PUT", "me"), ("GET", "me/export")])
async def test_nobody_does_it_for_another(leaderboard: httpx.AsyncClient, method: str, path: str) -> None:
    assert_problem(await leaderboard.request(method, f"{API}/{path}"), 401, "unauthenticated")
    bad = {"Authorization": "Bearer x"}
    assert_problem(await leaderboard.request(method, f"{API}/{path}", headers=bad), 401, "unauthenticated")


async def test_a_late_repeat_of_an_erased_submission_brings_nobody_back(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    for player in (ada, bob):
        assert (await submit_by_key(leaderboard, player, 5, "key")).status_code == 201
    await remove(leaderboard, ada)
    for score in (5, 6):
        assert_problem(await submit_by_key(leaderboard, ada, score, "key"), 409, "session-erased")
    assert rows(mysql, "SELECT score, version FROM standings WHERE user_id = 1") == [(None, 2)]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions WHERE user_id = 1") == [(0,)]
    assert (await submit_by_key(leaderboard, bob, 5, "key")).headers["idempotent-replayed"] == "true"
    assert (await submit_by_key(leaderboard, ada, 5, "another")).json()["total_score"] == 5
    [(digest,)] = rows(mysql, "SELECT digest FROM erased_keys")
    assert b"key" not in digest


async def test_very_many_sessions_are_erased_to_the_last(
    leaderboard: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(player_writer, "ERASED_AT_ONCE", 5)
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
    monkeypatch.setattr(player_writer, "ERASED_AT_ONCE", 2)
    pause, erase = Pause(), players.erase

    async def held(connection: Any, user_id: int, now: datetime, limit: int) -> Outcome:
        await pause.here()
        return await erase(connection, user_id, now, limit)

    monkeypatch.setattr(players, "erase", held)
    ada = accounts.new("Ada", 1)
    await play(leaderboard, ada, 1, 2, 3)
    assert (await submit_by_key(leaderboard, ada, 4, "key")).status_code == 201
    leaving = asyncio.create_task(remove(leaderboard, ada))
    await pause.reached.wait()
    # Gone from the board, while two of the four sessions are still there.
    assert (await get(leaderboard, "top"))["top"] == []
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(2,)]
    assert await check(leaderboard_settings) == []
    repeated = await submit_by_key(leaderboard, ada, 4, "key")
    assert repeated.headers["idempotent-replayed"] == "true"
    assert (repeated.json()["total_score"], repeated.json()["rank"]) == (0, None)
    [answer] = await play(leaderboard, ada, 7)
    assert (answer["total_score"], answer["rank"]) == (7, 1)
    assert await check(leaderboard_settings) == []
    pause.go_on.set()
    await leaving
    assert rows(mysql, "SELECT id, score FROM game_sessions") == [(answer["session_id"], 7)]
    assert rows(mysql, "SELECT score, sessions, reached_session_id FROM standings") == [(7, 1, answer["session_id"])]
    assert await check(leaderboard_settings) == []
    assert_problem(await submit_by_key(leaderboard, ada, 4, "key"), 409, "session-erased")


@pytest.mark.parametrize("at_once", [2, 1000])
async def test_a_session_that_is_on_its_way_is_erased_too_or_counted_alone(
    leaderboard: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    """It has an id, less than that of others which are to be erased, and is committed after the player was removed."""
    monkeypatch.setattr(player_writer, "ERASED_AT_ONCE", at_once)
    held_up, ada = accounts.new("Held", 1), accounts.new("Ada", 2)
    await play(leaderboard, held_up, 1)
    await play(leaderboard, ada, 1)
    mysql.begin()
    rows(mysql, "SELECT * FROM standings WHERE user_id = 1 FOR UPDATE")
    async with serving(create_app(leaderboard_settings)) as other:
        on_its_way = asyncio.gather(play(leaderboard, held_up, 1), play(leaderboard, ada, 10))
        await eventually(lambda: rows_are_awaited(mysql, 1))
        await play(other, ada, 100, 200, 300, 400)
        pause, erase = Pause(), players.erase

        async def held(connection: Any, user_id: int, now: datetime, limit: int) -> Outcome:
            await pause.here()
            return await erase(connection, user_id, now, limit)

        monkeypatch.setattr(players, "erase", held)
        leaving = asyncio.create_task(remove(other, ada))
        if at_once == 2:
            await pause.reached.wait()
        else:
            await leaving
        mysql.rollback()
        _, [answer] = await on_its_way
        assert answer["total_score"] == 10  # counted after the removal, upon nothing
        pause.go_on.set()
        await leaving
        standing = rows(mysql, "SELECT score, sessions, reached_session_id FROM standings WHERE user_id = 2")
        remaining = rows(mysql, "SELECT id, score FROM game_sessions WHERE user_id = 2")
        names = rows(mysql, "SELECT username FROM players WHERE user_id = 2")
        if at_once == 2:  # its id is one of those that were to be erased when it came
            assert (remaining, standing, names) == ([], [(None, 0, 0)], [])
        else:
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
            outcome = await database.transaction(partial(players.remove, user_id=user_id, now=NOW, limit=2))
            assert (outcome.erased, outcome.pending) == (2, True)
    [answer] = await play(leaderboard, bob, 5)
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
            await database.transaction(partial(players.remove, user_id=user_id, now=NOW, limit=1))
        erased = [await database.transaction(lambda connection: players.finish_erasures(connection, NOW, 4)) for _ in range(4)]
    assert erased == [4, 4, 1, 0]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]
    assert rows(mysql, "SELECT COUNT(*) FROM erasures") == [(0,)]


async def test_leaving_and_playing_at_the_same_time_leaves_each_standing_the_fold_of_what_remains(
    leaderboard: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(player_writer, "ERASED_AT_ONCE", 3)
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
    [answer] = await play(leaderboard, ada, 5)
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


def names(page: dict[str, Sequence[dict[str, Any]]]) -> list[str]:
    return [row["username"] for row in page["top"]]


async def test_a_rename_shows_at_once_and_everywhere(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    await play(leaderboard, ada, 5)
    await play(leaderboard, bob, 3)
    assert names(await get(leaderboard, "top")) == ["Ada", "Bob"]
    renamed = accounts.new('Lady "L" Ærø', 1)
    answer = await leaderboard.put(f"{API}/me", headers=renamed)
    own = {"user_id": 1, "username": 'Lady "L" Ærø', "total_score": 5, "rank": 1}
    assert (answer.status_code, answer.json()) == (200, own)
    assert answer.headers["cache-control"] == "no-store"
    assert names(await get(leaderboard, "top")) == [own["username"], "Bob"]
    for path in ("rank/1", "rank/me"):
        assert await get(leaderboard, path, renamed) == own
    assert (await get(leaderboard, "around/2"))["players"][0]["username"] == own["username"]
    assert rows(mysql, "SELECT score, sessions, version FROM standings WHERE user_id = 1") == [(5, 1, 2)]
    assert await check(leaderboard_settings) == []
    assert (await leaderboard.put(f"{API}/me", headers=renamed)).json() == own
    assert rows(mysql, "SELECT version FROM standings WHERE user_id = 1") == [(2,)]


async def test_a_name_is_kept_only_of_who_is_on_the_board(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    await play(leaderboard, bob, 3)
    await remove(leaderboard, bob)
    for user_id, player in ((1, ada), (2, bob)):
        answer = await leaderboard.put(f"{API}/me", headers=player)
        name = "Ada" if user_id == 1 else "Bob"
        assert answer.json() == {"user_id": user_id, "username": name, "total_score": 0, "rank": None}
    assert rows(mysql, "SELECT COUNT(*) FROM players") == [(0,)]
    assert rows(mysql, "SELECT user_id, score, version FROM standings") == [(2, None, 2)]
