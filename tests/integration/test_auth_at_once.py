"""All that can be done to one account, done at once through two processes: nothing fails, and what must end has ended."""

import asyncio
import random
from typing import Any

import httpx

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from tests.signing_in import COOKIE, count
from tests.system import PASSWORD, bearer, serving

EXPECTED = {200, 201, 204, 401, 403, 404, 409}
NAMES = ["Ada", "Countess", "Byron"]


class Person:
    """One of many clients of the same account, which does whatever comes to its mind."""

    def __init__(self, client: httpx.AsyncClient, seed: int) -> None:
        self._client = client
        self._random = random.Random(seed)
        self._refresh = ""
        self.token: dict[str, str] = {}
        self.answers: list[httpx.Response] = []

    async def act(self, times: int) -> None:
        for _ in range(times):
            await self._random.choice([self.login, self._renew, self._renew, self._rename, self._end_others, self._end_any])()

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        self._client.cookies.clear()
        answer = await self._client.request(method, path, **options)
        self.answers.append(answer)
        return answer

    def _keep(self, answer: httpx.Response) -> None:
        if answer.status_code == 200:
            self.token, self._refresh = bearer(answer.json()["access_token"]), answer.cookies[COOKIE]

    async def login(self) -> None:
        for name in NAMES:
            self._keep(await self.send("POST", "/auth/login", json={"username": name, "password": PASSWORD}))

    async def _renew(self) -> None:
        self._keep(await self.send("POST", "/auth/refresh", headers={"Cookie": f"{COOKIE}={self._refresh}"}))

    async def _rename(self) -> None:
        body = {"username": self._random.choice(NAMES)}
        await self.send("PUT", "/auth/me/username", json=body, headers=self.token)

    async def _end_others(self) -> None:
        await self.send("DELETE", "/auth/sessions", headers=self.token)

    async def _end_any(self) -> None:
        listed = await self.send("GET", "/auth/sessions", headers=self.token)
        for session in listed.json().get("sessions", [])[-2:]:
            await self.send("DELETE", f"/auth/sessions/{session['session_id']}", headers=self.token)


async def test_whatever_meets_is_answered_and_no_session_outlives_the_account(auth_settings: AuthSettings, mysql: Any) -> None:
    settings = auth_settings.model_copy(update={"password_free_failures": 1000, "sessions_per_user": 3})
    apps = create_app(settings), create_app(settings)
    async with serving(apps[0]) as one, serving(apps[1]) as other:
        credentials = {"username": "Ada", "password": PASSWORD}
        assert (await one.post("/auth/register", json=credentials)).status_code == 201
        people = [Person((one, other)[number % 2], number) for number in range(8)]
        await asyncio.gather(*(person.act(8) for person in people), *(app.state.upkeep.round() for app in apps))
        assert count(mysql, "SELECT COUNT(*) FROM refresh_families") <= 3
        assert count(mysql, "SELECT COUNT(*) FROM users") == 1
        # And once more, while the account is deleted under them.
        leaver = Person(one, 100)
        await leaver.login()
        gone = leaver.send("POST", "/auth/me/deletion", json={"password": PASSWORD}, headers=leaver.token)
        await asyncio.gather(*(person.act(2) for person in people[::2]), gone)
        if leaver.answers[-1].status_code != 204:  # somebody had ended the session before
            await leaver.login()
            await leaver.send("POST", "/auth/me/deletion", json={"password": PASSWORD}, headers=leaver.token)
        assert leaver.answers[-1].status_code == 204
        answers = [answer for person in (*people, leaver) for answer in person.answers]
    assert {answer.status_code for answer in answers} <= EXPECTED, [
        answer.text for answer in answers if answer.status_code >= 429
    ]
    assert {answer.status_code for answer in answers} >= {200, 204, 401}
    for table in ("users", "refresh_families"):
        assert count(mysql, f"SELECT COUNT(*) FROM {table}") == 0
