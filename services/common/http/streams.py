"""Answers that are made while they are sent."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, cast

import structlog
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.http.one_write import CUT
from services.common.http.problems import DATABASE_AWAY
from services.common.http.requests import JSON
from services.common.mysql.database import reason

log = structlog.get_logger(__name__)


class JSONStream(StreamingResponse):
    """A document in pieces, JSON unless said otherwise.

    When the database goes away in the middle, nothing can be said of it any more: the answer is left without its end, upon
    which the server closes the connection, so that the client can tell.

    The pieces are closed when the answer ends, however it ends: what they hold they let go then.
    """

    _pieces: AsyncGenerator[bytes, None]

    @classmethod
    async def begin(
        cls, pieces: AsyncGenerator[bytes, None], headers: Mapping[str, str], media_type: str = JSON
    ) -> "JSONStream":
        """The answer, once its first piece is there: what goes wrong before is answered as any other error."""
        first = await anext(pieces)

        async def whole() -> AsyncGenerator[bytes, None]:
            yield first
            async for piece in pieces:
                yield piece

        answer = cls(whole(), media_type=media_type, headers=dict(headers))
        answer._pieces = pieces
        return answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._pieces.aclose()

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except DATABASE_AWAY as error:
            log.warning("answer cut short", error=reason(error))


_REST = "leaderboard.rest"
Rest = Callable[[Scope, Receive, Send], Awaitable[None]]
"""What sends the body of a long answer."""


class LongAnswer(Response):
    """An answer that goes on for minutes. Its head passes the middlewares as any other; ``rest`` sends its body past them."""

    def __init__(self, rest: Rest, headers: Mapping[str, str], media_type: str) -> None:
        super().__init__(headers=headers, media_type=media_type)
        del self.headers["content-length"]
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        scope[_REST] = self._rest


class LongAnswers:
    """Pure ASGI middleware around the framework's whole stack: sends the bodies of long answers when all that is inside ended.

    So a request counts for as long as it took to answer it and not for as long as somebody listened; and what routing and the
    middlewares hold, 12 kB of the 29 that a stream took, is not held by thousands who listen.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        rest: Rest | None = scope.pop(_REST, None)
        if rest is not None:
            await rest(scope, receive, send)


class Sink:
    """The body of an answer, as whoever has news writes it: what is written goes at once, or not at all.

    So nobody waits for a reader, and a thousand readers need no task each to be written to. It relies on the server to wait
    for a reader that does not keep up before it writes anything: uvicorn does, and then that wait is given up.
    """

    __slots__ = ("_abort", "_send")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = cast("Callable[[Message], Coroutine[Any, Any, None]]", send)
        self._abort: Callable[[], None] | None = scope.get("extensions", {}).get(CUT)

    def write(self, piece: bytes) -> bool:
        """Send a piece of the body. False, with nothing sent, while the reader does not keep up."""
        return self._write({"type": "http.response.body", "body": piece, "more_body": True})

    def close(self, piece: bytes) -> bool:
        """Send the last piece. False, with nothing sent, while the reader does not keep up."""
        return self._write({"type": "http.response.body", "body": piece, "more_body": False})

    def abort(self) -> None:
        """End the connection, with whatever the reader has not read."""
        if self._abort is not None:
            self._abort()

    def _write(self, message: Message) -> bool:
        sending = self._send(message)
        try:
            sending.send(None)
        except StopIteration:
            return True
        sending.close()
        return False
