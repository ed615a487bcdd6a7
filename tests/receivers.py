"""Receivers of webhooks in tests: HTTP servers of this machine, which answer as a test tells them."""

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

from standardwebhooks import Webhook as Verifier

from services.common.encryption import Encryption
from services.common.mysql.database import Database
from services.common.tokens import KeyPrincipal, KeyRing
from services.leaderboard.events import Kind
from services.leaderboard.rules.networks import parse_networks
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.staff.subscriptions import Subscriptions
from services.leaderboard.webhooks.client import Client
from services.leaderboard.webhooks.sender import Sender
from services.leaderboard.webhooks.targets import Addresses, Resolve

LOOPBACK = "127.0.0.0/8"
# So that tests wait for nothing. The sixth try is the last.
QUICK = (timedelta(),) * 5


@dataclass
class Received:
    """A request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, *secrets: str) -> Any:
        """What it says, if it is signed with each of these secrets: else the library raises WebhookVerificationError."""
        return [Verifier(secret).verify(self.body, self.headers) for secret in secrets][-1]


Reply = Callable[[Received], Awaitable[str]]
"""What a receiver answers: a status and its headers, as HTTP writes them."""


async def ok(_: Received) -> str:
    return "204 No Content"


async def hang(_: Received) -> str:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def answering(*heads: str) -> Reply:
    """One after the other, and then that all is well."""
    left = list(heads)

    async def reply(_: Received) -> str:
        return left.pop(0) if left else "204 No Content"

    return reply


def late_at(*numbers: int, seconds: float) -> Reply:
    """All is well, and at these requests that comes late."""
    at = count()

    async def reply(_: Received) -> str:
        if next(at) in numbers:
            await asyncio.sleep(seconds)
        return "204 No Content"

    return reply


def hanging_at(*numbers: int) -> Reply:
    """The same, but never."""
    return late_at(*numbers, seconds=math.inf)


@dataclass
class Receiver:
    """A server, and what it has received."""

    reply: Reply = ok
    port: int = 0
    received: list[Received] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    _busy: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?from=leaderboard"

    @property
    def ids(self) -> list[str]:
        return [each.message_id for each in self.received]

    async def wait_for(self, count: int) -> Sequence[Received]:
        """What it has received, once that are so many requests."""
        async with asyncio.timeout(20), self.arrived:
            await self.arrived.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            request = Received(head[0].split(" ")[1], headers, body)
            async with self.arrived:
                self.received.append(request)
                self.arrived.notify_all()
            answer = await self.reply(request)
            writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        except (asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
            pass  # who sent it has left, or the test is over
        finally:
            self._busy.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def stop(self) -> None:
        for each in list(self._busy):
            each.cancel()
        if self._busy:
            await asyncio.wait(self._busy)


@asynccontextmanager
async def receiving(reply: Reply = ok, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver, for a block."""
    receiver = Receiver(reply)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await receiver.stop()


def encryption_of(settings: LeaderboardSettings) -> Encryption:
    return Encryption(KeyRing.parse(settings.encryption_keys.get_secret_value()))


@asynccontextmanager
async def sending(
    settings: LeaderboardSettings,
    *,
    resolve: Resolve | None = None,
    seconds: float = 5.0,
    context: ssl.SSLContext | None = None,
    retries: Sequence[timedelta] = QUICK,
    interval: float = 1.0,
) -> AsyncIterator[Sender]:
    """What sends in a process, whose rounds the test makes. ``settings`` allow loopback, where receivers are."""
    addresses = Addresses(parse_networks(settings.webhook_networks), resolve)
    client = Client(addresses, context=context, seconds=seconds)
    sender = Sender(settings, encryption_of(settings), client=client, retries=retries, interval=interval)
    try:
        yield sender
    finally:
        await sender.stop()
        addresses.close()


async def drain(sender: Sender, most: int = 50) -> None:
    """Make rounds until nothing is due."""
    for _ in range(most):
        if not await sender.round():
            return
        await sender.finish()
    raise AssertionError("there is always more to be sent")


class Subscriber:
    """Makes webhooks in tests that need no HTTP for it, and knows their secrets."""

    def __init__(self, settings: LeaderboardSettings, database: Database) -> None:
        addresses = Addresses(parse_networks(settings.webhook_networks))
        self.subscriptions = Subscriptions(database, encryption_of(settings), addresses)
        self.by = KeyPrincipal("key-a", frozenset())
        self.secrets: dict[str, str] = {}

    async def put(self, name: str, url: str, *kinds: Kind) -> None:
        made = await self.subscriptions.put(name, url, kinds or (Kind.PERIOD_SETTLED,), self.by)
        if made.secret is not None:
            self.secrets[name] = made.secret
