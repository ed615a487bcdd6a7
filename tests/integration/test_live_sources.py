"""Where live streams know from what a place shows: the index, whichever process tells it, and MySQL without it. The gateway."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import httpx
import pytest
from redis import Redis

from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from services.local.ports import free_port
from services.local.stack import Stack
from tests.boards import ALL, define, make
from tests.listening import Listens, listening
from tests.playing import API, get, own_database, submit
from tests.system import Accounts, bearer, serving, sign_up
from tests.watching import Watcher, live_path, watching

CUP = define("cup", windows=(ALL,))


@pytest.fixture
async def board(settings: LeaderboardSettings, mysql: object) -> None:
    async with own_database(settings) as database:
        await make(database, CUP)


@pytest.fixture
async def service(settings: LeaderboardSettings, board: None, redis: Redis) -> AsyncIterator[Listens]:
    """A service that listens, on a Redis of the module's own."""
    async with listening(create_app(settings)) as listens:
        yield listens


def best(watcher: Watcher) -> int | None:
    """The best score that was shown last."""
    return watcher.read("top")["top"][0]["score"] if "top" in watcher.last and watcher.read("top")["top"] else None


def is_indexed(watcher: Watcher) -> bool:
    return "top" in watcher.last and watcher.read("top")["generation"] is not None


async def test_what_another_process_has_stored_is_shown(
    service: Listens, settings: LeaderboardSettings, accounts: Accounts
) -> None:
    ada = accounts.new("Ada")
    watcher = service.watcher("cup", ada)
    async with serving(create_app(settings)) as other, watching(watcher):
        await watcher.until(lambda it: "me" in it.last)
        for score in (10, 20):
            await submit(other, ada, score, boards=["cup"])
            await watcher.until(lambda it, score=score: best(it) == score and it.read("me")["score"] == score)  # type: ignore[misc]


async def test_a_place_that_is_watched_has_an_index_however_few_play_there(
    settings: LeaderboardSettings, board: None, redis: Redis, accounts: Accounts
) -> None:
    many = settings.model_copy(update={"index_from_players": 200})
    async with listening(create_app(many)) as listens:
        await submit(listens.client, accounts.new("Ada"), 10, boards=["cup"])
        # Read before it was watched, it was found too small for one.
        assert (await get(listens.client, "boards/cup/top"))["generation"] is None
        watcher = listens.watcher("cup")
        async with watching(watcher):
            await watcher.until(is_indexed)


async def test_an_index_that_is_lost_is_built_anew_and_nobody_is_left_behind(
    service: Listens, redis: Redis, accounts: Accounts
) -> None:
    ada = accounts.new("Ada")
    await submit(service.client, ada, 10, boards=["cup"])
    watcher = service.watcher("cup", ada)
    async with watching(watcher):
        await watcher.until(is_indexed)
        before = watcher.event_id
        redis.flushall()
        await submit(service.client, ada, 20, boards=["cup"])
        await watcher.until(lambda it: best(it) == 20 and is_indexed(it) and it.read("me")["score"] == 20)
        assert watcher.event_id != before


async def test_without_redis_mysql_tells_every_five_seconds(
    settings: LeaderboardSettings, board: None, accounts: Accounts
) -> None:
    nowhere = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    ada, bob = accounts.new("Ada"), accounts.new("Bob")
    async with listening(create_app(nowhere)) as listens:
        await submit(listens.client, ada, 10, boards=["cup"])
        await submit(listens.client, bob, 5, boards=["cup"])
        watcher = listens.watcher("cup", ada)
        async with watching(watcher):
            await watcher.until(lambda it: "me" in it.last)
            page = await listens.client.get(f"{API}/boards/cup/top")
            assert watcher.last["top"].data == page.content
            assert watcher.read("top")["generation"] is None
            seen = watcher.event_id
            # Whoever has seen that is sent nothing of it.
            again = listens.watcher("cup", {"Last-Event-ID": seen})
            async with watching(again):
                await again.until(lambda it: bool(it.comments))
                assert "top" not in again.last
                began = monotonic()
                answer = await submit(listens.client, bob, 30, boards=["cup"])
                await watcher.until(lambda it: best(it) == 30 and it.read("me")["rank"] == 2)
                assert watcher.read("me")["passed_by"] == [
                    {"rank": 1, "user_id": answer["user_id"], "username": "Bob", "score": 30}
                ]
                assert monotonic() - began < 15  # twice five seconds, and a busy machine's
                await again.until(lambda it: best(it) == 30)
            assert watcher.event_id != seen


def test_a_process_may_have_more_connections_than_a_shell_is_given(stack: Stack) -> None:
    limits = Path(f"/proc/{stack.leaderboard.working_pid}/limits").read_text(encoding="utf-8")
    [(soft, hard)] = re.findall(r"^Max open files +(\d+) +(\d+)", limits, re.MULTILINE)
    assert int(soft) >= min(int(hard), 65_536)


async def test_through_the_gateway_events_arrive_at_once_and_uncompressed(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.gateway_url) as client:
        token = bearer(await sign_up(client, "watchful"))
        headers = {**token, "Accept-Encoding": "gzip, br, zstd"}
        watcher = Watcher([stack.gateway_url], live_path("main"), headers)
        async with watching(watcher):
            await watcher.until(lambda it: "me" in it.last)
            for score in range(1, 4):
                began = monotonic()
                total = (await submit(client, token, score))["total_score"]
                await watcher.until(lambda it, total=total: it.read("me")["score"] == total)  # type: ignore[misc]
                assert monotonic() - began < 5  # two on an idle machine: own ranks are looked up once a second
        async with client.stream("GET", f"{API}/boards/main/live", headers=headers) as answer:
            assert answer.status_code == 200
            assert "content-encoding" not in answer.headers
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-request-id"]
        assert (await client.head(f"{API}/boards/main/live")).status_code == 200
