"""A board is deleted when it is closed, with everything that there is of it: also in Redis, and also by who comes later."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from redis import Redis

from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.boards import administration, deletion
from services.leaderboard.errors import BoardConflict, BoardNotFound
from services.leaderboard.index.build import Lost, Outcome, build
from services.leaderboard.index.connection import RedisConnection
from services.leaderboard.index.layout import keys
from services.leaderboard.index.writer import IndexWriter
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import ALL_TIME, Place, Ranked
from services.leaderboard.settings import LeaderboardSettings
from services.local.ports import free_port
from tests.boards import catalogue_of, define, make, play_on, without_indexes
from tests.playing import own_database
from tests.system import Pause, eventually, rows, rows_are_awaited, serving

NAMES = "SELECT name FROM boards WHERE id <> 1 ORDER BY id"
PERIODS = 3
WAIT_SECONDS = 20


@pytest.fixture
async def database(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Database]:
    """MySQL as the leaderboard service sees it."""
    async with own_database(leaderboard_settings) as database:
        yield database


@pytest.fixture
async def index(settings: LeaderboardSettings) -> AsyncIterator[IndexWriter]:
    redis = RedisConnection(settings, 2.0)
    yield IndexWriter(redis)
    await redis.aclose()


@pytest.fixture
def away(settings: LeaderboardSettings) -> LeaderboardSettings:
    """Nobody listens where Redis should be."""
    return settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})


async def played_on(database: Database, settings: LeaderboardSettings, mysql: Any, name: str, redis: Redis) -> list[Ranked]:
    """A closed board with players in all time and in periods, each place with its index."""
    await make(database, define(name, state="closed"))
    [(board_id, window_id)] = rows(
        mysql,
        "SELECT b.id, w.id FROM boards AS b JOIN windows AS w ON w.board_id = b.id WHERE b.name = %s AND w.name = 'week'",
        name,
    )
    for number in range(PERIODS):
        rows(
            mysql,
            "INSERT INTO periods (board_id, window_id, number, starts_at, ends_at, closes_at, state)"
            " VALUES (%s, %s, %s, NOW(6) + INTERVAL %s WEEK, NOW(6) + INTERVAL %s WEEK, NOW(6), 'closed')",
            board_id,
            window_id,
            number,
            number,
            number + 1,
        )
    period_ids = [row[0] for row in rows(mysql, "SELECT id FROM periods WHERE board_id = %s", board_id)]
    places = [Ranked(Place(board_id, each), Direction.DESCENDING, None) for each in (ALL_TIME, *period_ids)]
    for place in places:
        play_on(mysql, name, *range(1, 21), period_id=place.at.period_id)
        assert await build(database, settings, place) is Outcome.BUILT
        assert redis.exists(*keys(place.at)) == 2
    return places


async def test_a_board_is_deleted_when_it_is_closed_and_all_of_it(database: Database, mysql: Any) -> None:
    await make(database, define("alps"), define("coast"))
    play_on(mysql, "alps", *range(1, 2501))
    play_on(mysql, "coast", 1, 2)
    with pytest.raises(BoardConflict, match="close it first"):
        await deletion.delete(database, "alps", without_indexes)
    with pytest.raises(BoardConflict, match="cannot be deleted"):
        await deletion.delete(database, "main", without_indexes)
    with pytest.raises(BoardNotFound):
        await deletion.delete(database, "nowhere", without_indexes)
    await make(database, define("alps", state="closed"))
    assert await deletion.delete(database, "alps", without_indexes)
    assert rows(mysql, NAMES) == [("coast",)]
    assert rows(mysql, "SELECT COUNT(*) FROM standings") == [(2,)]
    assert rows(mysql, "SELECT COUNT(*) FROM windows WHERE board_id NOT IN (SELECT id FROM boards)") == [(0,)]
    assert (await administration.put(database, define("alps", metric="laps"))).outcome == "created"


async def test_a_deletion_that_was_cut_short_is_gone_on_with(
    database: Database, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    await make(database, define("alps", state="closed"), define("coast", state="closed"))
    for name in ("alps", "coast"):
        play_on(mysql, name, *range(1, 11))
    async with catalogue_of(leaderboard_settings, interval=60) as catalogue:
        assert await catalogue.find("alps")
        for name in ("alps", "coast"):
            await begin_to_delete(database, leaderboard_settings, mysql, name)
        await catalogue.refresh()
        assert await catalogue.find("alps") is None
        assert [board.name for board in catalogue.page("", "", 10)] == ["main"]
        with pytest.raises(BoardConflict, match="is being deleted"):
            await administration.put(database, define("alps"))
        go_on, counts = partial(deletion.finish, _now=datetime.now(UTC), limit=7, forget=without_indexes), [7]
        while counts[-1] == 7:
            counts.append(await database.transaction(go_on))
        assert sum(counts[1:]) == 2 * (10 + 2)
        assert rows(mysql, NAMES) == []
        assert rows(mysql, "SELECT COUNT(*) FROM standings") == [(0,)]


async def begin_to_delete(
    database: Database, settings: LeaderboardSettings, mysql: Any, name: str, forget: deletion.Forget = without_indexes
) -> None:
    """Delete a board, in a process that dies before the first standings are gone."""
    async with own_database(settings) as other, other.engine.begin() as holder:
        await holder.exec_driver_sql("SELECT * FROM standings FOR UPDATE")
        deleting = asyncio.create_task(deletion.delete(database, name, forget))

        async def waits() -> bool:
            return await rows_are_awaited(mysql)

        await eventually(waits)
        deleting.cancel()
        await asyncio.wait([deleting])


# Redis.


async def test_nothing_of_a_deleted_board_stays_in_redis(
    database: Database, settings: LeaderboardSettings, mysql: Any, redis: Redis, index: IndexWriter
) -> None:
    await played_on(database, settings, mysql, "alps", redis)
    [stays, *_] = await played_on(database, settings, mysql, "coast", redis)
    assert await deletion.delete(database, "alps", index.forget)
    assert len(redis.keys()) == 2 * (1 + PERIODS)
    assert redis.exists(*keys(stays.at)) == 2


async def test_without_redis_a_board_goes_but_for_its_name_and_the_rest_goes_when_redis_answers(
    database: Database, settings: LeaderboardSettings, away: LeaderboardSettings, mysql: Any, redis: Redis
) -> None:
    await played_on(database, settings, mysql, "alps", redis)
    connection = RedisConnection(away)
    assert not await deletion.delete(database, "alps", IndexWriter(connection).forget)
    await connection.aclose()
    assert rows(mysql, "SELECT COUNT(*) FROM standings") == [(0,)]
    with pytest.raises(BoardConflict, match="is being deleted"):
        await administration.put(database, define("alps"))
    assert len(redis.keys()) == 2 * (1 + PERIODS)

    async def gone() -> bool:
        return not rows(mysql, NAMES) and not rows(mysql, "SELECT 1 FROM periods")

    async with serving(create_app(settings.model_copy(update={"upkeep_seconds": 0.1}))):
        await eventually(gone, WAIT_SECONDS)
    assert not [key for key in redis.scan_iter() if not key.startswith(b"lb:{1:")]


async def test_an_index_that_is_being_built_goes_with_its_board(
    database: Database, settings: LeaderboardSettings, mysql: Any, redis: Redis, index: IndexWriter
) -> None:
    [place, *_] = await played_on(database, settings, mysql, "alps", redis)
    await index.remove([place.at])
    pause = Pause()
    building = asyncio.create_task(build(database, settings, place, pause.here))
    await pause.reached.wait()
    assert await deletion.delete(database, "alps", index.forget)
    pause.go_on.set()
    with pytest.raises(Lost):
        await building
    assert redis.keys() == []


@pytest.mark.parametrize("how_far", ["begun", "done"])
async def test_whoever_has_not_heard_that_a_board_is_deleted_leaves_no_index_of_it(
    database: Database, settings: LeaderboardSettings, mysql: Any, redis: Redis, index: IndexWriter, how_far: str
) -> None:
    [place, *_] = await played_on(database, settings, mysql, "alps", redis)
    if how_far == "done":
        await deletion.delete(database, "alps", index.forget)
    else:
        await begin_to_delete(database, settings, mysql, "alps", index.forget)
    assert await build(database, settings, place) is Outcome.GONE
    assert not redis.exists(*keys(place.at))
