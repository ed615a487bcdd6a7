"""Either service is killed at each step of a deletion, which is one call: in the end nobody is left."""

import asyncio
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.index.writer import APPLY
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.faults.conftest import StartProcess
from tests.faults.proofs import Proof
from tests.faults.proxy import COMMIT, Fault, Proxy, proxying
from tests.faults.shown import names
from tests.leaving import delete, is_gone, join
from tests.playing import API, add_sessions, play
from tests.system import PASSWORD, Accounts, assert_problem, bearer, eventually, serving

pytestmark = pytest.mark.proof(2)

ENDS, WRITES_DOWN = b"DELETE FROM users", b"INSERT INTO account_changes"
LOOKS, REMOVES, ERASES = b"FROM account_changes WHERE changed_at >", b"DELETE FROM players", b"FROM erasures"
TELLS = APPLY.digest.encode()
# What becomes of which message, and whether it arrives after the process has died.
OF_AUTH = {
    "before the account is deleted": (Fault.DELAYED, ENDS, False),
    "the account is deleted after its death": (Fault.DELAYED, ENDS, True),
    "before the end is written down": (Fault.DELAYED, WRITES_DOWN, False),
    "before COMMIT": (Fault.DELAYED, COMMIT, False),
    "COMMIT arrives after its death": (Fault.DELAYED, COMMIT, True),
    "committed, and not heard of it": (Fault.REPLY_SWALLOWED, COMMIT, False),
}
OF_LEADERBOARD = {
    "before it looks": ("mysql", Fault.DELAYED, LOOKS, False),
    "it has looked, and heard nothing": ("mysql", Fault.REPLY_SWALLOWED, LOOKS, False),
    "before the player is removed": ("mysql", Fault.DELAYED, REMOVES, False),
    "before COMMIT": ("mysql", Fault.DELAYED, COMMIT, False),
    "COMMIT arrives after its death": ("mysql", Fault.DELAYED, COMMIT, True),
    "committed, and not heard of it": ("mysql", Fault.REPLY_SWALLOWED, COMMIT, False),
    "between commit and apply": ("redis", Fault.DELAYED, TELLS, False),
    "the apply arrives after its death": ("redis", Fault.DELAYED, TELLS, True),
    "with sessions left to erase": ("mysql", Fault.DELAYED, ERASES, False),
}


@pytest.mark.parametrize("step", OF_AUTH)
async def test_wherever_auth_is_killed_the_deletion_has_happened_or_can_be_asked_for_again(
    start_process: StartProcess,
    mysql_proxy: Proxy,
    auth: httpx.AsyncClient,
    other: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
    step: str,
) -> None:
    fault, message, arrives = OF_AUTH[step]
    database = leaderboard_settings.mysql_database
    service = await start_process("auth", mysql_port=mysql_proxy.port, mysql_database=database, mysql_timeout=60)
    user_id, ada = await join(auth, "Ada")
    await play(other, ada, 5, 6)
    await play(other, accounts.new("Bob", 1_000), 3)
    async with httpx.AsyncClient(base_url=service.url, timeout=30) as client:
        mysql_proxy.strike(fault, message, after=WRITES_DOWN if message is COMMIT else b"")
        asking = asyncio.create_task(delete(client, ada))
        async with asyncio.timeout(20):
            await mysql_proxy.struck.wait()
        service.kill()
        if arrives:
            mysql_proxy.release()
        with pytest.raises(httpx.TransportError):
            await asking
    if not arrives:
        mysql_proxy.cut()
    answer = await auth.post("/auth/login", json={"username": "Ada", "password": PASSWORD})
    assert answer.status_code in {200, 401}
    if answer.status_code == 200:
        # Whole: what the end costs, it has not cost.
        assert (await other.get(f"{API}/rank/{user_id}")).json()["total_score"] == 11
        await delete(auth, bearer(answer.json()["access_token"]))
    await is_gone(mysql, user_id)
    await assert_gone_for(other, ada)
    proof.did("processes killed at an exact step")
    await proof.whole(leaderboard_settings)


@pytest.mark.parametrize("step", OF_LEADERBOARD)
async def test_wherever_the_leaderboard_is_killed_the_next_process_erases_who_was_deleted(
    stack: Stack,
    start_process: StartProcess,
    mysql_proxy: Proxy,
    auth: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
    step: str,
) -> None:
    name, fault, message, arrives = OF_LEADERBOARD[step]
    async with proxying(stack.redis.host, stack.redis.port) as redis_proxy:
        proxies = {"mysql": mysql_proxy, "redis": redis_proxy}
        service = await start_process(
            mysql_port=mysql_proxy.port,
            mysql_database=leaderboard_settings.mysql_database,
            mysql_timeout=60,
            redis_url=f"redis://127.0.0.1:{redis_proxy.port}/1",
            redis_timeout=60,
        )
        user_id, ada = await join(auth, "Ada")
        async with httpx.AsyncClient(base_url=service.url, timeout=30) as client:
            await play(client, ada, 5, 6)
            await play(client, accounts.new("Bob", 1_000), 3)
        if message is ERASES:
            add_sessions(mysql, user_id, 2_500)
        proxies[name].strike(fault, message, after=REMOVES if message is COMMIT else b"")
        await delete(auth, ada)
        async with asyncio.timeout(20):
            await proxies[name].struck.wait()
        service.kill()
        if arrives:
            proxies[name].release()
        else:
            for each in proxies.values():
                each.cut()
    async with serving(create_app(leaderboard_settings)) as client:
        await is_gone(mysql, user_id)
        await assert_gone_for(client, ada)
        proof.did("processes killed at an exact step")
        await proof.whole(leaderboard_settings)


async def assert_gone_for(client: httpx.AsyncClient, ada: dict[str, str]) -> None:
    """Hold that a process shows Bob alone, and knows Ada's token no more."""

    async def shown() -> bool:
        return await names(client) == ["Bob"]

    async def refused() -> bool:
        return (await client.get(f"{API}/rank/me", headers=ada)).status_code == 401

    await eventually(shown)
    await eventually(refused)
    assert_problem(await client.post(f"{API}/submit", json={"score": 1}, headers=ada), 401, "unauthenticated")
