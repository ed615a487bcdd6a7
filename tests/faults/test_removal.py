"""Messages are lost and processes killed while a player leaves, is renamed or has an export: it happens whole or is refused."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.players import exports, writer
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.faults.conftest import StartProcess
from tests.faults.proofs import Proof
from tests.faults.proxy import COMMIT, Fault, Proxy, proxying
from tests.faults.shown import names
from tests.playing import API, add_sessions, submit
from tests.system import Accounts, assert_problem, eventually, rows, rows_are_awaited, serving

pytestmark = pytest.mark.proof(5)

REMOVES = b"DELETE FROM players"
ERASES = b"FROM erasures"
RENAMES = b"UPDATE players"


async def assert_gone(mysql: Any, settings: LeaderboardSettings, proof: Proof, *clients: httpx.AsyncClient) -> None:
    """Hold that nothing is left of player 1, in MySQL, in the index and on any page, and that Bob is there."""
    assert rows(mysql, "SELECT score, sessions FROM standings WHERE user_id = 1") == [(None, 0)]
    for table in ("game_sessions", "players", "erasures"):
        assert rows(mysql, f"SELECT COUNT(*) FROM {table} WHERE user_id = 1") == [(0,)]
    assert [await names(client) for client in clients] == [["Bob"]] * len(clients)
    await proof.whole(settings)


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.REPLY_LOST, Fault.REPLY_SWALLOWED])
@pytest.mark.parametrize("after", [REMOVES, ERASES])
async def test_whatever_becomes_of_a_commit_who_leaves_is_gone(
    proxied: httpx.AsyncClient,
    other: httpx.AsyncClient,
    mysql_proxy: Proxy,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    after: bytes,
    proof: Proof,
) -> None:
    monkeypatch.setattr(writer, "ERASED_AT_ONCE", 2)
    ada = accounts.new("Ada", 1)
    await submit(proxied, accounts.new("Bob", 2), 1)
    for score in range(5):
        await submit(proxied, ada, score)
    mysql_proxy.strike(fault, COMMIT, after=after)
    answer = await proxied.delete(f"{API}/me", headers=ada)
    assert mysql_proxy.struck.is_set()
    assert answer.status_code == 204, answer.text
    assert rows(mysql, "SELECT version FROM standings WHERE user_id = 1") == [(6,)]
    await assert_gone(mysql, leaderboard_settings, proof, proxied, other)

    async def told() -> bool:
        return rows(mysql, "SELECT COUNT(*) FROM outbox") == [(0,)]

    await eventually(told)


async def test_a_removal_that_is_still_on_its_way_is_waited_for(
    proxied: httpx.AsyncClient,
    other: httpx.AsyncClient,
    mysql_proxy: Proxy,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    ada = accounts.new("Ada", 1)
    await submit(proxied, accounts.new("Bob", 2), 1)
    await submit(proxied, ada, 5)
    mysql_proxy.strike(Fault.HELD, COMMIT, after=REMOVES)
    leaving = asyncio.create_task(proxied.delete(f"{API}/me", headers=ada))
    await mysql_proxy.struck.wait()

    await eventually(lambda: rows_are_awaited(mysql))
    assert rows(mysql, "SELECT score FROM standings WHERE user_id = 1") == [(5,)]
    mysql_proxy.release()
    assert (await leaving).status_code == 204
    assert rows(mysql, "SELECT version FROM standings WHERE user_id = 1") == [(2,)]
    await assert_gone(mysql, leaderboard_settings, proof, proxied, other)


async def test_a_removal_that_never_gets_through_is_answered_503_and_can_be_asked_for_again_elsewhere(
    proxied: httpx.AsyncClient,
    other: httpx.AsyncClient,
    mysql_proxy: Proxy,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    ada = accounts.new("Ada", 1)
    await submit(proxied, accounts.new("Bob", 2), 1)
    await submit(proxied, ada, 5)
    mysql_proxy.strike(Fault.HELD, COMMIT, after=REMOVES)
    refused = await proxied.delete(f"{API}/me", headers=ada)
    assert_problem(refused, 503, "service-unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    mysql_proxy.release()  # whether it is committed now or was given up by then, nobody can tell
    assert (await other.delete(f"{API}/me", headers=ada)).status_code == 204
    assert rows(mysql, "SELECT version FROM standings WHERE user_id = 1") == [(2,)]
    await assert_gone(mysql, leaderboard_settings, proof, other)


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.REPLY_LOST, Fault.REPLY_SWALLOWED])
async def test_whatever_becomes_of_a_commit_a_rename_is_one_change(
    proxied: httpx.AsyncClient,
    other: httpx.AsyncClient,
    mysql_proxy: Proxy,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    fault: Fault,
    proof: Proof,
) -> None:
    await submit(proxied, accounts.new("Ada", 1), 5)
    mysql_proxy.strike(fault, COMMIT, after=RENAMES)
    answer = await proxied.put(f"{API}/me", headers=accounts.new("Lovelace", 1))
    assert mysql_proxy.struck.is_set()
    assert (answer.status_code, answer.json()["username"]) == (200, "Lovelace")
    assert rows(mysql, "SELECT version FROM standings") == [(2,)]
    assert await names(proxied) == await names(other) == ["Lovelace"]
    await proof.whole(leaderboard_settings)


async def test_who_leaves_through_a_process_that_redis_cannot_hear_is_gone_everywhere_within_a_second(
    leaderboard_settings: LeaderboardSettings,
    other: httpx.AsyncClient,
    stack: Stack,
    accounts: Accounts,
    mysql: Any,
    proof: Proof,
) -> None:
    ada = accounts.new("Ada", 1)
    async with proxying(stack.redis.host, stack.redis.port) as link:
        settings = leaderboard_settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{link.port}/1"})
        async with serving(create_app(settings)) as cut_off:
            await submit(other, accounts.new("Bob", 2), 1)
            await submit(cut_off, ada, 5)
            assert await names(other) == ["Ada", "Bob"]
            link.cut()
            assert (await cut_off.delete(f"{API}/me", headers=ada)).status_code == 204
            assert await names(cut_off) == ["Bob"]
            assert (await other.get(f"{API}/rank/me", headers=ada)).json()["rank"] is None

            async def gone() -> bool:
                return await names(other) == ["Bob"] and (await other.get(f"{API}/rank/1")).status_code == 404

            await eventually(gone, 1)
            link.mend()
    await assert_gone(mysql, leaderboard_settings, proof, other)


@pytest.fixture
def administrator(stack: Stack) -> Iterator[Any]:
    """To the stack's own database."""
    connection = stack.mysql.connect(database=stack.database, autocommit=True)
    yield connection
    connection.close()


def give_sessions(connection: Any, user_id: int, count: int) -> None:
    """Sessions of no points, counted on the main board in all time."""
    add_sessions(connection, user_id, count)
    rows(connection, "UPDATE standings SET sessions = sessions + %s WHERE period_id = 0 AND user_id = %s", count, user_id)


async def test_what_a_killed_process_was_erasing_is_erased_by_the_next(
    stack: Stack,
    start_process: StartProcess,
    accounts: Accounts,
    administrator: Any,
    stack_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    user_id = 885_001
    ada = accounts.new("Ada", user_id)
    killed = await start_process()
    async with httpx.AsyncClient(base_url=killed.url, timeout=30) as client:
        await submit(client, ada, 5)
        give_sessions(administrator, user_id, 20_000)
        leaving = asyncio.create_task(client.delete(f"{API}/me", headers=ada))

        def left() -> int:
            [(count,)] = rows(administrator, "SELECT COUNT(*) FROM game_sessions WHERE user_id = %s", user_id)
            return int(count)

        async def begun() -> bool:
            return left() < 20_001

        await eventually(begun, 10)
        killed.kill()
        with pytest.raises(httpx.TransportError):
            await leaving
    assert 0 < left() < 20_001
    assert rows(administrator, "SELECT DISTINCT score FROM standings WHERE user_id = %s", user_id) == [(None,)]
    assert rows(administrator, "SELECT COUNT(*) FROM players WHERE user_id = %s", user_id) == [(0,)]
    async with httpx.AsyncClient(base_url=stack.leaderboards[0].url) as client:
        played = await submit(client, ada, 7)  # who comes back meanwhile starts anew
        assert played["total_score"] == 7
        await proof.whole(stack_settings)
    await start_process()

    async def finished() -> bool:
        return rows(administrator, "SELECT COUNT(*) FROM erasures") == [(0,)]

    await eventually(finished, 30)
    assert rows(administrator, "SELECT id FROM game_sessions WHERE user_id = %s", user_id) == [(played["session_id"],)]
    await proof.whole(stack_settings)


async def test_an_export_that_loses_its_database_ends_without_its_end(
    start_process: StartProcess,
    mysql_proxy: Proxy,
    accounts: Accounts,
    administrator: Any,
    stack_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    user_id = 886_001
    ada = accounts.new("Ada", user_id)
    service = await start_process(mysql_port=mysql_proxy.port, mysql_timeout=2)
    async with httpx.AsyncClient(base_url=service.url, timeout=30) as client:
        await submit(client, ada, 5)
        give_sessions(administrator, user_id, 3 * exports.PAGE)
        ids = rows(administrator, "SELECT id FROM game_sessions WHERE user_id = %s ORDER BY id", user_id)
        last_of_second_page = ids[2 * exports.PAGE - 1][0]
        mysql_proxy.strike(Fault.LOST, f"game_sessions.id > {last_of_second_page}".encode())
        received = b""

        async def receive() -> None:
            nonlocal received
            async with client.stream("GET", f"{API}/me/export", headers=ada) as answer:
                assert answer.status_code == 200
                async for piece in answer.aiter_raw():
                    received += piece

        with pytest.raises(httpx.RemoteProtocolError):
            await receive()
        assert mysql_proxy.struck.is_set()
        assert received.count(b"session_id") == 2 * exports.PAGE
        with pytest.raises(json.JSONDecodeError):
            json.loads(received)
        whole = await client.get(f"{API}/me/export", headers=ada)
        assert [each["session_id"] for each in whole.json()["sessions"]] == [session_id for (session_id,) in ids]
        mysql_proxy.cut()
        refused = await client.get(f"{API}/me/export", headers=ada)
        assert_problem(refused, 503, "service-unavailable")
        assert "content-disposition" not in refused.headers
        mysql_proxy.mend()
    assert "Traceback" not in service.log.read_text()
    assert "answer cut short" in service.log.read_text()
    await proof.whole(stack_settings)
