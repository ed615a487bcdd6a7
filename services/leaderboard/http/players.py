"""HTTP of what players do with what is theirs: their sessions, name, leaving and data."""

from fastapi import APIRouter, Response

from services.common.http.problems import SIGNED_IN, InvalidRequest, PasswordTooOld, ServiceUnavailable, documented
from services.common.http.streams import JSONStream
from services.leaderboard.http.dependencies import (
    PREFIX,
    Caller,
    Cursor,
    Exporting,
    Reading,
    RecentCaller,
    Sessions,
    Writing,
    answered,
    rendered,
)
from services.leaderboard.http.schemas import (
    Export,
    OwnRank,
    OwnSession,
    OwnSessions,
)

router = APIRouter(prefix=PREFIX, tags=["leaderboard"])


@router.get(
    "/sessions/me",
    summary="My game sessions, newest first",
    response_model=OwnSessions,
    responses=documented(*SIGNED_IN, InvalidRequest, ServiceUnavailable),
)
async def own_sessions(caller: Caller, reads: Reading, limit: Sessions = 20, cursor: Cursor = None) -> Response:
    page = await reads.own_sessions(caller, limit, cursor)
    sessions = [OwnSession(**each._asdict()) for each in page.sessions]
    return answered(OwnSessions(sessions=sessions, next_cursor=page.next_cursor))


@router.put(
    "/me",
    summary="Show me by the name that I have now",
    description="After a rename the board shows the new name by itself, within a second. This shows it at once, whatever name "
    "the access token carries. Whoever is not on the board is not put there.",
    response_model=OwnRank,
    responses=documented(*SIGNED_IN, ServiceUnavailable),
)
async def rename(caller: Caller, writes: Writing) -> Response:
    return rendered(await writes.rename(caller))


@router.delete(
    "/me",
    status_code=204,
    summary="Erase me from the board",
    description="Erases the caller's name and game sessions, and takes them off every board, for good: ranks close up. It can "
    "be asked for again at any time, and must be if no answer came. A later session starts anew, from nothing; but a repeat of "
    "one that was erased here, with its `Idempotency-Key`, is refused for 30 days. Of the keys, digests are kept for so long; "
    "of the caller, that there was a standing. The access token must say that the password was given in the last 5 minutes "
    "(`auth_time`, RFC 9470); `POST /auth/confirm` gives such a token.",
    response_class=Response,
    responses=documented(*SIGNED_IN, PasswordTooOld, ServiceUnavailable),
)
async def remove(caller: RecentCaller, writes: Writing) -> Response:
    await writes.remove(caller)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


@router.get(
    "/me/export",
    summary="Everything that is kept of me",
    description="As one document, which is written while it is sent. Should the connection end before the document does, ask "
    "again.",
    response_model=Export,
    responses={
        **documented(*SIGNED_IN, ServiceUnavailable),
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
