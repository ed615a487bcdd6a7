"""Processes are killed: no acknowledged session is lost, and none is counted twice.

There are no failpoints in the services: what a process does to the world are its messages to MySQL and to Redis. Until its next
message arrives there, nobody can tell how far it has come, so a process that is killed while a proxy holds that message was
killed between the two steps, exactly, each time. So the code that is tested is the code that runs, and there is nothing that a
production setting would have to switch off.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from random import uniform
from time import time
from typing import Any

import httpx
import pytest

from services.leaderboard.index.writer import APPLY
from services.leaderboard.operate import boards
from services.leaderboard.settings import LeaderboardSettings
from services.local.processes import Process
from services.local.stack import Stack
from services.local.web import Service
from tests.faults.conftest import StartProcess
from tests.faults.load import AT_ONCE, BOARDS, ROLLOVER_SECONDS, Load
from tests.faults.proofs import Proof
from tests.faults.proxy import COMMIT, Fault, Proxy, proxying
from tests.playing import get, send, submit
from tests.system import Accounts, eventually, rows, rows_are_awaited

pytestmark = pytest.mark.proof(2)

STORES = b"INSERT INTO game_sessions"
TELLS = APPLY.digest.encode()
FORGETS = b"DELETE FROM outbox"
# Which server's proxy does what to which message, and whether it arrives after the process has died.
PLACES = {
    "before its session is stored": ("mysql", Fault.DELAYED, STORES, False),
    "its session is stored after its death": ("mysql", Fault.DELAYED, STORES, True),
    "before COMMIT": ("mysql", Fault.DELAYED, COMMIT, False),
    "COMMIT arrives after its death": ("mysql", Fault.DELAYED, COMMIT, True),
    "committed, and not heard of it": ("mysql", Fault.REPLY_SWALLOWED, COMMIT, False),
    "between commit and apply": ("redis", Fault.DELAYED, TELLS, False),
    "the apply arrives after its death": ("redis", Fault.DELAYED, TELLS, True),
    "applied, and not heard of it": ("redis", Fault.REPLY_SWALLOWED, TELLS, False),
    "answered, and the outbox not emptied": ("mysql", Fault.DELAYED, FORGETS, False),
}
LASTING = """
[[boards]]
name = "lasting"
aggregate = "best"
direction = "ascending"
rule = { where = { track = "kills" } }
windows = [{ name = "all" }, { name = "century", first = "2000-01-01T00:00:00", every = "5000 weeks" }]
"""
# Until a process that has just started is under load.
WARM_SECONDS = 2


@asynccontextmanager
async def administrator(stack: Stack) -> AsyncIterator[Any]:
    connection = stack.mysql.connect(database=stack.database, autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


async def end_under_load(
    stack: Stack, service: Service, load: Load, end: Callable[[Process], None], proof: Proof, at: float | None = None
) -> int:
    """End the process while it stores sessions; hold what is stored against what was answered. Gives how many were not.

    ``at``: so many seconds after some window starts anew, or before.
    """
    if at is not None:
        await asyncio.sleep((at - WARM_SECONDS - time()) % ROLLOVER_SECONDS)
    watching = asyncio.create_task(load.watch(stack.leaderboard.url))
    running = asyncio.create_task(load.run(service.url))
    warm = asyncio.create_task(load.warm.wait())
    await asyncio.wait([running, warm], return_when=asyncio.FIRST_COMPLETED)
    warm.cancel()
    if at is not None:
        await asyncio.sleep((at - time()) % ROLLOVER_SECONDS)
        proof.did("processes killed around a rollover")
    end(service)
    await running
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    async with administrator(stack) as connection:
        return load.is_counted_once(connection, proof)


async def test_a_killed_process_takes_no_acknowledged_session_along_and_counts_none_twice(
    stack: Stack,
    start_process: StartProcess,
    accounts: Accounts,
    stack_settings: LeaderboardSettings,
    rounds: Callable[[int, int], int],
    proof: Proof,
) -> None:
    """Every second one within a second of when a window starts anew."""
    await boards.apply(stack_settings, BOARDS.encode())
    with proof.progress("kills under load", rounds(2, 100)) as bar:
        for round_ in range(rounds(2, 100)):
            load = Load(accounts, 1_881_000 + 100 * round_)
            at = uniform(-1, 1) if round_ % 2 else None
            unanswered = await end_under_load(stack, await start_process(), load, Process.kill, proof, at)
            assert unanswered <= AT_ONCE * len(load.user_ids)  # at most what was under way
            proof.did("processes killed under load")
            # The processes that live on tell the index what the killed one could not.
            await proof.whole(stack_settings, within=5)
            bar.advance()


async def test_a_process_that_is_asked_to_leave_answers_all_that_it_stores(
    stack: Stack, start_process: StartProcess, accounts: Accounts, stack_settings: LeaderboardSettings, proof: Proof
) -> None:
    await boards.apply(stack_settings, BOARDS.encode())
    service = await start_process()
    assert await end_under_load(stack, service, Load(accounts, 882_000), Process.terminate, proof) == 0
    assert await asyncio.to_thread(service.wait_stopped, 10)
    assert "Traceback" not in service.log.read_text()
    await proof.whole(stack_settings)


@asynccontextmanager
async def victim(
    stack: Stack, start: StartProcess, settings: LeaderboardSettings, mysql_proxy: Proxy
) -> AsyncIterator[tuple[Service, dict[str, Proxy]]]:
    """A process with a proxy before each server, which waits for them as long as it takes."""
    async with proxying(stack.redis.host, stack.redis.port) as redis_proxy:
        service = await start(
            mysql_port=mysql_proxy.port,
            mysql_database=settings.mysql_database,
            mysql_timeout=60,
            redis_url=f"redis://127.0.0.1:{redis_proxy.port}/1",
            redis_timeout=60,
        )
        yield service, {"mysql": mysql_proxy, "redis": redis_proxy}


@pytest.mark.parametrize("place", PLACES)
async def test_a_process_that_is_killed_at_any_step_leaves_a_session_that_counts_once(
    stack: Stack,
    start_process: StartProcess,
    mysql_proxy: Proxy,
    other: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
    place: str,
) -> None:
    """In each place where it counts: on two boards, one in two windows, each with an index."""
    ada = accounts.new("Ada", 1)
    said: dict[str, Any] = {"tags": {"track": "kills"}}
    name, fault, message, arrives = PLACES[place]
    await boards.apply(leaderboard_settings, LASTING.encode())
    async with victim(stack, start_process, leaderboard_settings, mysql_proxy) as (service, proxies):
        async with httpx.AsyncClient(base_url=service.url, timeout=30) as client:
            await submit(client, ada, 5, **said)
            await eventually(lambda: _is_empty(mysql))
            for window in "all", "century":
                await eventually(partial(_is_indexed, other, window), 20)
            proxy = proxies[name]
            proxy.strike(fault, message, after=STORES if message is COMMIT else b"")
            asking = asyncio.create_task(send(client, ada, 4, "key", **said))
            async with asyncio.timeout(20):
                await proxy.struck.wait()
            if message is FORGETS:
                assert (await asking).status_code == 201
            service.kill()
            if arrives:
                proxy.release()
            [outcome] = await asyncio.gather(asking, return_exceptions=True)
            assert isinstance(outcome, httpx.TransportError) or message is FORGETS
        if not arrives:
            for each in proxies.values():
                each.cut()
        repeated = await submit(other, ada, 4, "key", **said)
    assert [each["score"] for each in repeated["standings"]] == [4, 4, 9]
    assert rows(mysql, "SELECT COUNT(*), SUM(score) FROM game_sessions") == [(2, 9)]
    assert rows(mysql, "SELECT score, sessions, version FROM standings ORDER BY score") == [(4, 2, 2), (4, 2, 2), (9, 2, 2)]
    proof.did("processes killed at an exact step")
    proof.find("sessions counted twice")
    await proof.whole(leaderboard_settings)


async def test_a_process_that_is_killed_while_its_session_is_stored_and_not_counted_leaves_nothing_of_it(
    stack: Stack,
    start_process: StartProcess,
    mysql_proxy: Proxy,
    other: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    """The two are statements of one message; a lock on the standing has MySQL wait between them."""
    ada = accounts.new("Ada", 1)
    async with victim(stack, start_process, leaderboard_settings, mysql_proxy) as (service, proxies):
        async with httpx.AsyncClient(base_url=service.url, timeout=30) as client:
            await submit(client, ada, 5)
            mysql.begin()
            rows(mysql, "SELECT * FROM players WHERE user_id = 1 FOR UPDATE")
            asking = asyncio.create_task(send(client, ada, 7, "key"))

            await eventually(lambda: rows_are_awaited(mysql), 10)
            service.kill()
            await asyncio.gather(asking, return_exceptions=True)
        for each in proxies.values():
            each.cut()
        mysql.rollback()
        repeated = await submit(other, ada, 7, "key")
    assert repeated["total_score"] == 12
    assert rows(mysql, "SELECT score, sessions FROM standings") == [(12, 2)]
    proof.did("processes killed at an exact step")
    await proof.whole(leaderboard_settings)


async def _is_empty(connection: Any) -> bool:
    return rows(connection, "SELECT COUNT(*) FROM outbox") == [(0,)]


async def _is_indexed(client: httpx.AsyncClient, window: str) -> bool:
    return (await get(client, f"boards/lasting/top?window={window}"))["generation"] is not None
