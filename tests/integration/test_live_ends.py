"""What live streams end with, or go on with: periods, tokens, accounts and boards that end, and processes that leave."""

import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest

from services.auth.sessions.tokens import AccessTokenIssuer
from services.leaderboard.app import create_app
from services.leaderboard.live.hub import Hub
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, SEASON, define, make
from tests.listening import Heard, Listens, listening
from tests.playing import API, own_database, submit
from tests.system import AUDIENCE, ISSUER, Accounts, bearer, rows
from tests.timing import HOUR, SECOND, mysql_now, put
from tests.watching import Watcher, watching

CUP = define("cup", windows=(SEASON, ALL))
LATER = 3600.0
"""For a watcher that does not open its stream again."""


@pytest.fixture
async def service(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Listens]:
    """A service that listens, with a board of seasons."""
    async with own_database(leaderboard_settings) as database:
        await make(database, CUP)
    async with listening(create_app(leaderboard_settings)) as listens:
        yield listens


def season(mysql: Any, starts_at: datetime, ends_at: datetime) -> int:
    """A season of the cup, which closes when it ends. Gives its id."""
    [(board_id, window_id)] = rows(
        mysql, "SELECT b.id, w.id FROM boards b JOIN windows w ON w.board_id = b.id WHERE b.name = 'cup' AND w.name = 'season'"
    )
    return put(mysql, starts_at, ends_at, board_id=board_id, window_id=window_id)


def has(kind: str) -> Callable[[Watcher], bool]:
    return lambda watcher: kind in watcher.last


def has_ended(watcher: Watcher) -> bool:
    return watcher.ended == 1


async def test_a_window_goes_on_with_its_next_period_and_says_so(service: Listens, mysql: Any, accounts: Accounts) -> None:
    ada, heard = accounts.new("Ada"), Heard()
    watcher = service.watcher("cup", ada, window="season", hear=heard)
    async with watching(watcher):
        await watcher.until(has("top"))
        now = mysql_now(mysql)
        first, second = season(mysql, now, now + 4 * SECOND), season(mysql, now + 4 * SECOND, now + HOUR)
        await submit(service.client, ada, 10, boards=["cup"])
        await watcher.until(lambda it: it.read("top")["period_id"] == second)
        await watcher.until(lambda it: it.read("me")["period_id"] == second)
        assert watcher.read("me")["rank"] is None
        page = (await service.client.get(f"{API}/boards/cup/top")).json()
        assert {**watcher.read("top"), "generation": None} == {**page, "generation": None}
    began, turned = heard.of("period")
    assert (began["ended"], began["current"]["period_id"]) == (None, first)
    assert (turned["board"], turned["window"]) == ("cup", "season")
    assert (turned["ended"]["period_id"], turned["current"]["period_id"]) == (first, second)
    assert turned["current"]["starts_at"] == turned["ended"]["ends_at"]
    # It is told before what the next one begins with.
    kinds = [(kind, data.get("period_id")) for kind, data in heard if kind != "me"]
    assert kinds.index(("top", second)) > len(kinds) - 1 - kinds[::-1].index(("period", None))


async def test_a_period_that_was_asked_for_by_its_id_ends_the_stream_when_it_is_over(
    service: Listens, mysql: Any, accounts: Accounts
) -> None:
    now = mysql_now(mysql)
    first, second = season(mysql, now - HOUR, now + 3 * SECOND), season(mysql, now + 3 * SECOND, now + HOUR)
    await submit(service.client, accounts.new("Ada"), 10, boards=["cup"])
    watcher = service.watcher("cup", window="season", period=first, pause=LATER)
    async with watching(watcher):
        await watcher.until(has("top"))
        await watcher.until(has_ended)
    assert [row["score"] for row in watcher.read("top")["top"]] == [10]
    told = watcher.read("period")
    assert (told["ended"]["period_id"], told["current"]["period_id"]) == (first, second)


async def test_a_past_period_is_sent_once_and_the_stream_ends(service: Listens, mysql: Any, accounts: Accounts) -> None:
    now = mysql_now(mysql)
    past = season(mysql, now - HOUR, now - 10 * SECOND)
    rows(mysql, "UPDATE periods SET state = 'settled', settled_at = NOW(6), players = 0 WHERE id = %s", past)
    season(mysql, now - 10 * SECOND, now + HOUR)
    named, previous = (
        service.watcher("cup", headers, window="season", period=period, pause=LATER)
        for headers, period in ((None, past), (accounts.new("Ada"), "previous"))
    )
    async with watching(named, previous):
        for watcher in (named, previous):
            await watcher.until(has_ended)
            assert watcher.read("top")["period_id"] == past
        assert "me" not in named.last
        assert previous.read("me")["rank"] is None
    # A browser that opens the stream again by itself is told that there is no more to come.
    again = await service.client.get(
        f"{API}/boards/cup/live", params={"period": past}, headers={"Last-Event-ID": named.event_id}
    )
    assert (again.status_code, again.content) == (204, b"")


async def test_a_stream_ends_with_its_token(service: Listens, accounts: Accounts) -> None:
    # A token is accepted for five seconds more than it says, since clocks differ.
    issuer = AccessTokenIssuer(accounts.keys, ISSUER, AUDIENCE, timedelta(minutes=15))
    token = issuer.issue(7, "Ada", uuid.uuid4(), datetime.now(UTC) - timedelta(minutes=15, seconds=2))
    watcher, other = service.watcher("cup", bearer(token)), service.watcher("cup")
    async with watching(watcher, other):
        await watcher.until(has("top"))
        await watcher.until(lambda it: bool(it.refusals))
        assert watcher.ended == 1
        assert watcher.refusals[0].status == 401
        assert other.ended == 0


async def test_a_stream_ends_with_its_players_account(service: Listens, mysql: Any, accounts: Accounts) -> None:
    rows(mysql, "INSERT INTO account_changes (id, username, username_canonical) VALUES (7, 'Ada', 'ada')")
    watcher = service.watcher("cup", accounts.new("Ada", 7))
    async with watching(watcher):
        await watcher.until(has("top"))
        rows(mysql, "UPDATE account_changes SET ended_at = NOW(6), changed_at = NOW(6), username = '', username_canonical = ''")
        await watcher.until(lambda it: bool(it.refusals))
        assert watcher.ended == 1


async def test_a_process_that_leaves_ends_its_streams_before_it_waits_for_anything(
    leaderboard_settings: LeaderboardSettings, service: Listens
) -> None:
    async with listening(create_app(leaderboard_settings)) as leaving:
        watchers = [leaving.watcher("cup", pause=LATER) for _ in range(50)]
        async with watching(*watchers):
            for watcher in watchers:
                await watcher.until(has("top"))
            began = monotonic()
            leaving.server.should_exit = True
            for watcher in watchers:
                await watcher.until(has_ended)
            # Far less than the requests under way are given.
            assert monotonic() - began < 5


async def test_a_board_that_is_deleted_ends_its_streams(service: Listens, mysql: Any) -> None:
    watcher = service.watcher("cup")
    async with watching(watcher):
        await watcher.until(has("top"))
        rows(mysql, "UPDATE boards SET state = 'deleting', version = version + 1 WHERE name = 'cup'")
        rows(mysql, "UPDATE boards_version SET version = version + 1")
        await watcher.until(lambda it: bool(it.refusals))
        assert (watcher.ended, watcher.refusals[0].status) == (1, 404)


async def test_a_stream_is_told_now_and_then_that_it_goes_on(service: Listens) -> None:
    hub: Hub = service.app.state.hub
    assert hub.comment_seconds == 15
    hub.comment_seconds = 1.0
    watcher = service.watcher("cup")
    async with watching(watcher):
        await watcher.until(has("top"))
        before = watcher.comments
        await watcher.until(lambda it: it.comments >= before + 2)
