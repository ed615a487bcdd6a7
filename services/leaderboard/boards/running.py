"""What goes on in the windows of a board: the periods that are running, and when the next ones begin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard import models
from services.leaderboard.boards import periods
from services.leaderboard.boards.board import Board, Window
from services.leaderboard.rules.calendar import Occurrence
from services.leaderboard.rules.periods import Period, ScheduledWindow

UNMADE = 0
"""The id of a period that has no row yet: no session has needed it."""


@dataclass(frozen=True, slots=True)
class WindowNow:
    """A window now: the period that is running, and when the next one begins, None if that is not known.

    No period runs between two that were written down, before the first one, and in a window that never ends. One that has no
    row yet has the id `UNMADE`, and the times that it would have if a session came now.
    """

    window: Window
    period: Period | None
    next_starts_at: datetime | None


async def list_now(connection: AsyncConnection, board: Board) -> list[WindowNow]:
    """What goes on in each window of a board, by MySQL's clock."""
    now = await read_clock(connection)
    ending = [window.window_id for window in board.windows if window.definition.kind != "all"]
    running = await periods.find_each(connection, [(board.board_id, window_id) for window_id in ending], now)
    coming = await list_next_starts(connection, board.board_id, ending, now)
    found = []
    for window in board.windows:
        period, after = running.get(window.window_id), coming.get(window.window_id)
        if period is None and window.definition.schedule is not None:
            before = (await periods.find_running(connection, board.board_id, window.window_id, now)).previous
            found.append(_unmade(board, window, now, before and before.ends_at, after))
        else:
            found.append(WindowNow(window, period, after if window.definition.listed or period is None else period.ends_at))
    return found


async def read_clock(connection: AsyncConnection) -> datetime:
    """MySQL's time."""
    now: datetime = (await connection.exec_driver_sql("SELECT NOW(6)")).scalar_one()
    return now.replace(tzinfo=UTC)


async def list_coming(connection: AsyncConnection, board: Board, window: Window, now: datetime, limit: int) -> list[Period]:
    """The period that goes on in a window, and those that come next: with rows, and where a schedule tells it, without."""
    before = (await periods.find_running(connection, board.board_id, window.window_id, now)).previous
    rows = await periods.list_coming(connection, board.board_id, window.window_id, now, limit)
    scheduled = board.scheduled(window)
    if scheduled is None:
        return rows
    return list(islice(_tile(scheduled, rows, now, before and before.ends_at), limit))


def _tile(scheduled: ScheduledWindow, rows: Sequence[Period], time: datetime, before: datetime | None) -> Iterator[Period]:
    """Periods from a time on, those that there are and those that would be made between them."""
    while True:
        period = next((row for row in rows if row.has(time)), None)
        if period is None:
            after = min((row.starts_at for row in rows if row.starts_at > time), default=None)
            try:
                cut = scheduled.cut(time, before, after)
                if cut is None:
                    time, before = scheduled.next_start(time), None
                    continue
            except ValueError:  # after the last year that a schedule knows
                return
            period = _of_cut(scheduled, cut)
        yield period
        time = before = period.ends_at


def _of_cut(scheduled: ScheduledWindow, cut: Occurrence) -> Period:
    at = scheduled.board_id, scheduled.window_id
    closes_at = cut.ends_at + scheduled.grace
    return Period(UNMADE, *at, cut.number, None, cut.starts_at, cut.ends_at, closes_at, "open", None)


def _unmade(board: Board, window: Window, now: datetime, before: datetime | None, after: datetime | None) -> WindowNow:
    """A window with a schedule, of whose periods none has this time. ``before``: when the last one ended, ``after``: when the
    next one begins, of those that have rows.
    """
    scheduled = board.scheduled(window)
    assert scheduled is not None
    cut = scheduled.cut(now, before, after)
    if cut is None:
        first = scheduled.schedule.occurrence(0)
        return WindowNow(window, None, first if window.counts_from is None else max(first, window.counts_from))
    return WindowNow(window, _of_cut(scheduled, cut), cut.ends_at)


async def list_next_starts(
    connection: AsyncConnection, board_id: int, window_ids: Sequence[int], now: datetime
) -> dict[int, datetime]:
    """When the first period begins that has not begun, by window, where there is one."""
    period = models.Period
    starts = (
        select(period.window_id, func.min(period.starts_at))
        .where(period.board_id == board_id, period.window_id.in_(window_ids), period.starts_at > now)
        .group_by(period.window_id)
    )
    return {row[0]: row[1] for row in await connection.execute(starts)} if window_ids else {}
