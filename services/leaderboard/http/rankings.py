"""HTTP of reading the board: pages, ranks and neighbours."""

from fastapi import APIRouter, Request, Response

from services.common.http.problems import InvalidRequest, ServiceUnavailable, Unauthenticated, documented
from services.common.http.requests import JSON
from services.leaderboard.errors import PlayerNotFound
from services.leaderboard.http.dependencies import (
    PREFIX,
    Caller,
    Limit,
    Offset,
    Radius,
    Reading,
    UserId,
    rendered,
)
from services.leaderboard.http.schemas import (
    OwnRank,
    PlayerRank,
    PlayersAround,
    TopPage,
)

router = APIRouter(prefix=PREFIX, tags=["leaderboard"])


@router.get(
    "/top",
    summary="A page of the board",
    response_model=TopPage,
    responses={
        **documented(InvalidRequest, ServiceUnavailable),
        200: {"headers": {"ETag": {"description": "names this very page", "schema": {"type": "string"}}}},
        304: {"description": "The page is still the one that `If-None-Match` names"},
    },
    openapi_extra={
        "parameters": [
            {
                "name": "If-None-Match",
                "in": "header",
                "description": "the `ETag` of the page that the client has",
                "schema": {"type": "string"},
            }
        ],
    },
)
async def top(request: Request, reads: Reading, limit: Limit = 10, offset: Offset = 0) -> Response:
    page = await reads.top(limit, offset)
    # May be kept, but not be shown again without asking.
    headers = {"Cache-Control": "no-cache", "ETag": page.etag}
    if names_page(request.headers.getlist("if-none-match"), page.etag):
        return Response(status_code=304, headers=headers)
    return Response(page.body, media_type=JSON, headers=headers)


def names_page(if_none_match: list[str], etag: str) -> bool:
    """Whether the header names the page. RFC 9110, section 13.1.2: compared weakly; a star is any page."""
    tags = [tag.strip() for each in if_none_match for tag in each.split(",")]
    return "*" in tags or etag.removeprefix("W/") in (tag.removeprefix("W/") for tag in tags)


# Before /rank/{user_id}, which would read "me" as an id.
@router.get(
    "/rank/me",
    summary="My rank",
    response_model=OwnRank,
    responses=documented(Unauthenticated, ServiceUnavailable),
)
async def own_rank(caller: Caller, reads: Reading) -> Response:
    return rendered(await reads.own_rank(caller))


@router.get(
    "/rank/{user_id}",
    summary="A player's rank",
    response_model=PlayerRank,
    responses=documented(PlayerNotFound, InvalidRequest, ServiceUnavailable),
)
async def rank(user_id: UserId, reads: Reading) -> Response:
    return rendered(await reads.rank(user_id))


@router.get(
    "/around/me",
    summary="Me among those who stand next to me",
    response_model=PlayersAround,
    responses=documented(Unauthenticated, PlayerNotFound, InvalidRequest, ServiceUnavailable),
)
async def around_me(caller: Caller, reads: Reading, radius: Radius = 5) -> Response:
    return rendered(await reads.around(caller.user_id, radius))


@router.get(
    "/around/{user_id}",
    summary="A player among those who stand next to them",
    response_model=PlayersAround,
    responses=documented(PlayerNotFound, InvalidRequest, ServiceUnavailable),
)
async def around(user_id: UserId, reads: Reading, radius: Radius = 5) -> Response:
    return rendered(await reads.around(user_id, radius))
