"""Kills a game at random moments and holds that the server counted each of its sessions once, and lost none.

What a sample game in ``frontend/clients/samples`` keeps to, in whatever language:

- ``LEADERBOARD_URL`` says where the system is, ``LEADERBOARD_STATE`` a folder, in which a file ``queue`` holds the queue as
  JSON: a list of entries.
- With ``--games N`` it signs in as a guest, unless the folder has a session, and plays N scores without a pause. Then it waits
  until its queue is empty, and ends with status 0. ``--games 0`` only sends what is kept. A sample that cannot be given
  arguments reads N from ``LEADERBOARD_GAMES``, which is always set too.
- It prints ``queued KEY SCORE`` after each submit has returned and ``counted KEY`` after each acknowledgement. Each line is
  flushed.
- Without an answer it tries again, for as long as it takes; with a full queue it waits.
"""

import asyncio
import contextlib
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.clients.counted import Counted
from tests.clients.losing import Losing

# Seconds after which a game that waits, for example until it may send again, is killed as it is.
_STANDSTILL = 8.0
# A game is killed at once or a moment later, since what it does next takes less than this.
_MOMENT = 0.02
# One kill in so many is by the clock alone, so that some games die while they start.
_BY_THE_CLOCK = 6
_START = 0.7
FindCounted = Callable[[Sequence[str]], Awaitable[Counted]]


@dataclass
class Killed:
    """What came of it."""

    kills: int = 0
    runs: int = 0
    queued: dict[str, int] = field(default_factory=dict)
    """The score of each session that was told as queued, by its key."""
    acknowledged: set[str] = field(default_factory=set)
    unannounced: int = 0
    """Sessions on the server that a kill kept from being told as queued."""

    def hear(self, line: str) -> None:
        """Take in a line that the game printed."""
        match line.split():
            case ["queued", key, score]:
                assert key not in self.queued, f"{key} was made twice"
                self.queued[key] = int(score)
            case ["counted", key]:
                self.acknowledged.add(key)
            case _:
                pass  # what games say to people


@dataclass(frozen=True)
class Sample:
    """A game to be killed: its command without ``--games N``, and what else its environment has."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    async def start(self, url: str, state: Path, games: int) -> Process:
        """Run it in a group of its own, so that all of its processes are killed together."""
        own = {"LEADERBOARD_URL": url, "LEADERBOARD_STATE": str(state), "LEADERBOARD_GAMES": str(games)}
        return await asyncio.create_subprocess_exec(
            *self.command,
            "--games",
            str(games),
            env={**os.environ, **self.environment, **own},
            stdout=PIPE,
            stderr=None,
            start_new_session=True,
        )


async def kill_often(
    sample: Sample,
    losing: Losing,
    state: Path,
    find_counted: FindCounted,
    *,
    kills: int,
    games: int = 20,
    seed: int = 0,
    last_seconds: float = 120.0,
    on_kill: Callable[[], None] = lambda: None,
) -> Killed:
    """Kill it so often, let it end, and hold what was promised.

    Moments for a kill are a line that it prints, a request of it that arrives and an answer that leaves for it. Set
    ``losing.requests`` and ``losing.answers`` before, so that answers get lost on top of it.
    """
    random, killed = Random(seed), Killed()
    while killed.kills < kills:
        assert killed.runs < 3 * kills + 10, "it ends by itself too often to be killed"
        killed.runs += 1
        if await _run_and_kill(sample, losing, state, games, random, killed):
            killed.kills += 1
            on_kill()
    killed.runs += 1
    process = await sample.start(losing.url, state, 0)
    try:
        async with asyncio.timeout(last_seconds):
            await _listen(process, killed, lambda: None)
            status = await process.wait()
    finally:
        await _end(process)
    assert status == 0, f"the last run ended with status {status}"
    assert killed.queued, "it never told that a session was queued"
    _queue_is_empty(state)
    _hold(killed, await find_counted(list(killed.queued)))
    return killed


async def _run_and_kill(sample: Sample, losing: Losing, state: Path, games: int, random: Random, killed: Killed) -> bool:
    """One run. Whether it was killed: it may have ended before."""
    reached = asyncio.Event()
    by_the_clock = random.randrange(_BY_THE_CLOCK) == 0
    left = random.randrange(1, 4 * games)

    def on_moment() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            reached.set()

    losing.on_moment = on_moment
    process = await sample.start(losing.url, state, games)
    listening = asyncio.ensure_future(_listen(process, killed, on_moment))
    try:
        if by_the_clock:
            await asyncio.sleep(random.uniform(0, _START))
        else:
            moment = asyncio.ensure_future(reached.wait())
            await asyncio.wait([moment, listening], timeout=_STANDSTILL, return_when=asyncio.FIRST_COMPLETED)
            moment.cancel()
            await asyncio.sleep(random.choice((0, random.uniform(0, _MOMENT))))
    finally:
        await _end(process)
        losing.on_moment = lambda: None
    await listening
    assert process.returncode in {0, -signal.SIGKILL}, f"it ended by itself with status {process.returncode}"
    return process.returncode == -signal.SIGKILL


async def _listen(process: Process, killed: Killed, on_line: Callable[[], None]) -> None:
    """Take in what it prints until it is gone. What a kill cut short was not said."""
    assert process.stdout is not None
    async for line in process.stdout:
        if line.endswith(b"\n"):
            killed.hear(line.decode())
            on_line()


async def _end(process: Process) -> None:
    """SIGKILL to it and all that it started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _queue_is_empty(state: Path) -> None:
    """Hold that the file with the queue, if there is one, has no entry left."""
    for path in state.rglob("queue*"):
        text = path.read_text(encoding="utf-8")
        assert not text or not json.loads(text), f"{path.name} has something left: {text[:200]}"


def _hold(killed: Killed, counted: Counted) -> None:
    """Each session that was queued is there once, and nothing else but what a kill kept from being told."""
    missing = killed.queued.keys() - counted.sessions.keys()
    assert not missing, f"lost: {sorted(missing)}"
    for key, score in killed.queued.items():
        assert counted.sessions[key] == [score], f"{key} with {score} is there as {counted.sessions[key]}"
    assert killed.acknowledged <= counted.sessions.keys(), "told as counted and not there"
    unannounced = counted.sessions.keys() - killed.queued.keys()
    killed.unannounced = len(unannounced)
    assert killed.unannounced <= killed.kills, f"{killed.unannounced} sessions more than were queued"
    assert all(len(counted.sessions[key]) == 1 for key in unannounced)
    assert counted.total == sum(score for scores in counted.sessions.values() for score in scores)
