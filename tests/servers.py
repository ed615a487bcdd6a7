"""The pair of servers that the tests run on: the installed ones, as in `make run`, or those of compose.yaml.

``SERVERS=containers`` asks for the second: MySQL and Redis from the images that compose.yaml names, with its flags.
"""

import os
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

import yaml

from services.local import ROOT
from services.local.errors import LocalError, MissingPrerequisite
from services.local.mysql import MySqlServer
from services.local.processes import Process
from services.local.programs import find_program
from services.local.redis import RedisServer
from services.local.stack import Stack

DATA = "/var/lib/mysql"
SECRETS = "/run/secrets"


class Container(Process):
    """A server of compose.yaml. The child is the client that is attached to its container, and passes SIGTERM on to it.

    It has the machine's own network, where it listens on loopback only: so it is as near as an installed server, and
    starting one adds no network interface, at which browsers drop their requests.
    """

    # SIGKILL would end the client alone.
    death_signal = signal.SIGTERM
    container = ""

    def run(self, service: str, options: Sequence[str], arguments: Sequence[str]) -> Sequence[str]:
        """The command that runs a service of compose.yaml under a name of its own."""
        self.container = f"leaderboard-{self.name}-{secrets.token_hex(6)}"
        described = compose_service(service)
        environment = [f"--env={name}={value}" for name, value in described["environment"].items()]
        named = ["run", "--rm", f"--name={self.container}", "--network=host", *environment, *options]
        return [_docker(), *named, described["image"], *arguments]

    @property
    def working_pid(self) -> int:
        """The server's, as the machine counts it."""
        return int(_ask("inspect", "--format={{.State.Pid}}", self.container).stdout)

    def send_signal(self, number: signal.Signals) -> None:
        if not self.running:
            return
        if number != signal.SIGKILL:
            _ask("kill", f"--signal={number.name}", self.container)
            return
        # SIGKILL to the server, and the end of its container. One that the engine has yet to make is there a moment later.
        deadline = monotonic() + self.stop_seconds
        while monotonic() < deadline:
            _ask("rm", "--force", "--volumes", self.container)
            if self.wait_stopped(0.2):
                return
        super().send_signal(number)


class MySqlContainer(Container, MySqlServer):
    """MySQL as compose.yaml runs it, its data in ``folder``."""

    @property
    def data(self) -> Path:
        return self.folder / "mysql"

    @property
    def service_host(self) -> str:
        return self.host

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_secret(self.folder / "mysql_admin_password", self.admin_password)

    def command(self) -> Sequence[str]:
        # The image's own user would leave files that an ordinary user of this machine cannot delete.
        user = [] if os.geteuid() == 0 else [f"--user={os.geteuid()}:{os.getegid()}"]
        mounts = [f"--volume={self.data}:{DATA}", _mount_secret(self.folder / "mysql_admin_password")]
        own = [f"--port={self.port}", f"--bind-address={self.host}", f"--innodb-buffer-pool-size={self.buffer_pool}"]
        return self.run("mysql", [*user, *mounts], [*compose_service("mysql")["command"], *own])


class RedisContainer(Container, RedisServer):
    """Redis as compose.yaml runs it."""

    @property
    def service_url(self) -> str:
        return self.url

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_secret(self.folder / "redis_password", self.password)
        _write_secret(self.folder / "redis_admin_password", self.admin_password)
        self._data.mkdir(exist_ok=True)
        self._data.chmod(0o777)  # for the container's own user; the folder keeps others out

    def command(self) -> Sequence[str]:
        described = compose_service("redis")
        *shell, script = (part.replace("$$", "$") for part in described["command"])
        own = {"port": self.port, "bind": self.host, "maxmemory": self.memory, **self.settings}
        # What the command line says goes before what is in the script's configuration.
        options = " ".join(f"--{name} {value}" for name, value in own.items())
        started, program, configuration = script.partition("redis-server ")
        if not program:
            raise LocalError("compose.yaml no longer starts redis-server by a script")
        # Tests administer the server, which nobody does there.
        nobody, administrator = "user default off", f"user default on >$(cat {SECRETS}/redis_admin_password) ~* &* +@all"
        if nobody not in configuration:
            raise LocalError("compose.yaml no longer switches Redis' default user off")
        configuration = configuration.replace(nobody, administrator)
        # What a test has it save is there at its next start.
        secrets = [_mount_secret(self.folder / name) for name in ("redis_password", "redis_admin_password")]
        mounts = [f"--volume={self._data}:/data", *secrets]
        return self.run(
            "redis", [f"--user={described['user']}", *mounts], [*shell, f"{started}{program}{options} {configuration}"]
        )


@dataclass(frozen=True)
class Pair:
    """The classes of two servers that go together. ``name`` is what ``SERVERS`` says, and a folder of results."""

    name: str
    mysql: type[MySqlServer]
    redis: type[RedisServer]

    def stack(
        self,
        folder: Path,
        *,
        secrets: Mapping[str, str],
        leaderboards: int = 1,
        redis_memory: str = "256mb",
        environment: Mapping[str, str] | None = None,
    ) -> Stack:
        """A whole system on this pair, not started yet."""
        return Stack(
            folder,
            secrets=secrets,
            leaderboards=leaderboards,
            redis_memory=redis_memory,
            mysql_server=self.mysql,
            redis_server=self.redis,
            environment=environment,
        )


INSTALLED = Pair("installed", MySqlServer, RedisServer)
CONTAINERS = Pair("containers", MySqlContainer, RedisContainer)


@cache
def pair() -> Pair:
    """The pair that ``SERVERS`` asks for. LocalError if there is none of that name."""
    asked = os.environ.get("SERVERS") or INSTALLED.name
    for one in (INSTALLED, CONTAINERS):
        if one.name == asked:
            return one
    raise LocalError(f"SERVERS is {INSTALLED.name} or {CONTAINERS.name}, not {asked!r}")


def server_versions(mysql: MySqlServer, redis: RedisServer) -> dict[str, str]:
    """The servers that run, by their own names, each with its version."""
    connection = mysql.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            [version] = cursor.fetchone()
    finally:
        connection.close()
    with redis.client() as client:
        return {"MariaDB" if "MariaDB" in version else "MySQL": version, "Redis": client.info("server")["redis_version"]}


@cache
def compose_service(name: str) -> Mapping[str, Any]:
    """What compose.yaml says of a service."""
    described: Mapping[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"][name]
    return described


def _write_secret(path: Path, value: str) -> None:
    """For the container's own user to read. On this machine the folder keeps others out."""
    path.write_text(value, encoding="utf-8")
    path.chmod(0o644)


def _mount_secret(path: Path) -> str:
    return f"--volume={path}:{SECRETS}/{path.name}:ro"


def _docker() -> str:
    found = find_program("docker")
    if found is None:
        raise MissingPrerequisite("SERVERS=containers needs Docker's engine, and its client `docker`")
    return found


def _ask(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([_docker(), *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
