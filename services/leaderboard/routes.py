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
from services.leaderboard.dependencies import Caller, Limit, Offset, Service, Submission, UserId
from services.leaderboard.errors import PlayerNotFound, TotalTooLarge
from services.leaderboard.schemas import OwnRank, PlayerRank, ScoreSubmission, SubmittedSession, TopPage

PREFIX = "/api/leaderboard"

router = APIRouter(prefix=PREFIX, tags=["leaderboard"])


def _rendered(body: bytes) -> Response:
    """An answer that is JSON already. It is right at once or not at all, so nobody on the way may keep it."""
    return Response(body, media_type=JSON, headers={"Cache-Control": "no-store"})


@router.post(
    "/submit",
    status_code=201,
    summary="Submit a game session's score",
    responses=documented(
        Unauthenticated, TotalTooLarge, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable
    ),
    openapi_extra=body_schema({JSON: ScoreSubmission}),
)
async def submit(caller: Caller, submission: Submission, service: Service) -> SubmittedSession:
    return await service.submit(caller, submission.score)


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
