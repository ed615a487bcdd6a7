"""COMMIT travels with the last statements of a group: what fails before it stores nothing, and whatever becomes of it, once."""

import asyncio
from typing import Any

import pytest

from services.common.mysql.database import CommitUnknown, Database, error_code
from services.leaderboard.log.sessions import Submission
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, define, make, tagged
from tests.faults.proxy import COMMIT, Fault, proxying
from tests.system import rows
from tests.writing import Watched, check_standings, counting

STORES = b"INSERT INTO game_sessions"
ALPS = tagged("alps", "alps", direction="ascending", windows=(ALL, DAY))
LAPS = define("laps", metric="laps", aggregate="total", rule=ALPS.rule, windows=(ALL,))
SAID: dict[str, Any] = {"tags": {"track": "alps"}, "metrics": {"laps": 2}, "extra": '{"ghost":1}'}
TABLES = "game_sessions", "session_extras", "standings", "players", "outbox"


def stored(mysql: Any) -> list[int]:
    return [rows(mysql, f"SELECT COUNT(*) FROM {table}")[0][0] for table in TABLES]


def renamed(submission: Submission, username: str) -> Submission:
    submission.username = username
    return submission


async def test_an_error_before_commit_stores_nothing_and_is_not_taken_for_a_commit_of_unknown_outcome(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    """The name is written after the note and the standings, in the packet that ends with COMMIT: it is too long."""
    await make(leaderboard_database, ALPS, LAPS)
    transactions = Watched(leaderboard_settings)
    async with counting(leaderboard_settings, transactions=transactions) as process:
        bad = renamed(await process.submission(1, 5, **SAID), "x" * 33)
        [answer] = await asyncio.gather(process.writer.submit(bad), return_exceptions=True)
        assert isinstance(answer, Exception)
        assert stored(mysql) == [0, 0, 0, 0, 0]
        assert [error_code(error) for error in transactions.errors] == [1406]
        assert not any(isinstance(error, CommitUnknown) for error in transactions.errors)
        # Nothing of it is left on the connection either, and it fails alone.
        bad = renamed(await process.submission(1, 5, **SAID), "x" * 33)
        good = [await process.submission(user_id, 5, **SAID) for user_id in (2, 3)]
        answers = await asyncio.gather(*map(process.writer.submit, [good[0], bad, good[1]]), return_exceptions=True)
        assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert stored(mysql) == [2, 2, 8, 2, 2]
    assert {error_code(error) for error in transactions.errors} == {1406}
    await transactions.dispose()
    assert await check_standings(leaderboard_settings) == []


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.HELD, Fault.REPLY_LOST, Fault.REPLY_SWALLOWED])
async def test_a_connection_that_breaks_before_in_or_after_the_packet_leaves_each_session_counted_once_in_each_place(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, fault: Fault
) -> None:
    await make(leaderboard_database, ALPS, LAPS)
    async with proxying(leaderboard_settings.mysql_host, leaderboard_settings.mysql_port) as proxy:
        behind = leaderboard_settings.model_copy(update={"mysql_port": proxy.port, "mysql_timeout": 2})
        transactions = Watched(behind)
        async with counting(leaderboard_settings, transactions=transactions) as process:
            first = await process.submit(1, 5, **SAID)
            proxy.strike(fault, COMMIT, after=STORES)
            asking = [asyncio.create_task(process.submit(user_id, 4, **SAID)) for user_id in (1, 2, 3)]
            await proxy.struck.wait()
            if fault is Fault.HELD:
                await asyncio.sleep(0.2)  # the group waits for its own transaction of before
            proxy.release()
            answers = await asyncio.gather(*asking)
        await transactions.dispose()
    assert any(isinstance(error, CommitUnknown) for error in transactions.errors)
    assert not any(answer.replayed for answer in answers)
    assert stored(mysql)[:4] == [4, 4, 12, 3]
    assert rows(mysql, "SELECT id FROM game_sessions ORDER BY id") == sorted((each.session_id,) for each in (first, *answers))
    assert [[rank.score for rank in answer.ranks] for answer in answers] == [[4, 4, 4, 9], [4, 4, 2, 4], [4, 4, 2, 4]]
    assert rows(mysql, "SELECT DISTINCT sessions, version FROM standings ORDER BY 1") == [(1, 1), (2, 2)]
    assert await check_standings(leaderboard_settings) == []


async def test_a_statement_that_mysql_ends_before_commit_is_run_again_with_all_that_came_before(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    """It waits too long for a lock (1205): that ends the statement, and not the transaction."""
    await make(leaderboard_database, ALPS, LAPS)
    transactions = Watched(leaderboard_settings)
    async with counting(leaderboard_settings, transactions=transactions) as process:
        await process.submit(1, 5, **SAID)
        mysql.begin()
        rows(mysql, "SELECT * FROM standings WHERE user_id = 1 AND board_id = 1 FOR UPDATE")
        asking = asyncio.create_task(process.submit(1, 4, **SAID))
        done, _ = await asyncio.wait([asking], timeout=4)
        assert not done
        mysql.rollback()
        submitted = await asking
    await transactions.dispose()
    assert {error_code(error) for error in transactions.errors} == {1205}
    assert [rank.score for rank in submitted.ranks] == [4, 4, 4, 9]
    assert rows(mysql, "SELECT DISTINCT sessions, version FROM standings") == [(2, 2)]
    assert stored(mysql)[:2] == [2, 2]
