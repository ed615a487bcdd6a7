"""uvicorn's HTTP protocol, with an answer's head and body sent together.

uvicorn writes them apart, and uvloop sends what it is given at once (since 0.22). So each answer was two system calls and two
packets, and its reader was woken twice. Of a page it cost this process a tenth, and both ends together an eighth.
"""

import asyncio
import fcntl
import sys
import termios
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

Headers = tuple[tuple[bytes, bytes], ...]

EXTENSION = "leaderboard.one_write"
"""The ASGI extension: in ``scope["extensions"]``, `OneWriteProtocol.answer` of the request."""

_HEAD = b"HTTP/1.1 "


class OneWriteProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=…)`. Cuts off a client that stops reading its answer."""

    stalled_seconds = 30.0
    """A client that has read nothing for so long is not waited for."""

    _raw: asyncio.Transport
    _stalled: asyncio.TimerHandle | None = None
    _answered: RequestResponseCycle | None = None
    """The request that is being answered, or was last. `cycle` is the one that came last: a client may send several ahead."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._raw = transport
        # Told as soon as the kernel takes no more, however little is left.
        transport.set_write_buffer_limits(high=0)
        self._joining = _JoiningTransport(transport, self.loop)
        super().connection_made(self._joining)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)
        # uvicorn tells the request that came last.
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        self._stop_watching()
        super().resume_writing()

    def _watch(self) -> None:
        self._stalled = self.loop.call_later(self.stalled_seconds, self._cut, self._unread())

    def _stop_watching(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _cut(self, waiting: int) -> None:
        """End the connection unless something was read since so many bytes waited. To close it would be to wait for them."""
        if self._unread() < waiting:
            self._watch()
        else:
            self._raw.abort()

    def _unread(self) -> int:
        """How many bytes of answers the other side has not taken: those that wait here, and where Linux tells, in the kernel.

        The kernel takes more only when a third of what it holds has gone, which is long for a client that reads slowly.
        """
        waiting: int = self._raw.get_write_buffer_size()
        connection = self._raw.get_extra_info("socket")
        if sys.platform == "linux" and connection is not None:
            with suppress(OSError):  # closed meanwhile
                waiting += int.from_bytes(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        return waiting

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._answered is None or self._answered.response_complete:
            self._answered = self.cycle
        # What answers the request has not begun yet: it is a task.
        self.scope["extensions"] = {EXTENSION: partial(self.answer, self.cycle)}  # type: ignore[dict-item]

    def on_response_complete(self) -> None:
        if self.pipeline:
            self._answered = self.pipeline[-1][0]
        super().on_response_complete()

    def answer(self, cycle: RequestResponseCycle, status: int, headers: Headers, own: tuple[bytes, bytes], body: bytes) -> bool:
        """Send a whole answer at once, instead of two messages, which cost more than the write. It is in no access log.

        ``own``: a header that no other answer has. Names are lower case, and no value may hold what a header may not: nothing
        is checked.

        False, with nothing sent, when it is not an ordinary one: the messages are to be sent then.
        """
        if (
            not cycle.keep_alive
            or cycle.response_started
            or cycle.disconnected
            or self.flow.write_paused
            or cycle.scope["method"] == "HEAD"
        ):
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        default = self.server_state.default_headers  # a new list each second
        head = _head(status, tuple(default), headers)
        self._joining.write_whole(b"%bcontent-length: %d\r\n%b: %b\r\n\r\n%b" % (head, len(body), *own, body))
        cycle.message_event.set()
        cycle.on_response()
        return True


@lru_cache(maxsize=64)
def _head(status: int, default: Headers, headers: Headers) -> bytes:
    return STATUS_LINE[status] + b"".join([b"%b: %b\r\n" % header for header in default + headers])


class _JoiningTransport(asyncio.Transport):
    """A transport that keeps the head of an answer until its body comes, and for no longer than a turn of the loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif isinstance(data, bytes) and data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self._send_head)
        else:
            self._transport.write(data)

    def write_whole(self, data: bytes) -> None:
        """Write what is a head and its body, after what is kept: a 100 (Continue) perhaps."""
        self._send_head()
        self._transport.write(data)

    def close(self) -> None:
        self._send_head()
        self._transport.close()

    def _send_head(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    # What follows is the transport's own.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def abort(self) -> None:
        self._transport.abort()
