"""Signing up, in and on in tests of the auth service, each a plain request with the cookie as its test wants it."""

from typing import Any

import httpx

from tests.system import PASSWORD

COOKIE = "refresh_token"


async def register(client: httpx.AsyncClient, username: str = "Ada", password: str = PASSWORD) -> httpx.Response:
    return await client.post("/auth/register", json={"username": username, "password": password})


async def login(
    client: httpx.AsyncClient, username: str = "Ada", password: str = PASSWORD, headers: dict[str, str] | None = None
) -> httpx.Response:
    """Sign in as one who has no cookie yet."""
    client.cookies.clear()
    return await client.post("/auth/login", json={"username": username, "password": password}, headers=headers)


async def refresh(client: httpx.AsyncClient, token: str | None, headers: dict[str, str] | None = None) -> httpx.Response:
    """Send a refresh token in its cookie, and no other."""
    client.cookies.clear()
    cookie = {"Cookie": f"{COOKIE}={token}"} if token else {}
    return await client.post("/auth/refresh", headers=cookie | (headers or {}))


def count(connection: Any, statement: str) -> int:
    """The one number that ``statement`` selects."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])
