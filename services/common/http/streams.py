"""Answers that are made while they are sent."""

from collections.abc import AsyncGenerator, Mapping

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

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
