"""A private Redis server: a cache that keeps nothing on the disk, reachable from this machine only."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from services.local.errors import LocalError, MissingPrerequisite
from services.local.files import write_private
from services.local.ports import LOOPBACK, free_port
from services.local.processes import Process
from services.local.programs import find_program
from services.local.sockets import SocketPath

SERVICE_USER = "leaderboard"
# What the service's user may do: the keys of the index, and the commands that the service and its scripts use (compose.yaml
# has the same). PING and SELECT are for connections, CLUSTER and COMMAND for the client of a cluster.
SERVICE_RIGHTS = (
    "~lb:* -@all +ping +hello +select +eval +evalsha +get +set +unlink +hget +hmget +hset +hdel +hlen +pexpireat"
    " +zadd +zrem +zcard +zcount +zrange +zrank +zscore +info +time +command +cluster|slots +cluster|shards +cluster|nodes"
)


class RedisServer(Process):
    """Started alone by tests, which also stop, hang and restart it: the port stays the same."""

    start_seconds = 20.0
    stop_seconds = 5.0

    def __init__(
        self,
        folder: Path,
        password: str,
        *,
        log: Path | None = None,
        port: int | None = None,
        memory: str = "256mb",
        settings: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__("redis", log or folder / "redis.log")
        self.folder = folder
        self.host = LOOPBACK
        self.port = port or free_port()
        self.password = password
        # The default user's: it administers the server, in tests, and nobody else is told it.
        self.admin_password = secrets.token_hex(32)
        self.memory = memory
        self.settings = settings or {}
        """Lines of redis.conf beside those that every server of ours has."""
        self.socket = SocketPath(folder, "redis.sock")

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return f"redis://{self.host}:{self.port}/0"

    @property
    def service_url(self) -> str:
        """What services on this machine are told as ``REDIS_URL``: its Unix socket."""
        return self.socket_url

    @property
    def socket_url(self) -> str:
        """The same through its Unix socket."""
        return f"unix://{quote(str(self.socket.get()))}?db=0"

    def client(self, timeout: float = 2.0) -> Redis:
        """An administrator's client, which does not retry. Who asks closes it."""
        return Redis(
            host=self.host,
            port=self.port,
            password=self.admin_password,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
        )

    def prepare(self) -> None:
        """Write the configuration: the password is in this file, so that it is on no command line."""
        if any(character in self.password for character in '"\\\n '):
            raise LocalError("REDIS_PASSWORD must not have blanks, quotes, backslashes or line ends")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = [
            f"bind {self.host}",
            f"port {self.port}",
            f'unixsocket "{self.socket.get()}"',
            "unixsocketperm 700",
            "protected-mode yes",
            f'requirepass "{self.admin_password}"',
            f'user {SERVICE_USER} on ">{self.password}" {SERVICE_RIGHTS}',
            f'dir "{self.folder}"',
            'save ""',
            "appendonly no",
            # See `environment`. What huge pages cost is copied by a fork, and with nothing to save there is none.
            "disable-thp no",
            f"maxmemory {self.memory}",
            # What expires anyway makes room: pages, and indexes of periods, the longest unread first. Of an index of all time,
            # which has no expiry, nothing is ever evicted: full of those, Redis says no.
            "maxmemory-policy volatile-lru",
            "daemonize no",
            *(f"{name} {value}" for name, value in self.settings.items()),
        ]
        write_private(self.configuration_file, "".join(f"{line}\n" for line in settings))

    def command(self) -> Sequence[str]:
        program = find_program("redis-server", "valkey-server")
        if program is None:
            raise MissingPrerequisite("Redis is not installed: `make run` installs it or names the package")
        return [program, str(self.configuration_file)]

    def environment(self) -> Mapping[str, str]:
        """The index is read at random all over it: with huge pages, a fifth less processor time for a player's neighbours at a
        million players. The allocator has to ask for them, and has two names for its settings: Debian's, and Redis's own.
        """
        return {**super().environment(), "MALLOC_CONF": "thp:always", "JE_MALLOC_CONF": "thp:always"}

    def tidy(self) -> None:
        """Remove the socket's folder, if it has one of its own."""
        self.socket.remove()

    def is_ready(self) -> bool:
        """Whether it lets us in and answers."""
        try:
            with self.client(timeout=1.0) as client:
                return bool(client.ping())
        except RedisError:
            return False

    @property
    def configuration_file(self) -> Path:
        """The redis.conf that it reads, written before each start: private, for it has the password."""
        return self.folder / "redis.conf"
