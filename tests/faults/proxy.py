"""A TCP proxy between a process and one of its servers: cuts the two off, or loses or delays one message between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto

# What a message ends with that ends a transaction: alone in it, or the last of several statements.
COMMIT = b"COMMIT"
ROLLBACK = b"ROLLBACK"
_REMEMBERED = 65_536


class Fault(Enum):
    """What happens to a message, and to the connection that carries it."""

    LOST = auto()
    """The connection breaks before the message arrives."""
    HELD = auto()
    """The connection breaks for the sender, while the message is still on its way: it arrives at ``release``."""
    DELAYED = auto()
    """The message arrives at ``release``, and its sender waits for the reply."""
    REPLY_LOST = auto()
    """The message arrives, and the connection breaks before its reply does."""
    HUNG = auto()
    """The message does not arrive until ``mend``, nor does anything else, either way; connections stay, as with SIGSTOP."""
    REPLY_SWALLOWED = auto()
    """The message arrives, and its sender waits for a reply that never comes."""


class Proxy:
    """Passes connections on to one server, until cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Future[None]] = set()
        self._cut = False
        self._fault: tuple[Fault, bytes, bytes] | None = None
        self._released = asyncio.Event()
        self._passing = asyncio.Event()
        self._passing.set()
        self.port = 0
        self.opened = 0
        self.struck = asyncio.Event()
        """Set when the message came that was to be lost or delayed."""

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        self._cut = True
        self._released.set()
        self._passing.set()
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections, and what they carry, through again."""
        self._cut = False
        self._passing.set()

    def point(self, host: str, port: int) -> None:
        """Pass connections that are opened from now on to another server."""
        self._target = (host, port)

    def strike(self, fault: Fault, message: bytes, after: bytes = b"") -> None:
        """Do this, once, to the next message that has ``message`` in it, in a transaction that had ``after`` before.

        COMMIT is what it ends with.
        """
        self._fault = fault, message, after
        self._released.clear()
        self.struck.clear()

    def release(self) -> None:
        """Let go what is held or delayed."""
        self._released.set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, both ways, until either side ends it."""
        self.opened += 1
        self._serving.add(asyncio.ensure_future(self._pass(reader, writer)))

    async def aclose(self) -> None:
        """Break every connection and wait for their ends."""
        self.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
        except OSError:  # the server is down
            writer.transport.abort()
            return
        link = _Link(reader, writer, there_reader, there_writer)
        self._writers |= link.writers
        try:
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(self._pass_messages(link))
                both_ways.create_task(self._pass_replies(link))
        except* OSError:
            pass
        for end in link.writers:
            end.transport.abort()
        self._writers -= link.writers

    async def _pass_messages(self, link: "_Link") -> None:
        transaction = b""
        while data := await link.reader.read(65_536):
            fault = self._find_fault(data, transaction)
            if fault in {Fault.LOST, Fault.HELD}:
                link.writer.transport.abort()
            if fault is Fault.LOST:
                raise ConnectionAbortedError
            if fault in {Fault.HELD, Fault.DELAYED}:
                await self._released.wait()
            if fault is Fault.HUNG:
                self._passing.clear()
            await self._passing.wait()
            link.on_reply = fault
            # Only what tells one transaction from another.
            transaction = b"" if data.endswith((COMMIT, ROLLBACK)) else (transaction + data)[-_REMEMBERED:]
            link.there_writer.write(data)
            await link.there_writer.drain()
        link.there_writer.close()

    async def _pass_replies(self, link: "_Link") -> None:
        while data := await link.there_reader.read(65_536):
            if link.on_reply is Fault.REPLY_LOST:
                raise ConnectionAbortedError
            await self._passing.wait()
            if link.on_reply is not Fault.REPLY_SWALLOWED:
                link.writer.write(data)
                await link.writer.drain()
        link.writer.close()

    def _find_fault(self, data: bytes, transaction: bytes) -> Fault | None:
        if self._fault is None:
            return None
        fault, message, after = self._fault
        found = data.endswith(message) if message is COMMIT else message in data
        if not found or after not in transaction:
            return None
        self._fault = None
        self.struck.set()
        return fault


@dataclass
class _Link:
    """Both ends of one connection, and what is to happen to the next reply."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    there_reader: asyncio.StreamReader
    there_writer: asyncio.StreamWriter
    on_reply: Fault | None = None

    @property
    def writers(self) -> set[asyncio.StreamWriter]:
        return {self.writer, self.there_writer}


@asynccontextmanager
async def proxying(host: str, port: int) -> AsyncIterator[Proxy]:
    """A proxy in front of a server, on a free port."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.aclose()
