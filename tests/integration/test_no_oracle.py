"""Whether a name is somebody's is not told by a login, nor whether it has recovery codes by a recovery: not by what is
answered, nor by what is done before the answer.

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
from tests.signing_in import Clock
from tests.system import PASSWORD, bearer, serving

WRONG = "wrong horse battery"
ANOTHER = "staple battery horse"
WRONG_CODE = "0000-0000-0000-0000"


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
        return await self.send("/auth/login", {"username": username, "password": password}, cookie)

    async def recover(
        self, username: str, code: str, cookie: str | None = None
    ) -> tuple[list[str], tuple[int, dict[str, str], bytes]]:
        """The same of a recovery."""
        return await self.send("/auth/recover", {"username": username, "code": code, "new_password": ANOTHER}, cookie)

    async def send(
        self, path: str, body: dict[str, str], cookie: str | None = None
    ) -> tuple[list[str], tuple[int, dict[str, str], bytes]]:
        self._client.cookies.clear()
        headers = {} if cookie is None else {"Cookie": cookie}
        with self._noting():
            answer = await self._client.post(path, json=body, headers=headers)
        headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
        return self.work, (answer.status_code, headers, answer.content)

    async def sign_up(self, username: str) -> list[str]:
        """Make an account; gives its recovery codes."""
        account = {"username": username, "password": PASSWORD}
        await self._client.post("/auth/register", json=account)
        login = await self._client.post("/auth/login", json=account | {"session": "token"})
        made = await self._client.post(
            "/auth/me/recovery-codes", json={"password": PASSWORD}, headers=bearer(login.json()["access_token"])
        )
        codes: list[str] = made.json()["codes"]
        return codes

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
async def watched(
    auth_settings: AuthSettings, mysql: object, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watched]:
    """The service with one account, Ada, in a moment that does not pass; nothing else uses its database meanwhile."""
    app = create_app(auth_settings, clock)
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
    await watched.send("/auth/register", {"username": "Mallory", "password": PASSWORD})
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
    taken, (refused, *_) = await watched.send("/auth/register", {"username": "ADA", "password": PASSWORD})
    free, (made, *_) = await watched.send("/auth/register", {"username": "Bob", "password": PASSWORD})
    assert (refused, made) == (409, 201)
    assert taken.count("hash") == free.count("hash") == 1


async def test_a_recovery_of_whomever_takes_the_same_work_and_gets_the_same_answer(watched: Watched) -> None:
    """A wrong code, a used one, another's, one of an account without codes, of a guest, of nobody, and what no code can be."""
    codes, others = await watched.sign_up("Bob"), await watched.sign_up("Carol")
    guest = await watched.play()
    _, (status, *_) = await watched.recover("Bob", codes[0])
    assert status == 204
    tried = [("nobody", WRONG_CODE), ("Bob", WRONG_CODE), ("Bob", codes[0]), ("Bob", others[0]), ("Ada", codes[1])]
    tried += [(guest, WRONG_CODE), ("nobody", ""), ("Bob", "🎲 no code"), ("Ada", "x" * 64)]
    refused = [await watched.recover(*each) for each in tried]
    assert all(each == refused[0] for each in refused)
    work, (status, headers, body) = refused[0]
    assert status == 401
    assert b"urn:problem:invalid-recovery-code" in body
    assert "set-cookie" not in headers
    assert work.count("hash") == 1
    assert not any(step.startswith("verify") for step in work)
    assert any("password_attempts" in step for step in work)
    assert any("recovery_codes" in step for step in work)
    assert any("audit_events" in step for step in work)


async def test_during_a_delay_a_code_is_not_looked_at_and_nothing_is_hashed(watched: Watched) -> None:
    codes = await watched.sign_up("Bob")
    for number in range(9):
        known, unknown = await watched.recover("Bob", WRONG_CODE), await watched.recover("nobody", WRONG_CODE)
        assert known == unknown
        work, (status, *_) = known
        assert status == (401 if number < 6 else 429)
        assert ("hash" in work) == (status == 401)
    right = await watched.recover("Bob", codes[0])
    assert right == known


async def test_a_password_that_cannot_be_set_is_refused_before_anything_is_looked_up(watched: Watched) -> None:
    codes = await watched.sign_up("Bob")
    refused = [
        await watched.send("/auth/recover", {"username": username, "code": code, "new_password": "short"})
        for username, code in (("Bob", codes[0]), ("Bob", WRONG_CODE), ("nobody", WRONG_CODE))
    ]
    assert all(each == refused[0] for each in refused)
    work, (status, *_) = refused[0]
    assert work == []
    assert status == 422
