"""Where the programs are that the system is made of."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Debian keeps servers out of an ordinary user's PATH, Red Hat in libexec, Homebrew beside its own prefix.
MORE_FOLDERS = (
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/libexec",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/mariadb/bin",
    "/opt/homebrew/opt/mysql/bin",
    "/usr/local/opt/mariadb/bin",
    "/usr/local/opt/mysql/bin",
)


@dataclass(frozen=True)
class MySqlProgram:
    """A MySQL-compatible server, and how its data folder is made."""

    server: str
    install: str | None  # MariaDB's mariadb-install-db; MySQL's server does it by itself

    @property
    def is_mariadb(self) -> bool:
        """Whether it is MariaDB rather than MySQL."""
        return self.install is not None


def find_program(*names: str) -> str | None:
    """The first of ``names`` that is in PATH, or where systems keep their servers."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *MORE_FOLDERS])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def find_from_environment(name: str) -> str | None:
    """A program that came from PyPI with the rest: it lies beside this Python."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


@cache
def find_mysql() -> MySqlProgram | None:
    """MariaDB if it is there whole, else MySQL."""
    server, install = find_program("mariadbd"), find_program("mariadb-install-db")
    if server and install:
        return MySqlProgram(server, install)
    server = find_program("mysqld")
    if server is None:
        return None
    if "mariadb" in version_line(server).lower():  # older packages have MariaDB under MySQL's names
        install = find_program("mysql_install_db")
        return MySqlProgram(server, install) if install else None
    return MySqlProgram(server, None)


def version_line(program: str) -> str:
    """The first line that ``program --version`` prints."""
    command = [program, "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    return (answer.stdout or answer.stderr).partition("\n")[0]


def major_version(program: str | None) -> int:
    """The major version that ``program --version`` tells, 0 if none can be read or there is no program."""
    found = re.search(r"(\d+)\.\d+", version_line(program)) if program else None
    return int(found.group(1)) if found else 0
