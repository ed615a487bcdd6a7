"""The database and its three accounts: `migrate` may change the schema, each service may use its own tables.

Of another service's it may read what is there for it, and nothing else.
"""

import time
from collections.abc import Callable

import pymysql
import structlog
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError

from migrations.settings import MigrationSettings
from services.auth.models import AuthBase
from services.common.mysql.database import error_code
from services.leaderboard.models import LeaderboardBase

log = structlog.get_logger(__name__)

# The server is there, but says no: waiting does not help.
_REFUSALS = frozenset({1044, 1045, 1698})
_NO_SUCH_GRANT = 1147
# SHOW PROCESSLIST would also give the beginning of every statement that runs, which need not be text.
_CONNECTIONS = text("SELECT COUNT(*) FROM information_schema.processlist WHERE user = :account AND db = :database")
STOPPING_SECONDS = 5.0
"""So long MySQL may take to notice that a process has ended."""


def ensure_accounts(settings: MigrationSettings) -> None:
    """Make the database and the accounts where they are missing, and set the accounts' passwords.

    Waits for MySQL. Raises OperationalError when it refuses or has not answered in time.
    """
    engine = create_engine(settings.admin_url, hide_parameters=True)
    try:
        _wait(engine.connect, settings.mysql_start_timeout)
        with engine.begin() as connection:
            connection.execute(
                text(f"CREATE DATABASE IF NOT EXISTS `{settings.mysql_database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
            )
            for account, password in (
                (settings.migrate_mysql_user, settings.migrate_mysql_password),
                (settings.auth_mysql_user, settings.auth_mysql_password),
                (settings.leaderboard_mysql_user, settings.leaderboard_mysql_password),
            ):
                secret = {"password": password.get_secret_value()}
                connection.execute(text(f"CREATE USER IF NOT EXISTS {_account(account)} IDENTIFIED BY :password"), secret)
                connection.execute(text(f"ALTER USER {_account(account)} IDENTIFIED BY :password"), secret)
            connection.execute(
                text(f"GRANT ALL ON `{settings.mysql_database}`.* TO {_account(settings.migrate_mysql_user)} WITH GRANT OPTION")
            )
    finally:
        engine.dispose()


class StillRunning(SystemExit):
    """A service uses the database, and must not while it is changed."""


def require_stopped(settings: MigrationSettings, account: str) -> None:
    """Return when nobody is connected to the database by this account. Raises StillRunning when somebody stays."""
    engine = create_engine(settings.admin_url, hide_parameters=True)
    deadline = time.monotonic() + STOPPING_SECONDS
    try:
        with engine.connect() as connection:
            while True:
                if not connection.execute(_CONNECTIONS, {"account": account, "database": settings.mysql_database}).scalar_one():
                    return
                if time.monotonic() > deadline:
                    raise StillRunning(
                        f"Nothing was changed: a service still uses the database as {account}."
                        " Stop every process of it, and start the migration again."
                    )
                time.sleep(0.1)
    finally:
        engine.dispose()


def grant_tables(connection: Connection, settings: MigrationSettings) -> None:
    """Let each service use its own tables: rows only, never the schema, and of a table that says so (`info`) less than that.

    Of another's it may read those that name it among their readers.
    """
    existing = set(inspect(connection).get_table_names())
    accounts = {"auth": settings.auth_mysql_user, "leaderboard": settings.leaderboard_mysql_user}

    def give(grant: str, name: str, account: str) -> None:
        connection.execute(text(f"GRANT {grant} ON `{settings.mysql_database}`.`{name}` TO {_account(account)}"))

    for service, metadata in (("auth", AuthBase.metadata), ("leaderboard", LeaderboardBase.metadata)):
        for name, table in metadata.tables.items():
            if name in existing:
                give(table.info.get("grant", "SELECT, INSERT, UPDATE, DELETE"), name, accounts[service])
                for reader in table.info.get("readers", ()):
                    give("SELECT", name, accounts[reader])


def revoke_table(connection: Connection, settings: MigrationSettings, account: str, table: str) -> None:
    """Take back whatever an account was granted on a table, its columns included; nothing happens where that is nothing.

    GRANT only ever adds, so the revision that narrows a grant calls this, and `grant_tables` gives what is left of it.
    """
    try:
        connection.execute(text(f"REVOKE ALL PRIVILEGES ON `{settings.mysql_database}`.`{table}` FROM {_account(account)}"))
    except DBAPIError as error:
        if error_code(error) != _NO_SUCH_GRANT:
            raise


def _account(name: str) -> str:
    if not name.replace("_", "").isalnum():
        raise ValueError(f"not a name for a MySQL account: {name}")
    return f"'{name}'@'%'"


def _wait(connect: Callable[[], Connection], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            connect().close()
        except OperationalError as error:
            code = error.orig.args[0] if isinstance(error.orig, pymysql.err.OperationalError) else None
            if code in _REFUSALS or time.monotonic() > deadline:
                raise
            log.info("waiting for mysql", error=str(error.orig))
            time.sleep(0.5)
        else:
            return
