"""Where a webhook is: its URL, and the addresses that its host has, which are looked at before anything is sent there."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from services.leaderboard.rules.networks import Network, is_public, is_within, read_address

MAX_URL = 2000
_RESOLVERS = 16
# Letters that are themselves, and each in one way: whoever else reads the URL finds the same host in it.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253})(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][!-\"$-\[\]-~]*)?",
    re.IGNORECASE,
)
_PORTS = {"http": 80, "https": 443}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host. Raises OSError where it has none."""


class RefusedTarget(Exception):
    """Nothing is sent there."""


class Target(NamedTuple):
    """What a URL says. ``host`` is without the brackets of an IPv6 address, ``path`` with the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(url: str) -> Target:
    """Read a URL. Raises RefusedTarget for one that is not plain: with credentials, a fragment, or letters beside ASCII."""
    found = _URL.fullmatch(url)
    if found is None or len(url) > MAX_URL:
        raise RefusedTarget(
            f"It is a URL as https://hooks.studio.example/path, of at most {MAX_URL:,} characters: without user, password and "
            "fragment, and ASCII only"
        )
    scheme, host = found["scheme"].lower(), found["host"].lower().strip("[]")
    port = int(found["port"]) if found["port"] else _PORTS[scheme]
    if not 1 <= port <= 65535:
        raise RefusedTarget("A port is a number from 1 to 65535")
    path = found["target"] or "/"
    return Target(scheme, host, port, path if path.startswith("/") else f"/{path}")


class Addresses:
    """Which addresses a target has, and whether they may be connected to.

    Names are looked up in threads of its own: the event loop's are few, and a name server that hangs must not keep lookups of
    MySQL's and Redis' names waiting.
    """

    def __init__(self, networks: Sequence[Network], resolve: Resolve | None = None) -> None:
        self._networks = networks
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="webhook-names")
        self._resolve = resolve or self._look_up

    async def find(self, target: Target) -> Sequence[str]:
        """The addresses of a target, which may be connected to. Raises RefusedTarget if one of them may not be, and OSError
        where there are none.
        """
        addresses = await self._resolve(target.host, target.port)
        for text in addresses:
            address = read_address(text)
            within = is_within(address, self._networks)
            if not within and not is_public(address):
                raise RefusedTarget(f"{target.host} is at {address}, which is not a public address")
            if not within and target.scheme == "http":
                raise RefusedTarget(f"{target.host} is at {address}, where a webhook needs https")
        if not addresses:
            raise OSError(f"{target.host} has no address")
        return addresses

    def close(self) -> None:
        """Forget lookups that wait."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        def ask() -> Sequence[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(each[4][0]) for each in found))

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except UnicodeError as error:  # a label that is too long
            raise OSError(f"{host} is not a name") from error
