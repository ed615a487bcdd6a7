"""Which database is filled: the one that the environment names, else that of `make run`, else that of `make up`."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pymysql
from pymysql.connections import Connection

from services.common.mysql.database import Database, driver_address
from services.common.settings import MySQLSettings
from services.leaderboard.operate.rebuild import COMMAND_SECONDS
from services.local import ROOT
from services.local.errors import LocalError
from services.local.mysql import ADMIN
from services.local.secrets import ensure_env_file
from services.local.stack import DATABASE
from services.local.state import STATE_FILE, find_state

_PORT = 3306


@dataclass(frozen=True)
class Target:
    """The MySQL of a running system, and the account that may write every table."""

    host: str
    port: int
    database: str
    user: str
    password: str

    @contextmanager
    def connect(self) -> "Iterator[Connection[Any]]":
        """A connection for transactions of our own. Raises LocalError when nobody answers there, or not to us."""
        try:
            connection = pymysql.connect(
                **driver_address(self.host, self.port),
                user=self.user,
                password=self.password,
                database=self.database,
                charset="utf8mb4",
                connect_timeout=5,
            )
        except pymysql.MySQLError as error:
            raise LocalError(f"MySQL at {self.host}:{self.port} does not let us in: {error.args[-1]}") from None
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION time_zone = '+00:00'")  # the outbox's clock is the services'
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            yield connection
        finally:
            connection.close()

    @asynccontextmanager
    async def open_database(
        self, isolation_level: Literal["READ COMMITTED", "REPEATABLE READ"] = "READ COMMITTED"
    ) -> AsyncIterator[Database]:
        """The same as the service's own code sees it, with time for questions about very many rows."""
        settings = MySQLSettings(
            mysql_host=self.host, mysql_port=self.port, mysql_database=self.database, mysql_timeout=COMMAND_SECONDS
        )
        database = Database(settings, self.user, self.password, isolation_level=isolation_level)
        try:
            yield database
        finally:
            await database.dispose()


def find_target(folder: Path, env_file: Path) -> Target:
    """The database to fill; ``folder`` is where `make run` keeps its state. Raises LocalError if nothing runs."""
    found = _named_by_environment(env_file) or _of_make_run(folder, env_file) or _of_make_up()
    if found is None:
        raise LocalError(
            "Nothing runs here to fill: start it first with `make run` (in another terminal) or `make up`, "
            "or name a MySQL with MYSQL_HOST, MYSQL_PORT and MYSQL_ADMIN_PASSWORD"
        )
    return found


def _named_by_environment(env_file: Path) -> Target | None:
    host = os.environ.get("MYSQL_HOST")
    if not host:
        return None
    password = os.environ.get("MYSQL_ADMIN_PASSWORD") or _password_of(env_file)
    if password is None:
        raise LocalError("MYSQL_HOST names a MySQL, so MYSQL_ADMIN_PASSWORD must be set too")
    port, user = os.environ.get("MYSQL_PORT") or _PORT, os.environ.get("MYSQL_ADMIN_USER") or ADMIN
    return Target(host, int(port), os.environ.get("MYSQL_DATABASE") or DATABASE, user, password)


def _of_make_run(folder: Path, env_file: Path) -> Target | None:
    state, password = find_state(folder / STATE_FILE), os.environ.get("MYSQL_ADMIN_PASSWORD") or _password_of(env_file)
    if state is None or password is None:
        return None
    return Target(state.mysql_host, state.mysql_port, state.mysql_database, ADMIN, password)


def _of_make_up() -> Target | None:
    """Nothing but the gateway publishes a port, but where the engine runs on this machine its networks can be reached."""
    container = _docker("compose", "ps", "--quiet", "mysql")
    if not container:
        return None
    address = _docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)
    password = _docker("compose", "exec", "-T", "mysql", "cat", "/run/secrets/mysql_admin_password")
    return Target(address, _PORT, DATABASE, ADMIN, password) if address and password else None


def _docker(*arguments: str) -> str | None:
    """What a docker command prints, None if it fails or there is no docker."""
    docker = shutil.which("docker")
    if docker is None:
        return None
    done = subprocess.run([docker, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else None


def _password_of(env_file: Path) -> str | None:
    return ensure_env_file(env_file).get("MYSQL_ADMIN_PASSWORD") if env_file.exists() else None
