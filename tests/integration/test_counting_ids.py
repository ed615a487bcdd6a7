"""Each session is answered with the id of its own row, however the server hands out ids and whatever else its group has."""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from services.common.mysql.database import CommitUnknown, Database
from services.common.mysql.multistatement import Result, Transaction, Transactions
from services.leaderboard.log import sessions, submission_keys
from services.leaderboard.log.sessions import StoredGroup, Submission
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, make, tagged
from tests.faults.proxy import COMMIT, Fault, proxying
from tests.system import rows
from tests.writing import Answer, Board, Watched, check_standings, connect, counting, session

ALPS = tagged("alps", "alps", windows=(ALL, DAY))
SAID: dict[str, Any] = {"tags": {"track": "alps"}}


class Counted:
    """A transaction whose round trips are counted."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.round_trips = 0

    async def send(self, *statements: str) -> list[Result]:
        self.round_trips += 1
        return await self._transaction.send(*statements)

    async def commit(self, *statements: str) -> list[Result]:
        self.round_trips += 1
        return await self._transaction.commit(*statements)


async def store(transactions: Transactions, group: Sequence[Submission], *first: str) -> tuple[StoredGroup, int]:
    """Store a group after other statements. Gives what came of it, and in how many round trips."""

    async def work(transaction: Transaction) -> tuple[StoredGroup, int]:
        if first:
            await transaction.send(*first)
        counted = Counted(transaction)
        return await sessions.store(counted, group, os.urandom(16)), counted.round_trips  # type: ignore[arg-type]

    return await transactions.attempt(work)


def ids_by_key(mysql: Any) -> dict[tuple[int, bytes], int]:
    return {(user_id, key): id_ for id_, user_id, key in rows(mysql, "SELECT id, user_id, submission_key FROM game_sessions")}


def ids(stored: StoredGroup) -> dict[tuple[int, bytes], int]:
    return {each.identity: told.session_id for each, told in stored.stored.items()}


async def test_new_sessions_take_two_round_trips_and_a_repeat_among_them_one_more(
    transactions: Transactions, mysql: Any
) -> None:
    group = [session(user_id, 1, "first") for user_id in (3, 1, 2)]
    stored, round_trips = await store(transactions, group)
    assert round_trips == 2
    assert ids(stored) == ids_by_key(mysql)
    mixed = [session(3, 1), session(1, 1, "first"), session(3, 1), session(2, 1)]
    stored, round_trips = await store(transactions, mixed)
    assert round_trips == 3
    assert [stored.stored[each].replayed for each in mixed] == [False, True, False, False]
    assert ids(stored).items() <= ids_by_key(mysql).items()
    assert rows(mysql, "SELECT user_id, score, sessions FROM standings") == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]


@pytest.mark.parametrize("repeated", [0, 1, 2, 3])
async def test_a_server_that_hands_out_ids_in_steps_changes_nothing_but_the_ids(
    transactions: Transactions, leaderboard_settings: LeaderboardSettings, mysql: Any, repeated: int
) -> None:
    """As servers do that replicate one another. The repeat is the first, one in the middle or the last of its group."""
    in_steps = "SET SESSION auto_increment_increment = 7, auto_increment_offset = 3"
    old = session(1, 5, "old")
    await store(transactions, [session(9, 1), old], in_steps)
    group = [session(user_id, 5) for user_id in (1, 2, 1, 3)]
    if repeated:
        group.insert((0, 2, 4)[repeated - 1], session(1, 5, "old"))
    stored, _ = await store(transactions, group, in_steps)
    by_key = ids_by_key(mysql)
    assert {id_ % 7 for id_ in by_key.values()} == {3}
    assert ids(stored).items() <= by_key.items()
    assert [each.identity for each, told in stored.stored.items() if told.replayed] == [old.identity] * bool(repeated)
    new = [stored.stored[each].session_id for each in group if not stored.stored[each].replayed]
    assert new == sorted(new)
    assert await check_standings(leaderboard_settings) == []


async def test_groups_of_several_processes_with_repeats_among_them_are_answered_with_the_ids_of_their_rows(
    leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    """Each key comes from several processes, at any place in a group, and most groups have new keys alone."""
    processes = [connect(leaderboard_settings) for _ in range(3)]
    told: list[tuple[Submission, Answer]] = []

    async def play(transactions: Transactions, process: int, lane: int) -> None:
        random, board = Random(f"{process} {lane}"), Board(transactions, leaderboard_settings)
        for _ in range(12):
            group = []
            for _ in range(random.randint(1, 20)):
                number = random.randint(1, 60)
                key = f"shared{number}" if random.random() < 0.05 else None
                group.append(session(random.randint(1, 9), number % 4, key))
            told.extend(zip(group, await board.store(*group), strict=True))

    await asyncio.gather(*(play(each, number, lane) for number, each in enumerate(processes) for lane in range(2)))
    for each in processes:
        await each.dispose()
    by_key = ids_by_key(mysql)
    assert [answer.session_id for _, answer in told] == [by_key[submission.identity] for submission, _ in told]
    assert Counter(answer.session_id for _, answer in told if not answer.replayed) == Counter(by_key.values())
    assert any(answer.replayed for _, answer in told)
    assert await check_standings(leaderboard_settings) == []


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.HELD, Fault.REPLY_LOST])
async def test_a_group_with_a_repeat_in_it_whose_commit_is_not_answered_is_told_apart_when_it_is_run_again(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, fault: Fault
) -> None:
    await make(leaderboard_database, ALPS)
    async with proxying(leaderboard_settings.mysql_host, leaderboard_settings.mysql_port) as proxy:
        behind = leaderboard_settings.model_copy(update={"mysql_port": proxy.port, "mysql_timeout": 2})
        transactions = Watched(behind)
        async with counting(leaderboard_settings, transactions=transactions) as process:
            await process.submit(2, 5, "old", **SAID)
            proxy.strike(fault, COMMIT, after=b"INSERT INTO game_sessions")
            group = [(1, "a"), (2, "old"), (2, "b"), (3, "c")]
            asking = [asyncio.create_task(process.submit(user_id, 5, key, **SAID)) for user_id, key in group]
            await proxy.struck.wait()
            if fault is Fault.HELD:
                await asyncio.sleep(0.2)  # the group waits for its own transaction of before
            proxy.release()
            answers = await asyncio.gather(*asking)
        await transactions.dispose()
    assert any(isinstance(error, CommitUnknown) for error in transactions.errors)
    assert [answer.replayed for answer in answers] == [False, True, False, False]
    by_key = ids_by_key(mysql)
    assert [each.session_id for each in answers] == [by_key[user_id, submission_keys.of_client(key)] for user_id, key in group]
    assert await check_standings(leaderboard_settings) == []
