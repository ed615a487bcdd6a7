"""Indexes are built because somebody asked, from so many players on, a few at once. The follower tells all places at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import chain, combinations
from random import Random
from time import time
from typing import Any

import pytest
from redis import Redis

from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.index import builds as builds_module
from services.leaderboard.index.breaker import Breaker
from services.leaderboard.index.build import BYTES_A_PLAYER, Outcome, build
from services.leaderboard.index.builds import AT_ONCE, Builds
from services.leaderboard.index.connection import RedisConnection
from services.leaderboard.index.epoch import Epoch, renew_epoch
from services.leaderboard.index.follower import Follower
from services.leaderboard.index.layout import DAY_MS, keys
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.operate.check import check
from services.leaderboard.operate.rebuild import rebuild
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import MAIN, MAIN_RANKED, Place, Ranked
from services.leaderboard.rules.standings import Span, StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.local.redis import RedisServer
from tests.faults.proxy import proxying
from tests.playing import API
from tests.ranked import aheads_told, change, database_of, put, random_standings
from tests.system import Pause, eventually, rows, serving

UPWARDS = 2
"""A board on which less is better, with a period that closes in an hour."""
PERIOD = 4
CLOSES_MS = 1000 * int(time() + 3600)
WEEK = Ranked(Place(UPWARDS, PERIOD), Direction.ASCENDING, CLOSES_MS)
PLACES = [MAIN_RANKED, Ranked(Place(UPWARDS, 0), Direction.ASCENDING, None), WEEK]
FEW = 3


@dataclass
class Process:
    """What a process has of the index."""

    reads: RankingIndex
    follower: Follower
    builds: Builds
    breaker: Breaker

    async def shows(self, place: Ranked) -> list[tuple[int, int]] | None:
        """Players and scores of a place in order; None when the index is not to be read."""
        page = await self.reads.page(place, "top", Span(100, 0), b"")
        return None if page is None else [(p.user_id, p.score) for p in page.neighbours.players] if page.neighbours else []

    async def built(self, place: Ranked) -> None:
        """Return when the index of a place is read."""

        async def is_so() -> bool:
            return await self.shows(place) is not None

        await eventually(is_so)


@asynccontextmanager
async def processing(settings: LeaderboardSettings) -> AsyncIterator[Process]:
    """A process, whose follower goes round when it is told to."""
    async with AsyncExitStack() as stack:
        databases = [database_of(settings) for _ in range(2)]
        for database in databases:
            stack.push_async_callback(database.dispose)
        redis = RedisConnection(settings, 2.0)
        stack.push_async_callback(redis.aclose)
        breaker, epoch = Breaker(), Epoch()
        builds = Builds(databases[0], settings)
        stack.push_async_callback(builds.stop)
        follower = Follower(databases[1], builds, redis, breaker, epoch, settings)
        yield Process(RankingIndex(redis, breaker, epoch, builds.want), follower, builds, breaker)


@pytest.fixture
def boards(mysql: Any) -> Iterator[Any]:
    """MySQL, with a second board and a period of it."""
    with mysql.cursor() as cursor:
        cursor.execute(
            "INSERT INTO boards (id, version, name, title, metric, aggregate, direction, rule, min_score, max_score,"
            " show_extra, state) VALUES (%s, 1, 'upwards', '', 'score', 'best', 'ascending', NULL, -1000, 1000, 0, 'active')",
            (UPWARDS,),
        )
        cursor.execute(
            "INSERT INTO periods (id, board_id, window_id, number, starts_at, ends_at, closes_at, state)"
            " VALUES (%s, %s, 1, 0, NOW(6), FROM_UNIXTIME(%s), FROM_UNIXTIME(%s), 'open')",
            (PERIOD, UPWARDS, CLOSES_MS / 1000, CLOSES_MS / 1000),
        )
    yield mysql
    with mysql.cursor() as cursor:
        cursor.execute("DELETE FROM boards WHERE id <> 1")
        cursor.execute("TRUNCATE TABLE periods")


@pytest.fixture
def settings(leaderboard_settings: LeaderboardSettings, server: RedisServer) -> LeaderboardSettings:
    return leaderboard_settings.model_copy(update={"redis_url": server.url, "index_from_players": FEW})


@pytest.fixture
async def process(settings: LeaderboardSettings, boards: object, redis: Redis) -> AsyncIterator[Process]:
    async with processing(settings) as process:
        yield process


@pytest.fixture
async def database(settings: LeaderboardSettings) -> AsyncIterator[Database]:
    database = database_of(settings)
    yield database
    await database.dispose()


def write(mysql: Any, place: Ranked, *standings: StandingRow) -> None:
    """Write standings past everybody, over what is there."""

    def sort(score: int | None) -> int | None:
        return None if score is None else place.direction.sort(score)

    with mysql.cursor() as cursor:
        cursor.executemany(
            "REPLACE INTO players (user_id, username) VALUES (%s, %s)", [(row.user_id, row.username) for row in standings]
        )
        cursor.executemany(
            "REPLACE INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version)"
            " VALUES (%s, %s, %s, %s, %s, 1, %s, %s)",
            [(*place.at, row.user_id, row.score, sort(row.score), row.reached_session_id, row.version) for row in standings],
        )


def note(mysql: Any, *changed: tuple[Ranked, int]) -> None:
    """What changed, as a writer notes it whose process ended before it could tell Redis."""
    what = [[*place.at, user_id] for place, user_id in changed]
    rows(mysql, "INSERT INTO outbox (changed, created_at) VALUES (%s, NOW(6) - INTERVAL 1 MINUTE)", str(what))


def notes(mysql: Any) -> int:
    [(number,)] = rows(mysql, "SELECT COUNT(*) FROM outbox")
    return int(number)


# Built when first read.


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
    go_on, under_way, most, begun = asyncio.Event(), set[Place](), 0, list[Place]()

    async def counted(database: Database, settings: LeaderboardSettings, place: Ranked) -> Outcome:
        nonlocal most
        begun.append(place.at)
        under_way.add(place.at)
        most = max(most, len(under_way))
        await go_on.wait()
        try:
            return await build(database, settings, place)
        finally:
            under_way.discard(place.at)

    monkeypatch.setattr(builds_module, "build", counted)
    monkeypatch.setattr(builds_module, "MOST_WAITING", 3)
    for some in (places[:2], places[:2], places, places):
        await asyncio.gather(*(process.shows(place) for place in some))
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


# The follower.


async def test_notes_of_many_places_are_told_together_each_place_in_its_direction_and_with_its_expiry(
    process: Process, boards: Any, redis: Redis
) -> None:
    for place in PLACES:
        write(boards, place, *(change(user_id, user_id) for user_id in range(1, 10)))
    await process.follower.round()
    for place in PLACES:
        await process.built(place)
        for key in keys(place.at):
            redis.persist(key)
        write(boards, place, change(1, 100, 2), change(2, None, 2))
    gone = Ranked(Place(99, 0), Direction.DESCENDING, None)
    write(boards, gone, change(1, 1))
    without = Ranked(Place(UPWARDS, 77), Direction.ASCENDING, None)
    write(boards, without, change(1, 1))
    note(boards, *((place, user_id) for place in [*PLACES, gone, without] for user_id in (1, 2)))
    await process.follower.round()
    assert notes(boards) == 0
    upwards = [*((user_id, user_id) for user_id in range(3, 10)), (1, 100)]
    assert [await process.shows(place) for place in PLACES] == [
        [(1, 100), *((user_id, user_id) for user_id in range(9, 2, -1))],
        upwards,
        upwards,
    ]
    assert [redis.pexpiretime(keys(place.at)[1]) for place in PLACES] == [-1, -1, CLOSES_MS + DAY_MS]
    assert not redis.exists(*keys(gone.at), *keys(without.at))


@pytest.mark.parametrize("failing", list(chain.from_iterable(combinations(range(3), number) for number in range(1, 4))))
async def test_a_note_stays_until_every_place_of_it_has_heard(
    process: Process, boards: Any, redis: Redis, failing: tuple[int, ...]
) -> None:
    for place in PLACES:
        write(boards, place, *(change(user_id, user_id) for user_id in range(1, 10)))
    await process.follower.round()
    for place in PLACES:
        await process.built(place)
        write(boards, place, change(1, 100, 2))
    broken = [keys(PLACES[number].at)[0] for number in failing]
    whole: dict[str, Any] = {key: redis.dump(key) for key in broken}
    for key in broken:
        redis.set(key, "not a hash")
    note(boards, *((place, 1) for place in PLACES))
    await process.follower.round()
    assert notes(boards) == 1
    assert not process.follower.in_use
    for key, value in whole.items():
        redis.restore(key, 0, value, replace=True)
    await process.follower.round()
    assert notes(boards) == 0
    for place in PLACES:
        assert (1, 100) in (await process.shows(place) or [])


@pytest.mark.parametrize("bound", ["MAX_NOTES", "MAX_BYTES"])
async def test_places_that_the_follower_has_never_read_are_not_believed_after_notes_were_replaced(
    settings: LeaderboardSettings, boards: Any, redis: Redis, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """While Redis is away the outbox grows too long: what it said of a place, which only another process has read, is gone."""
    monkeypatch.setattr("services.leaderboard.index.follower.ROUNDS_BETWEEN_COUNTS", 1)
    write(boards, WEEK, *(change(user_id, user_id) for user_id in range(1, 10)))
    async with proxying("127.0.0.1", redis.connection_pool.connection_kwargs["port"]) as proxy:
        behind = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{proxy.port}/0"})
        async with processing(behind) as reader, processing(behind) as follower:
            for process in (reader, follower):
                await process.follower.round()
            await reader.built(WEEK)
            proxy.cut()
            await both_away(reader, follower)
            write(boards, WEEK, change(1, 100, 2))
            for _ in range(20):
                note(boards, (WEEK, 1))
            before = rows(boards, "SELECT epoch FROM index_epoch")
            await follower.follower.round()
            assert notes(boards) == 20  # which is not too many
            monkeypatch.setattr(f"services.leaderboard.index.follower.{bound}", 10)
            await follower.follower.round()
            assert notes(boards) == 0
            assert rows(boards, "SELECT epoch FROM index_epoch") != before
            proxy.mend()
            for process in (reader, follower):
                await process.follower.round()
                assert process.breaker.readable
                assert await process.shows(WEEK) is None
            await reader.built(WEEK)
            assert (await reader.shows(WEEK) or [])[-1] == (1, 100)


async def both_away(*processes: Process) -> None:
    """Have processes notice that Redis is away."""
    for process in processes:
        await process.follower.round()
        assert not process.breaker.writable


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
