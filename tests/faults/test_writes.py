"""Messages between the writer and MySQL are lost, held and delayed: each session is counted exactly once."""

import asyncio
from collections import Counter, defaultdict
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.rules.ranking import Session, fold
from services.leaderboard.settings import LeaderboardSettings
from tests.faults.proofs import Proof
from tests.faults.proxy import COMMIT, Fault, Proxy
from tests.playing import send
from tests.system import Accounts, assert_problem, eventually, rows, rows_are_awaited, serving

pytestmark = pytest.mark.proof(5)

STORES = b"INSERT INTO game_sessions"


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


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.REPLY_LOST, Fault.REPLY_SWALLOWED])
async def test_whatever_becomes_of_a_commit_its_session_is_stored_once(
    proxied: httpx.AsyncClient,
    mysql_proxy: Proxy,
    accounts: Accounts,
    mysql: Any,
    fault: Fault,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    ada = accounts.new()
    answers = [(await send(proxied, ada, 3)).json()]
    mysql_proxy.strike(fault, COMMIT, after=STORES)
    answer = await send(proxied, ada, 4)
    assert mysql_proxy.struck.is_set()
    assert answer.status_code == 201, answer.text
    assert "idempotent-replayed" not in answer.headers
    assert (answer.json()["total_score"], answer.json()["rank"]) == (7, 1)
    answers += [answer.json(), (await send(proxied, ada, 5)).json()]
    assert_counted(mysql, answers)
    assert rows(mysql, "SELECT version FROM standings") == [(3,)]
    proof.did("COMMITs lost, unanswered or swallowed")
    await proof.whole(leaderboard_settings)


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.REPLY_LOST])
async def test_so_is_each_session_of_a_group(
    proxied: httpx.AsyncClient,
    mysql_proxy: Proxy,
    accounts: Accounts,
    mysql: Any,
    fault: Fault,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    players = [accounts.new() for _ in range(5)]
    mysql_proxy.strike(fault, COMMIT, after=STORES)
    answers = await asyncio.gather(*(send(proxied, player, score) for score in range(6) for player in players))
    assert mysql_proxy.struck.is_set()
    assert {answer.status_code for answer in answers} == {201}
    assert_counted(mysql, [answer.json() for answer in answers])
    proof.did("COMMITs lost, unanswered or swallowed")
    await proof.whole(leaderboard_settings)


async def test_a_commit_that_is_still_on_its_way_is_waited_for(
    proxied: httpx.AsyncClient,
    mysql_proxy: Proxy,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    mysql_proxy.strike(Fault.HELD, COMMIT, after=STORES)
    asking = asyncio.create_task(send(proxied, accounts.new(), 4))

    await mysql_proxy.struck.wait()

    await eventually(lambda: rows_are_awaited(mysql))
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]
    mysql_proxy.release()
    answer = await asking
    assert answer.status_code == 201, answer.text
    assert_counted(mysql, [answer.json()])
    assert rows(mysql, "SELECT version FROM standings") == [(1,)]
    proof.did("COMMITs held")
    await proof.whole(leaderboard_settings)


async def test_a_commit_that_never_gets_through_is_answered_503_in_the_end_and_a_repeat_is_the_same_session(
    proxied: httpx.AsyncClient,
    other: httpx.AsyncClient,
    mysql_proxy: Proxy,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    ada = accounts.new()
    mysql_proxy.strike(Fault.HELD, COMMIT, after=STORES)
    refused = await send(proxied, ada, 4, "key")
    assert_problem(refused, 503, "service-unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    mysql_proxy.release()  # whether it is committed now or was given up by then, nobody can tell
    answer = await send(other, ada, 4, "key")
    assert answer.status_code == 201, answer.text
    assert_counted(mysql, [answer.json()])
    proof.did("COMMITs held")
    await proof.whole(leaderboard_settings)


async def test_a_full_queue_is_answered_503_and_all_that_was_accepted_is_stored(
    leaderboard_settings: LeaderboardSettings, accounts: Accounts, mysql: Any, proof: Proof
) -> None:
    settings = leaderboard_settings.model_copy(update={"submission_queue": 5, "submission_group": 1})
    async with serving(create_app(settings)) as client:
        ada = accounts.new("Ada", 1)
        answers = [await send(client, ada, 1)]
        mysql.begin()
        rows(mysql, "SELECT * FROM players WHERE user_id = 1 FOR UPDATE")
        asking = [asyncio.create_task(send(client, ada, 1)) for _ in range(50)]
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
        assert (await send(client, ada, 1)).status_code == 201
        proof.did("queues filled")
        await proof.whole(leaderboard_settings)


async def test_mysql_restarting_under_load_costs_no_acknowledged_session(
    proxied: httpx.AsyncClient,
    mysql_proxy: Proxy,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    proof: Proof,
) -> None:
    """As the process sees it: every connection breaks, none can be made, then they can again."""
    answers: list[httpx.Response] = []
    stop = asyncio.Event()

    async def play(player: dict[str, str]) -> None:
        while not stop.is_set():
            answers.append(await send(proxied, player, 1))

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
    proof.did("connections to MySQL cut under load", 3)
    await proof.whole(leaderboard_settings)


async def _refused(answer: httpx.Response) -> bool:
    return answer.status_code == 503
