"""Whether a name is somebody's is not told by a login: not by what is answered, nor by what is done before the answer.

What is done and not how long it took, so that no busy machine fails a test; `python -m tests.bench.timing` measures the time.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import event

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from tests.system import PASSWORD, serving

WRONG = "wrong horse battery"


class Watched:
    """A service whose statements and hashes are noted down."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient) -> None:
        self._app = app
        self._client = client
        self.work: list[str] = []

    async def login(
        self, username: str, password: str = WRONG, cookie: str | None = None
    ) -> tuple[list[str], tuple[int, dict[str, str], bytes]]:
        """What was done for a login, and the answer without what is never the same twice."""
        return await self.send("/auth/login", username, password, cookie)

    async def send(
        self, path: str, username: str, password: str, cookie: str | None = None
    ) -> tuple[list[str], tuple[int, dict[str, str], bytes]]:
        self._client.cookies.clear()
        headers = {} if cookie is None else {"Cookie": cookie}
        with self._noting():
            answer = await self._client.post(path, json={"username": username, "password": password}, headers=headers)
        headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
        return self.work, (answer.status_code, headers, answer.content)

    async def play(self) -> str:
        """The name of a guest."""
        username: str = (await self._client.post("/auth/guest", json={"session": "token"})).json()["username"]
        return username

    @contextmanager
    def _noting(self) -> Iterator[None]:
        self.work = []
        engine = self._app.state.database.engine.sync_engine

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            self.work.append(statement)

        def note_commit(_connection: Any) -> None:
            self.work.append("COMMIT")

        event.listen(engine, "before_cursor_execute", note)
        event.listen(engine, "commit", note_commit)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", note)
            event.remove(engine, "commit", note_commit)


@pytest.fixture
async def watched(auth_settings: AuthSettings, mysql: object, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    """The service with one account, Ada; nothing else uses its database meanwhile."""
    app = create_app(auth_settings)
    async with serving(app) as client:
        await app.state.upkeep.stop()
        await client.post("/auth/register", json={"username": "Ada", "password": PASSWORD})
        found = Watched(app, client)
        verify, make = PasswordHasher.verify, PasswordHasher.hash

        def noted_verify(hasher: PasswordHasher, stored: Any, password: Any) -> Any:
            found.work.append(f"verify {stored.rpartition('$')[0].rpartition('$')[0]}")  # with its parameters, without its salt
            return verify(hasher, stored, password)

        def noted_hash(hasher: PasswordHasher, password: Any, **options: Any) -> str:
            found.work.append("hash")
            return make(hasher, password, **options)

        monkeypatch.setattr(PasswordHasher, "verify", noted_verify)
        monkeypatch.setattr(PasswordHasher, "hash", noted_hash)
        yield found


async def test_a_wrong_password_and_an_unknown_name_take_the_same_work_and_get_the_same_answer(watched: Watched) -> None:
    known = await watched.login("Ada")
    unknown = await watched.login("nobody")
    assert known == unknown
    work, (status, *_) = known
    assert status == 401
    assert sum(step.startswith("verify") for step in work) == 1
    assert any("password_attempts" in step for step in work)
    assert any("audit_events" in step for step in work)


@pytest.mark.parametrize("password", ["x" * 129, "a\x00b", "short", "\ufdfa" * 20])
async def test_so_does_what_no_password_can_be(watched: Watched, password: str) -> None:
    usual, _ = await watched.login("nobody")
    known, unknown = await watched.login("Ada", password), await watched.login("nobody2", password)
    assert known == unknown
    assert known[0] == usual


async def test_a_device_cookie_of_ones_own_tells_nothing_of_other_names(watched: Watched) -> None:
    await watched.send("/auth/register", "Mallory", PASSWORD)
    _, (_, headers, _) = await watched.login("Mallory", PASSWORD)
    [cookie] = re.findall(r"device_80=[^;]+", headers["set-cookie"])
    for number in range(9):
        known, unknown = await watched.login("Ada", cookie=cookie), await watched.login("nobody", cookie=cookie)
        assert known == unknown
        assert known[1][0] == (401 if number < 6 else 429)
    without = await watched.login("Ada"), await watched.login("nobody")
    assert without == (known, unknown)


async def test_a_guests_account_is_answered_for_as_a_name_that_nobody_has(watched: Watched) -> None:
    guest = await watched.play()
    for _ in range(5):
        known, unknown = await watched.login(guest), await watched.login("nobody")
        assert known == unknown
        assert known[1][0] == 401


async def test_during_a_delay_too_and_then_nothing_is_hashed(watched: Watched) -> None:
    for number in range(9):
        known, unknown = await watched.login("Ada"), await watched.login("nobody")
        assert known == unknown
        work, (status, *_) = known
        assert status == (401 if number < 6 else 429)
        assert any(step.startswith("verify") for step in work) == (status == 401)
    right, (status, *_) = await watched.login("Ada", PASSWORD)
    assert status == 429
    assert right == known[0]


async def test_a_taken_name_and_a_free_one_are_hashed_for_alike(watched: Watched) -> None:
    taken, (refused, *_) = await watched.send("/auth/register", "ADA", PASSWORD)
    free, (made, *_) = await watched.send("/auth/register", "Bob", PASSWORD)
    assert (refused, made) == (409, 201)
    assert taken.count("hash") == free.count("hash") == 1
