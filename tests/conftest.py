"""What every test can ask for. Servers are started when the first test needs them, on free ports, in a folder of their own."""

import gc
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from pathlib import Path

import httpx
import hypothesis
import pymysql
import pytest
from pydantic import SecretStr

from migrations.accounts import ensure_accounts
from migrations.history import upgrade
from migrations.settings import MigrationSettings
from services.auth.app import create_app as create_auth
from services.auth.settings import AuthSettings
from services.leaderboard.app import create_app as create_leaderboard
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.servers import pair
from tests.signing_in import Clock
from tests.system import INDEX_OF_FEW, QUICK_PASSWORDS, RECEIVERS_HERE, Accounts, make_secrets, serving

# How fast examples are found says something of the machine, which may be busy, and nothing of what is tested.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")

# A line a request says nothing that a failing assertion does not.
logging.getLogger("httpx").setLevel(logging.WARNING)

# Seconds: a busy machine must not fail a test that is about something else.
PATIENCE = 30.0
# Also seconds. A service that gives Redis up answers as well, but from MySQL, and a test may be about what Redis answers.
REDIS_PATIENCE = 2.0

_EMPTIED = (
    "users",
    "account_changes",
    "kept_usernames",
    "refresh_families",
    "refresh_tokens",
    "export_leases",
    "guests",
    "staff",
    "second_factors",
    "staff_codes",
    "external_identities",
    "api_keys",
    "key_secrets",
    "key_endings",
    "audit_addresses",
    "audit_events",
    "password_attempts",
    "recovery_codes",
    "players",
    "game_sessions",
    "session_extras",
    "standings",
    "outbox",
    "erasures",
    "erased_keys",
    "foldings",
    "moderation_log",
    "reviews",
    "reports",
    "reporters",
    "void_jobs",
    "void_job_sessions",
    "periods",
    "results",
    "events",
    "webhooks",
    "deliveries",
)
# A table that is as it was made takes a thousandth of a second to find, and twenty to truncate with all the others.
_TOUCHED = " UNION ALL ".join(
    [
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND auto_increment > 1",
        *(f"SELECT '{table}' FROM DUAL WHERE EXISTS (SELECT 1 FROM {table})" for table in _EMPTIED),
    ]
)
# What a new database has of boards: tests make others beside it.
_DEFAULT_BOARD = (
    "DELETE FROM windows WHERE board_id <> 1 OR name <> 'all'",
    "DELETE FROM boards WHERE id <> 1",
    """UPDATE boards SET rule = '{"where": {}}', title = '', min_score = 0, max_score = 1000000000""",
    "UPDATE boards SET show_extra = 0, submitters = 'players', hold = NULL, state = 'active'",
    "UPDATE windows SET rewards = NULL",
)

_LOGS = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the fault tests in their long form, as `make faults` does")


def pytest_collection_finish() -> None:
    """Have what is there by now looked through no more for garbage: that was a tenth of the time of tests with applications."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """Which of two numbers of rounds to run: the fast form's or the long form's."""
    long = bool(request.config.getoption("--long"))
    return lambda fast, whole: whole if long else fast


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with each failure where the servers' logs are."""
    report = yield
    logs = item.config.stash.get(_LOGS, None)
    if report.failed and logs is not None:
        report.sections.append(("servers", f"their logs are in {logs}"))
    return report


@pytest.fixture(scope="session")
def secrets() -> dict[str, str]:
    """Secrets as a first `make run` makes them."""
    return make_secrets()


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, secrets: Mapping[str, str], request: pytest.FixtureRequest
) -> Iterator[Stack]:
    """The whole system, as `make run` starts it, with two leaderboard processes."""
    folder = tmp_path_factory.mktemp("stack")
    request.config.stash[_LOGS] = folder / "logs"
    with pair().stack(
        folder, secrets=secrets, leaderboards=2, environment=QUICK_PASSWORDS | INDEX_OF_FEW | RECEIVERS_HERE
    ) as running:
        yield running


@pytest.fixture(scope="session")
def gateway_url(stack: Stack) -> str:
    """Where the whole system answers."""
    return stack.gateway_url


def settings_of(stack: Stack, secrets: Mapping[str, str]) -> LeaderboardSettings:
    """What a stack's own leaderboard processes were told of their servers."""
    return LeaderboardSettings(
        mysql_host=stack.mysql.host,
        mysql_port=stack.mysql.port,
        mysql_database=stack.database,
        leaderboard_mysql_password=SecretStr(secrets["LEADERBOARD_MYSQL_PASSWORD"]),
        jwt_keys=SecretStr(secrets["JWT_KEYS"]),
        encryption_keys=SecretStr(secrets["ENCRYPTION_KEYS"]),
        redis_url=stack.redis.url,
        index_from_players=0,  # as INDEX_OF_FEW
        redis_password=SecretStr(secrets["REDIS_PASSWORD"]),
    )


@pytest.fixture(scope="session")
def stack_settings(stack: Stack, secrets: Mapping[str, str]) -> LeaderboardSettings:
    """What the stack's own leaderboard processes were told."""
    return settings_of(stack, secrets)


@pytest.fixture(scope="session")
def migration_settings(stack: Stack, secrets: Mapping[str, str], worker_id: str) -> MigrationSettings:
    """A database beside the stack's, with the schema in it, for services that run inside the tests."""
    settings = MigrationSettings(
        mysql_host=stack.mysql.host,
        mysql_port=stack.mysql.port,
        mysql_database=f"test_{worker_id}",
        mysql_admin_password=SecretStr(secrets["MYSQL_ADMIN_PASSWORD"]),
        migrate_mysql_password=SecretStr(secrets["MIGRATE_MYSQL_PASSWORD"]),
        auth_mysql_password=SecretStr(secrets["AUTH_MYSQL_PASSWORD"]),
        leaderboard_mysql_password=SecretStr(secrets["LEADERBOARD_MYSQL_PASSWORD"]),
    )
    ensure_accounts(settings)
    upgrade(settings)
    return settings


@pytest.fixture
def mysql(stack: Stack, migration_settings: MigrationSettings) -> Iterator["pymysql.Connection[pymysql.cursors.Cursor]"]:
    """The administrator's connection to that database, with no rows in it but the default board, and nothing in its Redis.

    Both, because an index that is complete is believed: rows which had been truncated would be older than what it has.
    """
    with stack.redis.client() as redis:
        redis.execute_command("SELECT", 1)
        redis.flushdb()
    connection = stack.mysql.connect(database=migration_settings.mysql_database, autocommit=True)
    with connection.cursor() as cursor:
        # MySQL keeps what it said of tables for a day, unless told otherwise. MariaDB says what is.
        live = "/*!80000 , information_schema_stats_expiry = 0 */"
        cursor.execute(f"SET foreign_key_checks = 0, lock_wait_timeout = 20 {live}")
        cursor.execute(_TOUCHED)
        for table in {name for (name,) in cursor.fetchall()}.intersection(_EMPTIED):
            cursor.execute(f"TRUNCATE TABLE {table}")
        for statement in _DEFAULT_BOARD:
            cursor.execute(statement)
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture
def auth_settings(migration_settings: MigrationSettings, secrets: Mapping[str, str]) -> AuthSettings:
    return AuthSettings(
        mysql_host=migration_settings.mysql_host,
        mysql_port=migration_settings.mysql_port,
        mysql_database=migration_settings.mysql_database,
        auth_mysql_password=migration_settings.auth_mysql_password,
        jwt_keys=SecretStr(secrets["JWT_KEYS"]),
        encryption_keys=SecretStr(secrets["ENCRYPTION_KEYS"]),
        mysql_timeout=PATIENCE,
        argon2_memory_kib=64,
        argon2_time_cost=1,
    )


@pytest.fixture
def leaderboard_settings(
    stack: Stack, migration_settings: MigrationSettings, secrets: Mapping[str, str]
) -> LeaderboardSettings:
    return LeaderboardSettings(
        mysql_host=migration_settings.mysql_host,
        mysql_port=migration_settings.mysql_port,
        mysql_database=migration_settings.mysql_database,
        leaderboard_mysql_password=migration_settings.leaderboard_mysql_password,
        jwt_keys=SecretStr(secrets["JWT_KEYS"]),
        encryption_keys=SecretStr(secrets["ENCRYPTION_KEYS"]),
        mysql_timeout=PATIENCE,
        redis_timeout=REDIS_PATIENCE,
        submissions_per_second=0,  # as NO_SUBMISSION_LIMIT
        index_from_players=0,  # as INDEX_OF_FEW
        # The stack's own services use database 0.
        redis_url=stack.redis.url.removesuffix("/0") + "/1",
        redis_password=SecretStr(secrets["REDIS_PASSWORD"]),
    )


@pytest.fixture
async def auth(auth_settings: AuthSettings, mysql: object) -> AsyncIterator[httpx.AsyncClient]:
    """The auth service inside the test, on an empty database."""
    async with serving(create_auth(auth_settings)) as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    """The time of ``timed_auth``."""
    return Clock()


@pytest.fixture
async def timed_auth(auth_settings: AuthSettings, mysql: object, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """The auth service inside the test, on an empty database and the test's own clock."""
    async with serving(create_auth(auth_settings, clock)) as client:
        yield client


@pytest.fixture
async def leaderboard(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[httpx.AsyncClient]:
    """The leaderboard service inside the test, on an empty database and an empty Redis."""
    async with serving(create_leaderboard(leaderboard_settings)) as client:
        yield client


@pytest.fixture
def accounts(secrets: Mapping[str, str]) -> Accounts:
    """Access tokens as the auth service issues them, for users that need no row of theirs."""
    return Accounts(secrets["JWT_KEYS"])
