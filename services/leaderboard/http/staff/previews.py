"""HTTP of what a board would do that is not written down yet."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response, Security
from pydantic import BaseModel, Field

from services.common.http.authentication import authorized
from services.common.http.problems import (
    SCOPED,
    BodyTooLarge,
    InvalidRequest,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
    pointer,
)
from services.common.http.requests import JSON, body_schema, json_body
from services.common.tokens import Scope
from services.leaderboard.boards.board import WindowDefinition
from services.leaderboard.boards.running import UNMADE
from services.leaderboard.http import examples
from services.leaderboard.http.dependencies import PREFIX, BoardName, Previewing, answered
from services.leaderboard.http.examples import shown
from services.leaderboard.http.staff.administration import BoardBody
from services.leaderboard.rules.periods import Period
from services.leaderboard.staff.board_previews import JudgedSession, Preview, Reason

router = APIRouter(prefix=PREFIX, tags=["boards"])


class ComingPeriod(BaseModel):
    period_id: int | None = Field(description="null: nobody has played in it yet")
    starts_at: datetime = Field(description="the first moment in it")
    ends_at: datetime = Field(description="the first moment after it")
    closes_at: datetime = Field(description="nothing is counted from then on")


class PreviewedWindow(BaseModel):
    name: str
    periods: list[ComingPeriod] = Field(
        description="the current period and the next ones; none for the window `all` and for a closed board"
    )


class PreviewedSession(BaseModel):
    session_id: int
    user_id: int
    username: str | None
    score: int
    submitted_at: datetime
    value: int | None = Field(description="the session's value of the board's metric; null if it has none")
    counts: bool = Field(description="whether it would count if it came now and named no board")
    reason: Reason | None = Field(
        description="why not: the board is `closed`; the session's `state` is voided or held; its `submitter` is no game "
        "server; the board's `rule`, or that it has none; the session lacks the `metric`; the value is beyond its `bounds`"
    )


class Conflict(BaseModel):
    detail: str
    pointer: str = Field(description="JSON pointer (RFC 6901) into the body, as a URI fragment")


class BoardPreview(BaseModel):
    """What a board would do."""

    model_config = shown(examples.PREVIEW)

    outcome: Literal["created", "changed", "unchanged", "refused"]
    differences: list[str] = Field(description="what would be changed")
    conflicts: list[Conflict] = Field(description="why `PUT` would answer 409")
    windows: list[PreviewedWindow]
    counting: int = Field(description="how many of the sessions would count")
    sessions: list[PreviewedSession] = Field(description="the newest hundred of the log, newest first")


@router.post(
    "/boards/{board}/preview",
    summary="Preview a board",
    description="What `PUT` with this board would do, and which recent sessions would count. Nothing is changed.",
    response_model=BoardPreview,
    responses=documented(*SCOPED, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable),
    openapi_extra=body_schema({JSON: BoardBody}),
    dependencies=[Security(authorized, scopes=[Scope.BOARDS])],
)
async def preview_board(
    board: BoardName, body: Annotated[BoardBody, Depends(json_body(BoardBody))], previews: Previewing
) -> Response:
    return answered(_shown(await previews.preview(body.named(board))))


def _shown(preview: Preview) -> BoardPreview:
    return BoardPreview(
        outcome=preview.outcome or "refused",
        differences=list(preview.differences),
        conflicts=[Conflict(detail=fault.detail, pointer=pointer(list(map(str, fault.at)))) for fault in preview.faults],
        windows=[_window(*each) for each in preview.windows],
        counting=sum(each.reason is None for each in preview.sessions),
        sessions=[_session(each) for each in preview.sessions],
    )


def _window(window: WindowDefinition, coming: Sequence[Period]) -> PreviewedWindow:
    return PreviewedWindow(name=window.name, periods=[_period(each) for each in coming])


def _period(period: Period) -> ComingPeriod:
    period_id = None if period.period_id == UNMADE else period.period_id
    return ComingPeriod(period_id=period_id, starts_at=period.starts_at, ends_at=period.ends_at, closes_at=period.closes_at)


def _session(judged: JudgedSession) -> PreviewedSession:
    session = judged.session
    return PreviewedSession(
        session_id=session.session_id,
        user_id=session.user_id,
        username=session.username or None,
        score=session.score,
        submitted_at=session.submitted_at,
        value=judged.value,
        counts=judged.reason is None,
        reason=judged.reason,
    )
