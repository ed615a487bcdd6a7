"""HTTP of players: who they are to others, and what they do with what is theirs: their sessions, name, leaving and data."""

import json
from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.common.http.problems import SIGNED_IN, InvalidRequest, PasswordTooOld, ServiceUnavailable, documented
from services.common.http.streams import JSONStream
from services.leaderboard.board_reads import Asked
from services.leaderboard.boards.board import MAIN_NAME
from services.leaderboard.errors import BoardNotFound, PeriodExpired, PeriodNotFound, PlayerNotFound, WindowNotFound
from services.leaderboard.http.dependencies import (
    PREFIX,
    AnyBoard,
    Caller,
    Cursor,
    Exporting,
    PlayerReading,
    Reading,
    RecentCaller,
    Sessions,
    ShownPeriod,
    ShownWindow,
    UserId,
    Writing,
    answered,
    rendered,
)
from services.leaderboard.http.player_schemas import (
    BestSessionShown,
    FoundPlayers,
    FoundPlayerShown,
    PlayerBest,
    PlayerProfile,
    RatedStanding,
)
from services.leaderboard.http.schemas import (
    Export,
    OwnRank,
    OwnSession,
    OwnSessions,
)
from services.leaderboard.log.bests import LOOKED_THROUGH
from services.leaderboard.log.history import LOOKED_AT_ONCE
from services.leaderboard.players.search import MOST_FOUND, MOST_NAMES
from services.leaderboard.rules.names import BOARD_NAME

router = APIRouter(prefix=PREFIX, tags=["leaderboard"])

_Beginning = Annotated[str, Query(min_length=2, max_length=64, description="what the names begin with")]
_RankedBoard = Annotated[str, Query(pattern=BOARD_NAME, description="the board's name")]


@router.get(
    "/players",
    summary="Players whose names begin so",
    description="Case and width make no difference, as at sign-up. Every character means itself, `%` and `_` too. Of the first "
    f"{MOST_NAMES} names that begin so, these are the {MOST_FOUND} players who stand best on the board `main`, in its first "
    "window; those who are not ranked there come last, by name. Whoever has an account and has played is found, but nobody who "
    "is banned, and nobody by a name that they do not have any more.",
    response_model=FoundPlayers,
    responses=documented(InvalidRequest, ServiceUnavailable),
)
async def find_players(reads: PlayerReading, name: _Beginning) -> Response:
    return answered(FoundPlayers(players=[FoundPlayerShown(**each._asdict()) for each in await reads.search(name)]))


@router.get(
    "/players/{user_id}",
    summary="A player, and where they stand",
    response_model=PlayerProfile,
    responses=documented(PlayerNotFound, InvalidRequest, ServiceUnavailable),
)
async def player(user_id: UserId, reads: PlayerReading) -> Response:
    found = await reads.profile(user_id)
    standings = [RatedStanding(**standing._asdict(), percentile=rated) for standing, rated in found.standings]
    return answered(PlayerProfile(user_id=user_id, **{**found._asdict(), "standings": standings}))


@router.get(
    "/players/{user_id}/best",
    summary="The session that made a player's standing",
    description="On a board that adds sessions up it is the best one of them, of the player's newest "
    f"{LOOKED_THROUGH:,}. What the game kept with it is told where the board shows it.",
    response_model=PlayerBest,
    responses=documented(
        BoardNotFound, PlayerNotFound, WindowNotFound, PeriodNotFound, PeriodExpired, InvalidRequest, ServiceUnavailable
    ),
)
async def best_session(
    user_id: UserId,
    reads: PlayerReading,
    board: _RankedBoard = MAIN_NAME,
    window: ShownWindow = None,
    period: ShownPeriod = None,
) -> Response:
    found = await reads.best(Asked(board, window, period), user_id)
    session_id, score, submitted_at, *kept = found.session
    metrics, tags, extra = (text and json.loads(text) for text in kept)
    session = BestSessionShown(
        session_id=session_id,
        score=score,
        value=found.value,
        submitted_at=submitted_at,
        metrics=metrics,
        tags=tags,
        extra=extra,
    )
    return answered(PlayerBest(user_id=user_id, **{**found._asdict(), "session": session}))


@router.get(
    "/sessions/me",
    summary="My game sessions, newest first",
    description="Of a `board`, those that count there, or would once somebody has approved them. A page of these looks at "
    f"{LOOKED_AT_ONCE:,} sessions: it may have fewer than `limit`, or none, and still a `next_cursor`.",
    response_model=OwnSessions,
    responses=documented(*SIGNED_IN, BoardNotFound, InvalidRequest, ServiceUnavailable),
)
async def own_sessions(
    caller: Caller,
    reads: Reading,
    players: PlayerReading,
    board: AnyBoard = None,
    limit: Sessions = 20,
    cursor: Cursor = None,
) -> Response:
    if board is None:
        page = await reads.own_sessions(caller, limit, cursor)
    else:
        page = await players.own_sessions(caller, board, limit, cursor)
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
