"""A process is held up between two steps of the protocol, at exactly that place, while others go on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.check import check
from services.leaderboard.index import Applied, IndexWriter
from services.leaderboard.repository import BoardPeriod
from services.leaderboard.sessions import Change
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.system import Accounts, eventually, serving

API = "/api/leaderboard"


class Pause:
    """Where the first who comes by is held until let go. Everyone else passes."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def here(self) -> None:
        if not self.reached.is_set():
            self.reached.set()
            await self.go_on.wait()


@pytest.fixture
async def two(
    leaderboard_settings: LeaderboardSettings, mysql: object, stack: Stack
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Two processes' worth of the service. The first waits one second for MySQL, so that a lock is soon noticed."""
    impatient = leaderboard_settings.model_copy(update={"mysql_timeout": 1.0})
    async with AsyncExitStack() as running:
        apps = [create_app(settings) for settings in (impatient, leaderboard_settings)]
        first, second = [await running.enter_async_context(serving(app)) for app in apps]
        yield first, second


async def submit(client: httpx.AsyncClient, headers: dict[str, str], score: int, key: str | None = None) -> httpx.Response:
    with_key = headers | ({"Idempotency-Key": key} if key else {})
    return await client.post(f"{API}/submit", json={"score": score}, headers=with_key)


async def names(client: httpx.AsyncClient) -> list[str]:
    return [row["username"] for row in (await client.get(f"{API}/top")).json()["top"]]


async def test_a_session_whose_process_stopped_between_commit_and_apply_is_told_by_whoever_is_sent_its_key_again(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient],
    accounts: Accounts,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = two
    ada = accounts.new("Ada", 1)
    assert (await submit(first, ada, 5)).status_code == 201
    pause, announce = Pause(), IndexWriter.announce

    async def held(self: IndexWriter, at: BoardPeriod, rows: Sequence[Change]) -> list[int | None]:
        await pause.here()
        return await announce(self, at, rows)

    monkeypatch.setattr(IndexWriter, "announce", held)
    stopped = asyncio.create_task(submit(first, ada, 7, "again"))
    await pause.reached.wait()  # committed, and nobody has been told
    repeated = await submit(second, ada, 7, "again")
    assert repeated.status_code == 201
    assert repeated.json()["total_score"] == 12
    assert (await second.get(f"{API}/rank/me", headers=ada)).json()["total_score"] == 12
    assert (await second.get(f"{API}/rank/1")).json()["total_score"] == 12
    pause.go_on.set()
    answer = await stopped
    assert answer.json()["session_id"] == repeated.json()["session_id"]
    replayed = [each.headers.get("idempotent-replayed") for each in (answer, repeated)]
    assert sorted(replayed, key=str) == [None, "true"]
    assert await check(leaderboard_settings) == []


async def test_a_removal_whose_process_stopped_between_commit_and_apply_shows_everywhere_within_a_second(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient],
    accounts: Accounts,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = two
    ada = accounts.new("Ada", 1)
    assert (await submit(first, ada, 5)).status_code == 201
    pause, announce = Pause(), IndexWriter.announce

    async def held(self: IndexWriter, at: BoardPeriod, rows: Sequence[Change]) -> list[int | None]:
        await pause.here()
        return await announce(self, at, rows)

    monkeypatch.setattr(IndexWriter, "announce", held)
    stopped = asyncio.create_task(first.delete(f"{API}/me", headers=ada))
    await pause.reached.wait()  # committed, and nobody has been told

    async def gone() -> bool:
        return await names(second) == [] and (await second.get(f"{API}/rank/1")).status_code == 404

    await eventually(gone, 1)
    assert (await submit(second, ada, 7)).json()["total_score"] == 7  # and comes back before the other goes on
    pause.go_on.set()
    assert (await stopped).status_code == 204
    for client in two:
        assert (await client.get(f"{API}/rank/1")).json()["total_score"] == 7
    assert await check(leaderboard_settings) == []


async def test_a_follower_that_holds_an_old_state_brings_no_removed_player_back(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient],
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = two
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    for client, player in ((first, ada), (second, bob)):
        assert (await submit(client, player, 5)).status_code == 201
    pause, apply = Pause(), IndexWriter.apply

    async def held(self: IndexWriter, at: BoardPeriod, rows: Sequence[Change], token: str = "") -> Applied:
        if [row.user_id for row in rows] == [1]:
            await pause.here()
        return await apply(self, at, rows, token)

    monkeypatch.setattr(IndexWriter, "apply", held)
    with mysql.cursor() as cursor:
        cursor.execute("INSERT INTO outbox (changed) VALUES ('[[1, 0, 1]]')")
    await pause.reached.wait()  # one follower has read Ada's standing, and has not told it yet
    assert (await second.delete(f"{API}/me", headers=ada)).status_code == 204
    assert await names(first) == await names(second) == ["Bob"]
    pause.go_on.set()

    async def told() -> bool:
        with mysql.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM outbox")
            return bool(cursor.fetchone() == (0,))

    await eventually(told)
    assert await check(leaderboard_settings) == []
    assert await names(first) == await names(second) == ["Bob"]


async def test_a_follower_that_is_held_up_at_redis_holds_nobody_up_at_mysql(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient], accounts: Accounts, mysql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two
    players = [accounts.new() for _ in range(5)]
    for player in players:
        assert (await submit(first, player, 1)).status_code == 201
    pause, apply = Pause(), IndexWriter.apply

    async def held(self: IndexWriter, at: BoardPeriod, rows: Sequence[Change], token: str = "") -> Applied:
        if len(rows) == len(players):
            await pause.here()
        return await apply(self, at, rows, token)

    monkeypatch.setattr(IndexWriter, "apply", held)
    changed = str([[1, 0, int(number)] for number in range(1, 6)])
    with mysql.cursor() as cursor:
        cursor.execute("INSERT INTO outbox (changed) VALUES (%s)", (changed,))
    await pause.reached.wait()
    # A lock on any of these rows, or on the outbox, would make the first process answer 503 after its second.
    for round_ in range(10):
        for client in (first, second):
            answers = await asyncio.gather(*(submit(client, player, 1) for player in players))
            assert [answer.status_code for answer in answers] == [201] * 5, round_
    with mysql.cursor() as cursor:
        cursor.execute("DELETE FROM outbox WHERE changed IS NOT NULL")
    pause.go_on.set()
