"""Many logins at once: each is answered, with a token or with when to come back, and nobody else waits for them."""

import asyncio
import threading
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from tests.system import PASSWORD, assert_problem, bearer, eventually, serving, sign_up

NAMES = [f"player{number}" for number in range(24)]


async def test_each_of_many_logins_is_answered_200_or_503_and_who_is_signed_in_goes_on(
    auth: httpx.AsyncClient, auth_settings: AuthSettings
) -> None:
    token = await sign_up(auth, "Ada")
    for name in NAMES:
        assert (await auth.post("/auth/register", json={"username": name, "password": PASSWORD})).status_code == 201
    # Stored with the quick parameters, and made anew with these: each login is two hashes, one of them slow.
    slow = {"password_workers": 1, "password_queue": 6, "argon2_time_cost": 200}
    async with serving(create_app(auth_settings.model_copy(update=slow))) as service:

        async def login(name: str) -> httpx.Response:
            return await service.post("/auth/login", json={"username": name, "password": PASSWORD})

        logins = [asyncio.create_task(login(name)) for name in NAMES]
        asked = 0
        while not all(task.done() for task in logins):
            headers = bearer(token)
            assert (await service.get("/auth/me", headers=headers)).status_code == 200
            asked += 1
        answers = await asyncio.gather(*logins)
        assert asked > 1
        assert {answer.status_code for answer in answers} == {200, 503}
        for answer in answers:
            if answer.status_code == 503:
                assert_problem(answer, 503, "service-unavailable")
                assert int(answer.headers["retry-after"]) >= 1
        # Whoever was told to come back has lost nothing by it.
        for name, answer in zip(NAMES, answers, strict=True):
            if answer.status_code == 503:
                assert (await login(name)).status_code == 200


async def test_whatever_hashes_a_password_waits_in_the_one_queue(
    auth: httpx.AsyncClient, auth_settings: AuthSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = bearer(await sign_up(auth, "Ada"))
    go_on = threading.Event()
    make = PasswordHasher.hash

    def held(hasher: PasswordHasher, password: str, **options: Any) -> str:
        if password.startswith("holds"):
            go_on.wait(60)
        return make(hasher, password, **options)

    monkeypatch.setattr(PasswordHasher, "hash", held)
    full = auth_settings.model_copy(update={"password_workers": 1, "password_queue": 0})
    new = {"current_password": PASSWORD, "new_password": "another horse battery"}
    async with serving(create_app(full)) as service:

        async def ask(method: str, path: str, body: dict[str, str]) -> httpx.Response:
            return await service.request(method, path, json=body, headers=me)

        async def is_full() -> bool:
            return (await ask("POST", "/auth/login", {"username": "Ada", "password": PASSWORD})).status_code == 503

        # One hashes and one is the next.
        bodies = [{"username": name, "password": f"holds a worker {name}"} for name in ("one", "two")]
        holding = [asyncio.create_task(ask("POST", "/auth/register", body)) for body in bodies]
        try:
            await eventually(is_full)
            for method, path, body in (
                ("POST", "/auth/register", {"username": "Bob", "password": PASSWORD}),
                ("POST", "/auth/login", {"username": "nobody", "password": PASSWORD}),
                ("POST", "/auth/confirm", {"password": PASSWORD}),
                ("PUT", "/auth/me/password", new),
                ("POST", "/auth/me/deletion", {"password": PASSWORD}),
                ("POST", "/auth/me/recovery-codes", {"password": PASSWORD}),
                ("POST", "/auth/recover", {"username": "Ada", "code": "x", "new_password": "another horse battery"}),
            ):
                answer = await ask(method, path, body)
                assert_problem(answer, 503)
                assert answer.json()["title"] == "Too many people are signing in right now", path
        finally:
            go_on.set()
        assert [answer.status_code for answer in await asyncio.gather(*holding)] == [201, 201]
        assert (await ask("POST", "/auth/confirm", {"password": PASSWORD})).status_code == 200
