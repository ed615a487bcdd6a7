"""HTTP of what leaves in bulk and what comes in: exports of standings and of sessions, and imports of sessions."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from time import monotonic
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response, Security

from services.common.http.authentication import AuthorizedOr, alternatively, authorized
from services.common.http.problems import (
    SCOPED,
    BodyTooLarge,
    BodyTooSlow,
    InvalidRequest,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import DECIMAL, Time, content_type, require_plain
from services.common.http.streams import JSONStream
from services.common.tokens import MAX_USER_ID, Caller, Principal, Scope
from services.leaderboard.boards.board import MAIN_NAME
from services.leaderboard.errors import (
    BoardNotFound,
    PeriodExpired,
    PeriodNotFound,
    TooManyTransfers,
    WindowNotFound,
)
from services.leaderboard.http.dependencies import PREFIX, Importing, ShownPeriod, ShownWindow, Transferring
from services.leaderboard.rules.names import BOARD_NAME
from services.leaderboard.staff.session_imports import SessionImports
from services.leaderboard.transfers.exports import SESSION_COLUMNS, STANDING_COLUMNS
from services.leaderboard.transfers.formats import MEDIA_TYPES, Format
from services.leaderboard.transfers.imports import Progress
from services.leaderboard.transfers.rows import Wanted

IMPORT_PATH = f"{PREFIX}/import"
MOST_IMPORTED_BYTES = 16 * 2**20
"""Of a file that is imported over HTTP: some 150,000 lines. It is held whole while it is imported."""
_READING_SECONDS = 30.0
_TOLD_SECONDS = 1.0
_PIECE = 256 * 1024
_FORMATS = {media_type: form for form, media_type in MEDIA_TYPES.items()}
_LINES = {"type": "string", "format": "binary", "title": "SessionLines"}

log = structlog.get_logger(__name__)
router = APIRouter(prefix=PREFIX, tags=["transfers"])


async def _format(
    request: Request,
    form: Annotated[
        Format | None,
        Query(alias="format", description="format of the answer; by default what `Accept` names first, else NDJSON"),
    ] = None,
) -> Format:
    if form is not None:
        return form
    accepted = request.headers.get("accept", "").lower()
    named = [form for form in Format if MEDIA_TYPES[form] in accepted]
    return min(named, key=lambda form: accepted.index(MEDIA_TYPES[form]), default=Format.NDJSON)


_Format = Annotated[Format, Depends(_format)]
_Board = Annotated[str, Query(pattern=BOARD_NAME, description="the board's name")]
_OfBoard = Annotated[
    str | None, Query(alias="board", pattern=BOARD_NAME, description="only those that count on this board, or would")
]
_OfPlayer = Annotated[int | None, Query(alias="user_id", ge=1, le=MAX_USER_ID, description="only this player's"), DECIMAL]
_Since = Annotated[Time | None, Query(alias="from", description="only what was submitted then or later")]
_Until = Annotated[Time | None, Query(alias="to", description="only what was submitted before")]
_DryRun = Annotated[bool, Query(description="store nothing, and tell what would be done")]
_EXPORT = *SCOPED, BoardNotFound, InvalidRequest, ServiceUnavailable, TooManyTransfers


def _answered(described: str, *media_types: str) -> dict[int | str, dict[str, Any]]:
    """What a route documents of an answer in lines."""
    text = {"schema": {"type": "string"}}
    return {200: {"description": described, "content": dict.fromkeys(media_types, text)}}


@router.get(
    "/export",
    summary="Export a board's standings",
    description=f"In the order of the board, as of one moment. A line has {', '.join(STANDING_COLUMNS)}. If the "
    "connection ends before the answer does, ask again. A process has at most two exports under way (503), each for ten "
    "minutes. For staff, and for keys with the scope `moderate` or `boards:write`.",
    response_class=Response,
    responses=documented(*_EXPORT, WindowNotFound, PeriodNotFound, PeriodExpired) | _answered("a line a player", *_FORMATS),
    openapi_extra=alternatively(Scope.BOARDS),
)
async def export_standings(
    caller: Annotated[Caller, Security(AuthorizedOr(Scope.BOARDS), scopes=[Scope.MODERATE])],
    transfers: Transferring,
    form: _Format,
    board: _Board = MAIN_NAME,
    window: ShownWindow = None,
    period: ShownPeriod = None,
) -> Response:
    log.info("standings are exported", **_by(caller), board=board)
    return await _download(transfers.exports.standings(form, board, window, period), board, form)


@router.get(
    "/sessions/export",
    summary="Export game sessions",
    description=f"Oldest first, as of one moment. A line has {', '.join(SESSION_COLUMNS)}. The limits are those of "
    "`GET /export`. An NDJSON export can be imported.",
    response_class=Response,
    responses=documented(*_EXPORT) | _answered("a line a session", *_FORMATS),
)
async def export_sessions(
    caller: Annotated[Caller, Security(authorized, scopes=[Scope.MODERATE])],
    transfers: Transferring,
    form: _Format,
    board: _OfBoard = None,
    user_id: _OfPlayer = None,
    since: _Since = None,
    until: _Until = None,
) -> Response:
    log.info("sessions are exported", **_by(caller))
    return await _download(transfers.exports.sessions(form, Wanted(user_id, since, until), board), "sessions", form)


@router.post(
    "/import",
    summary="Import game sessions",
    description="The body is NDJSON with a session a line, or CSV with the columns player, score and time; at most 16 MiB. A "
    "bad line does not affect the others. A file can be sent again: a stored line is not stored twice. The answer is "
    "NDJSON too: a line of progress a second, and a last line with `done` and up to 100 errors. If the last line is "
    "missing, send the file again. A process imports one file at a time (503). For larger files use `make import`.",
    response_class=Response,
    responses=documented(
        *SCOPED, BodyTooSlow, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable, TooManyTransfers
    )
    | _answered("how far it is, and what became of it", MEDIA_TYPES[Format.NDJSON]),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {media_type: {"schema": dict(_LINES)} for media_type in reversed(_FORMATS)},
        }
    },
)
async def import_sessions(
    request: Request,
    caller: Annotated[Caller, Security(authorized, scopes=[Scope.SCORES])],
    imports: Importing,
    dry_run: _DryRun = False,
) -> Response:
    form = _FORMATS.get(content_type(request))
    if form is None:
        raise UnsupportedMediaType(f"Send the file as {' or '.join(_FORMATS)}.")
    require_plain(request)
    log.info("sessions are imported", **_by(caller), dry_run=dry_run)
    told = _tell(imports, request, form, caller, dry_run=dry_run)
    return await JSONStream.begin(told, {"Cache-Control": "no-store"}, MEDIA_TYPES[Format.NDJSON])


async def _tell(
    imports: SessionImports, request: Request, form: Format, caller: Caller, *, dry_run: bool
) -> AsyncGenerator[bytes, None]:
    with imports.begin():
        try:
            async with asyncio.timeout(_READING_SECONDS):
                body = await request.body()  # all of it: what answers before would have the server between us give up sending
        except TimeoutError:
            raise BodyTooSlow(f"The body had {_READING_SECONDS:.0f} seconds to arrive.") from None
        told_at, progress = 0.0, Progress()
        async with aclosing(imports.run(_pieces(body), form, caller, dry_run=dry_run)) as groups:
            async for progress in groups:
                if monotonic() > told_at + _TOLD_SECONDS:
                    told_at = monotonic()
                    yield _line(progress, done=False)
        faults = [fault._asdict() for fault in progress.faults]
        stopped = {} if progress.stopped is None else {"stopped": progress.stopped}
        yield _line(progress, done=progress.stopped is None, dry_run=dry_run, errors=faults, **stopped)


def _by(caller: Caller) -> dict[str, int | str]:
    """Whom the log of the service names: what leaves, and comes in, is much at once."""
    return {"user_id": caller.user_id} if isinstance(caller, Principal) else {"client_id": caller.client_id}


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


def _line(progress: Progress, **more: object) -> bytes:
    counts = {name: getattr(progress, name) for name in ("lines", "stored", "repeated", "skipped", "refused")}
    return json.dumps(counts | more, ensure_ascii=False).encode() + b"\n"


async def _download(pieces: AsyncGenerator[bytes, None], name: str, form: Format) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return await JSONStream.begin(pieces, headers, MEDIA_TYPES[form])
