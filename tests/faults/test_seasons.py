"""Periods end while players play and processes are killed: each is settled once, as its sessions say."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from random import Random
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.operate import boards
from services.leaderboard.rules.places import unpack
from services.leaderboard.settings import LeaderboardSettings
from services.local.web import Service
from tests.faults.conftest import StartProcess
from tests.faults.model import Board, Place, Session, fold, read_boards
from tests.faults.proofs import Proof
from tests.faults.proxy import COMMIT, Fault, Proxy
from tests.faults.subject import read_periods
from tests.playing import own_database, submit
from tests.seasons import make_cup
from tests.system import Accounts, eventually, rows, serving

pytestmark = pytest.mark.proof(9)

# Some period ends every thirty seconds, and is closed ten seconds later.
_REWARDS = """rewards = [
  { name = "gold", ranks = [1, 3] }, { name = "silver", percent = 50 }, { name = "present", everyone = true } ]"""
BOARDS = f"""
[[boards]]
name = "season.sprint"
aggregate = "total"
direction = "descending"
windows = [
  {{ name = "minute", first = 2026-01-01T00:00:00Z, every = "60 seconds", grace = 10, {_REWARDS} }},
  {{ name = "other", first = 2026-01-01T00:00:30Z, every = "60 seconds", grace = 10, {_REWARDS} }},
]

[[boards]]
name = "season.cup"
aggregate = "best"
direction = "ascending"
windows = [{{ name = "minute", first = 2026-01-01T00:00:00Z, every = "60 seconds", grace = 10, {_REWARDS} }}]
"""
_BOARDS = {board.name: board for board in read_boards(BOARDS)}
NAMES = ["season.sprint", "season.cup"]
PLAYERS = 9
KILLS_EVERY = 5
_SETTLED = "SELECT COUNT(*) FROM periods WHERE state = 'settled'"
_UNSETTLED = "SELECT COUNT(*) FROM periods WHERE state <> 'settled' AND closes_at <= NOW(6)"
_RESULTS = "SELECT period_id, `rank`, user_id, score, reward FROM results ORDER BY period_id, position"
_ENDS = "SELECT id, players, LOWER(HEX(digest)) FROM periods WHERE state = 'settled' ORDER BY id"


class Playing:
    """Players who submit without pause, each session by its key to whichever process answers, until it is stored."""

    def __init__(self, accounts: Accounts, processes: Sequence[Service], first_id: int) -> None:
        self.acknowledged: Counter[int] = Counter()
        self._processes = processes
        self._headers = [accounts.new(user_id=first_id + number) for number in range(PLAYERS)]

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=30) as client:
            tasks = [asyncio.create_task(self._play(client, *player)) for player in enumerate(self._headers)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _play(self, client: httpx.AsyncClient, number: int, headers: Mapping[str, str]) -> None:
        random = Random(number)
        for turn in count():
            score = random.randrange(7)
            while True:
                process = random.choice(self._processes)
                body = {"score": score, "boards": NAMES}
                try:
                    answer = await client.post(
                        f"{process.url}/api/leaderboard/submit",
                        json=body,
                        headers={**headers, "Idempotency-Key": f"{number}-{turn}"},
                    )
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                    continue
                if answer.status_code != 503:
                    break
            assert answer.status_code == 201, answer.text
            self.acknowledged[answer.json()["session_id"]] += 1


async def kill_now_and_then(processes: Sequence[Service], proof: Proof) -> None:
    """A random process each few seconds, which is started again at once."""
    random = Random(0)
    while True:
        await asyncio.sleep(KILLS_EVERY)
        process = random.choice(processes)
        process.kill()
        process.launch()
        proof.did("processes killed")


async def test_every_period_is_settled_once_as_its_sessions_say_while_processes_are_killed(
    start_process: StartProcess,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    rounds: Callable[[int, int], int],
    proof: Proof,
) -> None:
    await boards.apply(leaderboard_settings, BOARDS.encode())
    told = {"mysql_database": leaderboard_settings.mysql_database, "redis_url": leaderboard_settings.redis_url}
    processes = [await start_process(**told) for _ in range(2)]
    playing = Playing(accounts, processes, 2_220_001)
    ends = rounds(1, 30)

    async def have_ended() -> bool:
        await asyncio.sleep(0.2)
        return bool(rows(mysql, _SETTLED)[0][0] >= ends)

    async def none_waits() -> bool:
        return rows(mysql, _UNSETTLED) == [(0,)]

    async with playing.going_on():
        killing = asyncio.create_task(kill_now_and_then(processes, proof))
        try:
            await eventually(have_ended, 3600)
        finally:
            killing.cancel()
    for process in processes:
        await asyncio.to_thread(process.wait_ready)
    await eventually(none_waits)
    hold_against_log(mysql, playing, proof)
    await proof.whole(leaderboard_settings, within=20)


_CLOSES = b"SET state = 'closed'"
_STORES, _TELLS = b"INSERT INTO results", b"INSERT INTO events"
# What becomes of which message, in a transaction that had what before, and whether it arrives after the process has died.
STEPS = {
    "before a period is closed": (Fault.DELAYED, _CLOSES, b"", False),
    "the closing arrives after its death": (Fault.DELAYED, _CLOSES, b"", True),
    "closed, and not heard of it": (Fault.REPLY_SWALLOWED, COMMIT, _CLOSES, False),
    "before results are stored": (Fault.DELAYED, _STORES, b"", False),
    "stored, and not heard of it": (Fault.REPLY_SWALLOWED, _STORES, b"", False),
    "before it is told": (Fault.DELAYED, _TELLS, _STORES, False),
    "before COMMIT": (Fault.DELAYED, COMMIT, _STORES, False),
    "COMMIT arrives after its death": (Fault.DELAYED, COMMIT, _STORES, True),
    "committed, and not heard of it": (Fault.REPLY_SWALLOWED, COMMIT, _STORES, False),
}


@pytest.mark.parametrize("step", STEPS)
async def test_wherever_a_process_is_killed_the_period_is_settled_once(
    start_process: StartProcess,
    mysql_proxy: Proxy,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
    step: str,
) -> None:
    fault, message, after, arrives = STEPS[step]
    async with own_database(leaderboard_settings) as database:
        await make_cup(database, mysql)
    service = await start_process(
        mysql_port=mysql_proxy.port,
        mysql_database=leaderboard_settings.mysql_database,
        mysql_timeout=60,
        redis_url=leaderboard_settings.redis_url,
    )
    async with httpx.AsyncClient(base_url=service.url, timeout=30) as client:
        for user_id, score in ((1, 5), (2, 7), (3, 5)):
            await submit(client, accounts.new(user_id=user_id), score, boards=["cup"])
    mysql_proxy.strike(fault, message, after)
    rows(mysql, "UPDATE periods SET closes_at = NOW(6)")
    async with asyncio.timeout(30):
        await mysql_proxy.struck.wait()
    if fault is Fault.REPLY_SWALLOWED and message is COMMIT:
        await eventually(lambda: _is(mysql, "closed" if after is _CLOSES else "settled"))
    service.kill()
    if arrives:
        mysql_proxy.release()
    else:
        mysql_proxy.cut()
    async with serving(create_app(leaderboard_settings)):
        await eventually(lambda: _is(mysql, "settled"), 30)
    assert rows(mysql, "SELECT `rank`, user_id, reward FROM results ORDER BY position") == [
        (1, 2, "gold"),
        (2, 1, "gold"),
        (2, 3, "gold"),
    ]
    assert rows(mysql, "SELECT kind FROM events ORDER BY id") == [("period.opened",), ("period.settled",)]
    proof.did("processes killed at an exact step")
    await proof.whole(leaderboard_settings)


async def _is(mysql: Any, state: str) -> bool:
    return rows(mysql, "SELECT state FROM periods") == [(state,)]


def hold_against_log(mysql: Any, playing: Playing, proof: Proof) -> None:
    """Every settled period has the results that a fold of its sessions in plain Python gives, and one event tells of it."""
    sessions = read_sessions(mysql)
    ended = {period_id: (players, digest) for period_id, players, digest in rows(mysql, _ENDS)}
    periods = {period.period_id: period for period in read_periods(mysql) if period.period_id in ended}
    proof.did("sessions acknowledged", len(playing.acknowledged))
    proof.did("periods settled", len(ended))
    proof.find("acknowledged sessions lost", playing.acknowledged.keys() - sessions.keys())
    proof.find("sessions acknowledged twice", [each for each, times in playing.acknowledged.items() if times > 1])
    windows = sorted((name, window.name) for name in NAMES for window in _BOARDS[name].windows)
    proof.find(
        "sessions in two periods of a window, or in none",
        [each for each in sessions.values() if sorted(place[:2] for place in each.places) != windows],
    )
    kept: dict[int, list[tuple[Any, ...]]] = {period_id: [] for period_id in ended}
    for period_id, *row in rows(mysql, _RESULTS):
        kept[period_id].append(tuple(row))
    expected = {
        period_id: rank(
            _BOARDS[period.board],
            [each for each in sessions.values() if Place(period.board, period.window, period_id) in each.places],
        )
        for period_id, period in periods.items()
    }
    proof.find("periods with other results than their sessions give", [each for each in ended if kept[each] != expected[each]])
    proof.did("results compared", sum(map(len, kept.values())))
    digests = {period_id: (len(results), digest_of(results)) for period_id, results in expected.items()}
    proof.find("periods with another digest", [each for each in ended if ended[each] != digests[each]])
    events = [json.loads(data) for (data,) in rows(mysql, "SELECT data FROM events WHERE kind = 'period.settled'")]
    proof.find("periods that are not told of once", Counter(each["period_id"] for each in events) - Counter(list(ended)))
    proof.find("periods that are not told of", ended.keys() - {each["period_id"] for each in events})
    proof.find("events that tell something else", [each for each in events if each["digest"] != ended[each["period_id"]][1]])


def read_sessions(mysql: Any) -> dict[int, Session]:
    periods = {period.period_id: period for period in read_periods(mysql)}
    found = {}
    for session_id, user_id, score, packed in rows(mysql, "SELECT id, user_id, score, places FROM game_sessions ORDER BY id"):
        at = [periods[place.period_id] for place in unpack(packed)]
        places = frozenset(Place(period.board, period.window, period.period_id) for period in at)
        found[session_id] = Session(session_id, user_id, {"score": score}, places)
    return found


def rank(board: Board, sessions: Sequence[Session]) -> list[tuple[int, int, int, str | None]]:
    """What a period comes to: rank, player, score and reward, in the board's order."""
    by_player: dict[int, list[Session]] = {}
    for session in sessions:
        by_player.setdefault(session.user, []).append(session)
    folded = [(*fold(board, own), user) for user, own in by_player.items()]
    ordered = sorted(folded, key=lambda each: (each[0] if board.ascending else -each[0], each[1]))
    results: list[tuple[int, int, int, str | None]] = []
    for score, _, user in ordered:
        place = 1 + sum((other < score) if board.ascending else (other > score) for other, *_ in ordered)
        reward = "gold" if place <= 3 else "silver" if 2 * place <= len(ordered) + 1 else "present"
        results.append((place, user, score, reward))
    return results


def digest_of(results: Sequence[tuple[Any, ...]]) -> str:
    lines = [" ".join("" if value is None else str(value) for value in row) for row in results]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
