"""MySQL is away, hangs or holds a lock: 503 with Retry-After, nothing half done, and everything goes on when it is back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.conftest import settings_of
from tests.faults.proofs import Proof
from tests.playing import send
from tests.system import Accounts, assert_problem, eventually, rows, serving

pytestmark = pytest.mark.proof(5)

PLAYERS = 8


@pytest.fixture
async def impatient(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[httpx.AsyncClient]:
    """A service that waits one second for MySQL."""
    async with serving(create_app(leaderboard_settings.model_copy(update={"mysql_timeout": 1.0}))) as client:
        yield client


async def test_a_transaction_that_waits_too_long_is_refused_and_leaves_nothing_behind(
    impatient: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings, proof: Proof
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    assert (await send(impatient, ada, 1)).status_code == 201
    mysql.begin()
    rows(mysql, "SELECT * FROM players WHERE user_id = 1 FOR UPDATE")
    refused = await asyncio.gather(*(send(impatient, ada, 1) for _ in range(15)))
    for answer in refused:
        assert_problem(answer, 503, "service-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    mysql.rollback()
    # Whoever is not locked is served at once, the locked one as soon as the lock is gone; no refused session was stored.
    assert (await send(impatient, bob, 1)).json()["total_score"] == 1
    assert (await send(impatient, ada, 1)).json()["total_score"] == 2

    async def none_is_open() -> bool:
        # Of this database: other systems on the server do their upkeep.
        ours = "JOIN information_schema.processlist ON id = trx_mysql_thread_id WHERE db = DATABASE()"
        return rows(mysql, f"SELECT COUNT(*) FROM information_schema.innodb_trx {ours}") == [(0,)]

    await eventually(none_is_open)
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(3,)]
    await proof.whole(leaderboard_settings)


@pytest.mark.parametrize("end", ["killed", "stopped"])
async def test_mysql_is_restarted_under_load_and_nothing_acknowledged_is_lost(
    own_stack: Stack,
    secrets: Mapping[str, str],
    accounts: Accounts,
    rounds: Callable[[int, int], int],
    proof: Proof,
    end: str,
) -> None:
    first_id = 3_000 if end == "killed" else 4_000
    mysql, accepted, refused = own_stack.mysql, list[tuple[int, int]](), list[httpx.Response]()
    processes = [(process, process.pid) for process in own_stack.leaderboards]
    clients = [httpx.AsyncClient(base_url=process.url, timeout=30) for process, _ in processes]
    stop = asyncio.Event()

    async def play(user_id: int) -> None:
        player = accounts.new(user_id=user_id)
        while not stop.is_set():
            answer = await send(clients[user_id % len(clients)], player, 1)
            if answer.status_code == 201:
                accepted.append((answer.json()["session_id"], user_id))
            else:
                refused.append(answer)

    async def grows(answers: list[Any], by: int) -> None:
        goal = len(answers) + by

        async def so_many() -> bool:
            return len(answers) >= goal

        await eventually(so_many, 30)

    async with asyncio.TaskGroup() as playing:
        for user_id in range(first_id, first_id + PLAYERS):
            playing.create_task(play(user_id))
        for _ in range(rounds(1, 5)):
            await grows(accepted, 30)
            await asyncio.to_thread(mysql.kill if end == "killed" else mysql.stop)
            await grows(refused, PLAYERS)
            mysql.launch()
            await asyncio.to_thread(mysql.wait_ready)
            await grows(accepted, 30)
            proof.did(f"MySQL {end} and started under load")
        stop.set()
    for client in clients:
        await client.aclose()
    for answer in refused:
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
    connection = mysql.connect(database=own_stack.database, autocommit=True)
    try:
        ours = "user_id BETWEEN %s AND %s"
        stored = set(rows(connection, f"SELECT id, user_id FROM game_sessions WHERE {ours}", first_id, first_id + PLAYERS))
    finally:
        connection.close()
    proof.did("sessions acknowledged", len(accepted))
    proof.did("answers 503 with Retry-After", len(refused))
    proof.find("acknowledged sessions lost", set(accepted) - stored)
    assert len(set(accepted)) == len(accepted)
    assert [process.pid for process, _ in processes] == [pid for _, pid in processes]
    assert all(process.running for process, _ in processes)
    await proof.whole(settings_of(own_stack, secrets))
