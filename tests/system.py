"""Driving the system in tests: secrets, services inside the test, tokens, players."""

import asyncio
import base64
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from services.auth.sessions.tokens import AccessTokenIssuer
from services.common.tokens import KeyRing, Scope
from services.local.stack import Stack

ISSUER = "leaderboard-auth"
AUDIENCE = "leaderboard"
# Hashing must not be what the tests wait for; one test looks at the real parameters.
QUICK_PASSWORDS = {"ARGON2_MEMORY_KIB": "64", "ARGON2_TIME_COST": "1"}
# What a player may have stored has tests of its own: others submit as fast as they can.
NO_SUBMISSION_LIMIT = {"SUBMISSIONS_PER_SECOND": "0"}
# Tests have few players, and are about what the index does with many.
INDEX_OF_FEW = {"INDEX_FROM_PLAYERS": "0"}
# All who watch are at one address.
MANY_STREAMS = {"STREAMS_PER_ADDRESS": "5000"}
# Receivers of webhooks are servers of the tests' own.
RECEIVERS_HERE = {"WEBHOOK_NETWORKS": "127.0.0.0/8"}
PASSWORD = "correct horse battery"


def make_secrets() -> dict[str, str]:
    """A fresh set, as a first `make run` makes it."""
    names = ("MYSQL_ADMIN", "MIGRATE_MYSQL", "AUTH_MYSQL", "LEADERBOARD_MYSQL", "REDIS")
    passwords = {f"{name}_PASSWORD": secrets.token_urlsafe(24) for name in names}
    return passwords | {name: f"k1:{_new_key()}" for name in ("JWT_KEYS", "ENCRYPTION_KEYS")}


def _new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """``app`` with its lifespan, and a client of it."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client,
    ):
        yield client


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Return when ``condition`` holds; TimeoutError after ``seconds``. For what has no event that a test could await."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


class Pause:
    """Where the first who comes by is held until let go. Everyone else passes."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def here(self, *_: object) -> None:
        if not self.reached.is_set():
            self.reached.set()
            await self.go_on.wait()


def rows(connection: Any, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What a statement gives, by a connection of the test's own."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


async def rows_are_awaited(connection: Any, how_many: int = 1) -> bool:
    """Whether so many transactions of the server wait for rows that others hold."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
        return int(cursor.fetchone()[1]) == how_many


def bearer(token: str) -> dict[str, str]:
    """The header that carries an access token."""
    return {"Authorization": f"Bearer {token}"}


class Accounts:
    """Issues access tokens with the system's own key, so that a test of the leaderboard needs no auth service."""

    def __init__(self, jwt_keys: str) -> None:
        self.keys = KeyRing.parse(jwt_keys)
        self._issuer = AccessTokenIssuer(self.keys, ISSUER, AUDIENCE, timedelta(minutes=15))
        self._ids = count(1)

    def new(
        self,
        username: str | None = None,
        user_id: int | None = None,
        *,
        password_age: timedelta | None = timedelta(),
        scopes: Collection[Scope] = (),
        session_id: uuid.UUID | None = None,
    ) -> dict[str, str]:
        """The Authorization header of a user, whose password was given so long ago; None: the token does not say when.

        With ``scopes`` it is one of staff. ``session_id``: one that is live, where somebody looks.
        """
        user_id = user_id or next(self._ids)
        now = datetime.now(UTC)
        given = None if password_age is None else now - password_age
        name = username or f"player{user_id}"
        return bearer(self._issuer.issue(user_id, name, session_id or uuid.uuid4(), now, auth_time=given, scopes=scopes))

    def new_key(self, *scopes: Scope) -> dict[str, str]:
        """The Authorization header of a key."""
        client_id = f"key-{base64.b32encode(secrets.token_bytes(16)).decode().rstrip('=').lower()}"
        now = datetime.now(UTC)
        return bearer(self._issuer.issue_to_key(client_id, scopes, now, now + timedelta(minutes=10)))


def assert_problem(response: httpx.Response, status: int, kind: str | None = None) -> None:
    """Hold ``response`` to be a problem with this status, and of this kind."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"]
    assert problem["title"]
    assert problem["detail"]
    assert kind is None or problem["type"] == f"urn:problem:{kind}"
    if status == 401:
        assert response.headers["www-authenticate"].startswith(("Bearer", "Basic"))


async def sign_up(client: httpx.AsyncClient, username: str, password: str = PASSWORD) -> str:
    """Register and log in through HTTP; gives the access token."""
    credentials = {"username": username, "password": password}
    registered = await client.post("/auth/register", json=credentials)
    assert registered.status_code == 201, registered.text
    answer = await client.post("/auth/login", json=credentials)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


async def gateway_log_is_whole(stack: Stack) -> None:
    """Return when the gateway's log tells of everything that was answered before: lines are written later, in order."""
    mark = secrets.token_hex(16)
    async with httpx.AsyncClient(base_url=stack.gateway_url) as client:
        await client.get(f"/auth/{mark}")

    async def written() -> bool:
        return mark in stack.gateway.log.read_text(encoding="utf-8", errors="replace")

    await eventually(written, seconds=30)


def resident(pid: int, what: str = "VmRSS") -> int:
    """The memory that a process holds, or held at most (VmHWM), in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(what))
