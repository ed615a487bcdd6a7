"""No page is older than what was acknowledged before it was asked for, whichever process acknowledged and whichever answers.

And what looks for such pages finds them where there are some: in builds that are broken on purpose.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

import httpx
import pytest

from services.leaderboard.settings import LeaderboardSettings
from services.local import ROOT
from services.local.redis import RedisServer
from tests.faults.conftest import StartProcess
from tests.faults.proofs import Proof
from tests.faults.shown import redis_in_use
from tests.playing import API, submit
from tests.system import Accounts

pytestmark = pytest.mark.proof(7)

USER = 870_001
READERS_A_PROCESS = 1
# Of a copy of the services: what keeps pages fresh, and what takes its place there.
BREAKS = {
    "a change makes no new generation": ("apply.lua", "redis.call('HSET', players, '#generation', nonce)", ""),
    "a page is good under any generation": ("page.lua", "if known == generation then", "if known ~= '' then"),
}


class Readers:
    """Read on and on from every process, and keep each answer that is older than what was acknowledged when it was asked."""

    def __init__(self, clients: Sequence[httpx.AsyncClient]) -> None:
        self._clients = clients
        self._done = asyncio.Event()
        self.acknowledged = 0
        self.answers = [0] * (READERS_A_PROCESS * len(clients))
        self.stale: list[str] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as reading:
            for number in range(len(self.answers)):
                reading.create_task(self._read(number, self._clients[number % len(self._clients)]))

    def stop(self) -> None:
        self._done.set()

    async def _read(self, number: int, client: httpx.AsyncClient) -> None:
        while not self._done.is_set():
            known = self.acknowledged
            page = (await client.get(f"{API}/top?limit=3")).json()
            self._hold("page", known, {row["user_id"]: row["total_score"] for row in page["top"]}[USER])
            known = self.acknowledged
            self._hold("rank", known, (await client.get(f"{API}/rank/{USER}")).json()["total_score"])
            self.answers[number] += 2

    def _hold(self, what: str, known: int, shown: int) -> None:
        if shown < known:
            self.stale.append(f"a {what} of {shown} after {known}")


async def play(
    urls: Sequence[str], me: dict[str, str], rounds: int, advance: Callable[[], None], until_stale: bool = False
) -> Readers:
    """Submit through one process after the other while readers read from all of them."""
    clients = [httpx.AsyncClient(base_url=url) for url in urls]
    try:
        readers = Readers(clients)
        # Ahead of every other player of this system, whose boards stay small.
        readers.acknowledged = (await submit(clients[0], me, 1_000_000_000))["total_score"]
        reading = asyncio.create_task(readers.run())
        try:
            for client, _ in zip(cycle(clients), range(rounds), strict=False):
                readers.acknowledged = (await submit(client, me, 1))["total_score"]
                advance()
                if reading.done() or (until_stale and readers.stale):
                    break
        finally:
            readers.stop()
            await reading
        return readers
    finally:
        for client in clients:
            await client.aclose()


async def test_no_page_is_older_than_what_was_acknowledged(
    start_process: StartProcess,
    process: httpx.AsyncClient,
    on_redis: LeaderboardSettings,
    accounts: Accounts,
    rounds: Callable[[int, int], int],
    proof: Proof,
) -> None:
    """Redis is given more time than a busy machine takes: what a process could not tell it shows after a moment only."""
    told = {"redis_url": on_redis.redis_url, "redis_timeout": 5, "mysql_database": on_redis.mysql_database}
    processes = [await start_process(**told) for _ in range(2)]
    number = rounds(300, 10_000)
    with proof.progress("submissions", number) as bar:
        urls = [each.url for each in processes]
        readers = await play(urls, accounts.new(user_id=USER), number, bar.advance)
    assert min(readers.answers) > 0
    proof.did("rounds of submit", number)
    proof.did("answers read meanwhile", sum(readers.answers))
    proof.find("stale pages and ranks", readers.stale)
    await redis_in_use(process)
    await proof.whole(on_redis)


@pytest.mark.proof(7, whole=False)
@pytest.mark.parametrize("broken", BREAKS)
@pytest.mark.usefixtures("mysql")
async def test_in_a_build_that_is_broken_on_purpose_stale_pages_are_found(
    start_process: StartProcess,
    leaderboard_settings: LeaderboardSettings,
    redis: RedisServer,
    accounts: Accounts,
    tmp_path: Path,
    proof: Proof,
    broken: str,
) -> None:
    copy = tmp_path / "broken"
    shutil.copytree(ROOT / "services", copy / "services", ignore=shutil.ignore_patterns("__pycache__"))
    file, right, wrong = BREAKS[broken]
    script = copy / "services" / "leaderboard" / "index" / "lua" / file
    text = script.read_text(encoding="utf-8")
    assert text.count(right) == 1
    script.write_text(text.replace(right, wrong), encoding="utf-8")
    processes = [
        await start_process(
            pythonpath=copy,
            pythonsafepath=1,  # or the working directory's own services would be found first
            mysql_database=leaderboard_settings.mysql_database,
            redis_url=redis.url,
        )
        for _ in range(2)
    ]
    urls = [process.url for process in processes]
    readers = await play(urls, accounts.new(user_id=USER), 1_000, lambda: None, until_stale=True)
    assert any(each.startswith("a page") for each in readers.stale)
    proof.did("builds broken on purpose, and stale pages found")
