"""HTTP of the leaderboard service."""

from fastapi import APIRouter, Request, Response

from services.common.problems import (
    BodyTooLarge,
    InvalidRequest,
    ServiceUnavailable,
    Unauthenticated,
    UnsupportedMediaType,
    documented,
)
from services.common.requests import JSON, body_schema
from services.common.streams import JSONStream
from services.leaderboard.dependencies import (
    IDEMPOTENCY_KEY,
    KEY_PATTERN,
    Caller,
    Cursor,
    Exporting,
    Key,
    Limit,
    Offset,
    Radius,
    Reads,
    Service,
    Sessions,
    Submission,
    UserId,
)
from services.leaderboard.errors import InvalidKey, KeyReused, PlayerNotFound, QueueFull, SessionErased, TotalTooLarge
from services.leaderboard.schemas import (
    Export,
    OwnRank,
    OwnSessions,
    PlayerRank,
    PlayersAround,
    ScoreSubmission,
    SubmittedSession,
    TopPage,
)

PREFIX = "/api/leaderboard"
REPLAYED = "Idempotent-Replayed"

router = APIRouter(prefix=PREFIX, tags=["leaderboard"])


def _rendered(body: bytes, status: int = 200) -> Response:
    """An answer that is JSON already. It is right at once or not at all, so nobody on the way may keep it."""
    return Response(body, status, media_type=JSON, headers={"Cache-Control": "no-store"})


@router.post(
    "/submit",
    status_code=201,
    summary="Submit a game session's score",
    description="With an `Idempotency-Key` it can be sent again when no answer came: what a player sends with the same key "
    "is the same session. A repeat is answered as the session was first, and with `Idempotent-Replayed: true`; with the total "
    "and the rank of now if it comes before the first answer was kept, which takes moments. A repeat of a session that its "
    "player has had erased is refused (409) for 30 days. Without a key each request is a session.",
    response_model=SubmittedSession,
    responses={
        **documented(
            Unauthenticated,
            InvalidKey,
            TotalTooLarge,
            SessionErased,
            BodyTooLarge,
            UnsupportedMediaType,
            InvalidRequest,
            KeyReused,
            ServiceUnavailable,
            QueueFull,
        ),
        201: {
            "description": "The session is stored and counted",
            "headers": {
                REPLAYED: {
                    "description": "present if the session was stored before, with the same key",
                    "schema": {"type": "string", "enum": ["true"]},
                }
            },
        },
    },
    openapi_extra={
        **body_schema({JSON: ScoreSubmission}),
        "parameters": [
            {
                "name": IDEMPOTENCY_KEY,
                "in": "header",
                "description": "what the client calls this submission by, for example a UUID: 1 to 64 visible ASCII characters",
                "schema": {"type": "string", "pattern": KEY_PATTERN},
            }
        ],
    },
)
async def submit(caller: Caller, key: Key, submission: Submission, service: Service) -> Response:
    body, replayed = await service.submit(caller, submission.score, key)
    answer = _rendered(body, 201)
    if replayed:
        answer.headers[REPLAYED] = "true"
    return answer


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
async def top(request: Request, rankings: Reads, limit: Limit = 10, offset: Offset = 0) -> Response:
    page = await rankings.top(limit, offset)
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
async def own_rank(caller: Caller, rankings: Reads) -> Response:
    return _rendered(await rankings.own_rank(caller))


@router.get(
    "/rank/{user_id}",
    summary="A player's rank",
    response_model=PlayerRank,
    responses=documented(PlayerNotFound, InvalidRequest, ServiceUnavailable),
)
async def rank(user_id: UserId, rankings: Reads) -> Response:
    return _rendered(await rankings.rank(user_id))


@router.get(
    "/around/me",
    summary="Me among those who stand next to me",
    response_model=PlayersAround,
    responses=documented(Unauthenticated, PlayerNotFound, InvalidRequest, ServiceUnavailable),
)
async def around_me(caller: Caller, rankings: Reads, radius: Radius = 5) -> Response:
    return _rendered(await rankings.around(caller.user_id, radius))


@router.get(
    "/around/{user_id}",
    summary="A player among those who stand next to them",
    response_model=PlayersAround,
    responses=documented(PlayerNotFound, InvalidRequest, ServiceUnavailable),
)
async def around(user_id: UserId, rankings: Reads, radius: Radius = 5) -> Response:
    return _rendered(await rankings.around(user_id, radius))


@router.get(
    "/sessions/me",
    summary="My game sessions, newest first",
    response_model=OwnSessions,
    responses=documented(Unauthenticated, InvalidRequest, ServiceUnavailable),
)
async def own_sessions(caller: Caller, rankings: Reads, limit: Sessions = 20, cursor: Cursor = None) -> Response:
    return _rendered((await rankings.own_sessions(caller, limit, cursor)).model_dump_json().encode())


@router.put(
    "/me",
    summary="Show me by the name that I have now",
    description="The board shows the name that a player's last submission came with. After a rename, with an access token that "
    "carries the new name, this shows it at once. Whoever is not on the board is not put there.",
    response_model=OwnRank,
    responses=documented(Unauthenticated, ServiceUnavailable),
)
async def rename(caller: Caller, service: Service) -> Response:
    return _rendered(await service.rename(caller))


@router.delete(
    "/me",
    status_code=204,
    summary="Erase me from the board",
    description="Erases the caller's name and game sessions, and takes them off every board, for good: ranks close up. It can "
    "be asked for again at any time, and must be if no answer came. A later session starts anew, from nothing; but a repeat of "
    "one that was erased here, with its `Idempotency-Key`, is refused for 30 days. Of the keys, digests are kept for so long; "
    "of the caller, that there was a standing.",
    response_class=Response,
    responses=documented(Unauthenticated, ServiceUnavailable),
)
async def remove(caller: Caller, service: Service) -> Response:
    await service.remove(caller)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


@router.get(
    "/me/export",
    summary="Everything that is kept of me",
    description="As one document, which is written while it is sent. Should the connection end before the document does, ask "
    "again.",
    response_model=Export,
    responses={
        **documented(Unauthenticated, ServiceUnavailable),
        200: {
            "headers": {
                "Content-Disposition": {"description": "a file's name to save it under", "schema": {"type": "string"}},
            }
        },
    },
)
async def export(caller: Caller, exports: Exporting) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="leaderboard.json"'}
    return await JSONStream.begin(exports.export(caller.user_id), headers)
