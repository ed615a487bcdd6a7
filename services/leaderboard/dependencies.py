"""What the leaderboard service's routes are handed."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from services.common.authentication import authenticated
from services.common.requests import DECIMAL, json_body
from services.common.tokens import MAX_USER_ID, Principal
from services.leaderboard.schemas import ScoreSubmission
from services.leaderboard.service import LeaderboardService

MAX_OFFSET = 2**31 - 1


def _service(request: Request) -> LeaderboardService:
    service: LeaderboardService = request.app.state.service
    return service


Service = Annotated[LeaderboardService, Depends(_service)]
Caller = Annotated[Principal, Depends(authenticated)]
Submission = Annotated[ScoreSubmission, Depends(json_body(ScoreSubmission))]
Limit = Annotated[int, Query(ge=1, le=100, description="players on the page, at most"), DECIMAL]
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET, description="players before the page"), DECIMAL]
UserId = Annotated[int, Path(ge=1, le=MAX_USER_ID), DECIMAL]
