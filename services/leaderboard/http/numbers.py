"""HTTP of the numbers that a screen shows of a board: the rank of a score, the ranks of friends, how scores are distributed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from services.common.http.problems import (
    BodyTooLarge,
    InvalidRequest,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import DECIMAL, JSON, body_schema, json_body
from services.leaderboard.errors import BoardNotFound, PeriodExpired, PeriodNotFound, WindowNotFound
from services.leaderboard.http.dependencies import PREFIX, AskedPlace, BoardNumbering, rendered
from services.leaderboard.http.number_schemas import AskedPlayers, PlayerRanks, ScoreDistribution, ScoreRank
from services.leaderboard.rules.ranking import MAX_TOTAL

router = APIRouter(prefix=f"{PREFIX}/boards/{{board}}", tags=["boards"])

_PROBLEMS = documented(BoardNotFound, WindowNotFound, PeriodNotFound, PeriodExpired, InvalidRequest, ServiceUnavailable)

Score = Annotated[int, Path(ge=-MAX_TOTAL, le=MAX_TOTAL, description="a score that somebody may have on the board"), DECIMAL]
Bins = Annotated[int, Query(ge=1, le=200, description="most bins"), DECIMAL]


@router.get(
    "/rank/score/{score}",
    summary="The rank that a score would have on a board",
    response_model=ScoreRank,
    responses=_PROBLEMS,
)
async def score_rank(score: Score, numbers: BoardNumbering, asked: AskedPlace) -> Response:
    return rendered(await numbers.score_rank(asked, score))


@router.post(
    "/ranks",
    summary="The ranks of several players on a board",
    description="For up to 200 players, each named once: the rank of each on the board, and their place among these players. "
    "It changes nothing, so it can be sent again.",
    response_model=PlayerRanks,
    responses=_PROBLEMS | documented(BodyTooLarge, UnsupportedMediaType),
    openapi_extra=body_schema({JSON: AskedPlayers}),
)
async def player_ranks(
    players: Annotated[AskedPlayers, Depends(json_body(AskedPlayers))], numbers: BoardNumbering, asked: AskedPlace
) -> Response:
    return rendered(await numbers.player_ranks(asked, tuple(players.user_ids)))


@router.get(
    "/distribution",
    summary="The distribution of a board's scores",
    response_model=ScoreDistribution,
    responses=_PROBLEMS,
)
async def distribution(numbers: BoardNumbering, asked: AskedPlace, bins: Bins = 20) -> Response:
    return rendered(await numbers.distribution(asked, bins))
