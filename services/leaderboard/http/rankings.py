"""HTTP of reading boards: pages, ranks and neighbours. Those of `main` have shorter paths, and answers of their own."""

from typing import Any

from fastapi import APIRouter, Request, Response

from services.common.http.problems import SIGNED_IN, InvalidRequest, Problem, ServiceUnavailable, documented
from services.common.http.requests import JSON
from services.leaderboard.errors import BoardNotFound, PeriodExpired, PeriodNotFound, PlayerNotFound, WindowNotFound
from services.leaderboard.http.dependencies import (
    DEFAULT_LIMIT,
    DEFAULT_RADIUS,
    PREFIX,
    AskedPlace,
    BoardReading,
    Caller,
    Cursor,
    Limit,
    MainPlace,
    Offset,
    Radius,
    Reading,
    UserId,
    rendered,
)
from services.leaderboard.http.schemas import (
    BoardAround,
    BoardPage,
    BoardRank,
    OwnBoardRank,
    OwnRank,
    PlayerRank,
    PlayersAround,
    PlayerStandings,
    TopPage,
)
from services.leaderboard.index.pages import RenderedPage
from services.leaderboard.reads import not_found

router = APIRouter(prefix=PREFIX, tags=["leaderboard"])
boards = APIRouter(prefix=f"{PREFIX}/boards/{{board}}", tags=["boards"])

_PLACE: tuple[type[Problem], ...] = (WindowNotFound, PeriodNotFound, PeriodExpired, InvalidRequest, ServiceUnavailable)
_PAGE: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"ETag": {"description": "names this very page", "schema": {"type": "string"}}}},
    304: {"description": "The page is still the one that `If-None-Match` names"},
}
_IF_NONE_MATCH = {
    "parameters": [
        {
            "name": "If-None-Match",
            "in": "header",
            "description": "the `ETag` of the page that the client has",
            "schema": {"type": "string"},
        }
    ],
}


@router.get(
    "/top",
    summary="Top players of the main board",
    response_model=TopPage,
    responses={**documented(*_PLACE), **_PAGE},
    openapi_extra=_IF_NONE_MATCH,
)
async def top(request: Request, reads: Reading, place: MainPlace, limit: Limit = DEFAULT_LIMIT, offset: Offset = 0) -> Response:
    page = await reads.top(place, limit, offset) if place else reads.empty_top(limit, offset)
    return _page(request, page)


def _page(request: Request, page: RenderedPage) -> Response:
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
    summary="My rank on the main board",
    response_model=OwnRank,
    responses=documented(*SIGNED_IN, *_PLACE),
)
async def own_rank(caller: Caller, reads: Reading, place: MainPlace) -> Response:
    return rendered(await reads.own_rank(place, caller))


@router.get(
    "/rank/{user_id}",
    summary="A player's rank on the main board",
    response_model=PlayerRank,
    responses=documented(PlayerNotFound, *_PLACE),
)
async def rank(user_id: UserId, reads: Reading, place: MainPlace) -> Response:
    if place is None:
        raise not_found(user_id)
    return rendered(await reads.rank(place, user_id))


@router.get(
    "/around/me",
    summary="Players around me on the main board",
    response_model=PlayersAround,
    responses=documented(*SIGNED_IN, PlayerNotFound, *_PLACE),
)
async def around_me(caller: Caller, reads: Reading, place: MainPlace, radius: Radius = DEFAULT_RADIUS) -> Response:
    return await around(caller.user_id, reads, place, radius)


@router.get(
    "/around/{user_id}",
    summary="Players around a player on the main board",
    response_model=PlayersAround,
    responses=documented(PlayerNotFound, *_PLACE),
)
async def around(user_id: UserId, reads: Reading, place: MainPlace, radius: Radius = DEFAULT_RADIUS) -> Response:
    if place is None:
        raise not_found(user_id)
    return rendered(await reads.around(place, user_id, radius))


@router.get(
    "/players/{user_id}/standings",
    summary="A player's current ranks on all boards",
    description="Empty for a player without sessions in the current periods.",
    response_model=PlayerStandings,
    responses=documented(InvalidRequest, ServiceUnavailable),
)
async def standings(user_id: UserId, reads: BoardReading) -> Response:
    return rendered(await reads.standings(user_id))


@boards.get(
    "/top",
    summary="Top players of a board",
    description="Ask for the next page with `cursor`, the `next_cursor` of the page before: then a player who does not move "
    "is on exactly one page. With `offset` a player may be shown twice or left out.",
    response_model=BoardPage,
    responses={**documented(BoardNotFound, *_PLACE), **_PAGE},
    openapi_extra=_IF_NONE_MATCH,
)
async def board_top(
    request: Request,
    reads: BoardReading,
    asked: AskedPlace,
    limit: Limit = DEFAULT_LIMIT,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> Response:
    return _page(request, await reads.top(asked, limit, offset, cursor))


@boards.get(
    "/rank/me",
    summary="My rank on a board",
    response_model=OwnBoardRank,
    responses=documented(*SIGNED_IN, BoardNotFound, *_PLACE),
)
async def own_board_rank(caller: Caller, reads: BoardReading, asked: AskedPlace) -> Response:
    return rendered(await reads.own_rank(asked, caller))


@boards.get(
    "/rank/{user_id}",
    summary="A player's rank on a board",
    response_model=BoardRank,
    responses=documented(BoardNotFound, PlayerNotFound, *_PLACE),
)
async def board_rank(user_id: UserId, reads: BoardReading, asked: AskedPlace) -> Response:
    return rendered(await reads.rank(asked, user_id))


@boards.get(
    "/around/me",
    summary="Players around me on a board",
    response_model=BoardAround,
    responses=documented(*SIGNED_IN, BoardNotFound, PlayerNotFound, *_PLACE),
)
async def board_around_me(caller: Caller, reads: BoardReading, asked: AskedPlace, radius: Radius = DEFAULT_RADIUS) -> Response:
    return rendered(await reads.around(asked, caller.user_id, radius))


@boards.get(
    "/around/{user_id}",
    summary="Players around a player on a board",
    response_model=BoardAround,
    responses=documented(BoardNotFound, PlayerNotFound, *_PLACE),
)
async def board_around(user_id: UserId, reads: BoardReading, asked: AskedPlace, radius: Radius = DEFAULT_RADIUS) -> Response:
    return rendered(await reads.around(asked, user_id, radius))
