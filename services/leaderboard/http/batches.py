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
    summary="Submit many scores",
    description="For game servers with a key that has the scope `scores:write`. A call has up to 1,000 sessions of any "
    "players and up to 4 MiB, and an item up to 16,384 characters. Results come in the order of the call: each has the "
    "status 201, 200 for a repeat, or a problem. An item that is refused does not affect the others.",
    response_model=BatchResults,
    responses=documented(
        *SCOPED, NotForPlayers, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable, QueueFull
    ),
    openapi_extra=body_schema({JSON: Batch}),
)
async def submit_batch(items: Annotated[list[Item | Problem], Depends(_items)], writes: BatchWriting) -> Response:
    return rendered(await writes.submit(items))
