"""Messages between the writer and MySQL are lost and delayed, processes are killed: each session is counted exactly once."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.check import check
from services.leaderboard.ranking import Session, fold
from services.leaderboard.settings import LeaderboardSettings
from services.local.processes import Process
from services.local.stack import Stack
from services.local.web import Service
from tests.faults.conftest import StartProcess
from tests.faults.proxy import COMMIT, Fault, Proxy
from tests.system import Accounts, assert_problem, eventually, serving

API = "/api/leaderboard"
STORES = b"INSERT INTO game_sessions"


def rows(connection: Any, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


async def submit(client: httpx.AsyncClient, headers: dict[str, str], score: int, key: str | None = None) -> httpx.Response:
    named = {} if key is None else {"Idempotency-Key": key}
    return await client.post(f"{API}/submit", json={"score": score}, headers={**headers, **named})


def assert_counted(connection: Any, answers: list[dict[str, Any]]) -> None:
    """Hold that these sessions are all that is stored, each once, and that each standing is the fold of its sessions."""
    stored = rows(connection, "SELECT id, user_id, score FROM game_sessions")
    assert Counter(row[0] for row in stored) == Counter(answer["session_id"] for answer in answers)
    sessions = defaultdict(list)
    for session_id, user_id, score in stored:
        sessions[user_id].append(Session(session_id, score))
    standings = rows(connection, "SELECT user_id, score, sessions, reached_session_id FROM standings")
    assert {user_id for user_id, *_ in standings} == set(sessions)
    for user_id, *tally in standings:
        folded = fold(sessions[user_id])
        assert folded is not None
        assert tally == [folded.score, folded.sessions, folded.reached_session_id]


@pytest.fixture
async def process(
    leaderboard_settings: LeaderboardSettings, mysql_proxy: Proxy, mysql: object
) -> AsyncIterator[httpx.AsyncClient]:
    """A service behind that proxy, which waits a second and a half for MySQL."""
    settings = leaderboard_settings.model_copy(update={"mysql_port": mysql_proxy.port, "mysql_timeout": 1.5})
    async with serving(create_app(settings)) as client:
        yield client


@pytest.fixture
async def other(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[httpx.AsyncClient]:
    """A second one, which reaches MySQL directly."""
    async with serving(create_app(leaderboard_settings)) as client:
        yield client


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.REPLY_LOST, Fault.REPLY_SWALLOWED])
async def test_whatever_becomes_of_a_commit_its_session_is_stored_once(
    process: httpx.AsyncClient, mysql_proxy: Proxy, accounts: Accounts, mysql: Any, fault: Fault
) -> None:
    ada = accounts.new()
    answers = [(await submit(process, ada, 3)).json()]
    mysql_proxy.strike(fault, COMMIT, after=STORES)
    answer = await submit(process, ada, 4)
    assert mysql_proxy.struck.is_set()
    assert answer.status_code == 201, answer.text
    assert "idempotent-replayed" not in answer.headers
    assert (answer.json()["total_score"], answer.json()["rank"]) == (7, 1)
    answers += [answer.json(), (await submit(process, ada, 5)).json()]
    assert_counted(mysql, answers)
    assert rows(mysql, "SELECT version FROM standings") == [(3,)]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.REPLY_LOST])
async def test_so_is_each_session_of_a_group(
    process: httpx.AsyncClient, mysql_proxy: Proxy, accounts: Accounts, mysql: Any, fault: Fault
) -> None:
    players = [accounts.new() for _ in range(5)]
    mysql_proxy.strike(fault, COMMIT, after=STORES)
    answers = await asyncio.gather(*(submit(process, player, score) for score in range(6) for player in players))
    assert mysql_proxy.struck.is_set()
    assert {answer.status_code for answer in answers} == {201}
    assert_counted(mysql, [answer.json() for answer in answers])


async def test_a_commit_that_is_still_on_its_way_is_waited_for(
    process: httpx.AsyncClient, mysql_proxy: Proxy, accounts: Accounts, mysql: Any
) -> None:
    mysql_proxy.strike(Fault.HELD, COMMIT, after=STORES)
    asking = asyncio.create_task(submit(process, accounts.new(), 4))

    await mysql_proxy.struck.wait()

    async def the_next_attempt_waits() -> bool:
        [(_, waiting)] = rows(mysql, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
        return int(waiting) == 1

    await eventually(the_next_attempt_waits)
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]
    mysql_proxy.release()
    answer = await asking
    assert answer.status_code == 201, answer.text
    assert_counted(mysql, [answer.json()])
    assert rows(mysql, "SELECT version FROM standings") == [(1,)]


async def test_a_commit_that_never_gets_through_is_answered_503_in_the_end_and_a_repeat_is_the_same_session(
    process: httpx.AsyncClient, other: httpx.AsyncClient, mysql_proxy: Proxy, accounts: Accounts, mysql: Any
) -> None:
    ada = accounts.new()
    mysql_proxy.strike(Fault.HELD, COMMIT, after=STORES)
    refused = await submit(process, ada, 4, "key")
    assert_problem(refused, 503, "service-unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    mysql_proxy.release()  # whether it is committed now or was given up by then, nobody can tell
    answer = await submit(other, ada, 4, "key")
    assert answer.status_code == 201, answer.text
    assert_counted(mysql, [answer.json()])


async def test_a_full_queue_is_answered_503_and_all_that_was_accepted_is_stored(
    leaderboard_settings: LeaderboardSettings, accounts: Accounts, mysql: Any
) -> None:
    settings = leaderboard_settings.model_copy(update={"submission_queue": 5, "submission_group": 1})
    async with serving(create_app(settings)) as client:
        ada = accounts.new("Ada", 1)
        answers = [await submit(client, ada, 1)]
        mysql.begin()
        rows(mysql, "SELECT * FROM standings WHERE user_id = 1 FOR UPDATE")
        asking = [asyncio.create_task(submit(client, ada, 1)) for _ in range(50)]
        refused, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        for task in refused:
            assert_problem(task.result(), 503, "queue-full")
            assert int(task.result().headers["retry-after"]) >= 1
        mysql.rollback()
        answers += await asyncio.gather(*asking)
        accepted = [answer for answer in answers if answer.status_code == 201]
        assert 1 + 5 <= len(accepted) < 50
        assert {answer.status_code for answer in answers} == {201, 503}
        assert_counted(mysql, [answer.json() for answer in accepted])
        assert (await submit(client, ada, 1)).status_code == 201


async def test_mysql_restarting_under_load_costs_no_acknowledged_session(
    process: httpx.AsyncClient, mysql_proxy: Proxy, accounts: Accounts, mysql: Any
) -> None:
    """As the process sees it: every connection breaks, none can be made, then they can again."""
    answers: list[httpx.Response] = []
    stop = asyncio.Event()

    async def play(player: dict[str, str]) -> None:
        while not stop.is_set():
            answers.append(await submit(process, player, 1))

    def accepted() -> list[dict[str, Any]]:
        return [answer.json() for answer in answers if answer.status_code == 201]

    async def more(than: int) -> None:
        async def so_many() -> bool:
            return len(accepted()) > than

        await eventually(so_many, 10)

    async with asyncio.TaskGroup() as playing:
        for _ in range(8):
            playing.create_task(play(accounts.new()))
        for _ in range(3):
            await more(len(accepted()) + 30)
            mysql_proxy.cut()
            await eventually(lambda: _refused(answers[-1]), 10)
            mysql_proxy.mend()
            await more(len(accepted()))
        stop.set()
    refused = [answer for answer in answers if answer.status_code != 201]
    assert refused
    for answer in refused:
        assert_problem(answer, 503, "service-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    stored = {session_id for (session_id,) in rows(mysql, "SELECT id FROM game_sessions")}
    assert stored >= {answer["session_id"] for answer in accepted()}
    assert len(accepted()) == len({answer["session_id"] for answer in accepted()})


async def _refused(answer: httpx.Response) -> bool:
    return answer.status_code == 503


class Load:
    """Players who submit without pause, each one session after the other, until the process does not answer any more."""

    def __init__(self, accounts: Accounts, first_id: int, players: int = 8) -> None:
        self.user_ids = range(first_id, first_id + players)
        self.acknowledged: list[tuple[int, int]] = []
        self.unanswered: Counter[int] = Counter()
        self.warm = asyncio.Event()
        self._headers = {user_id: accounts.new(user_id=user_id) for user_id in self.user_ids}

    async def run(self, url: str) -> None:
        async with httpx.AsyncClient(base_url=url) as client, asyncio.TaskGroup() as playing:
            for user_id in self.user_ids:
                playing.create_task(self._play(client, user_id))

    async def _play(self, client: httpx.AsyncClient, user_id: int) -> None:
        while True:
            try:
                answer = await submit(client, self._headers[user_id], 1)
            except httpx.TransportError:
                self.unanswered[user_id] += 1
                return
            assert answer.status_code == 201, answer.text
            self.acknowledged.append((answer.json()["session_id"], user_id))
            if len(self.acknowledged) >= 20 * len(self.user_ids):
                self.warm.set()


@asynccontextmanager
async def administrator(stack: Stack) -> AsyncIterator[Any]:
    connection = stack.mysql.connect(database=stack.database, autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


async def end_under_load(stack: Stack, service: Service, load: Load, end: Callable[[Process], None]) -> int:
    """End the process while it stores sessions; hold what is stored against what was answered. Gives how many were not."""
    running = asyncio.create_task(load.run(service.url))
    await asyncio.wait([running, asyncio.create_task(load.warm.wait())], return_when=asyncio.FIRST_COMPLETED)
    end(service)
    await running
    async with administrator(stack) as connection:
        rows(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.begin()  # both tables as they are at one moment
        of_ours = "user_id BETWEEN %s AND %s"
        bounds = load.user_ids[0], load.user_ids[-1]
        stored = rows(connection, f"SELECT id, user_id FROM game_sessions WHERE {of_ours}", *bounds)
        standings = rows(connection, f"SELECT user_id, score, sessions FROM standings WHERE {of_ours}", *bounds)
    assert len(set(load.acknowledged)) == len(load.acknowledged)
    assert set(stored) >= set(load.acknowledged)
    sessions = Counter(user_id for _, user_id in stored)
    assert {user_id: (score, count) for user_id, score, count in standings} == {
        user_id: (count, count) for user_id, count in sessions.items()
    }
    return len(stored) - len(load.acknowledged)


async def test_a_killed_process_takes_no_acknowledged_session_along_and_counts_none_twice(
    stack: Stack,
    start_process: StartProcess,
    accounts: Accounts,
    stack_settings: LeaderboardSettings,
    rounds: Callable[[int, int], int],
) -> None:
    for round_ in range(rounds(3, 100)):
        load = Load(accounts, 1_881_000 + 100 * round_)
        unanswered = await end_under_load(stack, await start_process(), load, Process.kill)
        assert unanswered <= len(load.user_ids)  # at most what was under way
        # The processes that live on tell the index what the killed one could not; `check` waits five seconds for that.
        assert await check(stack_settings) == []


async def test_a_process_that_is_asked_to_leave_answers_all_that_it_stores(
    stack: Stack, start_process: StartProcess, accounts: Accounts
) -> None:
    service = await start_process()
    assert await end_under_load(stack, service, Load(accounts, 882_000), Process.terminate) == 0
    assert await asyncio.to_thread(service.wait_stopped, 10)
    assert "Traceback" not in service.log.read_text()
