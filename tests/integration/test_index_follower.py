"""The follower tells all places at once what their indexes have not heard of, and forgets it when all of them have."""

from itertools import chain, combinations
from typing import Any

import pytest
from redis import Redis

from services.leaderboard.index.layout import DAY_MS, keys
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.settings import LeaderboardSettings
from services.local.redis import RedisServer
from tests.faults.proxy import proxying
from tests.processes import CLOSES_MS, FEW, PLACES, UPWARDS, WEEK, Process, note, notes, processing, write
from tests.ranked import change
from tests.system import rows


@pytest.fixture
def settings(leaderboard_settings: LeaderboardSettings, server: RedisServer) -> LeaderboardSettings:
    return leaderboard_settings.model_copy(update={"redis_url": server.url, "index_from_players": FEW})


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
