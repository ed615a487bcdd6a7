"""How MySQL finds what is told of players: each row by an index, and no more of them than are looked at."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymysql.cursors import DictCursor
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.common.names import canonical
from services.leaderboard.log import bests, history
from services.leaderboard.players import profiles, search
from services.leaderboard.rules.places import MAIN, MAIN_RANKED
from tests.playing import add_sessions
from tests.system import rows

BY_NAME, BY_PLAYER = "ix_account_changes_username_canonical", "ix_game_sessions_user_id_id"
PLAYERS = 2_000


@contextmanager
def watched(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """What is sent to MySQL in a block: statements and their values."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        sent.append((statement, values))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


@pytest.fixture
def crowd(mysql: Any) -> Any:
    """MySQL, with players whose names begin alike, each with a session, and one with many."""
    people = [(number, f"Otter{number:04}") for number in range(1, PLAYERS + 1)]
    with mysql.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO account_changes (id, username, username_canonical) VALUES (%s, %s, %s)",
            [(user_id, name, canonical(name)) for user_id, name in people],
        )
        cursor.executemany("INSERT INTO players (user_id, username) VALUES (%s, %s)", people)
        cursor.executemany(
            "INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version)"
            " VALUES (1, 0, %s, %s, %s, 1, %s, 1)",
            [(user_id, user_id, -user_id, user_id) for user_id, _ in people],
        )
        cursor.executemany(
            "INSERT INTO game_sessions (id, user_id, submission_key, group_id, score, submitted_at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [(user_id, user_id, "s", b"0" * 16, user_id, "2026-01-01") for user_id, _ in people],
        )
    add_sessions(mysql, 7, 3_000)
    rows(mysql, "ANALYZE TABLE account_changes, players, standings, game_sessions")
    return mysql


async def test_every_row_is_found_by_an_index(crowd: Any, leaderboard_database: Database) -> None:
    asked: dict[str, Callable[[AsyncConnection], Awaitable[object]]] = {
        "search": lambda connection: search.list_beginning(connection, ["otter"], MAIN),
        "two forms": lambda connection: search.list_beginning(connection, ["otter1", "otter3"], MAIN),
        "name": lambda connection: profiles.find_name(connection, 7),
        "standing": lambda connection: profiles.find_standing(connection, MAIN, 7),
        "session": lambda connection: bests.find_shown(connection, 7, 7),
        "best": lambda connection: bests.find_best(connection, MAIN_RANKED, "score", 7),
        "own": lambda connection: history.list_own_on_board(connection, 7, 1, None, 21),
        "count": lambda connection: history.count_counted(connection, 7, 0),
    }
    allowed = {
        ("account_changes", "range", BY_NAME),
        ("game_sessions", "range", BY_PLAYER),
        ("game_sessions", "ref", BY_PLAYER),
        *((alias, how, "PRIMARY") for alias in ("a", "n", "p", "s", "x", "erasures") for how in ("const", "eq_ref")),
        *(("s", how, BY_PLAYER) for how in ("range", "ref")),
    }
    for title, ask in asked.items():
        with watched(leaderboard_database) as sent:
            async with leaderboard_database.reading() as connection:
                assert await ask(connection), title
        assert sent, title
        for statement, values in sent:
            with crowd.cursor(DictCursor) as cursor:
                cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {statement}", values)
                plans = [plan for plan in cursor.fetchall() if plan["table"] is not None]
            for plan in plans:
                # The names that were found are gone through: 200 at most.
                if plan["table"].startswith("<derived"):
                    continue
                assert (plan["table"], plan["type"], plan["key"]) in allowed, (title, plans)
                assert plan["key"] != BY_NAME or "Using index" in plan["Extra"].split("; "), (title, plans)
