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
    summary="Search for players by name",
    description="Finds players whose username begins with `name`. Case and width make no difference. Every character means "
    f"itself, `%` and `_` too. Of the first {MOST_NAMES} such usernames, the answer has the {MOST_FOUND} players with the "
    "best rank on the main board, in its first window. Players without a rank there come last, by username. Banned players "
    "are not found, nor is anybody by a former username.",
    response_model=FoundPlayers,
    responses=documented(InvalidRequest, ServiceUnavailable),
)
async def find_players(reads: PlayerReading, name: _Beginning) -> Response:
    return answered(FoundPlayers(players=[FoundPlayerShown(**each._asdict()) for each in await reads.search(name)]))


@router.get(
    "/players/{user_id}",
    summary="A player's profile",
    response_model=PlayerProfile,
    responses=documented(PlayerNotFound, InvalidRequest, ServiceUnavailable),
)
async def player(user_id: UserId, reads: PlayerReading) -> Response:
    found = await reads.profile(user_id)
    standings = [RatedStanding(**standing._asdict(), percentile=rated) for standing, rated in found.standings]
    return answered(PlayerProfile(user_id=user_id, **{**found._asdict(), "standings": standings}))


@router.get(
    "/players/{user_id}/best",
    summary="The game session behind a player's score",
    description=f"On a board that ranks by total it is the player's best session, of their newest {LOOKED_THROUGH:,}. Its "
    "`extra`, `metrics` and `tags` are there if the board shows them.",
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
    summary="My game sessions",
    description="Newest first. With `board`, only sessions that count there, or would once staff have approved them. Such a "
    f"page looks at {LOOKED_AT_ONCE:,} sessions: it may have fewer than `limit`, or none, and still a `next_cursor`.",
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
    summary="Show my current username on the boards",
    description="After a rename the boards show the new username within a second. This shows it at once. A player who is not "
    "on a board is not added to it.",
    response_model=OwnRank,
    responses=documented(*SIGNED_IN, ServiceUnavailable),
)
async def rename(caller: Caller, writes: Writing) -> Response:
    return rendered(await writes.rename(caller))


@router.delete(
    "/me",
    status_code=204,
    summary="Erase my scores",
    description="Erases the caller's username and game sessions for good and removes them from every board. If no answer "
    "came, send it again. A later session starts from nothing. A repeat of an erased session, with its `Idempotency-Key`, "
    "is refused for 30 days; for that time digests of the keys are kept. The access token must say that the password was "
    "given in the last 5 minutes (`auth_time`, RFC 9470). `POST /auth/confirm` answers with such a token.",
    response_class=Response,
    responses=documented(*SIGNED_IN, PasswordTooOld, ServiceUnavailable),
)
async def remove(caller: RecentCaller, writes: Writing) -> Response:
    await writes.remove(caller)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


@router.get(
    "/me/export",
    summary="Export my data",
    description="One JSON document, written while it is sent. If the connection ends before the document does, ask again.",
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
