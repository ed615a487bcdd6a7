"""Seeding a database in use: what is there stays, what comes is what the log says, and the check sees what is not."""

from collections.abc import Mapping
from random import Random
from typing import Any

import httpx
import pytest

from migrations.settings import MigrationSettings
from services.leaderboard.rules.places import ALL_TIME, MAIN_BOARD_ID
from services.leaderboard.rules.ranking import Session, Tally, fold
from services.local.errors import LocalError
from services.local.mysql import ADMIN
from services.local.seed.checking import check_agreement
from services.local.seed.command import seed
from services.local.seed.target import Target
from services.local.stack import Stack
from tests.playing import play
from tests.system import Accounts, rows

MySQL = Any  # pymysql.Connection, which is generic to the type checker alone


@pytest.fixture
def target(stack: Stack, migration_settings: MigrationSettings, secrets: Mapping[str, str], mysql: MySQL) -> Target:
    """The tests' own database, empty."""
    return Target(stack.mysql.host, stack.mysql.port, migration_settings.mysql_database, ADMIN, secrets["MYSQL_ADMIN_PASSWORD"])


def test_every_standing_is_the_fold_of_its_log(target: Target, mysql: MySQL) -> None:
    agreement = seed(target, players=200, sessions=2_000, random=Random(1))
    assert (agreement.players, agreement.sessions) == (200, 2_000)
    log: dict[int, list[Session]] = {}
    for user_id, session_id, score in rows(mysql, "SELECT user_id, id, score FROM game_sessions"):
        log.setdefault(user_id, []).append(Session(session_id, score))
    standings = {
        user_id: Tally(score, sessions, reached)
        for user_id, score, sessions, reached in rows(
            mysql,
            "SELECT user_id, score, sessions, reached_session_id FROM standings"
            f" WHERE board_id = {MAIN_BOARD_ID} AND period_id = {ALL_TIME} AND version = 1",
        )
    }
    assert standings == {user_id: fold(sessions) for user_id, sessions in log.items()}
    assert sum(tally.score == 0 for tally in standings.values()) >= 2
    assert rows(mysql, "SELECT user_id, username FROM players ORDER BY 1") == rows(
        mysql, "SELECT id, username FROM users ORDER BY 1"
    )
    times = [at for (at,) in rows(mysql, "SELECT submitted_at FROM game_sessions ORDER BY id")]
    assert times == sorted(times)


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
    seed(target, players=30, sessions=100, random=Random(1))
    # The same names again, all of them taken by now.
    agreement = seed(target, players=30, sessions=100, random=Random(1))
    assert (agreement.players, agreement.sessions) == (61, 201)
    assert rows(mysql, "SELECT * FROM standings WHERE user_id = 70") == before
    assert rows(mysql, "SELECT MIN(id) FROM users") == [(70,)]
    await play(leaderboard, ada, 1)
    mine = await leaderboard.get("/api/leaderboard/rank/me", headers=ada)
    assert mine.json()["total_score"] == 43


async def test_nobody_can_sign_in_to_a_seeded_account(target: Target, mysql: MySQL, auth: httpx.AsyncClient) -> None:
    seed(target, players=3, sessions=3)
    [(name,)] = rows(mysql, "SELECT username FROM users LIMIT 1")
    answer = await auth.post("/auth/login", json={"username": name, "password": "whatever it may be"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("UPDATE standings SET score = score + 1 LIMIT 1", "1 totals are wrong"),
        ("UPDATE standings SET sessions = sessions + 1 LIMIT 1", "1 counts"),
        ("UPDATE standings SET reached_session_id = 0 LIMIT 1", "1 reached_session_id"),
        ("DELETE FROM standings LIMIT 1", "1 totals are wrong"),
        ("DELETE FROM players LIMIT 1", "1 players have no name"),
        ("INSERT INTO standings VALUES (1, 0, 999999, 5, 1, 1, 1, -5)", "1 standings no session"),
    ],
)
def test_the_check_sees_a_standing_that_is_not_what_the_log_says(target: Target, mysql: MySQL, damage: str, what: str) -> None:
    seed(target, players=10, sessions=30)
    rows(mysql, damage)
    with target.connect() as connection:
        agreement = check_agreement(connection)
    assert not agreement.holds
    assert what in str(agreement)


def test_a_removed_player_is_no_disagreement(target: Target, mysql: MySQL) -> None:
    seed(target, players=10, sessions=30)
    rows(mysql, "UPDATE standings SET score = NULL, sort = NULL, version = version + 1 LIMIT 1")
    with target.connect() as connection:
        assert check_agreement(connection).holds


def test_what_a_seeding_left_that_was_cut_short_is_completed_by_the_next(target: Target, mysql: MySQL) -> None:
    seed(target, players=20, sessions=60)
    rows(mysql, "DELETE FROM standings")
    rows(mysql, "DELETE FROM players")
    agreement = seed(target, players=10, sessions=30)
    assert (agreement.players, agreement.sessions) == (30, 90)


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
