"""HTTP of what somebody is to look at: sessions that are held, and those that players have reported."""

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from services.common.http.problems import (
    SCOPED,
    SIGNED_IN,
    BodyTooLarge,
    InvalidRequest,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import JSON, body_schema
from services.leaderboard.errors import (
    BoardNotFound,
    OwnSession,
    SessionNotFound,
    SessionVoided,
    TooManyReports,
    TotalTooLarge,
)
from services.leaderboard.http import examples
from services.leaderboard.http.dependencies import (
    PREFIX,
    AnyBoard,
    Caller,
    Cursor,
    Moderating,
    SessionId,
    Sessions,
    Writing,
    answered,
)
from services.leaderboard.http.examples import shown
from services.leaderboard.http.staff.moderation import (
    ACT,
    JudgedSessionShown,
    Moderator,
    OptionalReason,
    WithReason,
    judged_session,
)
from services.leaderboard.moderation.entries import Order
from services.leaderboard.moderation.reviews import QueuedSession
from services.leaderboard.rules.holds import HoldRule
from services.leaderboard.staff.moderators import Queue

router = APIRouter(prefix=PREFIX)


class HeldBy(BaseModel):
    """By which rule of a board a session is held."""

    board: str = Field(description="empty: the board is gone")
    rule: HoldRule
    limit: int = Field(description="of the rule, when the session came")
    value: int = Field(description="what the session came to")


class QueuedShown(BaseModel):
    session_id: int
    user_id: int
    username: str | None = Field(description="null for one of whom nothing else is kept")
    score: int
    submitted_at: datetime
    played_at: datetime | None
    boards: list[str] = Field(description="where it counts, or would")
    held: bool = Field(description="true: held until it is approved; false: reported by players")
    reason: HeldBy | None = Field(description="null if it is not held")
    reports: int = Field(description="how many players have reported it since it was last approved")
    reported: list[str] = Field(description="what they say, the newest five reasons")


class QueueShown(BaseModel):
    """A page of the sessions that somebody is to look at: the most reported first, and the oldest first of those."""

    model_config = shown({"holds": [examples.QUEUED], "next_cursor": examples.CURSOR})

    holds: list[QueuedShown]
    next_cursor: str | None = Field(description="send it as `cursor` to get the next page; null on the last page")


@router.get(
    "/holds",
    tags=["moderation"],
    summary="List held and reported game sessions",
    description="Sessions that a board's rules hold and sessions that players have reported, until they are approved or "
    "voided. The most reported come first, and of those the oldest.",
    response_model=QueueShown,
    responses=documented(*SCOPED, BoardNotFound, InvalidRequest, ServiceUnavailable),
)
async def holds(
    _: Moderator, moderators: Moderating, board: AnyBoard = None, limit: Sessions = 20, cursor: Cursor = None
) -> Response:
    queue = await moderators.queue(board, limit, cursor)
    answer = QueueShown(holds=[_queued(each, queue) for each in queue.sessions], next_cursor=queue.next_cursor)
    return answered(answer)


@router.post(
    "/sessions/{session_id}/approve",
    tags=["moderation"],
    summary="Approve a held or reported game session",
    description="A held session counts from then on, in past periods too. Reports of a session are dismissed. A repeat "
    "changes nothing. A voided session must be restored instead (409).",
    response_model=JudgedSessionShown,
    responses=documented(*ACT, SessionNotFound, SessionVoided, TotalTooLarge),
    openapi_extra=body_schema({JSON: OptionalReason}, required=False),
)
async def approve(session_id: SessionId, caller: Moderator, said: WithReason, moderators: Moderating) -> Response:
    return judged_session(await moderators.approve(session_id, Order(caller, said.reason)))


@router.post(
    "/sessions/{session_id}/report",
    tags=["leaderboard"],
    status_code=204,
    summary="Report another player's game session",
    description="Puts the session before the moderators; the more players report it, the sooner. Each player counts once, and "
    "a repeat changes nothing. A player may report five sessions a day, by UTC; more are refused (429) until the next day.",
    response_class=Response,
    responses=documented(
        *SIGNED_IN,
        OwnSession,
        SessionNotFound,
        BodyTooLarge,
        UnsupportedMediaType,
        InvalidRequest,
        TooManyReports,
        ServiceUnavailable,
    ),
    openapi_extra=body_schema({JSON: OptionalReason}, required=False),
)
async def report(session_id: SessionId, caller: Caller, said: WithReason, writes: Writing) -> Response:
    await writes.report(caller, session_id, said.reason)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


def _queued(session: QueuedSession, queue: Queue) -> QueuedShown:
    by = session.reason
    reason = by and HeldBy(board=queue.boards[by["board_id"]], rule=by["rule"], limit=by["limit"], value=by["value"])
    boards = {queue.boards[at.board_id] for at in session.places} - {""}
    return QueuedShown(
        session_id=session.session_id,
        user_id=session.user_id,
        username=session.username or None,
        score=session.score,
        submitted_at=session.submitted_at,
        played_at=session.played_at,
        boards=sorted(boards),
        held=session.held,
        reason=reason,
        reports=session.reports,
        reported=list(queue.reasons.get(session.session_id, ())),
    )
