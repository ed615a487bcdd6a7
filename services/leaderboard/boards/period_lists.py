"""SQL that reads periods for those who look at them: what goes on in each window, and all of a board's, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.boards.board import Board, Window
from services.leaderboard.models import Period

_COLUMNS = (
    Period.id,
    Period.window_id,
    Period.number,
    Period.title,
    Period.starts_at,
    Period.ends_at,
    Period.closes_at,
    Period.state,
    Period.players,
)


class PeriodRow(NamedTuple):
    """A period as its row has it. ``players``: how many were ranked when it was settled."""

    period_id: int
    window_id: int
    number: int
    title: str | None
    starts_at: datetime
    ends_at: datetime
    closes_at: datetime
    state: str
    players: int | None


@dataclass(frozen=True, slots=True)
class CurrentPeriod:
    """The period that goes on. One without a row has no session yet; of a window that never ends there is no time to tell."""

    row: PeriodRow | None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    closes_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WindowNow:
    """A window now: the period that goes on, None where none does, and when the next one begins, None if that is not known."""

    window: Window
    current: CurrentPeriod | None
    next_starts_at: datetime | None


async def list_current(connection: AsyncConnection, board: Board) -> list[WindowNow]:
    """What goes on in each window of a board, by MySQL's clock."""
    now: datetime = (await connection.exec_driver_sql("SELECT NOW(6)")).scalar_one()
    now = now.replace(tzinfo=UTC)
    ending = [window for window in board.windows if window.definition.kind != "all"]
    looks: list[Select[Any]] = []
    for window in ending:
        of_it = _of_window(window.window_id)
        looks += [
            of_it.where(Period.starts_at <= now).order_by(Period.starts_at.desc()).limit(1),
            of_it.where(Period.starts_at > now).order_by(Period.starts_at).limit(1),
        ]
    begun: dict[int, PeriodRow] = {}
    coming: dict[int, PeriodRow] = {}
    for row in await _rows(connection, looks):
        (begun if row.starts_at <= now else coming)[row.window_id] = row
    return [window_now(window, now, begun.get(window.window_id), coming.get(window.window_id)) for window in board.windows]


def window_now(window: Window, now: datetime, before: PeriodRow | None, after: PeriodRow | None) -> WindowNow:
    """``before`` and ``after``: the last of the window's rows that has begun, and the first that has not.

    Where no row has this time, the period is what it would be if a session came: it begins and ends where its neighbours' rows
    let it.
    """
    definition = window.definition
    if definition.kind == "all":
        return WindowNow(window, CurrentPeriod(None), None)
    if before is not None and now < before.ends_at:
        current = CurrentPeriod(before, before.starts_at, before.ends_at, before.closes_at)
        if definition.schedule is not None:
            return WindowNow(window, current, before.ends_at)
        return WindowNow(window, current, after and after.starts_at)
    if definition.schedule is None:
        return WindowNow(window, None, after and after.starts_at)
    if window.counts_from is not None and now < window.counts_from:
        return WindowNow(window, None, window.counts_from)
    occurrence = definition.schedule.at(now)
    if occurrence is None:
        return WindowNow(window, None, definition.schedule.occurrence(0))
    starts_at = occurrence.starts_at if before is None else max(occurrence.starts_at, before.ends_at)
    ends_at = occurrence.ends_at if after is None else min(occurrence.ends_at, after.starts_at)
    closes_at = ends_at + timedelta(seconds=definition.grace_seconds or 0)
    return WindowNow(window, CurrentPeriod(None, starts_at, ends_at, closes_at), ends_at)


async def list_periods(
    connection: AsyncConnection, windows: Sequence[Window], before: tuple[datetime, int] | None, limit: int
) -> list[PeriodRow]:
    """The newest periods of these windows: by when they begin, then by id. ``before``: those that come after this one."""
    looks = []
    for window in windows:
        look = _of_window(window.window_id).order_by(Period.starts_at.desc(), Period.id.desc()).limit(limit)
        if before is not None:
            starts_at, period_id = before
            # The first condition is a range of the index; neither server makes one of the second.
            look = look.where(Period.starts_at <= starts_at)
            look = look.where(or_(Period.starts_at < starts_at, Period.id < period_id))
        looks.append(look)
    rows = await _rows(connection, looks)
    return sorted(rows, key=lambda row: (row.starts_at, row.period_id), reverse=True)[:limit]


def _of_window(window_id: int) -> Select[Any]:
    return select(*_COLUMNS).where(Period.window_id == window_id)


async def _rows(connection: AsyncConnection, looks: Sequence[Select[Any]]) -> list[PeriodRow]:
    """What each of these finds, in one round trip."""
    if not looks:
        return []
    parts = [select(*look.subquery().c) for look in looks]
    statement: Any = parts[0] if len(parts) == 1 else union_all(*parts)
    return [PeriodRow(*row) for row in await connection.execute(statement)]
