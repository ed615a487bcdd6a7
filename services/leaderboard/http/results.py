"""HTTP of what periods came to."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response, Security
from pydantic import BaseModel, Field

from services.common.http.authentication import authorized
from services.common.http.problems import SCOPED, InvalidRequest, Problem, ServiceUnavailable, documented
from services.common.tokens import Caller, Scope
from services.leaderboard.boards.document import RewardDocument
from services.leaderboard.errors import BoardNotFound, PeriodExpired, PeriodNotFound, PeriodNotSettled, PlayerNotFound
from services.leaderboard.http import examples
from services.leaderboard.http.dependencies import (
    PREFIX,
    BoardName,
    Cursor,
    PeriodId,
    ResultReading,
    Results,
    UserId,
    answered,
)
from services.leaderboard.http.examples import shown
from services.leaderboard.rules.rewards import Cutoff
from services.leaderboard.seasons.results import ResultRow

router = APIRouter(prefix=f"{PREFIX}/boards/{{board}}/periods/{{period_id}}", tags=["boards"])

DEFAULT_RESULTS = 100
_PERIOD: tuple[type[Problem], ...] = (BoardNotFound, PeriodNotFound, InvalidRequest, ServiceUnavailable)
_DIGEST = (
    "SHA-256, in hexadecimal, of all results that are kept: a line each of `rank user_id score reward` with blanks between, "
    "nothing for no reward, and newlines between the lines"
)


class ResultShown(BaseModel):
    """How a player stood when the period was settled."""

    model_config = shown(examples.RESULT)

    rank: int = Field(description="equal scores share one")
    user_id: int
    username: str | None = Field(description="the player's current username; null for a player who has left")
    score: int
    reward: str | None


class RewardReached(RewardDocument):
    """A reward as the period was settled with it, and how far it reached. Who shares its last rank has it too."""

    last_rank: int | None = Field(description="null if nobody had such a rank")
    cutoff_score: int | None = Field(description="the score of that rank")


class _CameTo(BaseModel):
    results: list[ResultShown] = Field(description="in the board's order")
    players: int = Field(description="how many were ranked, including players whose results are not kept")
    rewards: list[RewardReached]
    digest: str = Field(description=_DIGEST)


class ResultsShown(_CameTo):
    """A page of a period's results, and what tells of all of them."""

    model_config = shown({**examples.CAME_TO, "next_cursor": examples.CURSOR, "settled_at": "2026-02-09T00:01:01Z"})

    next_cursor: str | None = Field(description="send it as `cursor` to get the next page; null on the last page")
    settled_at: datetime


class RehearsalShown(_CameTo):
    """What settling a period now would give."""

    model_config = shown(examples.CAME_TO)


@router.get(
    "/results",
    summary="Final results of a period",
    description="The results of the first 10,000 players, or of as many as the service is set to keep. They are kept for ever.",
    response_model=ResultsShown,
    responses=documented(PeriodNotSettled, *_PERIOD),
)
async def results(
    board: BoardName, period_id: PeriodId, reads: ResultReading, limit: Results = DEFAULT_RESULTS, cursor: Cursor = None
) -> Response:
    page = await reads.page(board, period_id, limit, cursor)
    answer = ResultsShown(
        results=_rows(page.rows),
        players=page.players,
        rewards=_rewards(page.cutoffs),
        digest=page.digest.hex(),
        next_cursor=page.next_cursor,
        settled_at=page.settled_at,
    )
    return answered(answer)


@router.get(
    "/results/{user_id}",
    summary="A player's final result in a period",
    description="For a player whose result is not kept, the answer is their rank now and the reward that their score reached. "
    "This is possible while the period's standings are kept; after that it is 410.",
    response_model=ResultShown,
    responses=documented(PlayerNotFound, PeriodNotSettled, PeriodExpired, *_PERIOD),
)
async def result(board: BoardName, period_id: PeriodId, user_id: UserId, reads: ResultReading) -> Response:
    return answered(_row(await reads.one(board, period_id, user_id)))


@router.post(
    "/rehearsal",
    summary="Preview a period's results",
    description="What settling the period now would give. Nothing is changed. The digest is of all results that would be "
    "kept; the answer shows the first of them.",
    response_model=RehearsalShown,
    responses=documented(*SCOPED, PeriodExpired, *_PERIOD),
)
async def rehearsal(
    _caller: Annotated[Caller, Security(authorized, scopes=[Scope.MODERATE])],
    board: BoardName,
    period_id: PeriodId,
    reads: ResultReading,
    limit: Results = DEFAULT_RESULTS,
) -> Response:
    would = await reads.rehearse(board, period_id, limit)
    answer = RehearsalShown(
        results=_rows(would.rows),
        players=would.players,
        rewards=_rewards(would.cutoffs),
        digest=would.digest.hex(),
    )
    return answered(answer)


def _rows(rows: Iterable[ResultRow]) -> list[ResultShown]:
    return [_row(row) for row in rows]


def _row(row: ResultRow) -> ResultShown:
    return ResultShown(**row._asdict())


def _rewards(cutoffs: Iterable[Cutoff]) -> list[RewardReached]:
    return [
        RewardReached(**RewardDocument.of(reward).model_dump(), last_rank=last_rank, cutoff_score=score)
        for reward, last_rank, score in cutoffs
    ]
