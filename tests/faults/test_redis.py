"""Redis fails in every way it can, while requests run: the answers stay MySQL's, and nothing old is ever shown again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.index import keys
from services.leaderboard.rankings import MAIN
from services.leaderboard.settings import LeaderboardSettings
from services.local.ports import free_port
from services.local.redis import RedisServer
from tests.faults.proxy import proxying
from tests.system import Accounts, eventually, serving

API = "/api/leaderboard"
PLAYERS = keys(MAIN)[0]


@pytest.fixture
def redis(tmp_path: Path, secrets: Mapping[str, str]) -> Iterator[RedisServer]:
    """A Redis of the test's own, to be mistreated."""
    server = RedisServer(tmp_path / "redis", secrets["REDIS_PASSWORD"])
    server.start()
    yield server
    server.resume()
    server.stop()


@pytest.fixture
async def make_process(
    leaderboard_settings: LeaderboardSettings, redis: RedisServer, mysql: object
) -> AsyncIterator[Callable[..., Awaitable[httpx.AsyncClient]]]:
    """Starts leaderboard services on that Redis, or on another port."""
    async with AsyncExitStack() as stack:

        async def make(port: int = redis.port) -> httpx.AsyncClient:
            settings = leaderboard_settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0"})
            return await stack.enter_async_context(serving(create_app(settings)))

        yield make


@pytest.fixture
async def process(make_process: Callable[..., Awaitable[httpx.AsyncClient]]) -> httpx.AsyncClient:
    return await make_process()


async def submit(client: httpx.AsyncClient, headers: dict[str, str], score: int) -> dict[str, Any]:
    response = await client.post(f"{API}/submit", json={"score": score}, headers=headers)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def leader(client: httpx.AsyncClient) -> int:
    """The first player's total, which every test here only lets grow."""
    response = await client.get(f"{API}/top")
    assert response.status_code == 200, response.text
    total: int = response.json()["top"][0]["total_score"]
    return total


async def redis_in_use(client: httpx.AsyncClient, wanted: bool = True) -> None:
    """Wait until the process says so."""

    async def is_so() -> bool:
        checks: dict[str, str] = (await client.get(f"{API}/health/ready")).json()["checks"]
        return (checks["redis"] == "ok") == wanted

    await eventually(is_so, 10)


async def shows(client: httpx.AsyncClient, total: int) -> None:
    """Wait until the process shows the leader's total: within a second, also where it was not told at once."""

    async def is_so() -> bool:
        return await leader(client) == total

    await eventually(is_so, 1)


def stop(redis: RedisServer) -> None:
    redis.kill()


def hang(redis: RedisServer) -> None:
    redis.suspend()


def flush(redis: RedisServer) -> None:
    with redis.client() as client:
        client.flushall()


def fill(redis: RedisServer) -> None:
    with redis.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)


def read_only(redis: RedisServer) -> None:
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


@pytest.mark.parametrize(("fail", "mend"), FAULTS, ids=lambda step: step.__name__)
async def test_a_page_from_before_the_outage_is_never_shown_again(
    make_process: Callable[..., Awaitable[httpx.AsyncClient]],
    redis: RedisServer,
    accounts: Accounts,
    fail: Callable[[RedisServer], None],
    mend: Callable[[RedisServer], None],
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


async def test_with_redis_absent_from_the_start_everything_works(
    make_process: Callable[..., Awaitable[httpx.AsyncClient]], accounts: Accounts
) -> None:
    process = await make_process(free_port())
    ready = await process.get(f"{API}/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    ada, bob = accounts.new("Ada"), accounts.new("Bob")
    await submit(process, ada, 5)
    assert (await submit(process, bob, 6))["rank"] == 1
    assert [row["username"] for row in (await process.get(f"{API}/top")).json()["top"]] == ["Bob", "Ada"]
    assert (await process.get(f"{API}/rank/me", headers=ada)).json()["rank"] == 2


async def test_an_older_dataset_put_back_by_a_quick_restart_is_not_believed(
    process: httpx.AsyncClient, redis: RedisServer, accounts: Accounts
) -> None:
    ada = accounts.new("Ada", 1)
    await submit(process, ada, 1)
    assert await leader(process) == 1
    with redis.client() as client:
        client.save()
        keys = set(client.keys())
    await submit(process, ada, 1)
    assert await leader(process) == 2
    redis.kill()
    redis.start()
    with redis.client() as client:
        assert set(client.keys()) == keys  # the older pages are back
    assert await leader(process) == 2
    await redis_in_use(process)
    assert await leader(process) == 2


async def test_an_older_dataset_behind_connections_that_never_broke_is_not_believed(
    process: httpx.AsyncClient, redis: RedisServer, accounts: Accounts
) -> None:
    ada = accounts.new("Ada", 1)
    await submit(process, ada, 1)
    assert await leader(process) == 1
    with redis.client() as client:
        older = {key: client.dump(key) for key in client.scan_iter()}
        await submit(process, ada, 1)
        assert await leader(process) == 2
        for key, value in older.items():
            client.restore(key, 0, value, replace=True)
        # As after a promotion: the dataset is another one, and no client was told.
        client.replicaof("127.0.0.1", 1)
        client.replicaof("NO", "ONE")
    assert await leader(process) == 2


async def test_a_late_write_to_a_hung_server_brings_no_old_page_back(
    make_process: Callable[..., Awaitable[httpx.AsyncClient]], redis: RedisServer, accounts: Accounts
) -> None:
    first, second = await make_process(), await make_process()
    ada = accounts.new("Ada", 1)
    await submit(first, ada, 1)
    assert await leader(second) == 1
    redis.suspend()
    await submit(first, ada, 1)  # its renewal is in the hung server's buffer
    total = (await submit(second, ada, 1))["total_score"]
    redis.resume()  # and is executed now
    await redis_in_use(first)
    await redis_in_use(second)
    for process in (first, second):
        await shows(process, total)
        for _ in range(20):
            assert await leader(process) == total


async def test_a_process_that_alone_is_cut_off_still_tells_everyone(
    make_process: Callable[..., Awaitable[httpx.AsyncClient]], redis: RedisServer, accounts: Accounts
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


async def test_a_replica_that_lags_and_is_promoted_is_not_believed(
    make_process: Callable[..., Awaitable[httpx.AsyncClient]],
    redis: RedisServer,
    secrets: Mapping[str, str],
    accounts: Accounts,
    tmp_path: Path,
) -> None:
    replica = RedisServer(tmp_path / "replica", secrets["REDIS_PASSWORD"])
    replica.start()
    try:
        async with proxying("127.0.0.1", redis.port) as proxy, proxying("127.0.0.1", redis.port) as link:
            process = await make_process(proxy.port)
            ada = accounts.new("Ada", 1)
            await submit(process, ada, 1)
            with replica.client() as client:
                client.config_set("masterauth", secrets["REDIS_PASSWORD"])
                client.replicaof("127.0.0.1", str(link.port))

                async def has_it() -> bool:
                    return bool(client.hget(PLAYERS, "1")) and client.info("replication")["master_link_status"] == "up"

                await eventually(has_it, 20)
                link.cut()
                total = (await submit(process, ada, 1))["total_score"]  # of which the replica will never hear
                proxy.cut()
                proxy.point(replica.host, replica.port)
                client.replicaof("NO", "ONE")
                assert str(client.hget(PLAYERS, "1")).startswith("b'1 ")
            proxy.mend()
            assert await leader(process) == total
            await redis_in_use(process)
            assert await leader(process) == total
            with replica.client() as client:
                assert str(client.hget(PLAYERS, "1")).startswith("b'2 ")  # it is the promoted one that is read now
    finally:
        replica.stop()


async def test_one_key_of_the_index_is_deleted_and_nobody_notices(
    process: httpx.AsyncClient, redis: RedisServer, accounts: Accounts
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    for key in keys(MAIN):
        await submit(process, ada, 2)
        await submit(process, bob, 1)
        page = (await process.get(f"{API}/top")).json()
        with redis.client() as client:
            client.delete(key)
        assert (await process.get(f"{API}/top")).json() == page
        assert (await process.get(f"{API}/around/2")).json() == {"players": page["top"]}
        total = (await submit(process, ada, 1))["total_score"]
        assert await leader(process) == total
        await redis_in_use(process)
        assert await leader(process) == total


async def test_its_going_and_its_coming_are_logged_once_each(
    process: httpx.AsyncClient, redis: RedisServer, accounts: Accounts, caplog: pytest.LogCaptureFixture
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


async def test_once_the_breaker_is_open_no_request_asks_a_hung_redis(
    make_process: Callable[..., Awaitable[httpx.AsyncClient]], redis: RedisServer, accounts: Accounts
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


async def test_the_outbox_stays_bounded_without_redis_and_is_empty_after_its_return(
    make_process: Callable[..., Awaitable[httpx.AsyncClient]],
    redis: RedisServer,
    accounts: Accounts,
    mysql: Any,
    monkeypatch: pytest.MonkeyPatch,
    rounds: Callable[[int, int], int],
) -> None:
    most = rounds(20, 100_000)
    monkeypatch.setattr("services.leaderboard.follower.MAX_NOTES", most)
    monkeypatch.setattr("services.leaderboard.follower.ROUNDS_BETWEEN_COUNTS", 1)
    redis.kill()
    process = await make_process()
    ada = accounts.new("Ada", 1)

    def notes() -> int:
        with mysql.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM outbox")
            return int(cursor.fetchone()[0])

    async def bounded() -> bool:
        return notes() <= most

    async def empty() -> bool:
        return notes() == 0

    for _ in range(30):
        await submit(process, ada, 1)
    with mysql.cursor() as cursor:  # as if so many groups had been stored meanwhile
        cursor.executemany("INSERT INTO outbox (changed) VALUES (%s)", [("[[1, 0, 1]]",)] * (most + 1))
    await eventually(bounded, 30)
    redis.start()
    await redis_in_use(process)
    assert await leader(process) == 30
    await eventually(empty)


def test_sigstop_is_what_hangs_it(redis: RedisServer) -> None:
    """The harness does what the tests above believe: a hung server accepts connections and answers nothing."""
    redis.suspend()
    with redis.client(timeout=0.2) as client, pytest.raises(Exception, match=r"[Tt]imeout"):
        client.ping()
    redis.resume()
    with redis.client() as client:
        assert client.ping()
