"""Seeding a database in use: what is there stays, what comes is what the log says, and the check sees what is not."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import httpx
import pytest

from migrations.settings import MigrationSettings
from services.leaderboard.app import create_app
from services.leaderboard.rules.calendar import DAY, WEEK, Schedule
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import ALL_TIME, MAIN_BOARD_ID, Place, unpack
from services.leaderboard.rules.ranking import TOTALS, Aggregate, Counting, Session, Tally, fold
from services.leaderboard.settings import LeaderboardSettings
from services.local import ROOT
from services.local.errors import LocalError
from services.local.mysql import ADMIN
from services.local.seed.command import seed
from services.local.seed.standings import Agreement, check_agreement
from services.local.seed.target import Target
from services.local.stack import Stack
from tests.playing import play
from tests.system import Accounts, eventually, rows, serving

MySQL = Any  # pymysql.Connection, which is generic to the type checker alone

USUAL = {"week": WEEK, "day": DAY}
ADD_WINDOW = (
    "INSERT INTO windows (board_id, name, position, kind, every, unit, zone, first, grace_seconds)"
    " VALUES (1, %s, %s, 'every', %s, %s, 'UTC', %s, 60)"
)


class Row(NamedTuple):
    """A period, with the names of its board and window."""

    period_id: int
    board: str
    window: str
    number: int
    starts_at: datetime
    ends_at: datetime
    closes_at: datetime
    state: str


@pytest.fixture
def target(stack: Stack, migration_settings: MigrationSettings, secrets: Mapping[str, str], mysql: MySQL) -> Target:
    """The tests' own database, empty, with the windows that `main` has in a new one."""
    for position, (name, schedule) in enumerate(USUAL.items(), 1):
        add_window(mysql, name, position, schedule)
    return Target(stack.mysql.host, stack.mysql.port, migration_settings.mysql_database, ADMIN, secrets["MYSQL_ADMIN_PASSWORD"])


def add_window(mysql: MySQL, name: str, position: int, schedule: Schedule) -> None:
    rows(mysql, ADD_WINDOW, name, position, schedule.every, schedule.unit, schedule.first)


def periods_of(mysql: MySQL) -> list[Row]:
    statement = (
        "SELECT p.id, b.name, w.name, p.number, p.starts_at, p.ends_at, p.closes_at, p.state FROM periods p"
        " JOIN boards b ON b.id = p.board_id JOIN windows w ON w.id = p.window_id ORDER BY w.position, p.starts_at"
    )
    return [Row(*row) for row in rows(mysql, statement)]


def id_of(mysql: MySQL, board: str) -> int:
    [(board_id,)] = rows(mysql, "SELECT id FROM boards WHERE name = %s", board)
    return int(board_id)


def holds(mysql: MySQL) -> None:
    """Each session counts in the periods of its time, on the boards that it is for, and each standing is the fold of those."""
    fastest = id_of(mysql, "fastest")
    periods = periods_of(mysql)
    log: dict[tuple[Place, int], list[Session]] = {}
    for user_id, session_id, score, time, packed, metrics, tags in rows(
        mysql, "SELECT user_id, id, score, submitted_at, places, metrics, tags FROM game_sessions"
    ):
        values = {MAIN_BOARD_ID: score}
        if tags is not None:
            assert json.loads(tags) == {"mode": "race"}
            values = {fastest: json.loads(metrics)["time_ms"], **values}
        inside: dict[str, list[int]] = {"main": [], "fastest": []}
        for each in periods:
            if each.starts_at <= time < each.ends_at and each.state in {"open", "closed"}:
                inside[each.board].append(each.period_id)
        expected = [
            Place(board_id, period_id)
            for board_id in values
            for period_id in (ALL_TIME, *inside["main" if board_id == MAIN_BOARD_ID else "fastest"])
        ]
        assert unpack(packed) == expected
        for at in expected:
            log.setdefault((at, user_id), []).append(Session(session_id, values[at.board_id]))
    countings = {MAIN_BOARD_ID: TOTALS, fastest: Counting(Aggregate.BEST, Direction.ASCENDING)}
    standings = {}
    for board_id, period_id, user_id, score, sort, sessions, reached in rows(
        mysql,
        "SELECT board_id, period_id, user_id, score, sort, sessions, reached_session_id FROM standings WHERE version = 1",
    ):
        assert sort == (-score if board_id == MAIN_BOARD_ID else score)
        standings[Place(board_id, period_id), user_id] = Tally(score, sessions, reached)
    assert standings == {key: fold(sessions, countings[key[0].board_id]) for key, sessions in log.items()}


def players_in(mysql: MySQL, period_id: int) -> int:
    [(players,)] = rows(mysql, "SELECT COUNT(*) FROM standings WHERE period_id = %s AND board_id = 1", period_id)
    return int(players)


def test_every_standing_is_the_fold_of_its_log_in_every_window(target: Target, mysql: MySQL) -> None:
    agreement = seed(target, players=200, sessions=2_000, random=Random(1))
    assert (agreement.players, agreement.sessions) == (200, 2_000)
    holds(mysql)
    totals = [score for (score,) in rows(mysql, "SELECT score FROM standings WHERE board_id = 1 AND period_id = 0")]
    assert sum(score == 0 for score in totals) >= 2
    assert rows(mysql, "SELECT user_id, username FROM players ORDER BY 1") == rows(
        mysql, "SELECT id, username FROM users ORDER BY 1"
    )
    accounts = rows(mysql, "SELECT id, username, username_canonical FROM users ORDER BY 1")
    written = "SELECT id, username, username_canonical FROM account_changes WHERE changed_at IS NULL ORDER BY 1"
    assert rows(mysql, written) == accounts
    times = [at for (at,) in rows(mysql, "SELECT submitted_at FROM game_sessions ORDER BY id")]
    assert times == sorted(times)


def test_past_periods_are_there_with_their_times_and_closed(target: Target, mysql: MySQL) -> None:
    seed(target, players=100, sessions=2_000, random=Random(1))
    [(now,)] = rows(mysql, "SELECT UTC_TIMESTAMP(6)")
    periods = periods_of(mysql)
    for each in periods:
        found = USUAL[each.window].at(each.starts_at.replace(tzinfo=UTC))
        assert found is not None
        assert (found.starts_at.replace(tzinfo=None), found.ends_at.replace(tzinfo=None)) == (each.starts_at, each.ends_at)
        assert each.number == found.number
        assert each.closes_at - each.ends_at == timedelta(seconds=60)
        assert each.state == ("open" if each.closes_at > now else "closed")
    of = {key: [each for each in periods if (each.board, each.window) == key] for key in {each[1:3] for each in periods}}
    assert set(of) == {("main", "week"), ("main", "day"), ("fastest", "week")}
    assert len(of["main", "day"]) > 30
    assert len(of["main", "week"]) in {6, 7}
    for before, after in zip(of["main", "day"], of["main", "day"][1:], strict=False):
        assert before.ends_at <= after.starts_at
    everybody, week, day = (
        players_in(mysql, period_id) for period_id in (0, of["main", "week"][-2].period_id, of["main", "day"][-2].period_id)
    )
    assert everybody >= week > day > 0  # of so few players, all may have played in a week


def test_other_windows_are_filled_too_where_somebody_played(target: Target, mysql: MySQL) -> None:
    add_window(mysql, "minute", 3, Schedule(datetime(2026, 1, 1), 60, "seconds"))  # noqa: DTZ001
    rows(mysql, "INSERT INTO windows (board_id, name, position, kind, grace_seconds) VALUES (1, 'season', 4, 'listed', 60)")
    rows(
        mysql,
        "INSERT INTO periods (board_id, window_id, number, title, starts_at, ends_at, closes_at, state)"
        " SELECT 1, id, 1, 'Spring', NOW() - INTERVAL 20 DAY, NOW() - INTERVAL 5 DAY, NOW() - INTERVAL 5 DAY, 'closed'"
        " FROM windows WHERE name = 'season'",
    )
    seed(target, players=20, sessions=100, random=Random(1))
    holds(mysql)
    assert 50 < len([each for each in periods_of(mysql) if each.window == "minute"]) <= 100
    [season] = [each for each in periods_of(mysql) if each.window == "season"]
    assert players_in(mysql, season.period_id) > 0


def test_nothing_comes_to_a_period_whose_results_are_known(target: Target, mysql: MySQL) -> None:
    seed(target, players=50, sessions=500, random=Random(1))
    settled, expired = [each for each in periods_of(mysql) if (each.board, each.window) == ("main", "day")][-4:-2]
    rows(mysql, "UPDATE periods SET state = 'settled' WHERE id = %s", settled.period_id)
    rows(mysql, "UPDATE periods SET state = 'expired' WHERE id = %s", expired.period_id)
    before = rows(mysql, "SELECT * FROM standings WHERE period_id IN (%s, %s)", settled.period_id, expired.period_id)
    rows(mysql, "DELETE FROM standings WHERE period_id = %s", expired.period_id)
    assert seed(target, players=50, sessions=500, random=Random(2)).holds
    after = rows(mysql, "SELECT * FROM standings WHERE period_id IN (%s, %s)", settled.period_id, expired.period_id)
    assert after == [row for row in before if row[1] == settled.period_id]


def test_a_window_that_came_later_has_nothing_before(target: Target, mysql: MySQL) -> None:
    [(begin,)] = rows(mysql, "SELECT CAST(UTC_DATE() - INTERVAL 10 DAY AS DATETIME(6))")
    rows(mysql, "UPDATE windows SET counts_from = %s WHERE name = 'day'", begin)
    seed(target, players=50, sessions=1_000, random=Random(1))
    holds(mysql)
    assert min(each.starts_at for each in periods_of(mysql) if each.window == "day") == begin


def test_a_board_that_is_another_one_is_left_alone(target: Target, mysql: MySQL) -> None:
    rows(
        mysql,
        "INSERT INTO boards (version, name, title, metric, aggregate, direction, min_score, max_score, show_extra, state)"
        " VALUES (1, 'fastest', '', 'score', 'latest', 'descending', 0, 9, 0, 'active')",
    )
    rows(mysql, "INSERT INTO windows (board_id, name, position, kind) SELECT id, 'all', 0, 'all' FROM boards WHERE id <> 1")
    with pytest.raises(LocalError, match="Is latest and cannot be changed"):
        seed(target, players=1, sessions=1)
    assert rows(mysql, "SELECT * FROM users") == []


def test_no_index_is_believed_that_was_built_before(target: Target, mysql: MySQL) -> None:
    before = rows(mysql, "SELECT id, epoch FROM index_epoch")
    seed(target, players=20, sessions=50)
    after = rows(mysql, "SELECT id, epoch FROM index_epoch")
    assert [id_ for id_, _ in after] == [id_ for id_, _ in before] == [1]
    assert after != before


async def test_what_is_there_stays_and_a_second_seeding_adds(
    target: Target, mysql: MySQL, leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    # Ids as the auth service gives them: the seeded ones come from the same counter.
    rows(mysql, "INSERT INTO users VALUES (70, 'Ada', 'ada', 'x', UTC_TIMESTAMP(6))")
    ada = accounts.new("Ada", 70)
    await play(leaderboard, ada, 42)
    before = rows(mysql, "SELECT * FROM standings")
    assert len(before) == 3
    await asyncio.to_thread(seed, target, players=30, sessions=100, random=Random(1))
    # The same names again, all of them taken by now.
    agreement = await asyncio.to_thread(seed, target, players=30, sessions=100, random=Random(1))
    assert (agreement.players, agreement.sessions) == (61, 201)
    assert rows(mysql, "SELECT * FROM standings WHERE user_id = 70") == before
    assert rows(mysql, "SELECT MIN(id) FROM users") == [(70,)]
    assert len({(each.board, each.window, each.number) for each in periods_of(mysql)}) == len(periods_of(mysql))
    await play(leaderboard, ada, 1)
    mine = await leaderboard.get("/api/leaderboard/rank/me", headers=ada)
    assert mine.json()["total_score"] == 43


async def test_nobody_can_sign_in_to_a_seeded_account(target: Target, mysql: MySQL, auth: httpx.AsyncClient) -> None:
    await asyncio.to_thread(seed, target, players=3, sessions=3)
    [(name,)] = rows(mysql, "SELECT username FROM users LIMIT 1")
    answer = await auth.post("/auth/login", json={"username": name, "password": "whatever it may be"})
    assert answer.status_code == 401


async def agreement_of(target: Target) -> Agreement:
    async with target.open_database("REPEATABLE READ") as database:
        return await check_agreement(database, lambda _players: lambda _done: None)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("UPDATE standings SET score = score + 1, sort = sort - 1 WHERE period_id = 0 LIMIT 1", "the standing is Tally"),
        ("UPDATE standings SET score = score + 1, sort = sort - 1 WHERE period_id <> 0 LIMIT 1", "the standing is Tally"),
        ("UPDATE standings SET sessions = sessions + 1 LIMIT 1", "the standing is Tally"),
        ("UPDATE standings SET reached_session_id = 0 LIMIT 1", "the standing is Tally"),
        ("UPDATE standings SET sort = 1 WHERE board_id = 1 LIMIT 1", "is ordered by 1"),
        ("DELETE FROM standings LIMIT 1", "has sessions and no standing"),
        ("DELETE FROM players LIMIT 1", "1 players have no name"),
        ("INSERT INTO standings VALUES (1, 0, 999999, 5, 1, 1, 1, -5)", "the sessions give None"),
    ],
)
async def test_the_check_sees_a_standing_that_is_not_what_the_log_says(
    target: Target, mysql: MySQL, damage: str, what: str
) -> None:
    await asyncio.to_thread(seed, target, players=10, sessions=30)
    rows(mysql, damage)
    agreement = await agreement_of(target)
    assert not agreement.holds
    assert what in str(agreement)


async def test_a_removed_player_is_no_disagreement(target: Target, mysql: MySQL) -> None:
    await asyncio.to_thread(seed, target, players=10, sessions=30)
    [(user_id,)] = rows(mysql, "SELECT MIN(user_id) FROM standings")
    rows(mysql, "DELETE FROM game_sessions WHERE user_id = %s", user_id)
    rows(mysql, "DELETE FROM players WHERE user_id = %s", user_id)
    removed = "score = NULL, sort = NULL, sessions = 0, reached_session_id = 0, version = version + 1"
    rows(mysql, f"UPDATE standings SET {removed} WHERE user_id = %s", user_id)
    agreement = await agreement_of(target)
    assert agreement.holds
    assert agreement.players == 9


def test_what_a_seeding_left_that_was_cut_short_is_completed_by_the_next(target: Target, mysql: MySQL) -> None:
    seed(target, players=20, sessions=60)
    rows(mysql, "DELETE FROM standings")
    rows(mysql, "DELETE FROM players")
    agreement = seed(target, players=10, sessions=30)
    assert (agreement.players, agreement.sessions) == (30, 90)


async def test_a_service_that_runs_meanwhile_settles_past_periods_with_all_that_was_played(
    target: Target, mysql: MySQL, leaderboard_settings: LeaderboardSettings
) -> None:
    async def are_settled() -> bool:
        return rows(mysql, "SELECT COUNT(*) FROM periods WHERE state = 'closed'") == [(0,)]

    async with serving(create_app(leaderboard_settings)):
        await asyncio.to_thread(seed, target, 50, 500)
        await eventually(are_settled, 60)
    settled = rows(
        mysql,
        "SELECT p.players, (SELECT COUNT(*) FROM standings AS s WHERE s.board_id = p.board_id AND s.period_id = p.id),"
        " (SELECT COUNT(*) FROM results AS r WHERE r.period_id = p.id) FROM periods AS p WHERE p.state = 'settled'",
    )
    assert len([players for players, *_ in settled if players]) > 30  # of a day without a race there is nobody
    assert [each for each in settled if not each[0] == each[1] == each[2]] == []
    assert rows(mysql, "SELECT COUNT(*) FROM events WHERE kind = 'period.opened'") == [(0,)]


async def test_what_was_played_before_ctrl_c_counts(target: Target, mysql: MySQL) -> None:
    environment = {
        "MYSQL_HOST": target.host,
        "MYSQL_PORT": str(target.port),
        "MYSQL_DATABASE": target.database,
        "MYSQL_ADMIN_PASSWORD": target.password,
    }
    command = ["-m", "services.local", "seed", "--players", "1000", "--sessions", "100000"]
    child = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT, env=os.environ | environment)
    async with asyncio.timeout(60):
        while rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]:  # noqa: ASYNC110  # another process's
            await asyncio.sleep(0.01)
    child.send_signal(signal.SIGINT)
    assert await child.wait() == 130
    agreement = await agreement_of(target)
    assert agreement.holds
    assert 20_000 <= agreement.sessions < 100_000


def test_only_one_seeding_at_a_time(target: Target, mysql: MySQL) -> None:
    rows(mysql, "SELECT GET_LOCK('leaderboard.seed', 0)")
    with pytest.raises(LocalError, match="under way"):
        seed(target, players=1, sessions=1)


def test_a_database_without_tables_is_said(target: Target, stack: Stack) -> None:
    with pytest.raises(LocalError, match="no tables yet"):
        seed(Target(target.host, target.port, "mysql", target.user, target.password), players=1, sessions=1)


def test_a_wrong_password_is_said(target: Target) -> None:
    with pytest.raises(LocalError, match="does not let us in"):
        seed(Target(target.host, target.port, target.database, target.user, "wrong"), players=1, sessions=1)
