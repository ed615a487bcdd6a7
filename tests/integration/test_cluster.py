"""The ranking index on a Redis Cluster of three nodes, and the service on it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from services.leaderboard.app import create_app
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.standings import Span, StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.local.ports import free_port
from services.local.redis import RedisServer
from tests.playing import API
from tests.ranked import aheads_told, fill, indexing
from tests.servers import pair
from tests.system import Accounts, serving

SLOTS = 16_384
NODES = 3


@dataclass
class Node:
    """A Redis server in cluster mode. The nodes talk on ``bus_port``: by default 10,000 higher, which there need not be."""

    server: RedisServer
    bus_port: int


def new_node(folder: Path, password: str) -> Node:
    bus_port = free_port()
    settings = {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf", "cluster-port": bus_port}
    return Node(pair().redis(folder, password, settings=settings), bus_port)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline
        sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, secrets: Mapping[str, str]) -> Iterator[list[RedisServer]]:
    nodes = [new_node(tmp_path_factory.mktemp("node"), secrets["REDIS_PASSWORD"]) for _ in range(NODES)]
    with ExitStack() as stack:
        for node in nodes:
            node.server.start()
            stack.callback(node.server.stop)
        clients: list[Any] = [stack.enter_context(node.server.client()) for node in nodes]
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER ADDSLOTSRANGE", SLOTS * number // NODES, SLOTS * (number + 1) // NODES - 1)
            node = nodes[number]
            clients[0].execute_command("CLUSTER MEET", node.server.host, node.server.port, node.bus_port)
        wait_until(lambda: all(client.execute_command("CLUSTER INFO")["cluster_state"] == "ok" for client in clients))
        wait_until(lambda: all(len(client.execute_command("CLUSTER SHARDS")) == NODES for client in clients))
        yield [node.server for node in nodes]


@pytest.fixture
def settings(leaderboard_settings: LeaderboardSettings, cluster: list[RedisServer]) -> LeaderboardSettings:
    for node in cluster:
        with node.client() as client:
            client.flushall()
    return leaderboard_settings.model_copy(update={"redis_url": cluster[0].url, "redis_cluster": True, "redis_timeout": 1.0})


async def test_every_board_is_whole_on_whichever_node_it_is(settings: LeaderboardSettings, cluster: list[RedisServer]) -> None:
    boards = [Ranked(Place(board, 0), Direction.DESCENDING, None) for board in range(1, 13)]
    rows = [StandingRow(user_id, f"player{user_id}", user_id % 7, user_id, 1) for user_id in range(1, 301)]
    expected = [row.user_id for row in sorted(rows, key=lambda row: (-(row.score or 0), row.reached_session_id))]
    ahead = sum((row.score or 0) > (rows[-1].score or 0) for row in rows)
    async with indexing(settings) as (index, reads):
        for at in boards:
            await fill(index, rows, at)
        # All of them at once, through a node that has not seen the script yet, or has.
        for node in cluster:
            with node.client() as client:
                client.script_flush()
        for _ in range(2):
            assert await aheads_told(reads, [(at, rows[-1:]) for at in boards]) == [[ahead]] * len(boards)
        pages = await asyncio.gather(*(reads.page(at, "top", Span(100, 50), b"") for at in boards))
        for at, page in zip(boards, pages, strict=True):
            assert page is not None
            assert page.neighbours is not None
            assert [player.user_id for player in page.neighbours.players] == expected[50:150]
            await reads.keep_page(at.at, "top", Span(100, 50), page.generation, b"{}", 60_000)
            again = await reads.page(at, "top", Span(100, 50), b"")
            assert again is not None
            assert again.body == b"{}"
            around = await reads.around(at, expected[20], 2)
            assert around is not None
            assert around[0] is not None
            assert [player.user_id for player in around[0].players] == expected[18:23]
        # Spread out, or this would have shown nothing.
        for node in cluster:
            with node.client() as client:
                assert list(client.scan_iter("*:order"))
        await index.remove([at.at for at in boards])
        for node in cluster:
            with node.client() as client:
                assert not list(client.scan_iter("*:order")) + list(client.scan_iter("*:players"))


async def test_the_service_uses_a_cluster(settings: LeaderboardSettings, mysql: object, accounts: Accounts) -> None:
    async with serving(create_app(settings)) as client:
        ada = accounts.new("Ada", 1)
        assert (await client.post(f"{API}/submit", json={"score": 5}, headers=ada)).json()["rank"] == 1
        assert (await client.get(f"{API}/top")).json()["top"][0]["username"] == "Ada"
        assert (await client.get(f"{API}/health/ready")).json()["checks"]["redis"] == "ok"
