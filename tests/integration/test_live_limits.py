"""How many live streams may be open, whom they are counted by, and who is cut off; and requests for streams that are none."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from services.common.http.one_write import OneWriteProtocol
from services.common.tokens import Scope as TokenScope
from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, WEEK, define, make
from tests.listening import Heard, Listens, listening
from tests.playing import API, own_database, submit
from tests.system import Accounts, assert_problem, eventually
from tests.watching import Watcher, all_are, watching

CUP = define("cup", windows=(ALL, WEEK), show_extra=True)
LIVE = f"{API}/boards/cup/live"


@pytest.fixture
async def board(leaderboard_settings: LeaderboardSettings, mysql: object) -> None:
    async with own_database(leaderboard_settings) as database:
        await make(database, CUP)


@pytest.fixture
async def service(leaderboard_settings: LeaderboardSettings, board: None) -> AsyncIterator[Listens]:
    async with listening(create_app(leaderboard_settings)) as listens:
        yield listens


def is_shown(watcher: Watcher) -> bool:
    return "top" in watcher.last


async def test_of_201_streams_of_one_address_one_is_refused_until_another_ends(service: Listens) -> None:
    watchers = [service.watcher("cup") for _ in range(200)]
    async with watching(*watchers):
        await all_are(watchers, is_shown)
        refused = await service.client.get(LIVE)
        assert_problem(refused, 429, "too-many-streams")
        assert int(refused.headers["retry-after"]) > 0
        assert (await service.client.get(f"{API}/boards/cup/top")).status_code == 200

    async def is_free() -> bool:
        return (await service.client.head(LIVE)).status_code == 200

    await eventually(is_free)


async def test_addresses_are_those_that_the_gateway_tells_and_a_network_is_one(
    leaderboard_settings: LeaderboardSettings, board: None
) -> None:
    settings = leaderboard_settings.model_copy(update={"streams_per_address": 1})
    async with listening(create_app(settings)) as listens:
        watchers = [
            listens.watcher("cup", {"X-Forwarded-For": address}) for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1")
        ]
        async with watching(*watchers):
            await all_are(watchers, is_shown)
            for address in ("192.0.2.2", "2001:db8::2"):
                refused = await listens.client.get(LIVE, headers={"X-Forwarded-For": address})
                assert_problem(refused, 429, "too-many-streams")
            assert (await listens.client.head(LIVE, headers={"X-Forwarded-For": "2001:db8:0:1::1"})).status_code == 200


async def test_a_user_has_so_many_streams_from_wherever_and_a_process_as_many_as_it_is_told(
    leaderboard_settings: LeaderboardSettings, board: None, accounts: Accounts
) -> None:
    settings = leaderboard_settings.model_copy(update={"streams": 3, "streams_per_user": 2})
    ada = accounts.new("Ada")
    async with listening(create_app(settings)) as listens:
        watchers = [listens.watcher("cup", ada), listens.watcher("cup", ada), listens.watcher("cup")]
        async with watching(*watchers[:2]):
            await all_are(watchers[:2], is_shown)
            assert_problem(await listens.client.get(LIVE, headers=ada), 429, "too-many-streams")
            async with watching(watchers[2]):
                await watchers[2].until(is_shown)
                full = await listens.client.get(LIVE, headers=accounts.new("Bob"))
                assert_problem(full, 503, "streams-full")
                assert int(full.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("nowhere/live", 404, "board-not-found"),
        ("cup/live?window=month", 404, "window-not-found"),
        ("cup/live?period=77", 404, "period-not-found"),
        ("cup/live?period=77777777777", 422, "invalid-request"),
        ("cup/live?window=all&period=previous", 404, "period-not-found"),
        ("cup/live?limit=0", 422, "invalid-request"),
        ("cup/live?limit=101", 422, "invalid-request"),
        ("cup/live?limit=ten", 422, "invalid-request"),
        ("cup/live?window=No", 422, "invalid-request"),
        ("C!/live", 422, "invalid-request"),
    ],
)
async def test_what_is_no_stream_is_a_problem_and_counts_for_nothing(
    service: Listens, path: str, status: int, kind: str
) -> None:
    assert_problem(await service.client.get(f"{API}/boards/{path}"), status, kind)
    assert "leaderboard_streams 0.0" in (await service.client.get("/metrics")).text


async def test_a_token_in_the_url_is_none_and_a_bad_one_is_refused(service: Listens, accounts: Accounts) -> None:
    ada = accounts.new("Ada")
    for header in ("Bearer", "Bearer x", "Basic eDp5", ada["Authorization"] + "x"):
        assert_problem(await service.client.get(LIVE, headers={"Authorization": header}), 401, "unauthenticated")
    token = ada["Authorization"].removeprefix("Bearer ")
    watchers = [service.watcher("cup", access_token=token), service.watcher("cup", accounts.new_key(TokenScope.SCORES))]
    async with watching(*watchers):
        await all_are(watchers, is_shown)
        await asyncio.sleep(0.6)
        assert all("me" not in watcher.last for watcher in watchers)


class SmallBuffers(OneWriteProtocol):
    """The kernel takes little of what is sent, so that a reader who stops is found out."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        super().connection_made(transport)


async def test_a_reader_that_stops_gets_the_newest_alone_and_is_cut_off_in_time(
    leaderboard_settings: LeaderboardSettings, board: None, accounts: Accounts
) -> None:
    app = create_app(leaderboard_settings)
    async with listening(app, SmallBuffers) as listens:
        players = [accounts.new() for _ in range(30)]
        for number, player in enumerate(players):
            await submit(listens.client, player, number, boards=["cup"], extra="x" * 1_000)
        heard = Heard()
        slow = listens.watcher("cup", limit=30, hear=heard)
        watchers = [slow, listens.watcher("cup", limit=30)]
        async with watching(*watchers):
            await all_are(watchers, is_shown)
            for watcher in watchers:
                watcher.stop_reading()
            for score in range(100, 124):
                await submit(listens.client, players[0], score, boards=["cup"], extra="x" * 1_000)
                await asyncio.sleep(0.1)
            slow.read_on()
            await slow.until(lambda it: it.read("top")["top"][0]["score"] == 123)
            # What was in the buffers, and the newest.
            assert len(heard.of("top")) < 15
            assert app.state.hub.cut == 0
            app.state.hub.stalled_seconds = 1.0

            async def is_cut() -> bool:
                return bool(app.state.hub.cut == 1 and app.state.hub.limits.open == 1)

            await eventually(is_cut)
            assert "leaderboard_streams_cut_total 1.0" in (await listens.client.get("/metrics")).text
            assert (slow.streams, slow.ended) == (1, 0)
