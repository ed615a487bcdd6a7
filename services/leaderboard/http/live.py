"""HTTP of live standings: a stream of what a place shows, whenever it changes."""

from time import monotonic, time
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.types import Receive, Scope, Send

from services.common import addresses
from services.common.http.authentication import OPTIONALLY, AuthenticatedIfTold
from services.common.http.problems import InvalidRequest, ServiceUnavailable, Unauthenticated, documented
from services.common.http.streams import LongAnswer, Sink
from services.common.tokens import Caller
from services.leaderboard.errors import (
    BoardNotFound,
    PeriodExpired,
    PeriodNotFound,
    StreamsFull,
    TooManyStreams,
    WindowNotFound,
)
from services.leaderboard.http import examples
from services.leaderboard.http.dependencies import DEFAULT_LIMIT, PREFIX, AskedPlace, Limit
from services.leaderboard.live.hub import Hub

router = APIRouter(prefix=f"{PREFIX}/boards/{{board}}", tags=["boards"])

EVENT_STREAM = "text/event-stream"
_LAST_SEEN = "Last-Event-ID"
# nginx, and what is made of it, would gather an answer before it passes it on.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


Watching = Annotated[Hub, Depends(_hub)]
Told = Annotated[tuple[Caller, float] | None, Depends(AuthenticatedIfTold())]


@router.get(
    "/live",
    summary="Live standings of a board",
    description="Server-sent events, with or without a token. `top` is the page as `/top` answers it. `me` is the caller's "
    "own rank, with the players who have passed them. `period` says that a period has ended and another has begun. Open "
    "the stream again with `Last-Event-ID` to get what has changed since. A stream ends after ten minutes, or with the "
    "token: open it again. The stream of a period ends with the period.",
    response_class=Response,
    responses={
        200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": examples.LIVE}}},
        204: {
            "description": "The period is over, and `Last-Event-ID` names what it came to: the stream is not to be opened again"
        },
        **documented(
            Unauthenticated,
            BoardNotFound,
            WindowNotFound,
            PeriodNotFound,
            PeriodExpired,
            InvalidRequest,
            TooManyStreams,
            ServiceUnavailable,
            StreamsFull,
        ),
    },
    openapi_extra={
        **OPTIONALLY,
        "parameters": [
            {
                "name": _LAST_SEEN,
                "in": "header",
                "description": "the `id` of the last event that the client has",
                "schema": {"type": "string"},
            }
        ],
    },
)
async def board_live(request: Request, hub: Watching, told: Told, asked: AskedPlace, limit: Limit = DEFAULT_LIMIT) -> Response:
    who = None if told is None else (told[0], monotonic() + told[1] - time())
    host = "" if request.client is None else request.client.host
    stream = await hub.open(asked, limit, who, addresses.network(addresses.spell(host)))
    last_seen = request.headers.get(_LAST_SEEN)
    if stream.has_all(last_seen):
        stream.close()
        return Response(status_code=204, headers=_HEADERS)
    first = stream.first(last_seen)

    async def rest(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.body", "body": first, "more_body": True})
            stream.begin(Sink(scope, send))
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            stream.close()

    return LongAnswer(rest, _HEADERS, EVENT_STREAM)
