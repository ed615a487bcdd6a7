"""HTTP of moderation, for staff and for keys with the scope `moderate`."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response, Security
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

from services.common.http.authentication import authorized
from services.common.http.problems import (
    SCOPED,
    BodyTooLarge,
    InvalidRequest,
    Problem,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import DECIMAL, JSON, body_schema, json_body, read_json
from services.common.tokens import MAX_USER_ID, Scope
from services.common.tokens import Caller as Anyone
from services.leaderboard.errors import PlayerNotFound, SessionNotFound, TotalTooLarge
from services.leaderboard.http import examples
from services.leaderboard.http.dependencies import PREFIX, Cursor, Moderating, SessionId, Sessions, UserId, answered
from services.leaderboard.http.examples import shown
from services.leaderboard.log import submission_keys
from services.leaderboard.moderation.entries import Entry, Order
from services.leaderboard.moderation.sessions import StoredSession
from services.leaderboard.staff.moderators import JudgedPlayer, JudgedSession, PlayersSessions
from services.leaderboard.standings.rendering import RankedIn

MAX_REASON = 500

router = APIRouter(prefix=PREFIX, tags=["moderation"])


def _readable(reason: str) -> str:
    if not reason.isprintable() or not reason.strip():
        raise PydanticCustomError("not_a_reason", "It is one line of characters that are shown")
    return reason


_Why = Annotated[str, Field(min_length=1, max_length=MAX_REASON, examples=["faster than the car can go"])]


class Reason(BaseModel):
    """Why something is done, as the log of moderation keeps it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reason: Annotated[_Why, AfterValidator(_readable)]


class OptionalReason(BaseModel):
    """The same, of what needs none."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reason: Annotated[_Why, AfterValidator(_readable)] | None = None


class StandingNow(BaseModel):
    """How the player stands now in a place."""

    board: str
    window: str
    period_id: int = Field(description="0 in the window `all`")
    score: int | None = Field(description="null: the player is not ranked here")
    rank: int | None = Field(description="1 + the number of players strictly ahead: equal scores share a rank")
    total_players: int | None = Field(description="how many players are ranked; null if the player is not")


class JudgedSessionShown(BaseModel):
    """A session, and how its player stands now in each place where it counts, or would."""

    model_config = shown(examples.VOIDED_SESSION)

    session_id: int
    user_id: int
    username: str
    voided: bool
    held: bool
    standings: list[StandingNow]


class JudgedPlayerShown(BaseModel):
    """A player, and how they stand now in every period that goes on."""

    model_config = shown(examples.BANNED_PLAYER)

    user_id: int
    username: str | None = Field(description="null if nothing is kept of the player except the ban")
    banned_at: datetime | None = Field(description="null if the player is not banned")
    standings: list[StandingNow]


class PlaceShown(BaseModel):
    board: str = Field(description="empty: the board is gone")
    window: str
    period_id: int


class PlayedSession(BaseModel):
    session_id: int
    score: int
    submitted_at: datetime
    played_at: datetime | None = Field(description="when it was played, if a game server sent a time")
    idempotency_key: str | None = Field(description="the submission's `Idempotency-Key`, if it had one")
    metrics: dict[str, int]
    tags: dict[str, str]
    extra: JsonValue
    places: list[PlaceShown] = Field(description="where it counts, or would")
    voided: bool
    held: bool


class PlayedSessions(BaseModel):
    """A page of a player's game sessions, newest first, with everything about each."""

    model_config = shown(
        {**examples.BANNED, "sessions": [examples.PLAYED], "next_cursor": examples.CURSOR},
    )

    user_id: int
    username: str | None = Field(description="null for one who is on no board")
    banned_at: datetime | None = Field(description="null if the player is not banned")
    sessions: list[PlayedSession]
    next_cursor: str | None = Field(description="send it as `cursor` to get the next page; null on the last page")


class Doer(BaseModel):
    """One of staff, or a key: the other is null."""

    user_id: int | None = None
    client_id: str | None = None


class EntryShown(BaseModel):
    act: str = Field(
        description="as session_voided, player_banned, webhook_made, or void_job_begun; sessions_voided and sessions_restored "
        "once for each player of a job; board_made, board_changed, board_deleted, period_written, period_taken_back; "
        "sessions_imported once an import is over"
    )
    user_id: int | None = Field(
        description="the player it was about; null if it was about a webhook, job, board, period or import"
    )
    session_id: int | None
    by: Doer
    reason: str | None
    was: dict[str, JsonValue] = Field(description="the state before; for a session also the player's scores that changed")
    became: dict[str, JsonValue] = Field(description="what it made of that")
    done_at: datetime


class AuditPage(BaseModel):
    """A page of what was done, newest first."""

    model_config = shown({"entries": [examples.ENTRY], "next_cursor": examples.CURSOR})

    entries: list[EntryShown]
    next_cursor: str | None = Field(description="send it as `cursor` to get the next page; null on the last page")


async def _optional_reason(request: Request) -> OptionalReason:
    """What the body says, if there is one."""
    if not await request.body():
        return OptionalReason()
    return await read_json(request, OptionalReason)


Moderator = Annotated[Anyone, Security(authorized, scopes=[Scope.MODERATE])]
GivenReason = Annotated[Reason, Depends(json_body(Reason))]
WithReason = Annotated[OptionalReason, Depends(_optional_reason)]
_Whose = Annotated[int | None, Query(ge=1, le=MAX_USER_ID, description="the player whom it was about"), DECIMAL]
_Entries = Annotated[int, Query(ge=1, le=100, description="entries on the page, at most"), DECIMAL]
ACT: tuple[type[Problem], ...] = (*SCOPED, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable)


@router.post(
    "/sessions/{session_id}/void",
    summary="Void a game session",
    description="The session counts nowhere any more, in past periods too. The player's other sessions make their standings. "
    "The session stays in the log, and a repeat of its submission still gets the same answer. A repeat changes nothing.",
    response_model=JudgedSessionShown,
    responses=documented(*ACT, SessionNotFound),
    openapi_extra=body_schema({JSON: Reason}),
)
async def void(session_id: SessionId, caller: Moderator, said: GivenReason, moderators: Moderating) -> Response:
    return judged_session(await moderators.void(session_id, Order(caller, said.reason)))


@router.post(
    "/sessions/{session_id}/restore",
    summary="Restore a voided game session",
    description="The session counts again wherever it did before. A repeat changes nothing.",
    response_model=JudgedSessionShown,
    responses=documented(*ACT, SessionNotFound, TotalTooLarge),
    openapi_extra=body_schema({JSON: OptionalReason}, required=False),
)
async def restore(session_id: SessionId, caller: Moderator, said: WithReason, moderators: Moderating) -> Response:
    return judged_session(await moderators.restore(session_id, Order(caller, said.reason)))


@router.post(
    "/players/{user_id}/ban",
    summary="Ban a player",
    description="The player is on no board any more. What a banned player submits is stored and not counted, or refused (403) "
    "if `BANNED_SUBMISSIONS` says so. A repeat changes nothing.",
    response_model=JudgedPlayerShown,
    responses=documented(*ACT, PlayerNotFound),
    openapi_extra=body_schema({JSON: Reason}),
)
async def ban(user_id: UserId, caller: Moderator, said: GivenReason, moderators: Moderating) -> Response:
    return _player(await moderators.ban(user_id, Order(caller, said.reason)))


@router.post(
    "/players/{user_id}/unban",
    summary="Unban a player",
    description="The player stands as if there had been no ban: what they submitted meanwhile counts. A repeat changes "
    "nothing.",
    response_model=JudgedPlayerShown,
    responses=documented(*ACT, PlayerNotFound, TotalTooLarge),
    openapi_extra=body_schema({JSON: OptionalReason}, required=False),
)
async def unban(user_id: UserId, caller: Moderator, said: WithReason, moderators: Moderating) -> Response:
    return _player(await moderators.unban(user_id, Order(caller, said.reason)))


@router.get(
    "/players/{user_id}/sessions",
    summary="A player's game sessions",
    description="Every session with all of its data, newest first. Empty for a player without sessions.",
    response_model=PlayedSessions,
    responses=documented(*SCOPED, InvalidRequest, ServiceUnavailable),
)
async def players_sessions(
    user_id: UserId, _: Moderator, moderators: Moderating, limit: Sessions = 20, cursor: Cursor = None
) -> Response:
    page = await moderators.sessions(user_id, limit, cursor)
    return answered(
        PlayedSessions(
            user_id=user_id,
            username=page.username or None,
            banned_at=page.banned_at,
            sessions=[_played(each, page) for each in page.sessions],
            next_cursor=page.next_cursor,
        )
    )


@router.get(
    "/audit",
    summary="The audit log",
    response_model=AuditPage,
    responses=documented(*SCOPED, InvalidRequest, ServiceUnavailable),
)
async def audit(
    _: Moderator, moderators: Moderating, user_id: _Whose = None, limit: _Entries = 20, cursor: Cursor = None
) -> Response:
    page = await moderators.entries(user_id, limit, cursor)
    return answered(AuditPage(entries=[_entry(each) for each in page.entries], next_cursor=page.next_cursor))


def judged_session(judged: JudgedSession) -> Response:
    """What is answered to who has judged a session."""
    fields = judged._asdict() | {"standings": _standings(judged.standings)}
    return answered(JudgedSessionShown(**fields))


def _player(judged: JudgedPlayer) -> Response:
    fields = judged._asdict() | {"username": judged.username or None, "standings": _standings(judged.standings)}
    return answered(JudgedPlayerShown(**fields))


def _standings(ranked: Sequence[RankedIn]) -> list[StandingNow]:
    return [
        StandingNow(
            board=board,
            window=window,
            period_id=place.at.period_id,
            score=place.score,
            rank=place.rank,
            total_players=place.total_players,
        )
        for board, window, place in ranked
    ]


def _played(session: StoredSession, page: PlayersSessions) -> PlayedSession:
    named = [(*page.names[at], at.period_id) for at in session.places]
    return PlayedSession(
        session_id=session.session_id,
        score=session.score,
        submitted_at=session.submitted_at,
        played_at=session.played_at,
        idempotency_key=submission_keys.find_name(session.submission_key),
        metrics=session.metrics or {},
        tags=session.tags or {},
        extra=None if session.extra is None else json.loads(session.extra),
        places=[PlaceShown(board=board, window=window, period_id=period_id) for board, window, period_id in named],
        voided=session.voided,
        held=session.held,
    )


def _entry(entry: Entry) -> EntryShown:
    fields = entry._asdict()
    by = Doer(user_id=fields.pop("by_user_id"), client_id=fields.pop("by_client_id"))
    del fields["entry_id"]
    return EntryShown(**fields, by=by)
