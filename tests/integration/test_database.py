"""The schema, its history and its accounts."""

import secrets
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pymysql
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import create_engine

from migrations.accounts import ensure_accounts
from migrations.comparison import OPTIONS, ORDER_INDEX
from migrations.history import downgrade, upgrade
from migrations.settings import MigrationSettings
from services.auth.models import AuthBase
from services.leaderboard.models import LeaderboardBase
from services.local.stack import Stack
from tests.histories import connect, migrating, own_history
from tests.system import rows

TABLES = {
    "auth": {
        "users",
        "guests",
        "staff",
        "second_factors",
        "staff_codes",
        "account_changes",
        "kept_usernames",
        "refresh_families",
        "refresh_tokens",
        "audit_events",
        "audit_addresses",
        "export_leases",
        "password_attempts",
        "recovery_codes",
        "external_identities",
        "api_keys",
        "key_secrets",
        "key_endings",
    },
    "leaderboard": {
        "boards",
        "windows",
        "periods",
        "boards_version",
        "players",
        "game_sessions",
        "standings",
        "outbox",
        "index_epoch",
        "erasures",
        "erased_keys",
        "foldings",
        "moderation_log",
        "reviews",
        "reports",
        "reporters",
        "void_jobs",
        "void_job_sessions",
    },
}

# What another service may read, and not write.
READ_BY_OTHERS = {"account_changes", "key_endings"}


@pytest.fixture
def settings(migration_settings: MigrationSettings, stack: Stack) -> Iterator[MigrationSettings]:
    """A database of the test's own, with nothing in it."""
    with own_history(migration_settings, stack) as own:
        yield own


def test_the_migrations_make_what_the_models_say(settings: MigrationSettings) -> None:
    upgrade(settings)
    engine = create_engine(settings.migrate_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=OPTIONS)
        metadata: Any = [AuthBase.metadata, LeaderboardBase.metadata]
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_index_of_the_order_is_the_order(settings: MigrationSettings) -> None:
    upgrade(settings)
    with connect(settings, "migrate", settings.migrate_mysql_password) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, collation FROM information_schema.statistics"
            " WHERE table_schema = %s AND index_name = %s ORDER BY seq_in_index",
            (settings.mysql_database, ORDER_INDEX),
        )
        assert list(cursor.fetchall()) == [("board_id", "A"), ("period_id", "A"), ("sort", "A"), ("reached_session_id", "A")]


def test_the_history_goes_down_to_nothing_and_up_again(settings: MigrationSettings) -> None:
    upgrade(settings)
    downgrade(settings, "base")
    with connect(settings, "migrate", settings.migrate_mysql_password) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        assert {row[0] for row in cursor.fetchall()} == {"alembic_version"}
    upgrade(settings)
    upgrade(settings)
    with connect(settings, "leaderboard", settings.leaderboard_mysql_password) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, name, metric, aggregate, direction, min_score, max_score, state, version FROM boards")
        assert list(cursor.fetchall()) == [(1, "main", "score", "total", "descending", 0, 1_000_000_000, "active", 2)]
        cursor.execute("SELECT board_id, name, position, kind, counts_from FROM windows")
        assert list(cursor.fetchall()) == [
            (1, "all", 0, "all", None),
            (1, "week", 1, "every", None),
            (1, "day", 2, "every", None),
        ]
        cursor.execute("SELECT COUNT(*) FROM periods")
        assert cursor.fetchone() == (0,)


def test_standings_of_before_keep_their_order_and_go_down_again(settings: MigrationSettings) -> None:
    upgrade(settings, "0008")
    standings = [(1, 0, 7, 30, 2, 5, 3), (1, 0, 8, None, 0, 0, 2), (1, 0, 9, 0, 1, 6, 1)]
    with connect(settings, "migrate", settings.migrate_mysql_password) as connection, connection.cursor() as cursor:
        connection.autocommit(True)  # a table that a transaction has read is not changed before its end
        cursor.executemany("INSERT INTO standings VALUES (%s, %s, %s, %s, %s, %s, %s)", standings)
        cursor.execute(
            "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at, answered_total, answered_rank)"
            " VALUES (7, 'c:key', REPEAT('0', 16), 30, NOW(6), 30, 1)"
        )
        upgrade(settings, "0011")
        cursor.execute("SELECT user_id, score, sort, places FROM standings LEFT JOIN game_sessions USING (user_id, score)")
        assert sorted(cursor.fetchall()) == [(7, 30, -30, None), (8, None, None, None), (9, 0, 0, None)]
        downgrade(settings, "0008")
        cursor.execute("SELECT * FROM standings ORDER BY user_id")
        assert list(cursor.fetchall()) == standings
        cursor.execute("SELECT user_id, score, answered_total FROM game_sessions")
        assert list(cursor.fetchall()) == [(7, 30, None)]
        cursor.execute("SELECT descending, period FROM boards")
        assert list(cursor.fetchall()) == [(1, "all")]
        upgrade(settings)


def test_who_is_signed_in_stays_so_when_sessions_become_rows_of_their_own(settings: MigrationSettings) -> None:
    upgrade(settings, "0001")
    live, used_up, revoked, expired = (uuid.uuid4().bytes for _ in range(4))
    tokens = [  # family, hours since issue, hours until expiry, used, revoked
        (live, 48, 672, True, False),
        (live, 24, 696, False, False),
        (used_up, 24, 696, True, False),
        (revoked, 24, 696, False, True),
        (expired, 800, -1, False, False),
    ]
    with connect(settings, "migrate", settings.migrate_mysql_password) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (id, username, username_canonical, password_hash, created_at)"
            " VALUES (7, 'Ada', 'ada', '', UTC_TIMESTAMP(6))"
        )
        cursor.executemany(
            "INSERT INTO refresh_tokens (user_id, family_id, token_hash, issued_at, expires_at, used_at, revoked_at)"
            " VALUES (7, %s, %s, UTC_TIMESTAMP(6) - INTERVAL %s HOUR, UTC_TIMESTAMP(6) + INTERVAL %s HOUR,"
            " IF(%s, UTC_TIMESTAMP(6), NULL), IF(%s, UTC_TIMESTAMP(6), NULL))",
            [(family, secrets.token_bytes(32), *rest) for family, *rest in tokens],
        )
        connection.commit()
        connection.autocommit(True)  # a table that a transaction has read is not changed before its end
        upgrade(settings)
        cursor.execute(
            "SELECT id, user_id, TIMESTAMPDIFF(HOUR, created_at, last_used_at), expires_at < ends_at FROM refresh_families"
        )
        assert list(cursor.fetchall()) == [(live, 7, 24, 1)]
        cursor.execute("SELECT COUNT(*) FROM refresh_tokens")
        assert cursor.fetchone() == (5,)
        downgrade(settings, "0001")
        upgrade(settings)


def test_of_sessions_that_go_on_it_is_known_that_the_password_was_given_when_they_began(settings: MigrationSettings) -> None:
    upgrade(settings, "0007")
    with connect(settings, "migrate", settings.migrate_mysql_password) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (id, username, username_canonical, password_hash, created_at)"
            " VALUES (7, 'Ada', 'ada', '', UTC_TIMESTAMP(6))"
        )
        cursor.execute(
            "INSERT INTO refresh_families (id, user_id, created_at, last_used_at, expires_at, ends_at, address, user_agent)"
            " VALUES (%s, 7, '2026-01-02 03:04:05.678', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), '', '')",
            (uuid.uuid4().bytes,),
        )
        connection.commit()
        connection.autocommit(True)
        upgrade(settings)
        cursor.execute("SELECT COUNT(*), SUM(authenticated_at = created_at) FROM refresh_families")
        assert cursor.fetchone() == (1, 1)
        downgrade(settings, "0007")
        upgrade(settings)


def test_sessions_that_go_on_are_browsers_and_none_ends_on_the_way_down(settings: MigrationSettings) -> None:
    upgrade(settings, "0012")
    ids = [uuid.uuid4().bytes for _ in range(2)]
    columns = "id, user_id, created_at, last_used_at, expires_at, ends_at, address, user_agent, authenticated_at"
    times = ", ".join(["UTC_TIMESTAMP(6)"] * 4)
    with migrating(settings) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (id, username, username_canonical, password_hash, created_at)"
            " VALUES (7, 'Ada', 'ada', '', UTC_TIMESTAMP(6))"
        )
        before = f"INSERT INTO refresh_families ({columns}) VALUES (%s, 7, {times}, '', '', UTC_TIMESTAMP(6))"
        cursor.execute(before, ids[:1])
        upgrade(settings)
        cursor.execute("SELECT id, kind FROM refresh_families")
        assert list(cursor.fetchall()) == [(ids[0], "browser")]
        cursor.execute(
            f"INSERT INTO refresh_families ({columns}, kind) VALUES (%s, 7, {times}, '', '', UTC_TIMESTAMP(6), 'app')", ids[1:]
        )
        downgrade(settings, "0012")
        cursor.execute("SELECT id FROM refresh_families")
        assert {row[0] for row in cursor.fetchall()} == set(ids)
        upgrade(settings)
        cursor.execute("SELECT DISTINCT kind FROM refresh_families")
        assert list(cursor.fetchall()) == [("browser",)]


def test_guests_go_down_as_accounts_that_nobody_signs_in_to_and_up_again(settings: MigrationSettings) -> None:
    upgrade(settings)
    with migrating(settings) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (id, username, username_canonical, password_hash, created_at)"
            " VALUES (7, 'Ada', 'ada', 'a hash', UTC_TIMESTAMP(6)), (8, 'BraveOtter1', 'braveotter1', NULL, UTC_TIMESTAMP(6))"
        )
        cursor.execute("INSERT INTO guests (user_id) VALUES (8)")
        downgrade(settings, "0014")
        cursor.execute("SELECT id, password_hash FROM users ORDER BY id")
        assert list(cursor.fetchall()) == [(7, "a hash"), (8, "")]
        upgrade(settings)
        cursor.execute("SELECT id, password_hash, unreachable_since FROM users JOIN guests ON user_id = id")
        assert list(cursor.fetchall()) == [(8, None, None)]


@pytest.mark.parametrize("cut_after", range(4))
def test_what_moderation_needs_is_added_also_after_a_run_that_was_cut_short(
    settings: MigrationSettings, cut_after: int
) -> None:
    """Sessions and players that are there count, and are not banned."""
    upgrade(settings, "0016")
    first = (
        "ALTER TABLE game_sessions ADD COLUMN state TINYINT UNSIGNED NOT NULL DEFAULT 0",
        "ALTER TABLE players ADD COLUMN banned_at DATETIME(6) NULL",
        "CREATE TABLE foldings (user_id BIGINT UNSIGNED PRIMARY KEY)",
    )
    with migrating(settings) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO players (user_id, username) VALUES (7, 'Ada')")
        cursor.execute(
            "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at)"
            " VALUES (7, 's:1', REPEAT('0', 16), 5, UTC_TIMESTAMP(6))"
        )
        for statement in first[:cut_after]:
            cursor.execute(statement)
        upgrade(settings)
        cursor.execute("SELECT state, banned_at FROM game_sessions JOIN players ON players.user_id = game_sessions.user_id")
        assert list(cursor.fetchall()) == [(0, None)]
        cursor.execute("INSERT INTO foldings (user_id, begun_at) VALUES (7, UTC_TIMESTAMP(6))")
        downgrade(settings, "0016")
        cursor.execute("SELECT username FROM players")
        assert list(cursor.fetchall()) == [("Ada",)]


@pytest.mark.parametrize("cut_after", range(3))
def test_what_holds_and_reports_need_is_added_also_after_a_run_that_was_cut_short(
    settings: MigrationSettings, cut_after: int
) -> None:
    """Going down, what is held is voided, which the release before knows."""
    upgrade(settings, "0023")
    first = "ALTER TABLE boards ADD COLUMN hold JSON", "CREATE TABLE reviews (session_id BIGINT UNSIGNED PRIMARY KEY)"
    with migrating(settings) as connection, connection.cursor() as cursor:
        for statement in first[:cut_after]:
            cursor.execute(statement)
        upgrade(settings)
        cursor.execute(
            "INSERT INTO game_sessions (id, user_id, submission_key, group_id, score, submitted_at, state)"
            " VALUES (1, 7, 's:1', REPEAT('0', 16), 5, UTC_TIMESTAMP(6), 0), (2, 7, 's:2', REPEAT('0', 16), 5, NOW(6), 2)"
        )
        cursor.execute("INSERT INTO reviews (session_id, board_id, sort) VALUES (1, 0, -1), (1, 1, -1), (2, 0, 0), (2, 1, 0)")
        downgrade(settings, "0023")
        cursor.execute("SELECT id, state FROM game_sessions ORDER BY id")
        assert list(cursor.fetchall()) == [(1, 0), (2, 1)]
        upgrade(settings)


def test_notes_that_everything_changed_become_an_epoch_that_no_index_has(settings: MigrationSettings) -> None:
    upgrade(settings, "0009")
    epochs = []
    with migrating(settings) as connection, connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute("INSERT INTO outbox (changed) VALUES (NULL), ('[[1, 0, 7]]')")
            upgrade(settings)
            cursor.execute("SELECT epoch FROM index_epoch")
            epochs += cursor.fetchall()
            cursor.execute("SELECT changed FROM outbox")
            assert {changed for (changed,) in cursor.fetchall()} == {"[[1, 0, 7]]"}
            downgrade(settings, "0009")
            cursor.execute("SELECT COUNT(*) FROM outbox WHERE changed IS NULL")  # so that the release before rebuilds as well
            assert cursor.fetchone() == (1,)
    assert len(set(epochs)) == 2
    upgrade(settings)


def test_the_service_cannot_lose_the_epoch(settings: MigrationSettings) -> None:
    upgrade(settings)
    with connect(settings, "leaderboard", settings.leaderboard_mysql_password) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE index_epoch SET epoch = RANDOM_BYTES(8)")
        for statement in ("DELETE FROM index_epoch", "INSERT INTO index_epoch VALUES (2, 'another!')"):
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)


@pytest.mark.parametrize("account", ["auth", "leaderboard"])
def test_a_service_reads_its_own_tables_and_no_others(settings: MigrationSettings, account: str) -> None:
    upgrade(settings)
    password = {"auth": settings.auth_mysql_password, "leaderboard": settings.leaderboard_mysql_password}[account]
    with connect(settings, account, password) as connection, connection.cursor() as cursor:
        for owner, tables in TABLES.items():
            for table in tables:
                if owner == account:
                    cursor.execute(f"SELECT * FROM `{table}`")
                    continue
                if table in READ_BY_OTHERS:
                    cursor.execute(f"SELECT * FROM `{table}`")
                else:
                    with pytest.raises(pymysql.err.OperationalError, match="denied"):
                        cursor.execute(f"SELECT * FROM `{table}`")
                for statement in (f"DELETE FROM `{table}`", f"INSERT INTO `{table}` () VALUES ()"):
                    with pytest.raises(pymysql.err.OperationalError, match="denied"):
                        cursor.execute(statement)
        for statement in ("CREATE TABLE intruder (id INT)", f"DROP TABLE {min(TABLES[account])}", "SELECT * FROM mysql.user"):
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)


def test_the_leaderboard_reads_of_auths_what_became_of_accounts_and_writes_none_of_it(settings: MigrationSettings) -> None:
    upgrade(settings)
    with connect(settings, "auth", settings.auth_mysql_password) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO account_changes (id, username, username_canonical) VALUES (1, 'Ada', 'ada')")
        cursor.execute("UPDATE account_changes SET ended_at = NOW(6)")
        connection.commit()
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            cursor.execute("DELETE FROM account_changes")  # an end is for good
    with connect(settings, "leaderboard", settings.leaderboard_mysql_password) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT username FROM account_changes")
        assert cursor.fetchone() == ("Ada",)
        for statement in (
            "UPDATE account_changes SET ended_at = NULL",
            "INSERT INTO account_changes (id, username, username_canonical) VALUES (2, 'Bob', 'bob')",
            "REPLACE INTO account_changes (id, username, username_canonical) VALUES (1, 'Bob', 'bob')",
            "DELETE FROM account_changes",
        ):
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)


def test_accounts_there_are_and_ends_there_were_are_written_down_for_the_board(settings: MigrationSettings) -> None:
    upgrade(settings, "0012")
    with migrating(settings) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (id, username, username_canonical, password_hash, created_at)"
            " VALUES (1, 'Ada', 'ada', 'x', NOW(6)), (7, 'Bob', 'bob', 'x', NOW(6))"
        )
        cursor.execute(
            "INSERT INTO audit_events (event, user_id, occurred_at) VALUES ('account_deleted', 3, '2026-02-03'),"
            " ('registered', 5, '2026-02-03'), ('account_deleted', 3, '2026-02-04'), ('account_deleted', 7, '2026-02-03')"
        )
        for _ in range(2):
            upgrade(settings)
            cursor.execute("SELECT id, username, username_canonical, ended_at, changed_at FROM account_changes ORDER BY id")
            ended = datetime(2026, 2, 4)  # noqa: DTZ001 - as the driver gives it
            assert list(cursor.fetchall()) == [
                (1, "Ada", "ada", None, None),
                (3, "", "", ended, ended),
                (7, "Bob", "bob", None, None),
            ]
            downgrade(settings, "0012")
            connection.commit()
    upgrade(settings)


REFUSED = (
    "UPDATE audit_events SET user_id = 2",
    "UPDATE audit_events SET event = 'logged_in'",
    "UPDATE audit_events SET detail = NULL",
    "UPDATE audit_events SET occurred_at = NOW(6)",
    "UPDATE audit_events SET id = id + 1",
    "DELETE FROM audit_events",
    "TRUNCATE TABLE audit_events",
    "INSERT INTO audit_events (id, event, occurred_at) VALUES (1000, 'logged_in', NOW(6))",
    "INSERT INTO audit_events VALUES (1000, 'logged_in', 1, NULL, NOW(6))",
    "INSERT INTO audit_events (event, occurred_at) VALUES ('logged_in', NOW(6)) ON DUPLICATE KEY UPDATE event = 'logged_in'",
    "REPLACE INTO audit_events (event, occurred_at) VALUES ('logged_in', NOW(6))",
    "UPDATE audit_addresses SET address = '::2'",
    "TRUNCATE TABLE audit_addresses",
)


def the_log_is_added_to_and_nothing_else(settings: MigrationSettings) -> None:
    """As the auth service's own account, on the server."""
    with connect(settings, "auth", settings.auth_mysql_password) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_events (event, user_id, occurred_at) VALUES ('registered', 1, NOW(6))")
        cursor.execute("INSERT INTO audit_addresses (event_id, address, occurred_at) VALUES (LAST_INSERT_ID(), '::1', NOW(6))")
        cursor.execute("SELECT id, event, user_id, detail, occurred_at FROM audit_events")
        cursor.execute("DELETE FROM audit_addresses WHERE event_id = LAST_INSERT_ID()")
        for statement in REFUSED:
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)
        connection.commit()


def test_the_audit_log_can_be_added_to_and_forget_addresses_and_nothing_else(settings: MigrationSettings) -> None:
    upgrade(settings)
    the_log_is_added_to_and_nothing_else(settings)


def test_what_was_granted_on_the_audit_log_before_is_taken_back(settings: MigrationSettings) -> None:
    upgrade(settings, "0006")
    with migrating(settings) as connection, connection.cursor() as cursor:
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE (address) ON `{settings.mysql_database}`.audit_events TO 'auth'@'%'")
    upgrade(settings)
    the_log_is_added_to_and_nothing_else(settings)


def test_addresses_move_to_a_table_of_their_own_batch_by_batch_and_back(settings: MigrationSettings) -> None:
    upgrade(settings, "0006")
    before = "SELECT id, address FROM audit_events ORDER BY id"
    now = "SELECT id, address FROM audit_events LEFT JOIN audit_addresses ON event_id = id ORDER BY id"
    with migrating(settings) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO audit_events (event, address, occurred_at) VALUES ('logged_in', %s, NOW(6))",
            [(None if number % 3 == 0 else f"192.0.2.{number}",) for number in range(11)],
        )
        for _ in range(11):  # two batches and a part of one
            cursor.execute(
                "INSERT INTO audit_events (event, address, occurred_at) SELECT event, address, NOW(6) FROM audit_events"
            )
        cursor.execute("DELETE FROM audit_events WHERE id BETWEEN 9000 AND 10500 OR id % 7 = 0")
        cursor.execute(before)
        expected = list(cursor.fetchall())
        assert len(expected) > 15_000
        upgrade(settings)
        cursor.execute(now)
        assert list(cursor.fetchall()) == expected
        cursor.execute(
            "SELECT COUNT(*) FROM audit_addresses AS a JOIN audit_events AS e"
            " ON a.event_id = e.id AND a.occurred_at = e.occurred_at"
        )
        assert cursor.fetchone() == (sum(address is not None for _, address in expected),)
        downgrade(settings, "0006")
        cursor.execute(before)
        assert list(cursor.fetchall()) == expected
        upgrade(settings)
        cursor.execute(now)
        assert list(cursor.fetchall()) == expected


def test_a_move_of_addresses_that_was_cut_short_goes_on(settings: MigrationSettings) -> None:
    upgrade(settings)
    downgrade(settings, "0006")
    with migrating(settings) as connection, connection.cursor() as cursor:
        for number in range(1, 5):
            cursor.execute(
                "INSERT INTO audit_events (event, address, occurred_at) VALUES ('logged_in', %s, NOW(6))",
                (f"192.0.2.{number}",),
            )
        # As it is after the first of two batches: the table is there, and half of the rows.
        cursor.execute(
            "CREATE TABLE audit_addresses (event_id BIGINT UNSIGNED PRIMARY KEY, address VARCHAR(64) NOT NULL,"
            " occurred_at DATETIME(6) NOT NULL, KEY ix_audit_addresses_occurred_at (occurred_at))"
        )
        cursor.execute("INSERT INTO audit_addresses SELECT id, address, occurred_at FROM audit_events ORDER BY id LIMIT 2")
        upgrade(settings)
        cursor.execute("SELECT address FROM audit_addresses ORDER BY event_id")
        assert [address for (address,) in cursor.fetchall()] == [f"192.0.2.{number}" for number in range(1, 5)]


def test_running_it_again_changes_the_passwords_to_those_of_the_settings(
    settings: MigrationSettings, secrets: Mapping[str, str]
) -> None:
    upgrade(settings)
    changed = settings.model_copy(update={"auth_mysql_password": SecretStr("another long password")})
    try:
        ensure_accounts(changed)
        connect(settings, "auth", changed.auth_mysql_password).close()
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            connect(settings, "auth", settings.auth_mysql_password)
    finally:
        ensure_accounts(settings)


def test_passwords_that_were_tried_in_vain_stay_counted(settings: MigrationSettings) -> None:
    upgrade(settings)
    with migrating(settings) as connection:
        rows(
            connection,
            "INSERT INTO password_attempts VALUES (REPEAT('k', 32), 7, REPEAT('a', 16), '2026-11-25 12:00:00', NOW(6))",
        )
        counted = rows(connection, "SELECT * FROM password_attempts")
        downgrade(settings, "0012")
        assert rows(connection, "SELECT refusals FROM password_attempts") == [(0,)]
        upgrade(settings)
        assert rows(connection, "SELECT * FROM password_attempts") == counted


def test_a_table_of_recovery_codes_that_was_cut_short_is_made_anew(settings: MigrationSettings) -> None:
    upgrade(settings)
    downgrade(settings, "0016")
    with migrating(settings) as connection:
        assert rows(connection, "SHOW TABLES LIKE 'recovery_codes'") == []
        rows(connection, "CREATE TABLE recovery_codes (user_id BIGINT UNSIGNED PRIMARY KEY)")
        upgrade(settings)
        assert rows(connection, "SELECT user_id, code_hash, made_at FROM recovery_codes") == []
