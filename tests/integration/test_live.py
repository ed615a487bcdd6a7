"""Live standings: who watches a place is sent what it shows, at once and whenever that changes."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, WEEK, make, tagged
from tests.listening import Heard, listening
from tests.playing import API, get, own_database, remove, submit
from tests.system import Accounts
from tests.watching import Watcher, live_path, watching

ALPS = tagged("alps", "alps", aggregate="latest", windows=(WEEK, ALL))


@pytest.fixture
async def service(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[httpx.AsyncClient]:
    """A service that listens, with a board."""
    async with own_database(leaderboard_settings) as database:
        await make(database, ALPS)
    async with listening(create_app(leaderboard_settings)) as listens:
        yield listens.client


def shows(watcher: Watcher, score: int) -> bool:
    """Whether a score is on the page that was sent last."""
    return score in [row["score"] for row in watcher.read("top")["top"]]


def url(client: httpx.AsyncClient) -> list[str]:
    return [str(client.base_url)]


async def test_who_watches_is_sent_the_very_page_at_once_and_whenever_it_changes(
    service: httpx.AsyncClient, accounts: Accounts
) -> None:
    ada, bob = accounts.new("Ada"), accounts.new("Bob")
    await submit(service, ada, 10, boards=["alps"])
    watcher = Watcher(url(service), live_path("alps"))
    async with watching(watcher):
        await watcher.until(lambda it: "top" in it.last)
        assert [row["username"] for row in watcher.read("top")["top"]] == ["Ada"]
        assert 1 <= watcher.retry_seconds < 3
        for score in (5, 20):
            await submit(service, bob, score, boards=["alps"])
            await watcher.until(partial(shows, score=score))
            page = await service.get(f"{API}/boards/alps/top")
            assert watcher.last["top"].data == page.content
            assert watcher.event_id == page.json()["generation"]


async def test_a_player_who_watches_is_sent_their_own_rank_and_who_has_passed_them(
    service: httpx.AsyncClient, accounts: Accounts
) -> None:
    names = {"Ada": 100, "Bob": 90, "Cid": 80, "Dan": 70, "Eve": 60, "Fay": 50, "Gus": 40}
    players = {name: accounts.new(name) for name in names}
    for name, score in names.items():
        await submit(service, players[name], score, boards=["alps"])
    heard = Heard()
    watcher = Watcher(url(service), live_path("alps", window="week"), players["Ada"], hear=heard)
    async with watching(watcher):
        await watcher.until(lambda it: "me" in it.last)
        first = watcher.read("me")
        assert (first["rank"], first["score"], first["total_players"], first["passed_by"]) == (1, 100, 7, [])
        # Gus is further behind than five places.
        for name, score in (("Gus", 300), ("Cid", 200)):
            await submit(service, players[name], score, boards=["alps"])
        await watcher.until(lambda it: it.read("me")["rank"] == 3)
        await submit(service, players["Ada"], 250, boards=["alps"])
        await watcher.until(lambda it: it.read("me")["score"] == 250)
        own = await get(service, "boards/alps/rank/me", players["Ada"])
        assert {name: watcher.read("me")[name] for name in own if name in first} == {
            name: own[name] for name in own if name in first
        }
    passed = [by for me in heard.of("me") for by in me["passed_by"]]
    assert [(by["username"], by["score"]) for by in passed] == [("Cid", 200)]


async def test_one_who_has_jumped_far_ahead_is_told_too(service: httpx.AsyncClient, accounts: Accounts) -> None:
    for number in range(20):
        await submit(service, accounts.new(), 100 + number, boards=["alps"])
    ada, bob = accounts.new("Ada"), accounts.new("Bob")
    await submit(service, ada, 10, boards=["alps"])
    await submit(service, bob, 9, boards=["alps"])
    watcher = Watcher(url(service), live_path("alps"), ada)
    async with watching(watcher):
        await watcher.until(lambda it: "me" in it.last)
        await submit(service, bob, 500, boards=["alps"])
        await watcher.until(lambda it: it.read("me")["rank"] == 22)
        assert [(by["rank"], by["username"]) for by in watcher.read("me")["passed_by"]] == [(1, "Bob")]


async def test_one_who_has_not_played_is_told_so_and_of_their_first_session(
    service: httpx.AsyncClient, accounts: Accounts
) -> None:
    await submit(service, accounts.new(), 10, boards=["alps"])
    ada = accounts.new("Ada")
    watcher = Watcher(url(service), live_path("alps"), ada)
    async with watching(watcher):
        await watcher.until(lambda it: "me" in it.last)
        assert (watcher.read("me")["rank"], watcher.read("me")["score"], watcher.read("me")["total_players"]) == (None, None, 1)
        await submit(service, ada, 20, boards=["alps"])
        await watcher.until(lambda it: it.read("me")["rank"] == 1)
        await remove(service, ada)
        await watcher.until(lambda it: it.read("me")["rank"] is None)


async def test_a_place_where_nobody_has_played_is_watched_until_somebody_does(
    service: httpx.AsyncClient, accounts: Accounts
) -> None:
    ada = accounts.new("Ada")
    watcher = Watcher(url(service), live_path("alps", window="week"), ada)
    async with watching(watcher):
        await watcher.until(lambda it: "me" in it.last)
        assert (watcher.read("top")["period_id"], watcher.read("top")["top"]) == (None, [])
        assert watcher.read("me")["rank"] is None
        await submit(service, ada, 20, boards=["alps"])
        await watcher.until(lambda it: it.read("top")["period_id"] is not None and it.read("me")["rank"] == 1)
        assert watcher.read("period")["current"]["period_id"] == watcher.read("top")["period_id"]


async def test_who_has_seen_what_a_place_shows_is_sent_nothing_but_a_comment(
    service: httpx.AsyncClient, accounts: Accounts
) -> None:
    await submit(service, accounts.new(), 10, boards=["alps"])
    before = Watcher(url(service), live_path("alps"))

    def is_indexed(watcher: Watcher) -> bool:
        return "top" in watcher.last and watcher.read("top")["generation"] is not None

    async with watching(before):
        await before.until(is_indexed)
    again, other = (Watcher(url(service), live_path("alps"), {"Last-Event-ID": seen}) for seen in (before.event_id, "another"))
    async with watching(again, other):
        await other.until(lambda it: "top" in it.last)
        await again.until(lambda it: bool(it.comments))
        await asyncio.sleep(0.6)
        assert again.last == {}
        await submit(service, accounts.new(), 20, boards=["alps"])
        await again.until(lambda it: "top" in it.last)


async def test_a_stream_is_counted_once_and_as_what_it_took_to_begin_it(service: httpx.AsyncClient, accounts: Accounts) -> None:
    await submit(service, accounts.new(), 10, boards=["alps"])
    watcher = Watcher(url(service), live_path("alps"))
    async with watching(watcher):
        await watcher.until(lambda it: "top" in it.last)
        metrics = (await service.get("/metrics")).text
        assert "leaderboard_streams 1.0" in metrics
        route = f'route="{API}/boards/{{board}}/live"'
        assert f'http_requests_total{{method="GET",{route},status="200"}} 1.0' in metrics
        [seconds] = [
            line for line in metrics.splitlines() if line.startswith("http_request_duration_seconds_sum") and route in line
        ]
        assert float(seconds.split()[-1]) < 10


async def test_the_head_of_a_stream_is_told_and_leaves_nothing_open(service: httpx.AsyncClient) -> None:
    answer = await service.head(f"{API}/boards/alps/live")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "leaderboard_streams 0.0" in (await service.get("/metrics")).text
