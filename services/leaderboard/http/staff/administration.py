"""HTTP of writing boards down: making, changing and deleting one, and the periods of listed windows."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response, Security
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.common.http.authentication import authorized
from services.common.http.problems import (
    SCOPED,
    BodyTooLarge,
    FieldError,
    InvalidRequest,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import DECIMAL, JSON, Time, body_schema, json_body
from services.common.tokens import Caller, Scope
from services.leaderboard.boards.board import Definition
from services.leaderboard.boards.document import BoardDocument, Name, Title, refuse
from services.leaderboard.errors import BoardConflict, BoardNotFound, PeriodConflict, PeriodNotFound, WindowNotFound
from services.leaderboard.http import examples
from services.leaderboard.http.boards import BoardShown, PeriodWritten, board_shown
from services.leaderboard.http.dependencies import PREFIX, BoardName, BoardWriting, answered
from services.leaderboard.rules.names import BOARD_NAME

router = APIRouter(prefix=PREFIX, tags=["boards"])

_BODY = *SCOPED, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable
_NO_STORE = {"Cache-Control": "no-store"}


class BoardBody(BoardDocument):
    """A board, whole: what is left out is what most boards are. Its name is the path's."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BOARD_BODY]})

    name: Name = Field(default_factory=str, description="the path's, where it is said at all")

    def named(self, board: str) -> Definition:
        """The board of this name that is written down here. Raises InvalidRequest when it says another name."""
        if self.name not in {"", board}:
            detail = f"The board that the path names is {board}."
            raise InvalidRequest(detail, errors=[FieldError(detail=detail, pointer="#/name")])
        return replace(self.definition(), name=board)


class PeriodBody(BaseModel):
    """A period of a listed window."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [examples.PERIOD_BODY]})

    title: Title | None = Field(None, description="what players read")
    starts_at: Time = Field(description="the first moment in it")
    ends_at: Time = Field(description="the first moment after it")

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> "PeriodBody":
        if self.ends_at <= self.starts_at:
            refuse(("ends_at",), "A period ends after its start")
        return self


Studio = Annotated[Caller, Security(authorized, scopes=[Scope.BOARDS])]
Window = Annotated[str, Path(pattern=BOARD_NAME, description="the window's name")]
PeriodId = Annotated[int, Path(ge=1, le=2**63 - 1), DECIMAL]


@router.put(
    "/boards/{board}",
    summary="Create or change a board",
    description="The body is the whole board. A field that is left out gets its default. A repeat changes nothing. Nothing is "
    "changed if a field cannot be changed (409) or is faulty (422); the answer names it. Changes apply to later sessions. "
    "Every process uses them within a second.",
    response_model=BoardShown,
    responses={
        **documented(*_BODY, BoardConflict, BoardNotFound),
        200: {"description": "The board is what was sent"},
        201: {"description": "The board is new", "model": BoardShown},
    },
    openapi_extra=body_schema({JSON: BoardBody}),
)
async def put_board(
    board: BoardName,
    caller: Studio,  # before the body is looked at
    body: Annotated[BoardBody, Depends(json_body(BoardBody))],
    writes: BoardWriting,
) -> Response:
    made, created = await writes.put(body.named(board), caller)
    return answered(board_shown(made), 201 if created else 200)


@router.delete(
    "/boards/{board}",
    status_code=204,
    summary="Delete a board and its standings",
    description="The board must be closed. Its game sessions stay, since they may count on other boards. 202 means that the "
    "board is hidden and its data is being deleted; until then its name is taken. A repeat continues the deletion.",
    response_class=Response,
    responses={
        **documented(*SCOPED, BoardNotFound, BoardConflict, InvalidRequest, ServiceUnavailable),
        202: {"description": "The board is not shown any more, and is being deleted"},
        204: {"description": "The board is gone"},
    },
)
async def delete_board(board: BoardName, caller: Studio, writes: BoardWriting) -> Response:
    gone = await writes.delete(board, caller)
    return Response(status_code=204 if gone else 202, headers=_NO_STORE)


@router.post(
    "/boards/{board}/windows/{window}/periods",
    status_code=201,
    summary="Create a period of a listed window",
    description="Periods of a window must not overlap (409). Gaps between them are allowed. A repeat answers with the "
    "existing period.",
    response_model=PeriodWritten,
    responses=documented(*_BODY, BoardNotFound, WindowNotFound, PeriodConflict),
    openapi_extra=body_schema({JSON: PeriodBody}),
)
async def write_period(
    board: BoardName,
    window: Window,
    caller: Studio,
    body: Annotated[PeriodBody, Depends(json_body(PeriodBody))],
    writes: BoardWriting,
) -> Response:
    period = await writes.write_period(board, window, body.title, body.starts_at, body.ends_at, caller)
    return answered(PeriodWritten(**{**period._asdict(), "window": window}), 201)


@router.delete(
    "/boards/{board}/windows/{window}/periods/{period_id}",
    status_code=204,
    summary="Delete a period that has not begun",
    response_class=Response,
    responses=documented(
        *SCOPED, BoardNotFound, WindowNotFound, PeriodNotFound, PeriodConflict, InvalidRequest, ServiceUnavailable
    ),
)
async def take_back_period(
    board: BoardName, window: Window, period_id: PeriodId, caller: Studio, writes: BoardWriting
) -> Response:
    await writes.take_back(board, window, period_id, caller)
    return Response(status_code=204, headers=_NO_STORE)
