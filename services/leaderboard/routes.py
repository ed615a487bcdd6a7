"""HTTP of the leaderboard service."""

from fastapi import APIRouter, Response

from services.common.problems import (
    BodyTooLarge,
    InvalidRequest,
    ServiceUnavailable,
    Unauthenticated,
    UnsupportedMediaType,
    documented,
)
from services.common.requests import JSON, body_schema
from services.leaderboard.dependencies import (
    IDEMPOTENCY_KEY,
    KEY_PATTERN,
    Caller,
    Key,
    Limit,
    Offset,
    Service,
    Submission,
    UserId,
)
from services.leaderboard.errors import InvalidKey, KeyReused, PlayerNotFound, QueueFull, TotalTooLarge
from services.leaderboard.schemas import OwnRank, PlayerRank, ScoreSubmission, SubmittedSession, TopPage

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
    "is the same session. A repeat is answered with that session, with the total and the rank of now, and with "
    "`Idempotent-Replayed: true`. Without a key each request is a session.",
    response_model=SubmittedSession,
    responses={
        **documented(
            Unauthenticated,
            InvalidKey,
            TotalTooLarge,
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
    responses=documented(InvalidRequest, ServiceUnavailable),
)
async def top(service: Service, limit: Limit = 10, offset: Offset = 0) -> Response:
    return _rendered(await service.top(limit, offset))


# Before /rank/{user_id}, which would read "me" as an id.
@router.get(
    "/rank/me",
    summary="My rank",
    response_model=OwnRank,
    responses=documented(Unauthenticated, ServiceUnavailable),
)
async def own_rank(caller: Caller, service: Service) -> Response:
    return _rendered(await service.own_rank(caller))


@router.get(
    "/rank/{user_id}",
    summary="A player's rank",
    response_model=PlayerRank,
    responses=documented(PlayerNotFound, InvalidRequest, ServiceUnavailable),
)
async def rank(user_id: UserId, service: Service) -> Response:
    return _rendered(await service.rank(user_id))
