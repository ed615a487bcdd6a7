"""HTTP of submitting many game sessions at once."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response, Security

from services.common.http.authentication import authorized
from services.common.http.lists import read_list
from services.common.http.problems import (
    SCOPED,
    BodyTooLarge,
    InvalidRequest,
    Problem,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import JSON, body_schema
from services.common.tokens import Caller, KeyPrincipal, Scope
from services.leaderboard.batch_writes import Item
from services.leaderboard.errors import NotForPlayers, QueueFull
from services.leaderboard.http.batch_schemas import MOST_ITEMS, Batch, BatchedSubmission, BatchResults
from services.leaderboard.http.dependencies import PREFIX, BatchWriting, rendered

PATH: Final = f"{PREFIX}/submissions"
MAX_BODY_BYTES: Final = 4 * 2**20
"""The gateway lets as many through (gateway/dynamic/middlewares.yaml)."""

router = APIRouter(prefix=PREFIX, tags=["leaderboard"])


async def _game_server(caller: Annotated[Caller, Security(authorized, scopes=[Scope.SCORES])]) -> KeyPrincipal:
    """The key that calls, which has the scope. Raises NotForPlayers for a user, whatever scopes they have."""
    if not isinstance(caller, KeyPrincipal):
        raise NotForPlayers("Only game servers submit many sessions at once, with a key.")
    return caller


async def _items(
    request: Request, _: Annotated[KeyPrincipal, Depends(_game_server)], writes: BatchWriting
) -> list[Item | Problem]:
    """What the body lists. Nobody else's body is read."""
    found = await read_list(request, "submissions", BatchedSubmission, MOST_ITEMS, writes.turns)
    return [each.item() if isinstance(each, BatchedSubmission) else each for each in found]


@router.post(
    "/submissions",
    summary="Submit many game sessions",
    description="For game servers, with the access token of a key that has the scope `scores:write`: up to 1,000 sessions of "
    "any players, in a body of up to 4 MiB, each of up to 16,384 characters. Each is answered by itself, in the order of the "
    "call, as `/submit` answers it: with the status 201, or 200 for a repeat, or with a problem. What is wrong with one is no "
    "other's.\n\nEach session has a `key`, and is stored once for its user and key: the whole call can be sent again when no "
    "answer came, and those items whose status is 503 are sent again. An `Idempotency-Key` of a game server's is the same key. "
    "Two items of a call with the same user and key are one session, if they say the same; else the second is refused "
    "(422).\n\nThe call itself is refused, and nothing of it is stored, when it is no such object (422), or when as many "
    "sessions wait as may (503).",
    response_model=BatchResults,
    responses=documented(
        *SCOPED, NotForPlayers, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable, QueueFull
    ),
    openapi_extra=body_schema({JSON: Batch}),
)
async def submit_batch(items: Annotated[list[Item | Problem], Depends(_items)], writes: BatchWriting) -> Response:
    return rendered(await writes.submit(items))
