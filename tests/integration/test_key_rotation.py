"""Rotating the shared key while the system is in use: no step signs anybody out."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import jwt
from fastapi import FastAPI
from pydantic import SecretStr

from services.auth.app import create_app as create_auth
from services.auth.settings import AuthSettings
from services.leaderboard.app import create_app as create_leaderboard
from services.leaderboard.settings import LeaderboardSettings
from services.local import keys
from tests.system import PASSWORD, bearer, serving

PLAYERS = 3
# The first may have begun before a step, the second has not.
ROUNDS_A_STEP = 2


class Replica:
    """A process's place. What serves there is replaced as a rolling restart does it: the new one first, then the old one's
    last answers, then its end."""

    def __init__(self, create: Callable[[str], FastAPI]) -> None:
        self._create = create
        self._running = AsyncExitStack()
        self._client: httpx.AsyncClient | None = None
        self._asked: set[asyncio.Task[Any]] = set()

    async def restart(self, jwt_keys: str) -> None:
        running = AsyncExitStack()
        client = await running.enter_async_context(serving(self._create(jwt_keys)))
        before, self._running, self._client = self._running, running, client
        last, self._asked = self._asked, set()
        if last:
            await asyncio.wait(last)
        await before.aclose()

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        assert self._client is not None
        asked, task = self._asked, asyncio.create_task(self._client.request(method, path, **options))
        asked.add(task)
        try:
            return await task
        finally:
            asked.discard(task)

    async def stop(self) -> None:
        await self._running.aclose()


class Player:
    """Somebody who is signed in, plays, asks who they are and renews their token, at whatever replica comes next."""

    def __init__(self, name: str, auths: list[Replica], leaderboards: list[Replica], answered: Counter[int]) -> None:
        self._credentials = {"username": name, "password": PASSWORD}
        self._auths = auths
        self._leaderboards = leaderboards
        self._answered = answered
        self._token = self._cookie = ""
        self.rounds = 0
        self.kids: set[str] = set()

    async def sign_up(self) -> None:
        registered = await self._auths[0].ask("POST", "/auth/register", json=self._credentials)
        assert registered.status_code == 201
        self._keep(await self._auths[0].ask("POST", "/auth/login", json=self._credentials))

    async def play(self) -> None:
        while True:
            for auth in self._auths:
                for leaderboard in self._leaderboards:
                    await self._count(
                        leaderboard.ask("POST", "/api/leaderboard/submit", json={"score": 1}, headers=self._headers)
                    )
                    await self._count(leaderboard.ask("GET", "/api/leaderboard/rank/me", headers=self._headers))
                await self._count(auth.ask("GET", "/auth/me", headers=self._headers))
                self._keep(await self._count(auth.ask("POST", "/auth/refresh", headers={"Cookie": self._cookie})))
            self.rounds += 1

    @property
    def _headers(self) -> dict[str, str]:
        return bearer(self._token)

    async def _count(self, asking: Any) -> httpx.Response:
        answer: httpx.Response = await asking
        self._answered[answer.status_code] += 1
        return answer

    def _keep(self, answer: httpx.Response) -> None:
        if answer.status_code == 200:
            self._token = answer.json()["access_token"]
            self._cookie = answer.headers["set-cookie"].partition(";")[0]
            self.kids.add(jwt.get_unverified_header(self._token)["kid"])


@asynccontextmanager
async def playing(players: list[Player]) -> AsyncIterator[Callable[[], Any]]:
    """All of them play until the block ends; it is given a way to wait until each has gone round a few times more."""
    tasks = [asyncio.create_task(player.play()) for player in players]

    async def rounds() -> None:
        marks = [player.rounds + ROUNDS_A_STEP for player in players]
        async with asyncio.timeout(60):
            while any(player.rounds < mark for player, mark in zip(players, marks, strict=True)):
                failed = [task for task in tasks if task.done()]
                assert not failed, failed
                await asyncio.sleep(0.005)

    try:
        yield rounds
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_the_key_is_rotated_under_load_and_nobody_is_refused(
    auth_settings: AuthSettings, leaderboard_settings: LeaderboardSettings, mysql: object
) -> None:
    def auth(jwt_keys: str) -> FastAPI:
        return create_auth(auth_settings.model_copy(update={"jwt_keys": SecretStr(jwt_keys)}))

    def leaderboard(jwt_keys: str) -> FastAPI:
        return create_leaderboard(leaderboard_settings.model_copy(update={"jwt_keys": SecretStr(jwt_keys)}))

    live = [auth_settings.jwt_keys.get_secret_value()]
    auths, leaderboards = [Replica(auth), Replica(auth)], [Replica(leaderboard)]
    answered: Counter[int] = Counter()
    try:
        for replica in (*auths, *leaderboards):
            await replica.restart(",".join(live))
        players = [Player(f"player{number}", auths, leaderboards, answered) for number in range(PLAYERS)]
        for player in players:
            await player.sign_up()
        async with playing(players) as rounds:
            await rounds()
            for step in (keys.add, keys.promote, keys.retire):
                live = step(live)
                # One process after the other, with load between: at each moment some know what others do not yet.
                for replica in (*auths, *leaderboards):
                    await replica.restart(",".join(live))
                    await rounds()
    finally:
        for replica in (*auths, *leaderboards):
            await replica.stop()
    assert answered.keys() == {200, 201}, answered
    assert all(len(player.kids) == 2 for player in players)
