"""Playing on a board, looking at it and leaving it, by the API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from services.common.mysql.database import Database
from services.common.names import canonical
from services.leaderboard.settings import LeaderboardSettings
from tests.ranked import database_of

API = "/api/leaderboard"


async def send(
    client: httpx.AsyncClient, headers: dict[str, str], score: int, key: str | None = None, **said: Any
) -> httpx.Response:
    """Submit a session, of which more may be ``said``; gives whatever is answered."""
    named = {} if key is None else {"Idempotency-Key": key}
    return await client.post(f"{API}/submit", json={"score": score, **said}, headers={**headers, **named})


async def submit(
    client: httpx.AsyncClient, headers: dict[str, str], score: int, key: str | None = None, **said: Any
) -> dict[str, Any]:
    """Submit a session, which must be stored."""
    response = await send(client, headers, score, key, **said)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def play(client: httpx.AsyncClient, headers: dict[str, str], *scores: int) -> list[int]:
    """Submit sessions one after the other, each of which must be stored. Gives their ids."""
    return [(await submit(client, headers, score))["session_id"] for score in scores]


def add_sessions(connection: Any, user_id: int, count: int) -> None:
    """Sessions of no points beside those that a player has, which nothing counts."""
    with connection.cursor() as cursor:
        cursor.executemany(
            # Placeholders only: else the driver sends each row alone.
            "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at) VALUES (%s, %s, %s, %s, %s)",
            [(user_id, f"s:{number}", b"0" * 16, 0, "2026-01-01") for number in range(count)],
        )


def add_account(connection: Any, user_id: int, username: str) -> None:
    """An account, as the auth service writes down that it was made."""
    with connection.cursor() as cursor:
        statement = "INSERT INTO account_changes (id, username, username_canonical) VALUES (%s, %s, %s)"
        cursor.execute(statement, (user_id, username, canonical(username)))


async def remove(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Leave every board."""
    answer = await client.delete(f"{API}/me", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")


async def get(client: httpx.AsyncClient, path: str, headers: dict[str, str] | None = None, **query: int) -> Any:
    """What is answered to who looks, which must be found."""
    answer = await client.get(f"{API}/{path}", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


@asynccontextmanager
async def own_database(settings: LeaderboardSettings) -> AsyncIterator[Database]:
    """MySQL as the leaderboard service sees it, for a block."""
    database = database_of(settings)
    try:
        yield database
    finally:
        await database.dispose()
