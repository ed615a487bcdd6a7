"""A process is held up between two steps of the protocol, at exactly that place, while others go on.

By holding a method, since a proxy that held the message would be given up on after REDIS_TIMEOUT; how steps are made exact
where a process dies is told in test_kills.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from statistics import median, quantiles
from time import monotonic
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.index.writer import IndexWriter, Told
from services.leaderboard.rules.places import Ranked
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.faults.proofs import Proof
from tests.faults.shown import names
from tests.playing import API, send
from tests.system import Accounts, Pause, eventually, rows, rows_are_awaited, serving

pytestmark = pytest.mark.proof(4)

Standings = Sequence[tuple[Ranked, Sequence[StandingRow]]]


def is_follower() -> bool:
    """Whether it is a follower's round that asks, and not a writer."""
    task = asyncio.current_task()
    return task is not None and task.get_name() == "following changes"


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


async def test_a_session_whose_process_stopped_between_commit_and_apply_is_told_by_whoever_is_sent_its_key_again(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient],
    accounts: Accounts,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
    proof: Proof,
) -> None:
    first, second = two
    ada = accounts.new("Ada", 1)
    assert (await send(first, ada, 5)).status_code == 201
    pause, tell = Pause(), IndexWriter.tell

    async def held(self: IndexWriter, standings: Standings, epoch: str) -> list[Told | Exception]:
        if not is_follower():
            await pause.here()
        return await tell(self, standings, epoch)

    monkeypatch.setattr(IndexWriter, "tell", held)
    stopped = asyncio.create_task(send(first, ada, 7, "again"))
    await pause.reached.wait()  # committed, and nobody has been told
    repeated = await send(second, ada, 7, "again")
    assert repeated.status_code == 201
    assert repeated.json()["total_score"] == 12
    assert (await second.get(f"{API}/rank/me", headers=ada)).json()["total_score"] == 12
    assert (await second.get(f"{API}/rank/1")).json()["total_score"] == 12
    pause.go_on.set()
    answer = await stopped
    assert answer.json()["session_id"] == repeated.json()["session_id"]
    replayed = [each.headers.get("idempotent-replayed") for each in (answer, repeated)]
    assert sorted(replayed, key=str) == [None, "true"]
    proof.did("writers held between commit and apply")
    await proof.whole(leaderboard_settings)


async def test_a_removal_whose_process_stopped_between_commit_and_apply_shows_everywhere_within_a_second(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient],
    accounts: Accounts,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
    proof: Proof,
) -> None:
    first, second = two
    ada = accounts.new("Ada", 1)
    assert (await send(first, ada, 5)).status_code == 201
    pause, tell = Pause(), IndexWriter.tell

    async def held(self: IndexWriter, standings: Standings, epoch: str) -> list[Told | Exception]:
        if not is_follower():
            await pause.here()
        return await tell(self, standings, epoch)

    monkeypatch.setattr(IndexWriter, "tell", held)
    stopped = asyncio.create_task(first.delete(f"{API}/me", headers=ada))
    await pause.reached.wait()  # committed, and nobody has been told

    async def gone() -> bool:
        return await names(second) == [] and (await second.get(f"{API}/rank/1")).status_code == 404

    await eventually(gone, 1)
    assert (await send(second, ada, 7)).json()["total_score"] == 7  # and comes back before the other goes on
    pause.go_on.set()
    assert (await stopped).status_code == 204
    for client in two:
        assert (await client.get(f"{API}/rank/1")).json()["total_score"] == 7
    proof.did("removals held between commit and apply")
    await proof.whole(leaderboard_settings)


@pytest.mark.parametrize(("early", "late"), [(5, 3), (0, 3), (5, 0), (0, 0)])
async def test_a_group_that_is_overtaken_at_a_lock_leaves_the_standing_the_fold_of_its_sessions(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient],
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
    early: int,
    late: int,
) -> None:
    impatient, patient = two
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    assert (await send(patient, ada, 1)).status_code == 201
    mysql.begin()
    rows(mysql, "SELECT * FROM players WHERE user_id = 1 FOR UPDATE")
    # One group, in which Ada comes first to be locked: Bob is not locked by then, and his session has no id.
    overtaken = asyncio.gather(send(patient, ada, 1), send(patient, bob, early))

    await eventually(lambda: rows_are_awaited(mysql))
    second = (await send(impatient, bob, late)).json()
    mysql.rollback()
    _, first = [answer.json() for answer in await overtaken]
    assert first["session_id"] > second["session_id"]
    assert first["total_score"] == early + late
    assert rows(mysql, "SELECT version FROM standings WHERE user_id = 2") == [(2,)]
    proof.did("groups overtaken at a lock")
    await proof.whole(leaderboard_settings)


async def test_a_follower_that_holds_an_old_state_brings_no_removed_player_back(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient],
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
    proof: Proof,
) -> None:
    first, second = two
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    for client, player in ((first, ada), (second, bob)):
        assert (await send(client, player, 5)).status_code == 201
    pause, tell = Pause(), IndexWriter.tell

    async def held(self: IndexWriter, standings: Standings, epoch: str) -> list[Told | Exception]:
        if [row.user_id for _, rows in standings for row in rows] == [1]:
            await pause.here()
        return await tell(self, standings, epoch)

    monkeypatch.setattr(IndexWriter, "tell", held)
    with mysql.cursor() as cursor:
        cursor.execute("INSERT INTO outbox (changed) VALUES ('[[1, 0, 1]]')")
    await pause.reached.wait()  # one follower has read Ada's standing, and has not told it yet
    assert (await second.delete(f"{API}/me", headers=ada)).status_code == 204

    async def gone() -> bool:
        return await names(first) == await names(second) == ["Bob"]

    await eventually(gone)
    pause.go_on.set()
    proof.did("followers held with an old state")
    proof.find("players who returned")
    await proof.whole(leaderboard_settings)
    assert await names(first) == await names(second) == ["Bob"]


@pytest.mark.proof(5)
async def test_a_follower_that_is_held_up_at_redis_holds_nobody_up_at_mysql(
    two: tuple[httpx.AsyncClient, httpx.AsyncClient],
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
    rounds: Callable[[int, int], int],
    proof: Proof,
) -> None:
    first, _ = two
    players = [accounts.new() for _ in range(5)]
    for player in players:
        assert (await send(first, player, 1)).status_code == 201
    changed = str([[1, 0, int(number)] for number in range(1, 6)])
    tell = IndexWriter.tell
    pause = Pause()

    async def held(self: IndexWriter, standings: Standings, epoch: str) -> list[Told | Exception]:
        if is_follower():
            await pause.here()
        return await tell(self, standings, epoch)

    monkeypatch.setattr(IndexWriter, "tell", held)

    async def play(seconds: list[float]) -> None:
        for _ in range(20):
            for client in two:
                began = monotonic()
                # A lock on any of these rows, or on the outbox, would make the first process answer 503 after its second.
                answers = await asyncio.gather(*(send(client, player, 1) for player in players))
                assert [answer.status_code for answer in answers] == [201] * 5
                seconds.append(monotonic() - began)

    free, paused = list[float](), list[float]()
    for _ in range(rounds(1, 10)):  # by turns, so that a busy machine slows both
        pause.go_on.set()
        await play(free)
        pause = Pause()
        rows(mysql, "INSERT INTO outbox (changed) VALUES (%s)", changed)
        async with asyncio.timeout(10):
            await pause.reached.wait()
        await play(paused)
    pause.go_on.set()
    before, while_paused = (quantiles(each, n=100)[98] for each in (free, paused))
    proof.did("submissions while a follower was paused in Redis", 5 * len(paused))
    proof.tell("submit's p99 meanwhile, and without", f"{1000 * while_paused:.0f} and {1000 * before:.0f} ms")
    # Of the medians: the slowest of so few tells what else the machine did.
    assert median(paused) < 2 * median(free) + 0.1
    await proof.whole(leaderboard_settings)
