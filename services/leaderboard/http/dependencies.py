"""What the leaderboard service's routes are handed, and how they hand on what is JSON already."""

import re
from time import time
from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from pydantic import BaseModel

from services.common.http.authentication import AuthenticatedOrScoped, authenticated, require_recent_password
from services.common.http.requests import DECIMAL, JSON, json_body
from services.common.tokens import MAX_USER_ID, Principal, Scope
from services.common.tokens import Caller as AnyCaller
from services.leaderboard.batch_writes import BatchWrites
from services.leaderboard.board_numbers import BoardNumbers
from services.leaderboard.board_reads import Asked, BoardReads
from services.leaderboard.boards.board import MAIN_NAME
from services.leaderboard.cursors import MAX_LENGTH
from services.leaderboard.directory import Directory
from services.leaderboard.errors import InvalidKey
from services.leaderboard.http.schemas import ScoreSubmission
from services.leaderboard.player_reads import PlayerReads
from services.leaderboard.players.exports import Exports
from services.leaderboard.reads import Reads
from services.leaderboard.result_reads import ResultReads
from services.leaderboard.rules.names import BOARD_NAME
from services.leaderboard.rules.places import MAIN_RANKED, Ranked
from services.leaderboard.staff.board_previews import BoardPreviews
from services.leaderboard.staff.board_writes import BoardWrites
from services.leaderboard.staff.figures import Figures
from services.leaderboard.staff.moderators import Moderators
from services.leaderboard.staff.session_imports import SessionImports
from services.leaderboard.staff.subscriptions import Subscriptions
from services.leaderboard.staff.void_jobs import VoidJobs
from services.leaderboard.transfers.process import Transfers
from services.leaderboard.writes import Writes

PREFIX = "/api/leaderboard"
MAX_LIMIT, MAX_OFFSET, MAX_RADIUS = 100, 2**31 - 1, 50
DEFAULT_LIMIT, DEFAULT_RADIUS = 10, 5
IDEMPOTENCY_KEY = "Idempotency-Key"
KEY_PATTERN = "^[!-~]{1,64}$"
MOST_PERIOD_ID = 2**32 - 1
PERIOD = r"^(current|previous|[0-9]{1,10})$"
IDEMPOTENCY_KEY_FORM = re.compile(r"[!-~]{1,64}")


# Async, like all of these: FastAPI runs what is not in a thread, which costs more than most requests.
async def _writes(request: Request) -> Writes:
    writes: Writes = request.app.state.writes
    return writes


async def _batch_writes(request: Request) -> BatchWrites:
    writes: BatchWrites = request.app.state.batch_writes
    return writes


async def _idempotency_key(request: Request) -> str | None:
    """What the client calls this submission by, taken as it is. draft-ietf-httpapi-idempotency-key-header, section 2.

    FastAPI's own header parameter would answer 422 to a bad one, and take the last of several.
    """
    keys = request.headers.getlist(IDEMPOTENCY_KEY)
    if not keys:
        return None
    if len(keys) > 1 or not IDEMPOTENCY_KEY_FORM.fullmatch(keys[0]):
        raise InvalidKey(f"Send one {IDEMPOTENCY_KEY} of 1 to 64 visible ASCII characters, or none.")
    return keys[0]


async def _reads(request: Request) -> Reads:
    reads: Reads = request.app.state.reads
    return reads


async def _board_reads(request: Request) -> BoardReads:
    reads: BoardReads = request.app.state.board_reads
    return reads


async def _board_numbers(request: Request) -> BoardNumbers:
    numbers: BoardNumbers = request.app.state.board_numbers
    return numbers


async def _player_reads(request: Request) -> PlayerReads:
    reads: PlayerReads = request.app.state.player_reads
    return reads


async def _board_writes(request: Request) -> BoardWrites:
    writes: BoardWrites = request.app.state.board_writes
    return writes


async def _board_previews(request: Request) -> BoardPreviews:
    previews: BoardPreviews = request.app.state.board_previews
    return previews


async def _directory(request: Request) -> Directory:
    directory: Directory = request.app.state.directory
    return directory


async def _result_reads(request: Request) -> ResultReads:
    reads: ResultReads = request.app.state.result_reads
    return reads


async def _exports(request: Request) -> Exports:
    exports: Exports = request.app.state.exports
    return exports


async def _moderators(request: Request) -> Moderators:
    moderators: Moderators = request.app.state.moderators
    return moderators


async def _subscriptions(request: Request) -> Subscriptions:
    subscriptions: Subscriptions = request.app.state.subscriptions
    return subscriptions


async def _transfers(request: Request) -> Transfers:
    transfers: Transfers = request.app.state.transfers
    return transfers


async def _session_imports(request: Request) -> SessionImports:
    imports: SessionImports = request.app.state.session_imports
    return imports


async def _void_jobs(request: Request) -> VoidJobs:
    void_jobs: VoidJobs = request.app.state.void_jobs
    return void_jobs


async def _figures(request: Request) -> Figures:
    figures: Figures = request.app.state.figures
    return figures


Caller = Annotated[Principal, Depends(authenticated)]
Submitter = Annotated[AnyCaller, Depends(AuthenticatedOrScoped(Scope.SCORES))]


async def _recent_caller(caller: Caller) -> Principal:
    """The caller, whose password was given lately: for what cannot be undone. Raises PasswordTooOld."""
    require_recent_password(caller, time())
    return caller


Writing = Annotated[Writes, Depends(_writes)]
BatchWriting = Annotated[BatchWrites, Depends(_batch_writes)]
Reading = Annotated[Reads, Depends(_reads)]
BoardReading = Annotated[BoardReads, Depends(_board_reads)]
BoardNumbering = Annotated[BoardNumbers, Depends(_board_numbers)]
PlayerReading = Annotated[PlayerReads, Depends(_player_reads)]
BoardWriting = Annotated[BoardWrites, Depends(_board_writes)]
Previewing = Annotated[BoardPreviews, Depends(_board_previews)]
Directing = Annotated[Directory, Depends(_directory)]
ResultReading = Annotated[ResultReads, Depends(_result_reads)]
Exporting = Annotated[Exports, Depends(_exports)]
Moderating = Annotated[Moderators, Depends(_moderators)]
Subscribing = Annotated[Subscriptions, Depends(_subscriptions)]
Transferring = Annotated[Transfers, Depends(_transfers)]
Importing = Annotated[SessionImports, Depends(_session_imports)]
VoidingMany = Annotated[VoidJobs, Depends(_void_jobs)]
Measuring = Annotated[Figures, Depends(_figures)]
RecentCaller = Annotated[Principal, Depends(_recent_caller)]
Submission = Annotated[ScoreSubmission, Depends(json_body(ScoreSubmission))]
Key = Annotated[str | None, Depends(_idempotency_key)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="players on the page, at most"), DECIMAL]
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET, description="players before the page"), DECIMAL]
Radius = Annotated[int, Query(ge=1, le=MAX_RADIUS, description="players on either side, at most"), DECIMAL]
Sessions = Annotated[int, Query(ge=1, le=100, description="sessions on the page, at most"), DECIMAL]
Cursor = Annotated[str | None, Query(max_length=MAX_LENGTH, description="`next_cursor` of the page before")]
BoardName = Annotated[str, Path(pattern=BOARD_NAME, description="the board's name")]
ShownWindow = Annotated[
    str | None, Query(alias="window", pattern=BOARD_NAME, description="the window's name; by default the board's first")
]
ShownPeriod = Annotated[
    str | None,
    Query(
        alias="period",
        pattern=PERIOD,
        description="`current` (the default), `previous`, or a period's id, which needs no window",
    ),
]
Prefix = Annotated[str, Query(pattern=f"^({BOARD_NAME[1:-1]})?$", description="what the names begin with")]
WindowName = Annotated[str | None, Query(pattern=BOARD_NAME, description="the window's name; without it, every window")]
AnyBoard = Annotated[
    str | None, Query(alias="board", pattern=BOARD_NAME, description="the board's name; without it, every board")
]
Boards = Annotated[int, Query(ge=1, le=100, description="boards on the page, at most"), DECIMAL]
Periods = Annotated[int, Query(ge=1, le=100, description="periods on the page, at most"), DECIMAL]
Results = Annotated[int, Query(ge=1, le=1000, description="results on the page, at most"), DECIMAL]
PeriodId = Annotated[int, Path(ge=1, le=MOST_PERIOD_ID, description="the period's id"), DECIMAL]
UserId = Annotated[int, Path(ge=1, le=MAX_USER_ID), DECIMAL]
SessionId = Annotated[int, Path(ge=1, le=2**63 - 1), DECIMAL]


async def _asked(board: BoardName, window: ShownWindow = None, period: ShownPeriod = None) -> Asked:
    return Asked(board, window, period)


async def _main(reads: BoardReading, window: ShownWindow = None, period: ShownPeriod = None) -> Ranked | None:
    """The place on the main board that is asked for: that of all time, where nothing else is said."""
    if window is None and period is None:
        return MAIN_RANKED
    return await reads.find(Asked(MAIN_NAME, window, period))


AskedPlace = Annotated[Asked, Depends(_asked)]
MainPlace = Annotated[Ranked | None, Depends(_main)]


def rendered(body: bytes, status: int = 200) -> Response:
    """An answer that is JSON already. It is right at once or not at all, so nobody on the way may keep it."""
    return Response(body, status, media_type=JSON, headers={"Cache-Control": "no-store"})


def answered(answer: BaseModel, status: int = 200) -> Response:
    """The same of an answer that is not JSON yet."""
    return rendered(answer.model_dump_json().encode(), status)
