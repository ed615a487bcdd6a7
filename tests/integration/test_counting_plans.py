"""How MySQL finds the rows that a group of sessions reads and locks, and that no other is waited for."""

import asyncio
import os
from datetime import datetime
from typing import Any

import pytest
from pymysql.cursors import Cursor, DictCursor

from services.common.mysql.database import Database
from services.common.mysql.multistatement import Result, Transaction
from services.leaderboard.log import sessions
from services.leaderboard.log.sessions import Submission
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import MAIN, Place, Ranked
from services.leaderboard.rules.played import Played
from services.leaderboard.rules.ranking import Aggregate, Count
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, define, make
from tests.system import eventually, rows, rows_are_awaited
from tests.timing import HOUR, mysql_now, plain
from tests.writing import NEWEST, Watched, check_standings, counting


class Explained:
    """A transaction of whose statements each is explained before it is sent."""

    def __init__(self, transaction: Transaction, mysql: Any) -> None:
        self._transaction = transaction
        self._mysql = mysql
        self.plans: list[tuple[str | None, str, str]] = []

    async def send(self, *statements: str) -> list[Result]:
        for statement in statements:
            text = statement.strip()
            if text.startswith(("SELECT", "DELETE")) and "INTO @" not in text and "erased_keys" not in text:
                with self._mysql.cursor(DictCursor) as cursor:
                    cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {text}")
                    self.plans += [(plan["table"], plan["type"], plan["key"]) for plan in cursor.fetchall()]
        return await self._transaction.send(*statements)

    async def commit(self, *statements: str) -> list[Result]:
        return await self._transaction.commit(*statements)


def submissions(players: range, places: list[Place], time: datetime) -> list[Submission]:
    counts = [Count(Ranked(at, Direction.DESCENDING, None), Aggregate.BEST, 5, NEWEST) for at in places]
    return [Submission(user_id, f"player{user_id}", b"s:%d" % user_id, Played(5), time, counts) for user_id in players]


@pytest.mark.parametrize("others", [0, 400, 5_000])
@pytest.mark.parametrize(("players", "places_each"), [(1, 1), (400, 1), (210, 24)])
async def test_every_row_that_is_read_or_locked_is_found_by_the_primary_key(
    leaderboard_settings: LeaderboardSettings, mysql: Any, others: int, players: int, places_each: int
) -> None:
    """With 1, 400 and 5,040 standings in a group, on tables that are empty, small and large."""
    with mysql.cursor() as cursor:
        # Placeholders only: else the driver sends each row alone.
        standings = [(1 + number % 50, 0, 1_000_000 + number, 5, 1, number, 1, -5) for number in range(others)]
        cursor.executemany("INSERT INTO standings VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", standings)
        cursor.executemany("INSERT INTO players (user_id, username) VALUES (%s, %s)", [(row[2], "other") for row in standings])
        cursor.executemany(
            "INSERT INTO account_changes (id, username, username_canonical) VALUES (%s, %s, %s)",
            [(row[2], "other", "other") for row in standings],
        )
        more = range(max(24, others // 10))
        cursor.executemany(
            "INSERT INTO boards (id, version, name, title, metric, aggregate, direction, min_score, max_score, show_extra,"
            " state) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [(2 + n, 1, f"board{n}", "", "score", "best", "descending", 0, 10, 0, "active") for n in more],
        )
        now = mysql_now(mysql)
        times = plain(now), plain(now + HOUR), plain(now + HOUR)
        cursor.executemany(
            "INSERT INTO periods (id, board_id, window_id, number, starts_at, ends_at, closes_at, state) VALUES"
            " (%s, %s, %s, %s, %s, %s, %s, %s)",
            [(1 + number, 2 + number, number, 0, *times, "open") for number in more],
        )
    rows(mysql, "ANALYZE TABLE account_changes, boards, periods, players, standings, game_sessions")
    places = [Place(2 + number, 1 + number) for number in range(places_each - 1)]
    group = submissions(range(1, players + 1), [MAIN, *places], now)
    transactions = Watched(leaderboard_settings)
    explained: list[Explained] = []

    async def work(transaction: Transaction) -> None:
        explained.append(Explained(transaction, mysql))
        await sessions.store(explained[-1], group, os.urandom(16))  # type: ignore[arg-type]

    for _ in range(2):  # new ones, and repeats
        await transactions.attempt(work)
    await transactions.dispose()
    assert rows(mysql, "SELECT COUNT(*) FROM standings WHERE user_id < 1000000") == [(players * places_each,)]
    # Of a row that is not there the plan names no table: it was looked for by its whole key.
    plans = {plan for each in explained for plan in each.plans if plan[0] is not None}
    keys = {"game_sessions": {"PRIMARY", "uq_game_sessions_user_id_submission_key"}}
    assert {table for table, _, _ in plans} >= {"standings", "boards", "players", "account_changes", "game_sessions"}
    for table, how, key in plans:
        # Accounts are joined to the players that were found.
        assert how in ({"eq_ref", "const"} if table == "account_changes" else {"range", "const"}), plans
        assert key in keys.get(table or "", {"PRIMARY"}), plans


async def test_rows_that_a_group_does_not_touch_are_not_waited_for(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, other: Cursor
) -> None:
    """In small tables too, which a server may go through whole."""
    names = [f"board{number}" for number in range(9)]
    await make(leaderboard_database, *(define(name, windows=(ALL, DAY)) for name in names))
    async with counting(leaderboard_settings) as process:
        for name in names:
            await asyncio.gather(*(process.submit(user_id, 1, boards=[name]) for user_id in range(1, 10)))
        every_second = ",".join(str(board_id) for (board_id,) in rows(mysql, "SELECT id FROM boards WHERE id > 1")[::2])
        other.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")  # else the gaps are locked as well
        other.execute("BEGIN")
        other.execute(f"SELECT * FROM boards WHERE id IN ({every_second}) FOR UPDATE")
        other.execute(f"SELECT * FROM periods WHERE board_id IN ({every_second}) FOR UPDATE")
        other.execute("SELECT * FROM players WHERE user_id IN (1, 3, 5, 7, 9) FOR UPDATE")
        other.execute("SELECT * FROM game_sessions WHERE user_id IN (1, 3, 5, 7, 9) FOR UPDATE")
        other.execute(f"SELECT * FROM standings WHERE board_id IN ({every_second}) OR user_id IN (1, 3, 5, 7, 9) FOR UPDATE")
        async with asyncio.timeout(2.5):  # less than a lock is waited for
            for name in names[1::2]:
                await asyncio.gather(*(process.submit(user_id, 2, boards=[name]) for user_id in (2, 4, 6, 8, 10)))
        waiting = asyncio.create_task(process.submit(2, 2, boards=[names[0]]))
        await eventually(lambda: rows_are_awaited(mysql))
        other.execute("ROLLBACK")
        await waiting
    assert await check_standings(leaderboard_settings) == []
