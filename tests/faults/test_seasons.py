"""Periods end while players play and processes are killed: each is settled once, as its sessions say."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count, pairwise
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
from tests.faults.model import REWARDS, Period, Place, Result, Session, read_boards, settle
from tests.faults.proofs import Proof
from tests.faults.proxy import COMMIT, Fault, Proxy
from tests.faults.subject import DOUBT, now, read_periods
from tests.playing import own_database, submit
from tests.seasons import digest_of, make_cup
from tests.system import Accounts, eventually, rows, serving
from tests.timing import HOUR, SECOND, mysql_now, put

pytestmark = pytest.mark.proof(9)

_BOARDS = {
    "season.sprint": 'aggregate = "total"\ndirection = "descending"',
    "season.cup": 'aggregate = "best"\ndirection = "ascending"',
}
NAMES = list(_BOARDS)
WINDOWS = "first", "second", "third"
PLAYERS = 9
_OVER = "SELECT COUNT(*) FROM periods WHERE state = 'settled'"
_UNSETTLED = """
SELECT COUNT(*) FROM periods
WHERE (state <> 'settled' AND closes_at <= NOW(6)) OR (opened_at IS NULL AND starts_at <= NOW(6))"""
_RESULTS = "SELECT period_id, `rank`, user_id, score, reward FROM results ORDER BY period_id, position"
_ENDS = "SELECT id, players, LOWER(HEX(digest)) FROM periods WHERE state = 'settled' ORDER BY id"
_TOO_EARLY = "SELECT id FROM periods WHERE settled_at < closes_at OR opened_at < starts_at"
_WINDOWS = """
SELECT w.board_id, w.id FROM windows AS w JOIN boards AS b ON b.id = w.board_id WHERE b.name LIKE 'season.%%'
ORDER BY w.name, b.name"""


def write_boards(*, scheduled: bool) -> str:
    """Two boards. Some window of theirs starts anew every ten seconds; or they are windows whose periods are written down."""
    seconds = count(step=10)
    boards = []
    for name, what in _BOARDS.items():
        windows = []
        for window in WINDOWS:
            schedule = f'first = 2026-01-01T00:00:{next(seconds):02}Z, every = "60 seconds"' if scheduled else "listed = true"
            windows.append(f'{{ name = "{window}", {schedule}, grace = 10, {REWARDS} }}')
        boards.append(f'[[boards]]\nname = "{name}"\n{what}\nwindows = [{", ".join(windows)}]')
    return "\n".join(boards)


def write_periods(mysql: Any, *ends: float, grace: timedelta = SECOND) -> None:
    """In each window periods without gaps: some that end so many seconds from now, a little later in each window, and another.

    The shortest ``grace`` that a file can have is ten seconds, which nobody is to wait for here.
    """
    now = mysql_now(mysql)
    for place, (board_id, window_id) in enumerate(rows(mysql, _WINDOWS)):
        times = [now - HOUR, *(now + (each + 0.2 * place) * SECOND for each in ends), now + HOUR]
        for number, (starts_at, ends_at) in enumerate(pairwise(times), 1):
            at = {"board_id": board_id, "window_id": window_id, "number": number}
            put(mysql, starts_at, ends_at, closes_at=ends_at + grace, **at)


class Playing:
    """Players who submit without pause, each session by its key to whichever process answers, until it is stored."""

    def __init__(self, accounts: Accounts, processes: Sequence[Service], first_id: int) -> None:
        self.acknowledged: dict[int, list[tuple[datetime, datetime]]] = {}
        """When each was sent first, and answered: once."""
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
                ended = await asyncio.gather(*tasks, return_exceptions=True)
            for error in ended:
                if isinstance(error, AssertionError):
                    raise error

    async def _play(self, client: httpx.AsyncClient, number: int, headers: Mapping[str, str]) -> None:
        random = Random(number)
        for turn in count():
            score, sent = random.randrange(7), now()
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
            self.acknowledged.setdefault(answer.json()["session_id"], []).append((sent, now()))


async def kill_now_and_then(processes: Sequence[Service], seconds: float, times: int, proof: Proof) -> None:
    """A random process each time so many seconds have gone by, which is started again at once. Some process answers before."""
    random = Random(0)

    async def one_answers() -> bool:
        return any([await asyncio.to_thread(each.is_ready) for each in processes])

    for _ in range(times):
        await asyncio.sleep(seconds)
        await eventually(one_answers, 60)  # on a machine that is busy it may take longer to start one
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
    """The second one's clock is two seconds ahead. In the long form periods have sixty seconds."""
    long = bool(rounds(0, 1))
    file = write_boards(scheduled=long)
    await boards.apply(leaderboard_settings, file.encode())
    told = {"mysql_database": leaderboard_settings.mysql_database, "redis_url": leaderboard_settings.redis_url}
    processes = await asyncio.gather(start_process(**told), start_process(module="tests.faults.ahead", **told))
    playing = Playing(accounts, processes, 2_220_001)
    if not long:
        write_periods(mysql, 0.8, 1.6)
    ends, kills = rounds(12, 30), rounds(2, 1000)
    with proof.progress("periods", ends) as bar:
        async with playing.going_on():
            killing = asyncio.create_task(kill_now_and_then(processes, rounds(1, 5), kills, proof))
            try:
                ended = 0
                while ended < ends:
                    await asyncio.sleep(0.2)
                    [(settled,)] = rows(mysql, _OVER)
                    bar.advance(settled - ended)
                    ended = settled
            finally:
                killing.cancel()
    for process in processes:
        await asyncio.to_thread(process.wait_ready)
    await eventually(lambda: _none_waits(mysql))
    assert proof.done["processes killed"] >= rounds(1, 20)
    hold_against_log(mysql, playing, file, proof, grace=rounds(1, 10) * SECOND)
    await proof.whole(leaderboard_settings, within=20)


async def test_what_ended_while_no_process_ran_is_settled_at_the_start(
    start_process: StartProcess, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings, proof: Proof
) -> None:
    """Three periods of each window, in which players played until the only process was killed."""
    file = write_boards(scheduled=False)
    await boards.apply(leaderboard_settings, file.encode())
    service = await start_process(mysql_database=leaderboard_settings.mysql_database, redis_url=leaderboard_settings.redis_url)
    playing = Playing(accounts, [service], 2_230_001)
    write_periods(mysql, 0.6, 1.2, 1.8, grace=HOUR)  # none is closed while the process runs

    async def are_over() -> bool:
        return rows(mysql, "SELECT COUNT(*) FROM periods WHERE ends_at <= NOW(6)") == [(18,)]

    async with playing.going_on():
        await eventually(are_over)
        service.kill()
    assert rows(mysql, _OVER) == [(0,)]
    rows(mysql, "UPDATE periods SET closes_at = NOW(6) WHERE ends_at <= NOW(6)")  # time goes by
    async with serving(create_app(leaderboard_settings)):
        await eventually(lambda: _none_waits(mysql))
    assert rows(mysql, _OVER) == [(18,)]
    hold_against_log(mysql, playing, file, proof, grace=HOUR)
    await proof.whole(leaderboard_settings)


async def _none_waits(mysql: Any) -> bool:
    return rows(mysql, _UNSETTLED) == [(0,)]


_CLOSES = b"SET state = 'closed'"
_STORES, _MARKS, _TELLS = b"INSERT INTO results", b"SET state='settled'", b"INSERT INTO events"
# What becomes of which message, in a transaction that had what before, and whether it arrives after the process has died.
STEPS = {
    "before a period is closed": (Fault.DELAYED, _CLOSES, b"", False),
    "closed, and not heard of it": (Fault.REPLY_SWALLOWED, COMMIT, _CLOSES, False),
    "before results are stored": (Fault.DELAYED, _STORES, b"", False),
    "COMMIT arrives after its death": (Fault.DELAYED, COMMIT, _STORES, True),
    "committed, and not heard of it": (Fault.REPLY_SWALLOWED, COMMIT, _STORES, False),
}
STEPS_BETWEEN = {
    "the closing arrives after its death": (Fault.DELAYED, _CLOSES, b"", True),
    "before the COMMIT of the closing": (Fault.DELAYED, COMMIT, _CLOSES, False),
    "the COMMIT of the closing arrives after its death": (Fault.DELAYED, COMMIT, _CLOSES, True),
    "stored, and not heard of it": (Fault.REPLY_SWALLOWED, _STORES, b"", False),
    "before it is settled": (Fault.DELAYED, _MARKS, _STORES, False),
    "settled, and not heard of it": (Fault.REPLY_SWALLOWED, _MARKS, _STORES, False),
    "before it is told": (Fault.DELAYED, _TELLS, _STORES, False),
    "told, and not heard of it": (Fault.REPLY_SWALLOWED, _TELLS, _STORES, False),
    "before COMMIT": (Fault.DELAYED, COMMIT, _STORES, False),
}


@pytest.mark.parametrize("step", [*STEPS, *(pytest.param(step, marks=pytest.mark.long_form) for step in STEPS_BETWEEN)])
async def test_wherever_a_process_is_killed_the_period_is_settled_once(
    start_process: StartProcess,
    mysql_proxy: Proxy,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
    step: str,
) -> None:
    fault, message, after, arrives = (STEPS | STEPS_BETWEEN)[step]
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


def hold_against_log(mysql: Any, playing: Playing, file: str, proof: Proof, *, grace: timedelta) -> None:
    """Every settled period has the results that a fold of its sessions in plain Python gives, and one event tells of it."""
    boards = {board.name: board for board in read_boards(file)}
    every = {period.period_id: period for period in read_periods(mysql)}
    sessions = read_sessions(mysql, every)
    ended = {period_id: (players, digest) for period_id, players, digest in rows(mysql, _ENDS)}
    proof.did("sessions acknowledged", len(playing.acknowledged))
    proof.did("periods settled", len(ended))
    proof.find("acknowledged sessions lost", playing.acknowledged.keys() - sessions.keys())
    proof.find("sessions acknowledged twice", [each for each, times in playing.acknowledged.items() if len(times) > 1])
    counted = {each.session_id: Counter(place[:2] for place in each.places) for each in sessions.values()}
    proof.find(
        "sessions in two periods of a window",
        [each for each, windows in counted.items() if max(windows.values(), default=0) > 1],
    )
    # What is under way for longer than the grace may come when its period is closed.
    in_time = [each for each, [(sent, answered)] in playing.acknowledged.items() if answered - sent < grace]
    proof.did("sessions acknowledged within the grace", len(in_time))
    windows = len(NAMES) * len(WINDOWS)
    proof.find("sessions in no period of a window", [each for each in in_time if len(counted[each]) != windows])
    proof.find(
        "sessions in a period of another time",
        [
            session_id
            for session_id, [(sent, answered)] in playing.acknowledged.items()
            for place in sessions[session_id].places
            if every[place.period_id].ends_at <= sent - DOUBT or every[place.period_id].starts_at > answered + DOUBT
        ],
    )
    proof.find("periods settled, or begun, before their time", rows(mysql, _TOO_EARLY))
    kept: dict[int, list[tuple[Any, ...]]] = {period_id: [] for period_id in ended}
    for period_id, *row in rows(mysql, _RESULTS):
        kept[period_id].append(tuple(row))
    expected: dict[int, list[Result]] = {}
    for period_id in ended:
        period = every[period_id]
        by_player: dict[int, list[Session]] = {}
        for session in sessions.values():
            if Place(period.board, period.window, period_id) in session.places:
                by_player.setdefault(session.user, []).append(session)
        expected[period_id] = settle(boards[period.board], by_player)
    proof.find("periods with other results than their sessions give", [each for each in ended if kept[each] != expected[each]])
    proof.did("results compared", sum(map(len, kept.values())))
    digests = {period_id: (len(results), digest_of(results)) for period_id, results in expected.items()}
    proof.find("periods with another digest", [each for each in ended if ended[each] != digests[each]])
    told = [(kind, json.loads(data)) for kind, data in rows(mysql, "SELECT kind, data FROM events")]
    for kind in ("period.opened", "period.settled"):
        events = Counter(each["period_id"] for name, each in told if name == kind)
        proof.find("periods that are not told of once", [each for each in ended if events[each] != 1])
    digests_told = {each["period_id"]: each["digest"] for kind, each in told if kind == "period.settled"}
    others = [period_id for period_id, digest in digests_told.items() if digest != ended[period_id][1]]
    proof.find("events that tell something else", others)


def read_sessions(mysql: Any, periods: Mapping[int, Period]) -> dict[int, Session]:
    found = {}
    for session_id, user_id, score, packed in rows(mysql, "SELECT id, user_id, score, places FROM game_sessions ORDER BY id"):
        at = [periods[place.period_id] for place in unpack(packed)]
        places = frozenset(Place(period.board, period.window, period.period_id) for period in at)
        found[session_id] = Session(session_id, user_id, {"score": score}, places)
    return found
