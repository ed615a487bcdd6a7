"""Whoever watches has the last state, whatever fails: seconds after a fault's end, and elsewhere where a process died."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import httpx
import pytest

from services.leaderboard.settings import LeaderboardSettings
from services.local.processes import Process
from services.local.stack import Stack
from tests.conftest import settings_of
from tests.faults.conftest import StartProcess
from tests.faults.crowd import Crowd
from tests.faults.proofs import Proof
from tests.faults.proxy import COMMIT, Fault, Proxy
from tests.playing import send
from tests.system import MANY_STREAMS, Accounts
from tests.watching import all_are

pytestmark = pytest.mark.proof(13)

WATCHERS = 200
RIGHT_SECONDS = 6
# Where nobody has promised how soon: a machine may be busy.
PATIENCE_SECONDS = 30
BACK_SECONDS = 10
STORES = b"INSERT INTO game_sessions"


def redis_stops(stack: Stack) -> None:
    """Redis stopped"""
    stack.redis.kill()


def redis_starts(stack: Stack) -> None:
    stack.redis.start()


def redis_is_flushed(stack: Stack) -> None:
    """Redis flushed"""
    with stack.redis.client() as redis:
        redis.flushall()


def nothing(_: Stack) -> None:
    pass


def mysql_stops(stack: Stack) -> None:
    """MySQL stopped"""
    stack.mysql.stop()


def mysql_starts(stack: Stack) -> None:
    stack.mysql.start()


FAULTS: list[tuple[Callable[[Stack], None], Callable[[Stack], None]]] = [
    (redis_stops, redis_starts),
    (redis_is_flushed, nothing),
    (mysql_stops, mysql_starts),
]


@pytest.mark.parametrize(("fail", "mend"), FAULTS, ids=lambda step: step.__name__)
async def test_every_watcher_has_the_last_state_seconds_after_the_end_of_a_fault(
    own_stack: Stack,
    secrets: Mapping[str, str],
    accounts: Accounts,
    rounds: Callable[[int, int], int],
    proof: Proof,
    fail: Callable[[Stack], None],
    mend: Callable[[Stack], None],
) -> None:
    urls = [process.url for process in own_stack.leaderboards]
    first_id = 13_000 + 100 * [each for each, _ in FAULTS].index(fail)
    crowd = Crowd(lambda number: [urls[number // 2 % 2]], accounts, watchers=WATCHERS, first_id=first_id)
    slowest = 0.0
    async with crowd.watching():
        await crowd.play(urls)
        await crowd.has_last_state(proof, PATIENCE_SECONDS)
        for _ in range(rounds(1, 5)):
            await asyncio.to_thread(fail, own_stack)
            playing = asyncio.create_task(crowd.play(urls, sessions=2))
            if fail is redis_stops and rounds(0, 1):  # nobody who watches need wait for its return, only longer
                await playing
                await crowd.has_last_state(proof, PATIENCE_SECONDS)
            await asyncio.to_thread(mend, own_stack)
            mended = monotonic()
            await playing
            await crowd.has_last_state(proof, RIGHT_SECONDS - (monotonic() - mended))
            slowest = max(slowest, monotonic() - mended)
            proof.did(fail.__doc__ or "")
    proof.tell(f"{fail.__doc__}, slowest until all had the last state", f"{slowest:.1f} s")
    await proof.whole(settings_of(own_stack, secrets))


async def test_who_watched_a_process_that_is_killed_goes_on_elsewhere_and_no_last_state_is_lost(
    start_process: StartProcess,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    rounds: Callable[[int, int], int],
    proof: Proof,
) -> None:
    """The last session is acknowledged by the process that is killed, at that very moment; or by the other one, right after."""
    told = {"mysql_database": leaderboard_settings.mysql_database, "redis_url": leaderboard_settings.redis_url, **MANY_STREAMS}
    processes = await asyncio.gather(start_process(**told), start_process(**told))
    urls = [process.url for process in processes]
    crowd = Crowd(lambda _: urls, accounts, watchers=rounds(100, 500), first_id=13_900, players=25)
    slowest, kills = 0.0, rounds(3, 100)
    with proof.progress("kills", kills) as bar:
        async with crowd.watching():
            await crowd.play(urls)
            await crowd.has_last_state(proof, PATIENCE_SECONDS)
            for number in range(kills):
                # A process that is very busy may have sent some of them on.
                [(url, _)] = Counter(watcher.url for watcher in crowd.watchers).most_common(1)
                killed, other = processes if url == processes[0].url else reversed(processes)
                await asyncio.to_thread(other.wait_ready)
                streams = {watcher: watcher.streams for watcher in crowd.watchers if watcher.url == killed.url}
                async with httpx.AsyncClient(base_url=(other if number % 3 == 1 else killed).url, timeout=30) as client:
                    if number % 3 == 1:
                        killed.kill()
                        began = monotonic()
                        await crowd.submit(client)
                    else:
                        await crowd.submit(client)
                        killed.kill()
                        began = monotonic()
                killed.launch()
                await crowd.is_back(streams, proof, BACK_SECONDS - (monotonic() - began))
                await crowd.has_last_state(proof, BACK_SECONDS - (monotonic() - began))
                proof.did("streams of killed processes", len(streams))
                slowest = max(slowest, monotonic() - began)
                proof.did("processes killed that a crowd watched")
                bar.advance()
    assert proof.done["streams of killed processes"] > kills * len(crowd.watchers) / 2
    proof.tell("slowest until all were back, with the last state", f"{slowest:.1f} s")
    await proof.whole(leaderboard_settings)


async def test_streams_are_brought_to_their_end_before_a_process_that_leaves_has_answered_everyone(
    start_process: StartProcess,
    mysql_proxy: Proxy,
    other: httpx.AsyncClient,
    accounts: Accounts,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    """Another process lives on, which forgets what was told to Redis."""
    service = await start_process(
        mysql_port=mysql_proxy.port,
        mysql_database=leaderboard_settings.mysql_database,
        redis_url=leaderboard_settings.redis_url,
        mysql_timeout=60,
    )
    crowd = Crowd(lambda _: [service.url], accounts, watchers=50, first_id=13_990, pause=60)
    async with crowd.watching(), httpx.AsyncClient(base_url=service.url, timeout=30) as client:
        await crowd.submit(client)
        mysql_proxy.strike(Fault.DELAYED, COMMIT, after=STORES)
        asking = asyncio.create_task(send(client, accounts.new(user_id=13_989), 1))
        async with asyncio.timeout(20):
            await mysql_proxy.struck.wait()
        service.terminate()
        await all_are(crowd.watchers, lambda each: each.ended == 1, 5)
        assert not asking.done()
        assert service.running
        mysql_proxy.release()
        assert (await asking).status_code == 201
    assert await asyncio.to_thread(service.wait_stopped, Process.stop_seconds)
    assert "Traceback" not in service.log.read_text()
    proof.did("streams brought to their end", len(crowd.watchers))
    await proof.whole(leaderboard_settings)
