"""Posting a message: to the very address that was looked at, once, without redirects or proxies, and in bounded time."""

import asyncio
import ssl
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import cached_property
from typing import NamedTuple

import httpcore

from services.leaderboard.webhooks.targets import Addresses, Target

SECONDS = 15.0
"""What a try may take in all, from the look-up of the name to the answer's status."""
_CONNECT_SECONDS = 5.0
_MOST_ADDRESSES = 8
_USER_AGENT = "leaderboard-webhooks"


class Answer(NamedTuple):
    """What a receiver has answered. Its body is nobody's to read."""

    status: int
    retry_after: str | None


class Unanswered(Exception):
    """The receiver could not be reached, or did not answer in HTTP, or in time."""


class _AtAddresses(httpcore.AsyncNetworkBackend):
    """Connects to the first of these addresses that can be connected to, whatever the name of the host resolves to by now.

    The name is what TLS verifies all the same.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._backend = httpcore.AnyIOBackend()
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        error: Exception = httpcore.ConnectError("there is no address")
        for address in self._addresses[:_MOST_ADDRESSES]:
            try:
                self._stream = await self._backend.connect_tcp(address, port, _CONNECT_SECONDS, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failure:
                error = failure
            else:
                return self._stream
        raise error

    async def aclose(self) -> None:
        """Close what was connected, also where TLS was not agreed upon in time, which nobody else closes."""
        if self._stream is not None:
            await self._stream.aclose()


class Client:
    """Posts to receivers. ``context``: what TLS trusts, if not what everybody does."""

    def __init__(self, addresses: Addresses, *, context: ssl.SSLContext | None = None, seconds: float = SECONDS) -> None:
        self._addresses = addresses
        self._trusted = context
        self._seconds = seconds

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """What TLS trusts. Everybody's certificates take 50 ms to be read: they are when the first message needs them."""
        return self._trusted or httpcore.default_ssl_context()

    async def post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post, on a connection of its own. Raises RefusedTarget and Unanswered."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(target, headers, body)
        except TimeoutError:
            raise Unanswered(f"no answer in {self._seconds:g} seconds") from None
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise Unanswered(f"no connection: {_words(error)}") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise Unanswered(f"no answer: {_words(error)}") from None
        except OSError as error:
            raise Unanswered(f"the name of the host was not found: {error.strerror or error}") from None

    async def _post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Answer:
        addresses = await self._addresses.find(target)
        origin = httpcore.Origin(target.scheme.encode(), target.host.encode(), target.port)
        url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=target.path.encode())
        sent = {"host": target.authority, "user-agent": _USER_AGENT, "connection": "close", **headers}
        context = self._context if target.scheme == "https" else None
        async with (
            aclosing(_AtAddresses(addresses)) as backend,
            httpcore.AsyncHTTPConnection(origin, ssl_context=context, network_backend=backend) as connection,
            connection.stream("POST", url, headers=list(sent.items()), content=body) as response,
        ):
            after = next((value for name, value in response.headers if name.lower() == b"retry-after"), None)
            return Answer(response.status, None if after is None else after.decode("latin-1"))


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
