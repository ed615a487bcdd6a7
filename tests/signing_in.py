"""Signing up, in and on in tests of the auth service, each a plain request with the cookie as its test wants it."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt

from services.common.tokens import Scope
from tests.system import PASSWORD, Accounts, bearer

# The port of http, since these requests name none.
COOKIE = "refresh_token_80"


class Clock:
    """The time as a test sets it. It begins with the real one, by which access tokens are looked at."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


async def register(client: httpx.AsyncClient, username: str = "Ada", password: str = PASSWORD) -> httpx.Response:
    return await client.post("/auth/register", json={"username": username, "password": password})


async def login(
    client: httpx.AsyncClient, username: str = "Ada", password: str = PASSWORD, headers: dict[str, str] | None = None
) -> httpx.Response:
    """Sign in as one who has no cookie yet."""
    client.cookies.clear()
    return await client.post("/auth/login", json={"username": username, "password": password}, headers=headers)


async def sign_in(
    client: httpx.AsyncClient, user_agent: str = "tests", *, username: str = "Ada", password: str = PASSWORD
) -> tuple[dict[str, str], str]:
    """The header that carries the access token of a new session, and its refresh token."""
    answer = await login(client, username, password, headers={"User-Agent": user_agent})
    assert answer.status_code == 200, answer.text
    client.cookies.clear()
    return bearer(answer.json()["access_token"]), refresh_token(answer)


def give_role(connection: Any, user_id: int, session: uuid.UUID, role: str) -> None:
    """Write down what auth looks for when staff act: that the role is held, by a session with a second factor."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO staff (user_id, role, granted_at) VALUES (%s, %s, NOW(6))", (user_id, role))
        cursor.execute("UPDATE refresh_families SET second_factor_at = NOW(6) WHERE id = %s", (session.bytes,))


async def staff(
    client: httpx.AsyncClient, accounts: Accounts, mysql: Any, *scopes: Scope, username: str = "Boss"
) -> dict[str, str]:
    """The header of one of staff, new and signed in with a second factor; an admin's, if no scopes are named."""
    await register(client, username)
    header, _ = await sign_in(client, username=username)
    claims = jwt.decode(header["Authorization"].removeprefix("Bearer "), options={"verify_signature": False})
    session = uuid.UUID(claims["sid"])
    role = "admin" if not scopes or Scope.ADMIN in scopes else "moderator"
    give_role(mysql, int(claims["sub"]), session, role)
    return accounts.new(username, int(claims["sub"]), scopes=scopes or tuple(Scope), session_id=session)


async def refresh(client: httpx.AsyncClient, token: str | None, headers: dict[str, str] | None = None) -> httpx.Response:
    """Send a refresh token in its cookie, and no other."""
    client.cookies.clear()
    cookie = {"Cookie": f"refresh_token_{client.base_url.port or 80}={token}"} if token else {}
    return await client.post("/auth/refresh", headers=cookie | (headers or {}))


def refresh_token(answer: httpx.Response) -> str:
    """The refresh token in the cookie that an answer sets, whatever port it came from."""
    [token] = [value for name, value in answer.cookies.items() if "refresh_token" in name]
    return token


def count(connection: Any, statement: str) -> int:
    """The one number that ``statement`` selects."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])
