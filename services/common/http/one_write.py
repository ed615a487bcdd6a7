"""uvicorn's HTTP protocol, which can send a whole answer with one write, and cuts off who stops reading.

uvicorn writes an answer's head and its body apart, and uvloop sends what it is given at once (since 0.22): two system calls and
two packets, and the reader is woken twice. Of a page it cost this process a tenth, and both ends together an eighth. So what is
asked most is written whole (see shortcuts.py).
"""

import asyncio
import fcntl
import sys
import termios
from contextlib import suppress
from functools import lru_cache, partial

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

Headers = tuple[tuple[bytes, bytes], ...]

EXTENSION = "leaderboard.one_write"
"""The ASGI extension: in ``scope["extensions"]``, `OneWriteProtocol.answer` of the request."""
CUT = "leaderboard.cut"
"""Another: ends the connection at once, with what of the answer is not sent yet."""


class OneWriteProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=…)`. Cuts off a client that stops reading its answer."""

    stalled_seconds = 30.0
    """A client that has read nothing for so long is not waited for."""

    _stalled: asyncio.TimerHandle | None = None
    _answered: RequestResponseCycle | None = None
    """The request that is being answered, or was last. `cycle` is the one that came last: a client may send several ahead."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # Told as soon as the kernel takes no more, however little is left.
        transport.set_write_buffer_limits(high=0)
        super().connection_made(transport)

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
            self.transport.abort()

    def _unread(self) -> int:
        """How many bytes of answers the other side has not taken: those that wait here, and where Linux tells, in the kernel.

        The kernel takes more only when a third of what it holds has gone, which is long for a client that reads slowly.
        """
        waiting: int = self.transport.get_write_buffer_size()
        connection = self.transport.get_extra_info("socket")
        if sys.platform == "linux" and connection is not None:
            with suppress(OSError):  # closed meanwhile
                waiting += int.from_bytes(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        return waiting

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._answered is None or self._answered.response_complete:
            self._answered = self.cycle
        # What answers the request has not begun yet: it is a task.
        self.scope["extensions"] = {
            EXTENSION: partial(self.answer, self.cycle),  # type: ignore[dict-item]
            CUT: self.transport.abort,  # type: ignore[dict-item]
        }

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
        self.transport.write(b"%bcontent-length: %d\r\n%b: %b\r\n\r\n%b" % (head, len(body), *own, body))
        cycle.message_event.set()
        cycle.on_response()
        return True


@lru_cache(maxsize=64)
def _head(status: int, default: Headers, headers: Headers) -> bytes:
    return STATUS_LINE[status] + b"".join([b"%b: %b\r\n" % header for header in default + headers])
