"""A private MySQL-compatible server: Debian's MariaDB or any MySQL, its data in one folder, for this machine alone."""

import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from services.local.errors import LocalError, MissingPrerequisite, ProcessDied
from services.local.files import write_private
from services.local.ports import LOOPBACK, free_port
from services.local.processes import Process, describe_exit
from services.local.programs import MySqlProgram, find_mysql
from services.local.sockets import SocketPath

ADMIN = "root"


class MySqlServer(Process):
    """Started alone by tests, and first of all in a stack."""

    start_seconds = 120.0  # after a kill it goes through its log first
    stop_seconds = 60.0

    def __init__(
        self, folder: Path, admin_password: str, *, log: Path | None = None, port: int | None = None, buffer_pool: str = "256M"
    ) -> None:
        super().__init__("mysql", log or folder / "mysql.log")
        self.folder = folder
        self.host = LOOPBACK
        self.port = port or free_port()
        self.admin_password = admin_password
        self.buffer_pool = buffer_pool
        self.socket = SocketPath(folder, "mysql.sock")

    @property
    def data(self) -> Path:
        """The data folder, one for each kind of server: neither reads the other's."""
        return self.folder / ("mariadb" if self._program.is_mariadb else "mysql")

    @property
    def service_host(self) -> str:
        """What services on this machine are told as ``MYSQL_HOST``: its Unix socket."""
        return str(self.socket.get())

    def connect(self, **options: Any) -> "Connection[Any]":
        """A connection as the administrator. Who asks closes it."""
        return pymysql.connect(
            host=self.host, port=self.port, user=ADMIN, password=self.admin_password, charset="utf8mb4", **options
        )

    def prepare(self) -> None:
        """Make the data folder on first use, and say who may enter."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._scratch.mkdir(mode=0o700, exist_ok=True)
        if not self.data.exists():
            self._initialise()
        self._write_accounts()

    def command(self) -> Sequence[str]:
        return [
            self._program.server,
            "--no-defaults",
            *self._as_root(),
            f"--datadir={self.data}",
            f"--tmpdir={self._scratch}",
            f"--secure-file-priv={self._scratch}",  # a distribution's default may name a folder that is not there
            f"--socket={self.socket.get()}",
            f"--pid-file={self.folder / 'mysql.pid'}",
            f"--init-file={self._accounts_file}",
            f"--bind-address={self.host}",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--loose-mysqlx=OFF",  # MySQL's second port; MariaDB has none
            "--loose-performance-schema=OFF",
            "--character-set-server=utf8mb4",
            "--transaction-isolation=READ-COMMITTED",
            "--max-connections=300",
            f"--innodb-buffer-pool-size={self.buffer_pool}",
            # An answered submission survives anything: the log is on the disk before COMMIT returns.
            "--innodb-flush-log-at-trx-commit=1",
            "--skip-log-bin",
        ]

    def is_ready(self) -> bool:
        """Whether it lets the administrator in."""
        try:
            self.connect(connect_timeout=2).close()
        except pymysql.MySQLError:
            return False
        # It was read before the first connection was let in, and holds a password.
        self._accounts_file.unlink(missing_ok=True)
        return True

    def tidy(self) -> None:
        """Remove the socket's folder, if it has one of its own, and what a failed start left."""
        self._accounts_file.unlink(missing_ok=True)
        self.socket.remove()

    @property
    def _program(self) -> MySqlProgram:
        found = find_mysql()
        if found is None:
            raise MissingPrerequisite("No MySQL-compatible server is installed: `make run` installs one or names the package")
        return found

    @property
    def _scratch(self) -> Path:
        return self.folder / "tmp"

    @property
    def _accounts_file(self) -> Path:
        return self.folder / "accounts.sql"

    def _as_root(self) -> list[str]:
        # The server refuses to run as root unless told so by name.
        return ["--user=root"] if os.geteuid() == 0 else []

    def _initialise(self) -> None:
        """Make the system tables beside the final place, then move them there: half of them are never taken for all."""
        unfinished = self.data.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        if self._program.install is not None:
            # Root without a password for the seconds before the first start, when nothing listens; see _write_accounts.
            command = [self._program.install, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
            command += ["--skip-name-resolve", f"--tmpdir={self._scratch}"]
        else:
            command = [self._program.server, "--no-defaults", "--initialize-insecure"]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            made = subprocess.run(  # noqa: S603  # the server's own program
                [*command, *self._as_root(), f"--datadir={unfinished}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                start_new_session=True,
            )
        if made.returncode != 0:
            raise ProcessDied(
                "mysql", f"could not make its data folder: it {describe_exit(made.returncode)}", self.tail(), self.log
            )
        unfinished.rename(self.data)

    def _write_accounts(self) -> None:
        """What the server runs before it lets anyone in: the administrator's password, and nobody without a name.

        At every start, not at the first alone: so a new password in the settings works with old data.
        """
        password = self.admin_password.replace("\\", "\\\\").replace("'", "\\'")
        if not password or "\n" in password:
            raise LocalError("MYSQL_ADMIN_PASSWORD must be one line, and not empty")
        # Without name resolution a connection over TCP is from 127.0.0.1, one through the socket from localhost.
        statements = [
            statement
            for host in ("localhost", LOOPBACK)
            for statement in (
                f"CREATE USER IF NOT EXISTS '{ADMIN}'@'{host}'",
                f"ALTER USER '{ADMIN}'@'{host}' IDENTIFIED BY '{password}'",
                f"GRANT ALL ON *.* TO '{ADMIN}'@'{host}' WITH GRANT OPTION",
            )
        ]
        # mariadb-install-db makes accounts without a password for more names of this machine.
        this_machine = socket.gethostname().lower().replace("'", "")
        statements += [f"DROP USER IF EXISTS ''@'localhost', ''@'{this_machine}', '{ADMIN}'@'{this_machine}', '{ADMIN}'@'::1'"]
        write_private(self._accounts_file, "".join(f"{statement};\n" for statement in statements))
