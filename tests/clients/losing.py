"""A proxy before the gateway that loses requests and answers, as a player's network does.

It speaks HTTP/1.1, one request a connection, and runs in the test's own event loop: whoever asks it must not block that loop.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from urllib.parse import urlsplit

# What says how long a connection lives is between two neighbours: the proxy says it for itself.
_OWN = frozenset({"connection", "keep-alive", "proxy-connection", "expect"})
_STREAM = b"text/event-stream"


@dataclass(frozen=True)
class Seen:
    """A request that arrived, lost or not. Names of headers are in lower case."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class _Refusal:
    status: int
    headers: Mapping[str, str]


class Losing:
    """The proxy. What is set here holds for requests that arrive from then on."""

    def __init__(self, target: str, random: Random) -> None:
        split = urlsplit(target)
        assert split.hostname is not None
        self._target = split.hostname, split.port or 80
        self._random = random
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._refusals: list[_Refusal] = []
        self._lose_answers = 0
        self._down = False
        self.url = ""
        self.requests = 0.0
        """How likely a request is lost before the gateway has it."""
        self.answers = 0.0
        """How likely an answer is lost, after the service has done what was asked."""
        self.delay = 0.0
        """Seconds that a request is on its way, and its answer too."""
        self.path = "/"
        """What happens to requests here happens only to those whose path begins with this. `down` and `cut` are for all."""
        self.seen: list[Seen] = []
        """Every request since the beginning, in order of arrival. A browser's preflights are not among them."""
        self.on_moment: Callable[[], None] = lambda: None
        """Called when a request has arrived, and when an answer is about to be passed back: good moments for a kill."""

    @property
    def down(self) -> bool:
        """Whether nothing can be reached: connections break, those that are open too."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        if down:
            self.cut()

    @property
    def silent(self) -> bool:
        """Whether answers, streams among them, stay away while their connections stay open."""
        return not self._passing.is_set()

    @silent.setter
    def silent(self, silent: bool) -> None:
        if silent:
            self._passing.clear()
        else:
            self._passing.set()

    def refuse(self, times: int, status: int, headers: Mapping[str, str] | None = None) -> None:
        """Answer the next so many requests with a status, for example 503 and ``Retry-After``. The services hear nothing."""
        self._refusals += [_Refusal(status, headers or {})] * times

    def lose_answers(self, times: int) -> None:
        """Lose the answers to the next so many requests, after they have been done."""
        self._lose_answers += times

    def cut(self) -> None:
        """Break every connection that is open, streams among them."""
        for writer in self._open:
            writer.transport.abort()

    def asked(self, path: str, method: str = "") -> list[Seen]:
        """The requests so far whose path begins so, by this method or by any."""
        return [each for each in self.seen if each.path.startswith(path) and each.method.startswith(method)]

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def aclose(self) -> None:
        """Break every connection and wait for their ends."""
        self._passing.set()
        self.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if not self._down:
                await self._pass(reader, writer)
        except (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # either side has gone
        finally:
            # What was written well is flushed by the closing; the rest has been aborted.
            writer.close()
            self._open.discard(writer)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await _read_request(reader, writer)
        meant = asked.path.startswith(self.path) and asked.method != "OPTIONS"
        if asked.method != "OPTIONS":
            self.seen.append(asked)
        self.on_moment()
        if meant and self._refusals:
            writer.write(_refusal(self._refusals.pop(0)))
            await writer.drain()
            return
        # Both are drawn each time, so that one probability does not change what the other draws.
        loses_request, loses_answer = self._random.random() < self.requests, self._random.random() < self.answers
        if meant and self._lose_answers > 0:
            self._lose_answers -= 1
            loses_request, loses_answer = False, True
        if meant and self.delay:
            await asyncio.sleep(self.delay)
        if meant and loses_request:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        self._open.add(there_writer)
        ending = asyncio.ensure_future(reader.read())  # ends when the client goes, as a stream's does
        ending.add_done_callback(lambda _: there_writer.transport.abort())
        try:
            there_writer.write(_request(asked))
            await there_writer.drain()
            head = await there_reader.readuntil(b"\r\n\r\n")
            if meant and self.delay:
                await asyncio.sleep(self.delay)
            self.on_moment()
            if meant and loses_answer:
                if _STREAM not in head.lower():
                    await there_reader.read()  # whatever it does, it has done
                writer.transport.abort()
                return
            await self._pass_answer(head, there_reader, writer)
        finally:
            ending.cancel()
            there_writer.transport.abort()
            self._open.discard(there_writer)

    async def _pass_answer(self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data:
            await self._passing.wait()
            writer.write(data)
            await writer.drain()
            data = await reader.read(65_536)


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Seen:
    """A whole request. Raises IncompleteReadError if its connection ends before."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Seen(method, path, headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():  # trailers
        pass
    return body


def _request(asked: Seen) -> bytes:
    """The request as it is passed on: its body with a length, and a connection of its own."""
    kept = {name: value for name, value in asked.headers.items() if name not in _OWN | {"transfer-encoding", "content-length"}}
    if asked.body or asked.method in {"POST", "PUT", "PATCH"}:
        kept["content-length"] = str(len(asked.body))
    head = [f"{asked.method} {asked.path} HTTP/1.1", *(f"{name}: {value}" for name, value in kept.items()), "connection: close"]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + asked.body


def _refusal(refusal: _Refusal) -> bytes:
    body = b'{"type": "about:blank", "title": "Refused by the test", "status": %d}' % refusal.status
    headers = {
        "content-type": "application/problem+json",
        "content-length": str(len(body)),
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "Retry-After",
        "connection": "close",
        **refusal.headers,
    }
    head = [f"HTTP/1.1 {refusal.status} Refused", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


@asynccontextmanager
async def losing_before(target: str, seed: int = 0) -> AsyncIterator[Losing]:
    """A proxy before what answers at ``target``, on a free port, which loses nothing until it is told to."""
    proxy = Losing(target, Random(seed))
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await proxy.aclose()
