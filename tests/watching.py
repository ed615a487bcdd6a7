"""Watching live standings in tests: many streams on one loop, each with the newest of what it was told, as a browser has it.

A stream is read by the C parser that the services use, and nothing is made of an event until somebody asks what it says: two
thousand of them are to cost whoever measures the services little.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

from tests.playing import API

# A browser's, until the server has said how long it is to wait (WHATWG HTML, section 9.2.2).
_RETRY_SECONDS = 3.0
# Until the next process is tried where one takes no connections.
_NEXT_SECONDS = 0.05
_EVENT_STREAM = "text/event-stream"


class Event(NamedTuple):
    """Something that a stream told, and when by the clock of ``time.monotonic``."""

    kind: str
    event_id: str
    data: bytes
    at: float

    def read(self) -> Any:
        """What it says."""
        return json.loads(self.data)


class Refusal(NamedTuple):
    """An answer that is no stream."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Watcher:
    """Asks one of the processes for a stream, and when that ends the next one, by the id of what it was told last.

    ``hear`` is called with each event. ``pause``: seconds until it asks again, if not as many as it is told to wait.
    """

    def __init__(
        self,
        urls: Sequence[str],
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        hear: Callable[["Watcher", Event], None] | None = None,
        pause: float | None = None,
    ) -> None:
        self._urls = urls
        self._path = path
        self._headers = dict(headers or {})
        self._hear = hear
        self._pause = pause
        self._stream: _Stream | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self.last: dict[str, Event] = {}
        """The newest event of each kind."""
        self.event_id = ""
        self.retry_seconds = _RETRY_SECONDS
        self.comments = 0
        self.streams = 0
        """How often it was answered with a stream."""
        self.ended = 0
        """How many of them were brought to their end; the others broke off."""
        self.refusals: list[Refusal] = []

    @property
    def url(self) -> str | None:
        """The process that it listens to. None: to none."""
        return self._stream.url if self._stream is not None and self._stream.listens else None

    def read(self, kind: str) -> Any:
        """What the newest event of a kind says. None: there was none."""
        return self.last[kind].read() if kind in self.last else None

    async def until(self, condition: Callable[["Watcher"], bool], seconds: float = 20) -> None:
        """Return when something is so, which is looked at with each event, comment, beginning and end; or TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition(self):
                waiting = asyncio.get_running_loop().create_future()
                self._waiting.add(waiting)
                try:
                    await waiting
                finally:
                    self._waiting.discard(waiting)

    async def watch(self) -> None:
        """Watch until cancelled, or until a refusal that asking again does not change."""
        loop = asyncio.get_running_loop()
        for number in count():
            url = self._urls[number % len(self._urls)]
            stream, parts = _Stream(self, url, self._request()), urlsplit(url)
            try:
                await loop.create_connection(lambda stream=stream: stream, parts.hostname or "", parts.port or 80)  # type: ignore[misc]
            except OSError:
                await asyncio.sleep(_NEXT_SECONDS)
                continue
            self._stream = stream
            try:
                await stream.over.wait()
            finally:
                stream.transport.abort()
            if stream.refusal is not None:
                self.refusals.append(stream.refusal)
            self.ended += stream.ended
            self.changed()
            if stream.refusal is not None and stream.refusal.status not in (429, 503):
                return
            await asyncio.sleep(self.retry_seconds if self._pause is None else self._pause)

    def stop_reading(self) -> None:
        """Read nothing more of this stream, as one whose line is slow."""
        assert self._stream is not None
        self._stream.transport.pause_reading()

    def read_on(self) -> None:
        """Read again what was not read."""
        assert self._stream is not None
        self._stream.transport.resume_reading()

    def changed(self) -> None:
        """Have those look who wait for something."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def take(self, block: bytes) -> None:
        """One event, or a comment, as WHATWG HTML, section 9.2.6, has them read."""
        kind, data = "message", list[bytes]()
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            match name:
                case b"event":
                    kind = value.decode()
                case b"data":
                    data.append(value)
                case b"id":
                    self.event_id = value.decode()
                case b"retry":
                    self.retry_seconds = int(value) / 1000
                case b"":
                    self.comments += 1
        if data:
            self.last[kind] = event = Event(kind, self.event_id, b"\n".join(data), monotonic())
            if self._hear is not None:
                self._hear(self, event)
        if self._waiting:
            self.changed()

    def _request(self) -> bytes:
        headers = {"Host": "watched", "Accept": _EVENT_STREAM, "Cache-Control": "no-store", **self._headers}
        if self.event_id:
            headers["Last-Event-ID"] = self.event_id
        lines = [f"GET {self._path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode()


class _Stream(asyncio.Protocol):
    """One answer, read as it comes."""

    transport: asyncio.Transport

    def __init__(self, watcher: Watcher, url: str, request: bytes) -> None:
        self.url = url
        self.listens = False
        self.ended = False
        self.over = asyncio.Event()
        self.refusal: Refusal | None = None
        self._watcher = watcher
        self._request = request
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._rest = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.listens = False
        self.over.set()

    # What the parser tells.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.listens = self._parser.get_status_code() == 200
        if self.listens:
            assert self._headers["content-type"].startswith(_EVENT_STREAM), self._headers
            self._watcher.streams += 1
            self._watcher.changed()

    def on_body(self, body: bytes) -> None:
        self._rest += body
        if self.listens:
            *blocks, self._rest = self._rest.split(b"\n\n")
            for block in blocks:
                self._watcher.take(block)

    def on_message_complete(self) -> None:
        self.ended = self.listens
        if not self.listens:
            self.refusal = Refusal(self._parser.get_status_code(), self._headers, self._rest)
        self.transport.close()


def live_path(board: str, **query: str | int) -> str:
    """What is asked for to watch a board."""
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return f"{API}/boards/{board}/live" + (f"?{asked}" if asked else "")


@asynccontextmanager
async def watching(*watchers: Watcher) -> AsyncIterator[None]:
    """These watch, until the end of the block."""
    tasks = [asyncio.create_task(watcher.watch()) for watcher in watchers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


async def all_are(watchers: Iterable[Watcher], condition: Callable[[Watcher], bool], seconds: float = 20) -> None:
    """Return when something is so of all of them."""
    async with asyncio.timeout(seconds):
        for watcher in watchers:
            await watcher.until(condition, seconds)
