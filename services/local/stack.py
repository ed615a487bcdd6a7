"""The whole system: private MySQL and Redis, migrations, both services, the page and the gateway."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from services.local.gateway import GatewaySettings
from services.local.mysql import ADMIN, MySqlServer
from services.local.ports import LOOPBACK, free_port
from services.local.processes import Process, stop_together, without_secrets
from services.local.redis import RedisServer
from services.local.secrets import CONSUMERS
from services.local.state import STATE_FILE, Child, Lock, State, end_leftovers, find_state, started_at
from services.local.web import Gateway, Migrations, Page, Service

DATABASE = "leaderboard"
# Settings that say where things are: in a stack it is the stack that says so, not `.env` nor the caller's environment.
PLACES = frozenset(
    {
        "FORWARDED_ALLOW_IPS",
        "LISTEN_HOST",
        "LISTEN_PORT",
        "MYSQL_ADMIN_USER",
        "MYSQL_HOST",
        "MYSQL_PORT",
        "REDIS_URL",
        "SECRETS_DIR",
    }
)
MIGRATION_SECONDS = 120.0


class Stack:
    """One system in one data folder. A context manager: started on entry, all of it stopped on exit.

    ``secrets`` holds what ``.env`` holds (see secrets.py); ``environment`` overrides settings of the migration and of both
    services; ``around`` says what is around the gateway. With more than one leaderboard process the gateway sends requests to
    the first: the others have their own ``url``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        secrets: Mapping[str, str],
        address: str = LOOPBACK,
        port: int | None = None,
        leaderboards: int = 1,
        redis_memory: str = "256mb",
        mysql_server: type[MySqlServer] = MySqlServer,
        redis_server: type[RedisServer] = RedisServer,
        environment: Mapping[str, str] | None = None,
        around: GatewaySettings | None = None,
        reload: bool = False,
        report: Callable[[str], None] = lambda step: None,
    ) -> None:
        self.folder = folder.resolve()
        self.logs = self.folder / "logs"
        self._secrets = dict(secrets)
        self._settings = {**(environment or {}), **({"RELOAD": "1"} if reload else {})}
        self._around = around or GatewaySettings()
        self._report = report
        self._lock = Lock(self.folder)
        self._started: list[Process] = []

        self.mysql = mysql_server(self.folder / "mysql", self._secrets["MYSQL_ADMIN_PASSWORD"], log=self.log_of("mysql"))
        self.redis = redis_server(
            self.folder / "redis", self._secrets["REDIS_PASSWORD"], log=self.log_of("redis"), memory=redis_memory
        )
        self.migrations = Migrations(self.log_of("migrations"), self._environment_of("migrate"))
        self.auth = Service(
            "auth",
            module="services.auth",
            ready_path="/auth/health/ready",
            log=self.log_of("auth"),
            environment=self._environment_of("auth"),
        )
        self.leaderboards = [
            Service(
                name,
                module="services.leaderboard",
                ready_path="/api/leaderboard/health/ready",
                log=self.log_of(name),
                environment=self._environment_of("leaderboard"),
            )
            for name in ("leaderboard", *(f"leaderboard-{number}" for number in range(2, leaderboards + 1)))
        ]
        self.page = Page(self.folder, log=self.log_of("page"))
        self.gateway = Gateway(
            self.folder,
            address=address,
            port=port or free_port(),
            log=self.log_of("gateway"),
            backends={"AUTH_URL": self.auth.url, "LEADERBOARD_URL": self.leaderboard.url, "FRONTEND_URL": self.page.url},
            settings=self._around,
        )

    # Where everything is.

    @property
    def leaderboard(self) -> Service:
        """The leaderboard process behind the gateway."""
        return self.leaderboards[0]

    @property
    def services(self) -> list[Service]:
        """Our own processes."""
        return [self.auth, *self.leaderboards]

    @property
    def gateway_url(self) -> str:
        """Where the whole system answers."""
        return self.gateway.url

    @property
    def database(self) -> str:
        """Name of the database."""
        return self._settings.get("MYSQL_DATABASE", DATABASE)

    @property
    def state_file(self) -> Path:
        """Where the coordinates are while it runs."""
        return self.folder / STATE_FILE

    def log_of(self, name: str) -> Path:
        """The log file of one process."""
        return self.logs / f"{name}.log"

    # Its life.

    def start(self) -> None:
        """Start everything, in order, and wait until the gateway answers for all of it.

        Raises AlreadyRunning, MissingPrerequisite or ProcessDied; nothing is left running then.
        """
        for folder in (self.folder, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            self._end_leftovers()
            self._keep_last_logs()
            self._start_all()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, what takes requests first and what they need last. Nothing if it does not run."""
        if not self._lock.held:  # the folder is another's
            return
        for group in ([self.gateway], [self.page, *self.services, self.migrations], [self.redis, self.mysql]):
            stop_together([process for process in group if process in self._started])
        self._started.clear()
        self.state_file.unlink(missing_ok=True)
        self._lock.release()

    def require_running(self) -> None:
        """Raise ProcessDied if a process has ended that should go on."""
        for process in self._started:
            if process is not self.migrations:  # which has done its work
                process.require_running()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # How.

    def _start_all(self) -> None:
        self._report("Starting MySQL and Redis")
        # What needs nobody comes up meanwhile.
        self._launch(self.mysql, self.redis, self.page)
        self.mysql.wait_ready()
        self.redis.wait_ready()
        self._report("Migrating the database")
        self._launch(self.migrations)
        self.migrations.finish(MIGRATION_SECONDS)
        self._report("Starting the services and the gateway")
        self._launch(*self.services, self.gateway)
        for process in (*self.services, self.page, self.gateway):
            process.wait_ready()

    def _launch(self, *processes: Process) -> None:
        for process in processes:
            self._started.append(process)  # before, so that an interruption between the two leaves nothing behind
            process.launch()
            self._write_state()

    def _end_leftovers(self) -> None:
        left = find_state(self.state_file)
        if left is not None:
            end_leftovers(left)
            self.state_file.unlink(missing_ok=True)

    def _keep_last_logs(self) -> None:
        """Each run has its own logs; those of the run before are kept beside them."""
        for log in self.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))

    def _write_state(self) -> None:
        children = [
            Child(process.name, process.pid, started)
            for process in self._started
            if process.running and (started := started_at(process.pid)) is not None
        ]
        State(
            runner=os.getpid(),
            gateway_url=self.gateway.url,
            mysql_host=self.mysql.host,
            mysql_port=self.mysql.port,
            mysql_database=self.database,
            redis_url=self.redis.url,
            auth_url=self.auth.url,
            leaderboard_urls=[service.url for service in self.leaderboards],
            logs=str(self.logs),
            children=children,
        ).write(self.state_file)

    def _environment_of(self, consumer: str) -> dict[str, str]:
        """What a process of ours is told: the settings, and of the secrets only those it needs."""
        return {
            **without_secrets(os.environ),
            "PYTHONUNBUFFERED": "1",
            "MYSQL_HOST": self.mysql.service_host,
            "MYSQL_PORT": str(self.mysql.port),
            "MYSQL_ADMIN_USER": ADMIN,
            "MYSQL_DATABASE": self.database,
            "REDIS_URL": self.redis.service_url,
            **self._settings,
            "FORWARDED_ALLOW_IPS": self._around.believed(LOOPBACK),
            **{name.upper(): self._secrets[name.upper()] for name in CONSUMERS[consumer]},
        }
