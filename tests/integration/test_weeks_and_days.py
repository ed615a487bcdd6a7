"""The migration that gives `main` weeks and days: what was played in the current ones counts there, wherever it is ended."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, event

from migrations.accounts import StillRunning, require_stopped
from migrations.history import downgrade, upgrade
from migrations.settings import MigrationSettings
from services.common.mysql.database import Database
from services.leaderboard.boards import administration, table
from services.leaderboard.boards.document import parse_toml
from services.leaderboard.operate.boards import DEFAULT
from services.leaderboard.operate.check import LogCheck
from services.leaderboard.operate.progress import Bar
from services.leaderboard.rules.calendar import DAY, WEEK
from services.leaderboard.rules.places import ALL_TIME, MAIN, MAIN_BOARD_ID, MOST_PLACES, Place, pack, unpack
from services.leaderboard.rules.ranking import Session, Tally, fold
from services.local.stack import Stack
from tests.histories import connect, migrating, own_history
from tests.system import rows

MySQL = Any  # pymysql.Connection, which is generic to the type checker alone

ELSEWHERE = Place(7, ALL_TIME)
# The bytes of the main board in all time are among these, but they are no place of their own.
LIKE_MAIN = [Place(5, ALL_TIME), Place(256, ALL_TIME)]
FULL = [Place(board_id, ALL_TIME) for board_id in range(MAIN_BOARD_ID, MAIN_BOARD_ID + MOST_PLACES)]
ERASED = 11
"""A player whose first sessions are being erased."""


class Logged(NamedTuple):
    """A session as it was before the migration."""

    session_id: int
    user_id: int
    score: int
    time: datetime
    places: list[Place] | None
    counts: bool
    """Whether the current periods are to count it, if it is of their time."""


@pytest.fixture
def settings(migration_settings: MigrationSettings, stack: Stack) -> Iterator[MigrationSettings]:
    """A database as it was before."""
    with own_history(migration_settings, stack) as own:
        upgrade(own, "0011")
        yield own


@pytest.fixture
def mysql(settings: MigrationSettings) -> Iterator[MySQL]:
    with migrating(settings) as connection:
        yield connection


def now_of(mysql: MySQL) -> datetime:
    [(now,)] = rows(mysql, "SELECT UTC_TIMESTAMP(6)")
    return now  # type: ignore[no-any-return]  # the driver's


def a_log(mysql: MySQL, random: Random, sessions: int) -> list[Logged]:
    """Sessions of forty days, with the standings that they have on the main board. Most are of the current week."""
    now = now_of(mysql)
    week, day = WEEK.at(now.replace(tzinfo=UTC)), DAY.at(now.replace(tzinfo=UTC))
    assert week is not None
    assert day is not None
    edges = [begin.replace(tzinfo=None) for begin in (week.starts_at, day.starts_at)]
    moment = timedelta(microseconds=1)
    log = []
    for session_id in range(3, 3 + 2 * sessions, 2):
        user_id = random.randrange(1, 40)
        score = 0 if user_id < 4 else random.choice([0, 10, 10, 500])
        time = random.choice(
            [
                now - random.random() * timedelta(days=40),
                now - random.random() * (now - edges[0]),
                now - random.random() * (now - edges[1]),
                random.choice(edges) - random.choice([0, 1]) * moment,
            ]
        )
        places = random.choice([None, None, None, [MAIN], [ELSEWHERE], [*LIKE_MAIN], [*LIKE_MAIN, MAIN], FULL, FULL[:-1]])
        erased = user_id == ERASED and session_id < sessions
        log.append(Logged(session_id, user_id, score, time, places, (places is None or MAIN in places) and not erased))
    stored = [
        (each.session_id, each.user_id, b"s:%d" % each.session_id, each.score, each.time, each.places and pack(each.places))
        for each in log
    ]
    with mysql.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO game_sessions (id, user_id, submission_key, group_id, score, submitted_at, places)"
            " VALUES (%s, %s, %s, REPEAT('0', 16), %s, %s, %s)",
            stored,
        )
        standings = tallies((each.user_id, Session(each.session_id, each.score)) for each in log if each.counts)
        cursor.executemany(
            "INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version)"
            " VALUES (1, 0, %s, %s, %s, %s, %s, 7)",
            [(user_id, *stored_as(tally)) for user_id, tally in standings.items()],
        )
        cursor.execute(f"INSERT INTO erasures (user_id, upto_session_id) VALUES ({ERASED}, {sessions - 1})")
        # Who was removed has a standing that says nothing.
        cursor.execute("INSERT INTO standings VALUES (1, 0, 99, NULL, 0, 0, 4, NULL)")
    return log


def tallies(sessions: Any) -> dict[int, Tally]:
    """The fold of each player's sessions."""
    by_player: dict[int, list[Session]] = {}
    for user_id, session in sessions:
        by_player.setdefault(user_id, []).append(session)
    folded = {user_id: fold(own) for user_id, own in by_player.items()}
    return {user_id: tally for user_id, tally in folded.items() if tally is not None}


def stored_as(tally: Tally) -> tuple[int, int, int, int]:
    return tally.score, -tally.score, tally.sessions, tally.reached_session_id


def periods_of(mysql: MySQL) -> list[tuple[int, str, datetime, datetime]]:
    statement = (
        "SELECT p.id, w.name, p.starts_at, p.ends_at FROM periods p JOIN windows w ON w.id = p.window_id"
        " WHERE w.board_id = 1 AND p.board_id = 1 AND p.state = 'open' ORDER BY w.position, p.starts_at"
    )
    return rows(mysql, statement)


def holds(mysql: MySQL, log: list[Logged]) -> None:
    """Each session counts in the periods of its time, and each standing there is the fold of those that do."""
    periods = periods_of(mysql)
    expected = {}
    for each in log:
        before = [MAIN] if each.places is None else each.places
        inside = [Place(MAIN_BOARD_ID, period_id) for period_id, _, begin, end in periods if begin <= each.time < end]
        expected[each.session_id] = (before + inside)[: max(MOST_PLACES, len(before))] if each.counts else before
    kept = {
        session_id: [MAIN] if packed is None else unpack(packed)
        for session_id, packed in rows(mysql, "SELECT id, places FROM game_sessions")
    }
    assert kept == expected
    for period_id, *_ in periods:
        at = Place(MAIN_BOARD_ID, period_id)
        counted = ((each.user_id, Session(each.session_id, each.score)) for each in log if at in expected[each.session_id])
        standings = rows(
            mysql,
            "SELECT user_id, score, sort, sessions, reached_session_id, version FROM standings WHERE board_id = 1"
            " AND period_id = %s",
            period_id,
        )
        assert {row[0]: row[1:] for row in standings} == {
            user_id: (*stored_as(tally), 1) for user_id, tally in tallies(counted).items()
        }


def in_all_time(mysql: MySQL) -> list[tuple[Any, ...]]:
    return rows(mysql, "SELECT * FROM standings WHERE period_id = 0 ORDER BY user_id")


def everything(mysql: MySQL) -> list[list[tuple[Any, ...]]]:
    tables = ("standings", "windows", "periods")
    log = "SELECT id, user_id, score, submitted_at, COALESCE(places, %s) FROM game_sessions ORDER BY id"
    return [*(rows(mysql, f"SELECT * FROM {table}") for table in tables), rows(mysql, log, pack([MAIN]))]


class Killed(Exception):
    """The migration ended here."""


@contextmanager
def killed_at(number: int) -> Iterator[Callable[[], bool]]:
    """Whatever is ended before the statement that is the ``number``th, from 0, to change a row. Tells whether it was."""
    count = 0

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal count
        count += statement.lstrip().startswith(("INSERT", "UPDATE", "DELETE"))
        if count > number:
            raise Killed

    event.listen(Engine, "before_cursor_execute", before)
    try:
        with suppress(Killed):
            yield lambda: count > number
    finally:
        event.remove(Engine, "before_cursor_execute", before)


def test_current_weeks_and_days_are_the_fold_of_their_sessions(settings: MigrationSettings, mysql: MySQL) -> None:
    log = a_log(mysql, Random(1), 1_000)
    before = in_all_time(mysql)
    began = now_of(mysql)
    upgrade(settings)
    [week, day] = periods_of(mysql)
    for (_, name, starts_at, ends_at), schedule in ((week, WEEK), (day, DAY)):
        found = schedule.at(starts_at.replace(tzinfo=UTC))
        assert found is not None
        assert (found.starts_at.replace(tzinfo=None), found.ends_at.replace(tzinfo=None)) == (starts_at, ends_at)
        assert began < ends_at
        assert rows(
            mysql,
            "SELECT p.number, p.closes_at = p.ends_at + INTERVAL 60 SECOND, p.state, w.counts_from"
            " FROM periods p JOIN windows w ON w.id = p.window_id WHERE w.name = %s",
            name,
        ) == [(found.number, 1, "open", starts_at)]
    assert in_all_time(mysql) == before
    holds(mysql, log)


async def test_the_services_agree(settings: MigrationSettings, mysql: MySQL) -> None:
    a_log(mysql, Random(2), 500)
    rows(mysql, "UPDATE game_sessions SET places = NULL")  # the other boards of these tests are none
    upgrade(settings)
    account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
    database = Database(settings, *account, isolation_level="REPEATABLE READ")
    try:
        async with database.reading() as connection:
            countings = await table.list_countings(connection)
        check = LogCheck(database, countings)
        await check.run(Bar("Players", 0).advance)
        [unchanged] = await administration.plan(database, parse_toml(DEFAULT.read_bytes()))
    finally:
        await database.dispose()
    # But for what the log of these tests says of all time: there sessions count that it has elsewhere.
    assert [each for each in check.differences if "period" in each] == []
    assert check.standings > len(in_all_time(mysql))
    assert unchanged.outcome == "unchanged"


def test_it_does_not_begin_while_a_service_may_store_sessions(
    settings: MigrationSettings, mysql: MySQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrations.accounts.STOPPING_SECONDS", 0.5)
    log = a_log(mysql, Random(7), 100)
    before = everything(mysql)
    with connect(settings, settings.leaderboard_mysql_user, settings.leaderboard_mysql_password):
        with pytest.raises(StillRunning, match="Stop every process of it"):
            upgrade(settings)
        assert everything(mysql) == before
    upgrade(settings)
    holds(mysql, log)


def test_it_does_not_read_what_others_run_meanwhile(settings: MigrationSettings, mysql: MySQL) -> None:
    """Such a statement holds packed places, which are no text."""
    runs = "SELECT 1 FROM information_schema.processlist WHERE id = %s AND command = 'Query'"
    with connect(settings, "migrate", settings.migrate_mysql_password) as other, ThreadPoolExecutor() as threads:
        [(other_id,)] = rows(other, "SELECT CONNECTION_ID()")
        running = threads.submit(other.query, b"SELECT SLEEP(3), _binary'\x89\x8f'")
        while not rows(mysql, runs, other_id):
            pass
        require_stopped(settings, settings.leaderboard_mysql_user)
        assert running.running()


def test_ended_before_any_statement_it_is_completed_by_the_next_run(settings: MigrationSettings, mysql: MySQL) -> None:
    """Before every fifth, from one of the first five on: others each time."""
    log = a_log(mysql, Random(3), 150)
    before = everything(mysql)
    number = Random().randrange(5)
    ended = True
    while ended:
        with killed_at(number) as was_ended:
            upgrade(settings)
        ended = was_ended()
        # Nobody sees anything of it before its last step.
        assert len(rows(mysql, "SELECT * FROM windows WHERE board_id = 1")) in {1, 3}
        upgrade(settings)
        holds(mysql, log)
        with killed_at(number):
            downgrade(settings, "0011")
        downgrade(settings, "0011")
        assert everything(mysql) == before
        # A column that was dropped goes on taking room in MariaDB's rows, until none fits after dozens of ups and downs.
        for name in ("boards", "windows", "periods", "refresh_families"):
            rows(mysql, f"ALTER TABLE {name} FORCE")
        number += 5
    assert number > 15


def test_what_a_run_of_the_day_before_has_left_is_completed_with_that_day(settings: MigrationSettings, mysql: MySQL) -> None:
    log = a_log(mysql, Random(4), 500)
    yesterday = now_of(mysql).replace(tzinfo=UTC) - timedelta(days=1)
    inside = []
    for name, unit, schedule in (("week", "weeks", WEEK), ("day", "days", DAY)):
        rows(
            mysql,
            "INSERT INTO windows (board_id, name, position, kind, every, unit, zone, first, grace_seconds)"
            " VALUES (0, %s, 0, 'every', 1, %s, 'UTC', %s, 60)",
            name,
            unit,
            schedule.first,
        )
        found = schedule.at(yesterday)
        assert found is not None
        rows(
            mysql,
            "INSERT INTO periods (board_id, window_id, number, starts_at, ends_at, closes_at, state)"
            " SELECT 1, MAX(id), %s, %s, %s, %s, 'open' FROM windows",
            *found,
            found.ends_at + timedelta(seconds=60),
        )
        [(period_id,)] = rows(mysql, "SELECT MAX(id) FROM periods")
        inside.append((Place(MAIN_BOARD_ID, period_id), found))
    # Of some players it came to count the sessions, and one of these standings is older than the last of them.
    for each in log:
        if each.user_id < 20 and each.places is None and each.counts:
            places = [at for at, (_, begin, end) in inside if begin <= each.time.replace(tzinfo=UTC) < end]
            rows(mysql, "UPDATE game_sessions SET places = %s WHERE id = %s", pack([MAIN, *places]), each.session_id)
    day = inside[1][0]
    begin, end = inside[1][1].starts_at.replace(tzinfo=None), inside[1][1].ends_at.replace(tzinfo=None)
    user_id = next(each.user_id for each in log if each.counts and begin <= each.time < end and each.places is None)
    rows(mysql, "INSERT INTO standings VALUES (%s, %s, %s, 1, 1, 1, 1, -1)", *day, user_id)
    upgrade(settings)
    assert [name for _, name, _, _ in periods_of(mysql)].count("day") == 2
    holds(mysql, log)


def test_of_many_sessions_each_counts(settings: MigrationSettings, mysql: MySQL) -> None:
    """More than one batch has, of the log and of players."""
    rows(
        mysql,
        "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at)"
        " VALUES (1, 's:', REPEAT('0', 16), 5, UTC_TIMESTAMP(6))",
    )
    for _ in range(16):
        rows(
            mysql,
            "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at)"
            " SELECT id + 1000000, CONCAT('s:', UUID()), group_id, id %% 7, submitted_at FROM game_sessions",
        )
    rows(
        mysql,
        "INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version)"
        " SELECT 1, 0, user_id, SUM(score), -SUM(score), COUNT(*), MAX(id), 1 FROM game_sessions GROUP BY user_id",
    )
    upgrade(settings)
    sessions = rows(mysql, "SELECT id, user_id, score, submitted_at FROM game_sessions")
    log = [Logged(session_id, user_id, score, time, None, counts=True) for session_id, user_id, score, time in sessions]
    holds(mysql, log)
    assert len(rows(mysql, "SELECT * FROM standings")) > 90_000


def test_a_board_that_is_closed_gets_periods_in_which_nothing_counts_any_more(
    settings: MigrationSettings, mysql: MySQL
) -> None:
    log = a_log(mysql, Random(5), 100)
    rows(mysql, "UPDATE boards SET state = 'closed' WHERE id = 1")
    upgrade(settings)
    holds(mysql, log)
    assert rows(mysql, "SELECT closes_at <= UTC_TIMESTAMP(6) FROM periods") == [(1,), (1,)]


def test_a_window_of_that_name_stays_as_it_is(settings: MigrationSettings, mysql: MySQL) -> None:
    a_log(mysql, Random(6), 100)
    own = "SELECT id, board_id, name, position, kind, grace_seconds, counts_from FROM windows WHERE name = 'week'"
    rows(
        mysql,
        "INSERT INTO windows (board_id, name, position, kind, grace_seconds) VALUES (1, 'week', 1, 'listed', 10)",
    )
    before = rows(mysql, own)
    upgrade(settings)
    assert rows(mysql, own) == before
    assert [name for _, name, _, _ in periods_of(mysql)] == ["day"]
    assert rows(mysql, "SELECT name FROM windows ORDER BY position") == [("all",), ("week",), ("day",)]
