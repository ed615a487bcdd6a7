"""HTTP of what boards there are: lists of them, one with its windows as they are now, and its periods."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from services.common.http.authentication import find_scopes
from services.common.http.problems import InvalidRequest, ServiceUnavailable, documented
from services.common.tokens import Scope
from services.leaderboard.boards.board import Aggregate, Board, Direction, State, Submitters, Window
from services.leaderboard.boards.document import HoldDocument, RewardDocument, RuleDocument, WindowDocument, rule_json
from services.leaderboard.boards.running import UNMADE, WindowNow
from services.leaderboard.errors import BoardNotFound, WindowNotFound
from services.leaderboard.http import examples
from services.leaderboard.http.dependencies import (
    PREFIX,
    BoardName,
    Boards,
    Cursor,
    Directing,
    Periods,
    Prefix,
    WindowName,
    answered,
)
from services.leaderboard.http.examples import shown
from services.leaderboard.rules.periods import Period, PeriodState
from services.leaderboard.rules.places import ALL_TIME

router = APIRouter(prefix=PREFIX, tags=["boards"])
_NEXT_CURSOR = "send it as `cursor` to get the next page; null on the last page"
_PLAYERS = "how many players are ranked in it; of a running period as of a moment ago"


class WindowShown(BaseModel):
    """A window as it is written down: with `first` and `every`, `listed`, or neither: then it never ends."""

    name: str
    zone: str | None
    first: str | None
    every: str | None
    grace: int | None
    keep: int | None
    listed: bool
    rewards: list[RewardDocument] = Field(
        description="who is rewarded when a period is settled: a player gets the first one that fits"
    )
    counts_from: datetime | None = Field(
        description="only periods that begin then or later count: the window was added to a board that had sessions. Else null"
    )


class CurrentPeriodShown(BaseModel):
    period_id: int | None = Field(description="0 for the window `all`; null for a period without sessions")
    starts_at: datetime | None = Field(description="the first moment in it; null for the window that never ends")
    ends_at: datetime | None = Field(description="the first moment after it")
    closes_at: datetime | None = Field(description="when the period stops counting sessions")
    players: int = Field(description=_PLAYERS)


class WindowNowShown(WindowShown):
    current: CurrentPeriodShown | None = Field(description="the current period; null between two periods and before the first")
    next_starts_at: datetime | None = Field(description="when the next period begins; null if that is not known")


def _is_none(value: object) -> bool:
    return value is None


class _BoardFields(BaseModel):
    name: str
    title: str
    metric: str
    aggregate: Aggregate
    direction: Direction
    rule: RuleDocument | None
    min_score: int
    max_score: int
    show_extra: bool
    submitters: Submitters
    # Whoever knows the limits stays below them.
    hold: HoldDocument | None = Field(
        None,
        exclude_if=_is_none,
        description="which sessions are held until staff have approved them. Shown to staff and keys with the scope "
        "`boards:write` or `moderate`; left out if there are no rules",
    )
    state: State


class BoardShown(_BoardFields):
    """A board as it is written down."""

    model_config = shown(examples.BOARD)

    windows: list[WindowShown]


class BoardNowShown(_BoardFields):
    """A board as it is written down, with its windows as they are now."""

    model_config = shown(examples.BOARD_NOW)

    windows: list[WindowNowShown]


class BoardsShown(BaseModel):
    """A page of boards, by name."""

    model_config = shown({"boards": [examples.BOARD], "next_cursor": examples.CURSOR})

    boards: list[BoardShown]
    next_cursor: str | None = Field(description=_NEXT_CURSOR)


class PeriodWritten(BaseModel):
    """A period of a listed window."""

    model_config = shown(examples.PERIOD_WRITTEN)

    period_id: int
    window: str
    number: int = Field(description="the number of the period in its window; the first is 0")
    title: str | None
    starts_at: datetime
    ends_at: datetime
    closes_at: datetime = Field(description="when the period stops counting sessions")
    state: PeriodState


class PeriodShown(PeriodWritten):
    model_config = shown(examples.PERIOD)

    players: int = Field(description=_PLAYERS)


class PeriodsShown(BaseModel):
    """A page of periods, newest first."""

    model_config = shown({"periods": [examples.PERIOD], "next_cursor": examples.CURSOR})

    periods: list[PeriodShown]
    next_cursor: str | None = Field(description=_NEXT_CURSOR)


async def _sees_holds(scopes: Annotated[frozenset[Scope], Depends(find_scopes)]) -> bool:
    return not scopes.isdisjoint({Scope.BOARDS, Scope.MODERATE})


SeesHolds = Annotated[bool, Depends(_sees_holds)]


@router.get(
    "/boards",
    summary="List boards",
    response_model=BoardsShown,
    responses=documented(InvalidRequest, ServiceUnavailable),
)
async def boards(
    directory: Directing, sees_holds: SeesHolds, prefix: Prefix = "", limit: Boards = 20, cursor: Cursor = None
) -> Response:
    page = await directory.boards(prefix, limit, cursor)
    shown = [board_shown(each, with_hold=sees_holds) for each in page.boards]
    return answered(BoardsShown(boards=shown, next_cursor=page.next_cursor))


@router.get(
    "/boards/{board}",
    summary="A board and its current periods",
    response_model=BoardNowShown,
    responses=documented(BoardNotFound, InvalidRequest, ServiceUnavailable),
)
async def board(board: BoardName, directory: Directing, sees_holds: SeesHolds) -> Response:
    found = await directory.board(board)
    windows = [_window_now(each, players) for each, players in zip(found.windows, found.players, strict=True)]
    return answered(BoardNowShown(**_fields(found.board, with_hold=sees_holds), windows=windows))


@router.get(
    "/boards/{board}/periods",
    summary="List a board's periods",
    description="Newest first: the periods in which a session was played, and those that were created in advance. The window "
    "`all` has none.",
    response_model=PeriodsShown,
    responses=documented(BoardNotFound, WindowNotFound, InvalidRequest, ServiceUnavailable),
)
async def periods(
    board: BoardName, directory: Directing, window: WindowName = None, limit: Periods = 20, cursor: Cursor = None
) -> Response:
    page = await directory.periods(board, window, limit, cursor)
    names = {each.window_id: each.definition.name for each in page.board.windows}
    shown = [_period(each, names[each.window_id], count) for each, count in zip(page.periods, page.players, strict=True)]
    return answered(PeriodsShown(periods=shown, next_cursor=page.next_cursor))


def board_shown(board: Board, *, with_hold: bool = True) -> BoardShown:
    """A board as it is answered to who writes it down, and to who lists what there are."""
    return BoardShown(**_fields(board, with_hold=with_hold), windows=[_window(each) for each in board.windows])


def _fields(board: Board, *, with_hold: bool) -> dict[str, Any]:
    definition = board.definition
    named = {name: getattr(definition, name) for name in _BoardFields.model_fields if name not in {"rule", "hold"}}
    hold = HoldDocument.of(definition.hold) if with_hold and definition.hold is not None else None
    return {**named, "rule": rule_json(definition.rule), "hold": hold}


def _window(window: Window) -> WindowShown:
    return WindowShown(**_window_fields(window))


def _window_now(now: WindowNow, players: int) -> WindowNowShown:
    fields = _window_fields(now.window)
    return WindowNowShown(**fields, current=_current(now, players), next_starts_at=now.next_starts_at)


def _current(now: WindowNow, players: int) -> CurrentPeriodShown | None:
    if now.window.definition.kind == "all":
        return CurrentPeriodShown(period_id=ALL_TIME, starts_at=None, ends_at=None, closes_at=None, players=players)
    if now.period is None:
        return None
    times = now.period._asdict()
    period_id = None if now.period.period_id == UNMADE else now.period.period_id
    named = {name: times[name] for name in ("starts_at", "ends_at", "closes_at")}
    return CurrentPeriodShown(period_id=period_id, **named, players=players)


def _window_fields(window: Window) -> dict[str, Any]:
    return {**WindowDocument.of(window.definition).model_dump(), "counts_from": window.counts_from}


def _period(period: Period, window: str, players: int) -> PeriodShown:
    return PeriodShown(**{**period._asdict(), "window": window, "players": players})
