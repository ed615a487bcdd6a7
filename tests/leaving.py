"""Playing on a board and leaving it, by the API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from services.common.database import Database
from services.leaderboard.settings import LeaderboardSettings
from tests.ranked import database_of

API = "/api/leaderboard"


async def play(client: httpx.AsyncClient, headers: dict[str, str], *scores: int) -> list[dict[str, Any]]:
    answers = [await client.post(f"{API}/submit", json={"score": score}, headers=headers) for score in scores]
    assert {answer.status_code for answer in answers} == {201}
    return [answer.json() for answer in answers]


def add_sessions(connection: Any, user_id: int, count: int) -> None:
    """Sessions of no points beside those that a player has, which nothing counts."""
    with connection.cursor() as cursor:
        cursor.executemany(
            # Placeholders only: else the driver sends each row alone.
            "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at) VALUES (%s, %s, %s, %s, %s)",
            [(user_id, f"s:{number}", b"0" * 16, 0, "2026-01-01") for number in range(count)],
        )


async def submit_by_key(client: httpx.AsyncClient, headers: dict[str, str], score: int, key: str) -> httpx.Response:
    return await client.post(f"{API}/submit", json={"score": score}, headers={**headers, "Idempotency-Key": key})


async def remove(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.delete(f"{API}/me", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")


async def get(client: httpx.AsyncClient, path: str, headers: dict[str, str] | None = None) -> Any:
    answer = await client.get(f"{API}/{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


@asynccontextmanager
async def own_database(settings: LeaderboardSettings) -> AsyncIterator[Database]:
    database = database_of(settings)
    try:
        yield database
    finally:
        await database.dispose()
