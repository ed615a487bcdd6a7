"""MySQL is away, hangs or holds a lock: 503 with Retry-After, nothing half done, and everything goes on when it is back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from tests.system import Accounts, assert_problem, eventually, serving

API = "/api/leaderboard"


@pytest.fixture
async def impatient(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[httpx.AsyncClient]:
    """A service that waits one second for MySQL."""
    async with serving(create_app(leaderboard_settings.model_copy(update={"mysql_timeout": 1.0}))) as client:
        yield client


async def submit(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await client.post(f"{API}/submit", json={"score": 1}, headers=headers)


async def test_a_transaction_that_waits_too_long_is_refused_and_leaves_nothing_behind(
    impatient: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    assert (await submit(impatient, ada)).status_code == 201
    mysql.begin()
    with mysql.cursor() as cursor:
        cursor.execute("SELECT * FROM standings WHERE user_id = 1 FOR UPDATE")
    refused = await asyncio.gather(*(submit(impatient, ada) for _ in range(15)))
    for answer in refused:
        assert_problem(answer, 503, "service-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    mysql.rollback()
    # Whoever is not locked is served at once, the locked one as soon as the lock is gone; no refused session was stored.
    assert (await submit(impatient, bob)).json()["total_score"] == 1
    assert (await submit(impatient, ada)).json()["total_score"] == 2

    def transactions() -> int:
        with mysql.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM information_schema.innodb_trx")
            return int(cursor.fetchone()[0])

    async def none_is_open() -> bool:
        return transactions() == 0

    await eventually(none_is_open)
    with mysql.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM game_sessions")
        assert cursor.fetchone()[0] == 3
