"""The index is built anew, and something happens at each step of it: the build is held exactly there by a proxy."""

import asyncio
from random import Random
from typing import Any

import httpx
import pytest

from services.leaderboard.index.build import BATCH
from services.leaderboard.index.connection import Script
from services.leaderboard.index.layout import keys
from services.leaderboard.rules.places import MAIN
from services.leaderboard.settings import LeaderboardSettings
from services.local.redis import RedisServer
from tests.faults.conftest import MakeProcess
from tests.faults.proofs import Proof
from tests.faults.proxy import Fault, Proxy, proxying
from tests.faults.shown import redis_in_use
from tests.playing import API, submit
from tests.ranked import put, random_standings
from tests.system import Accounts, rows

pytestmark = pytest.mark.proof(3)

PLAYERS = BATCH + 100
EARLY, LATE = 7, PLAYERS - 7
HASH, ORDER = keys(MAIN)
# What is held, on its way to Redis. A batch is told MOST_ROWS players at a time, in order of their ids: a name tells which.
STEPS = {
    "begin": Script("begin").digest.encode(),
    "first players": b'"player of the first',
    "last players": b'"player of the last',
    "finish": Script("finish").digest.encode(),
}


@pytest.fixture
def many(mysql: Any) -> None:
    """More players than are read at once."""
    players = random_standings(PLAYERS, Random(3))
    put(mysql, players)
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE players SET username = 'player of the first' WHERE user_id = %s", (EARLY,))
        cursor.execute("UPDATE players SET username = 'player of the last' WHERE user_id = %s", (LATE,))


async def rebuilding(process: httpx.AsyncClient, redis: RedisServer, proxy: Proxy, step: str) -> None:
    """Return when a build is held there."""
    await redis_in_use(process)
    # By then the process knows all scripts, so that each is named by its hash.
    proxy.strike(Fault.DELAYED, STEPS[step])
    with redis.client() as client:
        client.flushdb()
    async with asyncio.timeout(10):
        await proxy.struck.wait()


@pytest.mark.parametrize("lost", [HASH, ORDER], ids=["hash", "order"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.usefixtures("many")
async def test_a_key_that_is_lost_at_any_step_of_a_build_makes_no_answer_wrong(
    make_process: MakeProcess,
    redis: RedisServer,
    accounts: Accounts,
    on_redis: LeaderboardSettings,
    proof: Proof,
    step: str,
    lost: str,
) -> None:
    async with proxying("127.0.0.1", redis.port) as proxy:
        process = await make_process(proxy.port)
        await redis_in_use(process)
        page = (await process.get(f"{API}/top")).json()
        await rebuilding(process, redis, proxy, step)
        with redis.client() as client:
            client.delete(lost)
        assert (await process.get(f"{API}/top")).json() == page
        proxy.release()
        assert (await process.get(f"{API}/top")).json() == page
        token = accounts.new("player of the first", EARLY)
        await submit(process, token, 0)
        with redis.client() as client:  # as if the lease of a build that came to nothing had run out
            if client.hexists(HASH, "#token"):
                client.hset(HASH, "#until", "1")
        await redis_in_use(process)
        assert (await process.get(f"{API}/top")).json() == page
        proof.did("keys deleted during a build")
        proof.find("5xx")
        await proof.whole(on_redis)


@pytest.mark.proof(4)
@pytest.mark.usefixtures("many")
async def test_a_build_that_is_held_before_it_begins_does_not_undo_one_of_a_newer_epoch(
    make_process: MakeProcess, redis: RedisServer, mysql: Any, on_redis: LeaderboardSettings, proof: Proof
) -> None:
    async with proxying("127.0.0.1", redis.port) as proxy:
        held = await make_process(proxy.port)
        await rebuilding(held, redis, proxy, "begin")  # with the epoch of now
        rows(mysql, "UPDATE index_epoch SET epoch = RANDOM_BYTES(8)")
        other = await make_process()
        await redis_in_use(other)
        with redis.client() as client:
            build = client.hget(HASH, "#build")
            proxy.release()
            await redis_in_use(held)
            assert client.hget(HASH, "#build") == build
        assert (await held.get(f"{API}/top")).json() == (await other.get(f"{API}/top")).json()
        proof.did("builds held while the epoch changed")
        await proof.whole(on_redis)


@pytest.mark.proof(4)
@pytest.mark.parametrize("step", ["last players", "finish"])
@pytest.mark.usefixtures("many")
async def test_who_plays_through_another_process_while_a_build_is_held_is_in_it_as_they_are_then(
    make_process: MakeProcess,
    redis: RedisServer,
    accounts: Accounts,
    on_redis: LeaderboardSettings,
    proof: Proof,
    step: str,
) -> None:
    async with proxying("127.0.0.1", redis.port) as proxy:
        builder = await make_process(proxy.port)
        await rebuilding(builder, redis, proxy, step)
        other = await make_process()
        for user_id in (EARLY, LATE, PLAYERS + 1):
            token = accounts.new(user_id=user_id)
            answer = await submit(other, token, 1)
            for process in (builder, other):
                own = (await process.get(f"{API}/rank/me", headers=token)).json()
                assert (own["total_score"], own["rank"]) == (answer["total_score"], answer["rank"])
        proxy.release()
        for process in (builder, other):
            await redis_in_use(process)
        proof.did("builds held while players of theirs played")
        await proof.whole(on_redis)
