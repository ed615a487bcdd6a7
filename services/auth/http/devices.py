"""HTTP of a user's sessions, which a person knows as devices."""

from services.auth.errors import TooManyEvents
from services.auth.http.dependencies import SIGNED_IN, Caller, Sender, SessionId, Sessions, new_router
from services.auth.http.schemas import OwnSessions, Session
from services.common.http.problems import InvalidRequest, NotFound, ServiceUnavailable, documented

_ENDED = (
    "This service refuses an ended session's tokens from then on. The leaderboard service accepts its access token until it "
    "expires, 15 minutes by default."
)

router = new_router("sessions")


@router.get(
    "/sessions",
    summary="My sessions",
    description="One session for each sign-in that has not ended. The session that was used last comes first.",
    responses=documented(*SIGNED_IN, ServiceUnavailable),
)
async def list_sessions(caller: Caller, sessions: Sessions) -> OwnSessions:
    found = await sessions.list_own(caller)
    return OwnSessions(sessions=[Session.of(each, caller.session_id) for each in found])


@router.delete(
    "/sessions",
    status_code=204,
    summary="End all my other sessions",
    description=f"Ends every session but this one. {_ENDED}",
    responses=documented(*SIGNED_IN, TooManyEvents, ServiceUnavailable),
)
async def end_other_sessions(caller: Caller, sender: Sender, sessions: Sessions) -> None:
    await sessions.end_others(caller, sender)


@router.delete(
    "/sessions/{session_id}",
    status_code=204,
    summary="End one of my sessions",
    description=f"Ends one of the caller's sessions. {_ENDED}",
    responses=documented(*SIGNED_IN, NotFound, InvalidRequest, TooManyEvents, ServiceUnavailable),
)
async def end_session(session_id: SessionId, caller: Caller, sender: Sender, sessions: Sessions) -> None:
    await sessions.end(caller, session_id, sender)
