"""Indexes are built because somebody asked, from so many players on, a few at once."""

import asyncio
from collections.abc import AsyncIterator, Collection
from random import Random
from typing import Any

import pytest
from redis import Redis

from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.index import builds as builds_module
from services.leaderboard.index.build import BYTES_A_PLAYER, Outcome, build, find_small
from services.leaderboard.index.builds import AT_ONCE
from services.leaderboard.index.epoch import renew_epoch
from services.leaderboard.index.layout import DAY_MS, keys
from services.leaderboard.operate.check import check
from services.leaderboard.operate.rebuild import rebuild
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import MAIN, MAIN_RANKED, Place, Ranked
from services.leaderboard.settings import LeaderboardSettings
from services.local.redis import RedisServer
from tests.playing import API
from tests.processes import CLOSES_MS, FEW, UPWARDS, WEEK, Process, note, write
from tests.ranked import aheads_told, change, database_of, put, random_standings
from tests.system import Pause, rows, serving


@pytest.fixture
def settings(leaderboard_settings: LeaderboardSettings, server: RedisServer) -> LeaderboardSettings:
    return leaderboard_settings.model_copy(update={"redis_url": server.url, "index_from_players": FEW})


@pytest.fixture
async def database(settings: LeaderboardSettings) -> AsyncIterator[Database]:
    database = database_of(settings)
    yield database
    await database.dispose()


async def test_an_index_is_built_when_its_place_is_first_read_from_so_many_players_on(
    process: Process, boards: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(builds_module.PAUSE_SECONDS, Outcome.SMALL, 0.0)
    await process.follower.round()
    write(boards, WEEK, *(change(user_id, -user_id) for user_id in range(1, FEW)))
    assert await process.shows(WEEK) is None
    await process.builds.settle(5)
    assert process.builds.is_small(WEEK.at)
    assert await process.shows(WEEK) is None
    await process.builds.settle(5)
    write(boards, WEEK, change(FEW, -FEW))
    assert await process.shows(WEEK) is None
    await process.builds.settle(5)
    assert await process.shows(WEEK) == [(user_id, -user_id) for user_id in range(FEW, 0, -1)]


async def test_a_place_that_nobody_reads_has_no_index(process: Process, boards: Any, redis: Redis) -> None:
    write(boards, WEEK, *(change(user_id, user_id) for user_id in range(1, 10)))
    note(boards, (WEEK, 1))
    await process.follower.start()
    await process.builds.settle(5)
    assert not redis.exists(*keys(WEEK.at))
    await process.follower.stop()


async def test_a_change_of_a_place_without_an_index_has_one_built(process: Process, boards: Any) -> None:
    """Its answer tells a rank, which MySQL would have to count each time."""
    await process.follower.round()
    write(boards, WEEK, *(change(user_id, user_id) for user_id in range(1, 10)))
    assert await aheads_told(process.reads, [(WEEK, [change(1, 1)])]) == [[None]]
    await process.builds.settle(5)
    assert await aheads_told(process.reads, [(WEEK, [change(1, 1)])]) == [[0]]


async def test_a_board_too_small_for_an_index_leaves_the_service_ready(
    settings: LeaderboardSettings, mysql: Any, redis: Redis
) -> None:
    put(mysql, [change(1, 10)])
    async with serving(create_app(settings)) as client:
        ready = (await client.get(f"{API}/health/ready")).json()
        assert (ready["status"], ready["checks"]["redis"]) == ("ok", "ok")
        assert (await client.get(f"{API}/rank/1")).json()["rank"] == 1
        assert not redis.exists(*keys(MAIN))


async def test_each_is_built_once_and_so_many_at_once(process: Process, boards: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [Ranked(Place(UPWARDS, period), Direction.ASCENDING, None) for period in range(6)]
    for place in places:
        write(boards, place, *(change(user_id, user_id) for user_id in range(1, 10)))
    await process.follower.round()
    await process.builds.settle(5)
    go_on, both, under_way, most, begun = asyncio.Event(), asyncio.Event(), set[Place](), 0, list[Place]()

    async def counted(database: Database, settings: LeaderboardSettings, place: Ranked) -> Outcome:
        nonlocal most
        begun.append(place.at)
        under_way.add(place.at)
        most = max(most, len(under_way))
        if most == AT_ONCE:
            both.set()
        await go_on.wait()
        try:
            return await build(database, settings, place)
        finally:
            under_way.discard(place.at)

    monkeypatch.setattr(builds_module, "build", counted)
    monkeypatch.setattr(builds_module, "MOST_WAITING", 3)
    for some in (places[:2], places[:2], places, places):
        await asyncio.gather(*(process.shows(place) for place in some))
        await asyncio.wait_for(both.wait(), 5)
    go_on.set()
    await process.builds.settle(5)
    assert (len(begun), len(set(begun))) == (AT_ONCE + 3, AT_ONCE + 3)
    assert most == AT_ONCE
    [left] = [place for place in places if place.at not in begun]  # it found no room among those who wait
    assert await process.shows(left) is None
    await process.builds.settle(5)
    assert begun[-1] == left.at
    for place in places:
        assert await process.shows(place) is not None


async def test_those_that_are_too_small_are_looked_at_together_and_who_is_not_is_built(
    process: Process, boards: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [Ranked(Place(UPWARDS, period), Direction.ASCENDING, None) for period in range(60)]
    small, large = places[1:], places[0]
    write(boards, large, *(change(user_id, user_id) for user_id in range(1, FEW + 1)))
    write(boards, small[0], *(change(user_id, user_id) for user_id in range(1, FEW)))
    await process.follower.round()
    await process.builds.settle(5)
    looks: list[int] = []

    async def counted(database: Database, some: Collection[Place], from_players: int) -> Collection[Place]:
        looks.append(len(some))
        return await find_small(database, some, from_players)

    monkeypatch.setattr(builds_module, "find_small", counted)
    await asyncio.gather(*(process.shows(place) for place in places))
    await process.builds.settle(5)
    assert sum(looks) == len(places)
    assert len(looks) < 10
    assert [place for place in places if not process.builds.is_small(place.at)] == [large]
    assert await process.shows(large) is not None


@pytest.mark.parametrize("counted_at_once", [1_000, 1_500, 200_000])
async def test_what_redis_has_no_room_for_is_not_built_and_what_is_outdated_gives_its_room(
    process: Process,
    boards: Any,
    redis: Redis,
    server: RedisServer,
    database: Database,
    settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
    counted_at_once: int,
) -> None:
    monkeypatch.setattr("services.leaderboard.index.build.COUNTED_AT_ONCE", counted_at_once)
    players = 2_000
    put(boards, random_standings(players, Random(1)))
    assert await build(database, settings, MAIN_RANKED) is Outcome.BUILT
    await database.transaction(renew_epoch)
    write(boards, WEEK, *(change(user_id, user_id) for user_id in range(1, players + 1)))
    used = redis.info("memory")["used_memory"]
    try:
        redis.config_set("maxmemory", used + players * BYTES_A_PLAYER // 2)
        assert await build(database, settings, WEEK) is Outcome.FULL
        assert not redis.exists(*keys(WEEK.at))
        # The index that there is takes up the room of its own successor.
        assert await build(database, settings, MAIN_RANKED) is Outcome.BUILT
        await database.transaction(renew_epoch)
        redis.config_set("maxmemory", redis.info("memory")["used_memory"] - players * BYTES_A_PLAYER // 2)
        write(boards, MAIN_RANKED, *(change(user_id, user_id) for user_id in range(players, 2 * players)))
        assert await build(database, settings, MAIN_RANKED) is Outcome.FULL
        assert not redis.exists(*keys(MAIN))
    finally:
        redis.config_set("maxmemory", server.memory)
    assert await build(database, settings, WEEK) is Outcome.BUILT


async def test_one_build_serves_all_who_want_one(
    process: Process, boards: Any, settings: LeaderboardSettings, database: Database, redis: Redis
) -> None:
    put(boards, random_standings(500, Random(2)))
    pause = Pause()
    building = asyncio.create_task(build(database, settings, MAIN_RANKED, pause.here))
    await pause.reached.wait()
    token = redis.hget(keys(MAIN)[0], "#build")
    await process.follower.round()
    for _ in range(3):
        assert await process.shows(MAIN_RANKED) is None
        assert await build(database, settings, MAIN_RANKED) is Outcome.HELD
    pause.go_on.set()
    assert await building is Outcome.BUILT
    assert await build(database, settings, MAIN_RANKED) is Outcome.COMPLETE
    assert redis.hget(keys(MAIN)[0], "#build") == token
    assert await process.shows(MAIN_RANKED) is not None


async def test_a_rebuild_has_the_main_index_built_at_once_and_others_when_they_are_read(
    process: Process, boards: Any, settings: LeaderboardSettings, redis: Redis
) -> None:
    put(boards, random_standings(50, Random(2)))
    write(boards, WEEK, *(change(user_id, user_id, 9) for user_id in range(1, 10)))
    await process.follower.round()
    await process.built(WEEK)
    # Older versions, as after a restore of a backup.
    write(boards, WEEK, *(change(user_id, -user_id) for user_id in range(1, 10)))
    assert await rebuild(settings) is Outcome.BUILT
    await process.follower.round()
    assert await process.shows(MAIN_RANKED) is not None
    assert await process.shows(WEEK) is None
    await process.built(WEEK)
    assert await process.shows(WEEK) == [(user_id, -user_id) for user_id in range(9, 0, -1)]
    assert redis.pexpiretime(keys(WEEK.at)[0]) == CLOSES_MS + DAY_MS


async def test_the_check_compares_every_index_that_there_is(
    process: Process,
    boards: Any,
    redis: Redis,
    settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.leaderboard.operate.check.SETTLING_SECONDS", 0.2)
    rows(boards, "DELETE FROM boards WHERE id = %s", UPWARDS)  # of which the check expects every session
    put(boards, random_standings(50, Random(2)))
    await process.follower.round()
    await process.built(MAIN_RANKED)
    assert await check(settings) == []
    redis.hset(keys(MAIN)[0], "1", "999")
    assert any("player 1: the index has '999'" in each for each in await check(settings))
    redis.delete(*keys(MAIN))
    assert any("the index is not complete" in each for each in await check(settings))
