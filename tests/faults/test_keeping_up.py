"""What keeps the index true goes on while MySQL hangs, is slow or answers with errors, and while one player asks for much."""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any

import httpx
import pytest

from migrations.settings import MigrationSettings
from services.leaderboard.index.breaker import FOLLOWED_SECONDS
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.conftest import settings_of
from tests.faults.conftest import MakeProcess
from tests.faults.proofs import Proof
from tests.faults.proxy import Fault, Proxy
from tests.faults.shown import redis_in_use
from tests.playing import API, submit
from tests.system import Accounts, assert_problem, eventually, rows

pytestmark = pytest.mark.proof(5)


# So that a busy machine, on which Redis takes longer than it may, is no fault of what these tests are about.
PATIENT = {"redis_timeout": 2.0}


async def is_in_use(client: httpx.AsyncClient) -> bool:
    """Whether the process reads the index at this moment."""
    checks: dict[str, str] = (await client.get(f"{API}/health/ready")).json()["checks"]
    return checks["redis"] == "ok"


async def answers_of_mysql(client: httpx.AsyncClient) -> float:
    """How often the process has asked MySQL for what the index tells otherwise."""
    metrics = (await client.get("/metrics")).text
    [line] = [line for line in metrics.splitlines() if line.startswith("leaderboard_mysql_answers_total")]
    return float(line.split()[1])


async def test_reads_go_on_while_mysql_hangs_and_none_waits_longer_than_a_second(
    own_stack: Stack, secrets: Mapping[str, str], accounts: Accounts, proof: Proof
) -> None:
    ada, mysql = accounts.new("Ada", 7_001), own_stack.mysql
    slowest, needed, failures = 0.0, 0.0, list[str]()
    async with httpx.AsyncClient(base_url=own_stack.leaderboard.url, timeout=30) as client:
        await submit(client, ada, 1)
        await redis_in_use(client)
        mysql.suspend()
        try:
            until = monotonic() + 6
            while monotonic() < until:
                for path in ("top", "rank/7001", "around/7001", "top?limit=7&offset=1"):
                    began = monotonic()
                    answer = await client.get(f"{API}/{path}")
                    slowest = max(slowest, monotonic() - began)
                    if answer.status_code != 200:
                        failures.append(f"{path}: {answer.status_code}")
                # The player's own row is MySQL's, and nobody can tell it now.
                began = monotonic()
                assert_problem(await client.get(f"{API}/rank/me", headers=ada), 503, "service-unavailable")
                needed = max(needed, monotonic() - began)
                proof.did("reads while MySQL hung", 5)
                await asyncio.sleep(0.02)
            assert (await client.get(f"{API}/health/ready")).json()["checks"] == {"mysql": "unavailable", "redis": "ok"}
        finally:
            mysql.resume()
        assert (await submit(client, ada, 1))["total_score"] == 2
        await eventually_own_rank(client, ada, 2)
    proof.find("reads refused while MySQL hung", failures)
    assert slowest < 1
    assert needed < 1
    await proof.whole(settings_of(own_stack, secrets))


async def eventually_own_rank(client: httpx.AsyncClient, headers: dict[str, str], total: int) -> None:
    async def is_so() -> bool:
        answer = await client.get(f"{API}/rank/me", headers=headers)
        return answer.status_code == 200 and answer.json()["total_score"] == total

    await eventually(is_so)


async def test_an_error_that_mysql_answers_with_closes_the_index_after_a_moment(
    other: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    migration_settings: MigrationSettings,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    """It serves others, whose changes this process would not hear of."""
    await submit(other, accounts.new("Ada", 1), 5)
    await redis_in_use(other)
    grant = f"ON `{migration_settings.mysql_database}`.outbox {{}} '{leaderboard_settings.leaderboard_mysql_user}'@'%%'"
    rows(mysql, f"REVOKE SELECT {grant.format('FROM')}")
    try:
        began = monotonic()
        await redis_in_use(other, False)
        assert monotonic() - began < FOLLOWED_SECONDS + 2
        assert (await other.get(f"{API}/health/ready")).json()["checks"]["mysql"] == "ok"
        assert (await other.get(f"{API}/rank/1")).json()["total_score"] == 5
        proof.did("a grant taken away and given back")
    finally:
        rows(mysql, f"GRANT SELECT {grant.format('TO')}")
    await redis_in_use(other)
    await proof.whole(leaderboard_settings)


async def test_a_round_that_takes_long_sends_no_read_to_mysql(
    proxied: httpx.AsyncClient,
    mysql_proxy: Proxy,
    accounts: Accounts,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    await submit(proxied, accounts.new("Ada", 1), 5)
    await redis_in_use(proxied)
    before = await answers_of_mysql(proxied)
    mysql_proxy.strike(Fault.DELAYED, b"FROM outbox")
    await asyncio.wait_for(mysql_proxy.struck.wait(), 5)
    until = monotonic() + 1.2
    while monotonic() < until:
        assert (await proxied.get(f"{API}/rank/1")).status_code == 200
        await asyncio.sleep(0.02)
    mysql_proxy.release()
    assert await answers_of_mysql(proxied) == before
    proof.did("rounds of the follower held for 1.2 s")
    await proof.whole(leaderboard_settings)


async def test_a_player_who_leaves_four_hundred_times_at_once_disturbs_nobody(
    make_process: MakeProcess,
    accounts: Accounts,
    mysql: Any,
    on_redis: LeaderboardSettings,
    proof: Proof,
) -> None:
    other = await make_process(**PATIENT)
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    await submit(other, ada, 5)
    await submit(other, bob, 3)
    await redis_in_use(other)
    before = await answers_of_mysql(other)
    leaving = [asyncio.create_task(other.delete(f"{API}/me", headers=ada)) for _ in range(400)]
    looks = 0
    while not all(task.done() for task in leaving):
        assert await is_in_use(other)
        assert (await other.get(f"{API}/rank/2")).json()["total_score"] == 3
        looks += 1
    assert {task.result().status_code for task in leaving} == {204}
    assert looks > 0
    assert await answers_of_mysql(other) == before
    # Each transaction that found something to change is a version of the standing: what was asked for at once was shared.
    assert rows(mysql, "SELECT version FROM standings WHERE user_id = 1") == [(2,)]
    proof.did("removals asked for at once", 400)
    await proof.whole(on_redis)


async def test_a_busy_pool_of_writes_keeps_no_round_from_its_connection(
    make_process: MakeProcess,
    accounts: Accounts,
    mysql: Any,
    on_redis: LeaderboardSettings,
    proof: Proof,
) -> None:
    """Every player who leaves waits for a lock: those transactions are not what the follower has its connections from."""
    client = await make_process(mysql_pool_size=1, **PATIENT)
    players = [accounts.new(user_id=user_id) for user_id in range(1, 9)]
    for player in players:
        await submit(client, player, 1)
    await redis_in_use(client)
    mysql.begin()
    rows(mysql, "SELECT * FROM players FOR UPDATE")
    leaving = [asyncio.create_task(client.delete(f"{API}/me", headers=player)) for player in players]
    until = monotonic() + FOLLOWED_SECONDS + 0.5
    while monotonic() < until:
        assert await is_in_use(client)
        await asyncio.sleep(0.05)
    mysql.rollback()
    assert {answer.status_code for answer in await asyncio.gather(*leaving)} == {204}
    proof.did("removals that waited for a lock", len(players))
    await proof.whole(on_redis)
