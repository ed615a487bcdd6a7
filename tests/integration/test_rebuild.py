"""Building the ranking index while everything goes on, and the tools that build and check it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from redis import Redis

from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.index.build import BATCH, Lost, Outcome, build
from services.leaderboard.index.layout import keys
from services.leaderboard.operate.check import check
from services.leaderboard.operate.rebuild import rebuild
from services.leaderboard.rules.places import MAIN, MAIN_RANKED
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.local.maintenance import maintain
from services.local.stack import Stack
from tests.playing import API
from tests.ranked import database_of, put, random_standings
from tests.system import Accounts, Pause, eventually, serving

PLAYERS = 2 * BATCH + 100
EARLY, LATE = 7, PLAYERS - 7
"""Players of the first batch and of the last."""
HASH, ORDER = keys(MAIN)


@pytest.fixture
def redis(stack: Stack) -> Any:
    """The Redis that the services inside the tests use."""
    with stack.redis.client() as client:
        client.execute_command("SELECT", 1)
        yield client


@pytest.fixture
async def service(leaderboard_settings: LeaderboardSettings, mysql: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A service, with its index, on many players."""
    put(mysql, random_standings(PLAYERS, Random(9)))
    put(mysql, [StandingRow(user_id, "player", 1000, 10**6 + user_id, 3) for user_id in (EARLY, LATE)])
    async with serving(create_app(leaderboard_settings)) as client:
        await in_use(client)
        yield client


@pytest.fixture
async def database(leaderboard_settings: LeaderboardSettings) -> AsyncIterator[Database]:
    database = database_of(leaderboard_settings)
    yield database
    await database.dispose()


async def in_use(client: httpx.AsyncClient) -> None:
    """Wait until the index is read."""

    async def is_so() -> bool:
        return bool((await client.get(f"{API}/health/ready")).json()["checks"]["redis"] == "ok")

    await eventually(is_so, 10)


async def built(redis: Redis) -> None:
    """Wait until the index is complete."""

    async def is_so() -> bool:
        return bool(redis.hexists(HASH, "#complete"))

    await eventually(is_so, 10)


async def held_build(database: Database, settings: LeaderboardSettings, redis: Redis) -> tuple[Pause, "asyncio.Task[Outcome]"]:
    """A build that waits after its first batch. The service begins one as well when it finds none: then we try again."""
    while True:
        pause = Pause()
        redis.delete(HASH, ORDER)
        building = asyncio.create_task(build(database, settings, MAIN_RANKED, pause.here))
        reached = asyncio.create_task(pause.reached.wait())
        await asyncio.wait([building, reached], return_when=asyncio.FIRST_COMPLETED)
        if pause.reached.is_set():
            return pause, building
        reached.cancel()


async def test_who_plays_while_the_index_is_built_is_in_it_as_they_are_then(
    service: httpx.AsyncClient,
    database: Database,
    leaderboard_settings: LeaderboardSettings,
    redis: Redis,
    accounts: Accounts,
) -> None:
    pause, building = await held_build(database, leaderboard_settings, redis)
    for user_id in (EARLY, LATE, PLAYERS + 1):  # whom the build has passed, whom it has not, and one who is new
        token = accounts.new("player", user_id)
        answer = (await service.post(f"{API}/submit", json={"score": 1}, headers=token)).json()
        own = (await service.get(f"{API}/rank/me", headers=token)).json()
        assert (own["total_score"], own["rank"]) == (answer["total_score"], answer["rank"])
    before = (await service.get(f"{API}/top?limit=100")).json()
    pause.go_on.set()
    assert await building is Outcome.BUILT
    await in_use(service)
    assert (await service.get(f"{API}/top?limit=100")).json() == before
    assert await check(leaderboard_settings) == []


async def test_who_leaves_or_is_renamed_while_the_index_is_built_is_so_in_it(
    service: httpx.AsyncClient,
    database: Database,
    leaderboard_settings: LeaderboardSettings,
    redis: Redis,
    accounts: Accounts,
) -> None:
    people = {user_id: accounts.new(f"new name {user_id}", user_id) for user_id in (EARLY, EARLY + 1, LATE, LATE + 1)}
    for player in people.values():  # so that all of them are on the board
        await service.post(f"{API}/submit", json={"score": 1}, headers=player)
    pause, building = await held_build(database, leaderboard_settings, redis)
    for user_id in (EARLY, LATE):
        assert (await service.delete(f"{API}/me", headers=people[user_id])).status_code == 204
        renamed = accounts.new("renamed", user_id + 1)
        assert (await service.put(f"{API}/me", headers=renamed)).json()["username"] == "renamed"
    pause.go_on.set()
    assert await building is Outcome.BUILT
    await in_use(service)
    for user_id in (EARLY, LATE):
        assert (await service.get(f"{API}/rank/{user_id}")).status_code == 404
        assert (await service.get(f"{API}/rank/{user_id + 1}")).json()["username"] == "renamed"
    assert await check(leaderboard_settings) == []


@pytest.mark.parametrize("lost", [HASH, ORDER])
async def test_a_key_that_is_lost_while_it_is_built_is_noticed_and_the_index_is_built_again(
    service: httpx.AsyncClient, database: Database, leaderboard_settings: LeaderboardSettings, redis: Redis, lost: str
) -> None:
    pause, building = await held_build(database, leaderboard_settings, redis)
    redis.delete(lost)
    pause.go_on.set()
    with pytest.raises(Lost):
        await building
    redis.hset(HASH, "#until", "1")  # as if its lease had run out
    await built(redis)
    await in_use(service)
    assert await check(leaderboard_settings) == []


async def test_a_builder_who_was_replaced_does_no_harm_when_it_goes_on(
    service: httpx.AsyncClient, database: Database, leaderboard_settings: LeaderboardSettings, redis: Redis
) -> None:
    pause, building = await held_build(database, leaderboard_settings, redis)
    redis.hset(HASH, "#until", "1")
    await built(redis)  # the service has, meanwhile
    await in_use(service)
    pause.go_on.set()
    with pytest.raises(Lost):
        await building
    assert await check(leaderboard_settings) == []


async def test_after_a_restore_of_the_database_another_epoch_has_everything_read_again(
    service: httpx.AsyncClient, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    rows = [
        StandingRow(user_id, "restored", 5, user_id, 1) for user_id in range(1, PLAYERS + 1)
    ]  # versions older than the index has
    with mysql.cursor() as cursor:
        cursor.execute("TRUNCATE TABLE game_sessions")
    put(mysql, rows)
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE index_epoch SET epoch = RANDOM_BYTES(8)")

    async def restored() -> bool:
        page = (await service.get(f"{API}/top?limit=1")).json()
        return bool(page["top"][0]["username"] == "restored")

    await eventually(restored)
    await in_use(service)
    assert await check(leaderboard_settings) == []


@pytest.mark.usefixtures("service")
async def test_the_check_tells_what_differs(
    leaderboard_settings: LeaderboardSettings, mysql: Any, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.leaderboard.operate.check.SETTLING_SECONDS", 0.2)
    assert await check(leaderboard_settings) == []
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE standings SET score = score + 1, sort = -score WHERE user_id = %s", (EARLY,))
        cursor.execute("DELETE FROM standings WHERE user_id = %s", (LATE,))
        cursor.execute("SELECT user_id, version FROM standings WHERE score IS NULL LIMIT 1")
        removed, version = cursor.fetchone()
    redis.hset(HASH, str(removed), str(version + 1))
    told = await check(leaderboard_settings)
    for expected in (
        f"player {EARLY}: the standing is",
        f"player {EARLY}: the index has the score 1000, the standing 1001",
        f"player {LATE}: has sessions and no standing",
        f"player {removed}: the index has '{version + 1}'",
        "the index has",
    ):
        assert any(each.startswith(expected) for each in told), expected
    assert len(told) == 5


@pytest.mark.usefixtures("service")
async def test_the_tools_wait_for_mysql_longer_than_a_request_may(leaderboard_settings: LeaderboardSettings) -> None:
    hurried = leaderboard_settings.model_copy(update={"mysql_timeout": 0.0001})
    with pytest.raises(TimeoutError):
        await database_of(hurried).ping()
    await rebuild(hurried)
    assert await check(hurried) == []


def test_the_tools_find_the_system_that_runs_here(stack: Stack, secrets: dict[str, str], tmp_path: Path, capfd: Any) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    assert maintain("operate.rebuild", stack.folder, env_file) == 0
    assert maintain("operate.check", stack.folder, env_file) == 0
    assert "Everything agrees" in capfd.readouterr().out
