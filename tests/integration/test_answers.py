"""What submissions were answered with, on its way to MySQL: with the next group or soon, never lost by a process that lives."""

from typing import Any

import pytest

from services.common.mysql.multistatement import Transactions
from services.leaderboard.errors import TotalTooLarge
from services.leaderboard.log import answers
from services.leaderboard.log.sessions import Submission
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.settings import LeaderboardSettings
from tests.system import rows
from tests.writing import Board, session

KEPT = "SELECT answered_total, answered_rank FROM game_sessions WHERE submission_key LIKE 'c:%%' ORDER BY id"


@pytest.fixture(autouse=True)
def _not_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "SOON_SECONDS", 3600)


@pytest.fixture
def other(transactions: Transactions, leaderboard_settings: LeaderboardSettings) -> Board:
    """Another process."""
    return Board(transactions, leaderboard_settings)


def keyed(user_id: int, score: int) -> Submission:
    return session(user_id, score, "c:key")


async def test_they_go_along_with_the_next_group(board: Board, mysql: Any) -> None:
    [first] = await board.store(keyed(1, 5))
    assert rows(mysql, KEPT) == [(None, None)]
    await board.store(session(2, 1))
    assert rows(mysql, KEPT) == [(first.total_score, first.rank)]


async def test_they_go_alone_when_no_group_comes_and_before_the_process_leaves(
    board: Board, mysql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "AT_ONCE", 2)
    stored = await board.store(*(keyed(user_id, user_id) for user_id in range(1, 6)))
    await board.writer.drain()
    assert rows(mysql, KEPT) == [(answer.total_score, answer.rank) for answer in stored]


async def test_they_are_not_lost_with_a_group_that_fails(board: Board, mysql: Any) -> None:
    [first] = await board.store(keyed(1, 5))
    [refused] = await board.submit(session(1, MAX_TOTAL))
    assert isinstance(refused, TotalTooLarge)
    assert rows(mysql, KEPT) == [(None, None)]
    await board.writer.drain()
    assert rows(mysql, KEPT) == [(first.total_score, first.rank)]


async def test_an_answer_without_a_rank_is_an_answer(board: Board, other: Board, mysql: Any) -> None:
    board.ranks_are_known = False
    [first] = await board.store(keyed(1, 5))
    await board.writer.drain()
    assert rows(mysql, KEPT) == [(5, None)]
    [again] = await other.store(keyed(1, 5))
    assert (again.total_score, again.rank, again.replayed) == (first.total_score, None, True)


async def test_of_a_process_that_was_killed_the_next_answer_is_the_first(board: Board, other: Board, mysql: Any) -> None:
    await board.store(keyed(1, 5))  # and is not heard of again
    await other.store(session(1, 2))
    [again] = await other.store(keyed(1, 5))
    assert (again.total_score, again.replayed) == (7, True)
    await other.store(session(1, 1))
    assert await other.store(keyed(1, 5)) == [again]
    assert rows(mysql, KEPT) == [(7, again.rank)]
    await board.writer.drain()  # it was only slow: what was kept first stays
    assert rows(mysql, KEPT) == [(7, again.rank)]
