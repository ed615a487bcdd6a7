"""Redis fails in every way it can, while requests run: the answers stay MySQL's, and nothing old is ever shown again."""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

import httpx
import pytest

from services.leaderboard.settings import LeaderboardSettings
from services.local.ports import free_port
from services.local.redis import RedisServer
from tests.faults.conftest import MakeProcess, StartProcess
from tests.faults.proofs import Proof
from tests.faults.proxy import proxying
from tests.faults.shown import leader, redis_in_use, shows
from tests.playing import API, submit
from tests.system import Accounts

pytestmark = pytest.mark.proof(3)


def stop(redis: RedisServer) -> None:
    """stopped"""
    redis.kill()


def hang(redis: RedisServer) -> None:
    """hung (SIGSTOP)"""
    redis.suspend()


def flush(redis: RedisServer) -> None:
    """flushed"""
    with redis.client() as client:
        client.flushall()


def fill(redis: RedisServer) -> None:
    """full (maxmemory 1)"""
    with redis.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)


def read_only(redis: RedisServer) -> None:
    """read-only"""
    with redis.client() as client:
        client.replicaof("127.0.0.1", 1)


def start(redis: RedisServer) -> None:
    redis.start()


def wake(redis: RedisServer) -> None:
    redis.resume()


def nothing(redis: RedisServer) -> None:
    pass


def make_room(redis: RedisServer) -> None:
    with redis.client() as client:
        client.config_set("maxmemory", 0)


def promote(redis: RedisServer) -> None:
    with redis.client() as client:
        client.replicaof("NO", "ONE")


FAULTS = [(stop, start), (hang, wake), (flush, nothing), (fill, make_room), (read_only, promote)]


@pytest.mark.parametrize(("fail", "mend"), FAULTS, ids=lambda step: step.__name__)
async def test_while_redis_fails_and_returns_every_answer_is_right(
    process: httpx.AsyncClient,
    redis: RedisServer,
    accounts: Accounts,
    fail: Callable[[RedisServer], None],
    mend: Callable[[RedisServer], None],
    on_redis: LeaderboardSettings,
    proof: Proof,
) -> None:
    ada = accounts.new("Ada", 1)
    total = (await submit(process, ada, 1))["total_score"]
    acknowledged = total
    done = asyncio.Event()

    async def read() -> int:
        """Read on and on; each answer is at least as new as what was acknowledged when it was asked."""
        answers = 0
        while not done.is_set():
            known = acknowledged
            assert await leader(process) >= known
            known = acknowledged
            own = (await process.get(f"{API}/rank/me", headers=ada)).json()
            assert own["total_score"] >= known
            assert own["rank"] == 1
            answers += 2
            await asyncio.sleep(0)
        return answers

    async def play(rounds: int) -> None:
        nonlocal acknowledged
        for _ in range(rounds):
            acknowledged = (await submit(process, ada, 1))["total_score"]
            assert await leader(process) >= acknowledged

    readers = [asyncio.create_task(read()) for _ in range(3)]
    try:
        await play(10)
        fail(redis)
        await play(20)
        mend(redis)
        await play(20)
        await redis_in_use(process)
        await play(10)
    finally:
        done.set()
    assert min(await asyncio.gather(*readers)) > 0
    assert acknowledged == 61
    assert await leader(process) == 61
    proof.did(f"Redis {fail.__doc__}")
    proof.find("5xx")  # each answer above was held to be a 200 or a 201
    await proof.whole(on_redis)


@pytest.mark.parametrize(("fail", "mend"), FAULTS, ids=lambda step: step.__name__)
async def test_a_page_from_before_the_outage_is_never_shown_again(
    make_process: MakeProcess,
    redis: RedisServer,
    accounts: Accounts,
    fail: Callable[[RedisServer], None],
    mend: Callable[[RedisServer], None],
    on_redis: LeaderboardSettings,
    proof: Proof,
) -> None:
    first, second = await make_process(), await make_process()
    ada = accounts.new("Ada", 1)
    await submit(first, ada, 1)
    assert [await leader(process) for process in (first, second)] == [1, 1]
    fail(redis)
    total = (await submit(first, ada, 1))["total_score"]
    mend(redis)
    assert await leader(first) == total
    await redis_in_use(first)
    await redis_in_use(second)
    assert await leader(first) == total
    # The other process may not have noticed anything: it is told within a second.
    await shows(second, total)
    proof.did(f"Redis {fail.__doc__}")
    proof.find("old pages")
    await proof.whole(on_redis)


@pytest.mark.proof(3, whole=False)  # there is no index to compare
async def test_with_redis_absent_from_the_start_everything_works(make_process: MakeProcess, accounts: Accounts) -> None:
    process = await make_process(free_port())
    ready = await process.get(f"{API}/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    ada, bob = accounts.new("Ada"), accounts.new("Bob")
    await submit(process, ada, 5)
    assert (await submit(process, bob, 6))["rank"] == 1
    assert [row["username"] for row in (await process.get(f"{API}/top")).json()["top"]] == ["Bob", "Ada"]
    assert (await process.get(f"{API}/rank/me", headers=ada)).json()["rank"] == 2


async def test_a_process_that_alone_is_cut_off_still_tells_everyone(
    make_process: MakeProcess, redis: RedisServer, accounts: Accounts, on_redis: LeaderboardSettings, proof: Proof
) -> None:
    async with proxying("127.0.0.1", redis.port) as proxy:
        cut_off, other = await make_process(proxy.port), await make_process()
        ada = accounts.new("Ada", 1)
        await submit(cut_off, ada, 1)
        assert await leader(other) == 1
        proxy.cut()
        total = (await submit(cut_off, ada, 1))["total_score"]
        assert (await other.get(f"{API}/rank/me", headers=ada)).json()["total_score"] == total
        await shows(other, total)
        proxy.mend()
        await redis_in_use(cut_off)
        assert await leader(cut_off) == total
        proof.did("processes cut off")
        await proof.whole(on_redis)


async def test_its_going_and_its_coming_are_logged_once_each(
    process: httpx.AsyncClient,
    redis: RedisServer,
    accounts: Accounts,
    caplog: pytest.LogCaptureFixture,
    on_redis: LeaderboardSettings,
    proof: Proof,
) -> None:
    caplog.set_level(logging.INFO)
    caplog.clear()

    def said(event: str) -> int:
        return sum(event in record.getMessage() for record in caplog.records)

    async def play() -> None:
        await asyncio.gather(*(submit(process, accounts.new(), 1) for _ in range(10)))
        await asyncio.gather(*(process.get(f"{API}/top?offset={offset}") for offset in range(10)))

    await play()  # over many connections, which all break
    redis.kill()
    await play()
    redis.start()
    await redis_in_use(process)
    await play()
    await play()
    assert said("redis unavailable") == 1
    assert said("redis available") == 1
    await proof.whole(on_redis)


async def test_once_the_breaker_is_open_no_request_asks_a_hung_redis(
    make_process: MakeProcess,
    redis: RedisServer,
    accounts: Accounts,
    on_redis: LeaderboardSettings,
    proof: Proof,
) -> None:
    async with proxying("127.0.0.1", redis.port) as proxy:
        process = await make_process(proxy.port)
        ada = accounts.new("Ada", 1)
        await submit(process, ada, 1)
        redis.suspend()
        await redis_in_use(process, False)
        opened, began = proxy.opened, monotonic()
        for _ in range(40):
            await submit(process, ada, 1)
            await leader(process)
            await process.get(f"{API}/rank/1")
        # A connection that timed out is closed, so each try opens one. The follower alone tries, four times a second.
        assert proxy.opened - opened <= 4 * (monotonic() - began) + 2
        redis.resume()
        await proof.whole(on_redis)


@pytest.mark.proof(3, whole=False)
def test_sigstop_is_what_hangs_it(redis: RedisServer) -> None:
    """The harness does what the tests above believe: a hung server accepts connections and answers nothing."""
    redis.suspend()
    with redis.client(timeout=0.2) as client, pytest.raises(Exception, match=r"[Tt]imeout"):
        client.ping()
    redis.resume()
    with redis.client() as client:
        assert client.ping()


async def test_a_name_that_is_not_found_in_time_is_told_once_and_is_no_error_of_ours(
    start_process: StartProcess, process: httpx.AsyncClient, on_redis: LeaderboardSettings, proof: Proof
) -> None:
    """The look-up ends when the connection has been given up, and nobody waits for it any more."""
    service = await start_process(
        redis_url="redis://no-such-host.invalid:6379/0", redis_timeout=0.0002, mysql_database=on_redis.mysql_database
    )
    await redis_in_use(process)

    async with httpx.AsyncClient(base_url=service.url) as client:
        for _ in range(20):
            assert (await client.get(f"{API}/top")).status_code == 200
            await asyncio.sleep(0.1)
    told = service.log.read_text()
    assert "never retrieved" not in told
    assert told.count("redis unavailable") == 1
    proof.did("reads while the name of Redis was not found", 20)
    await proof.whole(on_redis)
