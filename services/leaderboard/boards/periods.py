"""SQL of periods: which one a time is in, and how they begin and end.

Rows say which period a time is in, whatever a schedule says by now: zone data change, and two processes may have different
ones. A row's times never change, but for its closing when its board is closed.

Whoever makes a row, writes one down or takes one back holds its board's row for it, as an exclusive lock: they come one after
the other, and after the groups of sessions that are being counted for the board, which share it. Whoever changes a row that is
there takes that row. MySQL's clock says what is over, and no process's.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, case, cast, func, insert, literal, literal_column, select, text, union_all
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database, UTCDateTime
from services.leaderboard import events, models
from services.leaderboard.errors import PeriodConflict
from services.leaderboard.rules.periods import Period, PeriodState, ScheduledWindow

NOT_TAKEN_BACK = timedelta(seconds=10)
"""A period that begins so soon stays: a session that is played by then may be on its way, and its time be a little ahead."""

Record = Callable[[AsyncConnection, Period], Awaitable[None]]
"""Writes down, in the transaction that does it, which period was written down or taken back."""

_NOW = literal_column("NOW(6)", UTCDateTime())
_row = models.Period
_state = case(((_row.state == "open") & (_row.closes_at <= _NOW), "closed"), else_=_row.state)
_columns = (
    _row.id,
    _row.board_id,
    _row.window_id,
    _row.number,
    _row.title,
    _row.starts_at,
    _row.ends_at,
    _row.closes_at,
    _state,
    _row.players,
)
_MADE = ("board_id", "window_id", "number", "title", "starts_at", "ends_at", "closes_at", "state")

# As text, like each statement that locks: what it locks is the row it names, and the server is not asked how to find it.
_LOCK_BOARD = text("SELECT state FROM boards FORCE INDEX (PRIMARY) WHERE id = :board_id FOR UPDATE")
# More than the id is read, as in log/statements.py.
_SHARE = "SELECT id, state FROM periods FORCE INDEX (PRIMARY) WHERE id IN ({ids}) ORDER BY id LOCK IN SHARE MODE"
_LOCK_BEGUN = "SELECT id FROM periods FORCE INDEX (PRIMARY) WHERE id IN ({ids}) AND opened_at IS NULL ORDER BY id FOR UPDATE"
_OPENED = "UPDATE periods FORCE INDEX (PRIMARY) SET opened_at = NOW(6) WHERE id IN ({ids})"
_CLOSE = text(
    "UPDATE periods FORCE INDEX (PRIMARY) SET state = 'closed' WHERE id = :period_id AND state = 'open' AND closes_at <= NOW(6)"
)
_TAKE_BACK = text(
    "DELETE FROM periods WHERE id = :period_id AND board_id = :board_id AND starts_at > NOW(6) + INTERVAL :seconds SECOND"
)
# Those that nobody holds just now: so that what one group of sessions holds does not keep others waiting for the rest.
_LOCK_OVER = (
    "SELECT id FROM periods FORCE INDEX (PRIMARY) WHERE id IN ({ids}) AND state = 'open' AND closes_at <= NOW(6)"
    " ORDER BY id FOR UPDATE SKIP LOCKED"
)
_CLOSE_ALL = "UPDATE periods FORCE INDEX (PRIMARY) SET state = 'closed' WHERE id IN ({ids})"
_END_ALL = (
    "UPDATE periods FORCE INDEX (PRIMARY) SET closes_at = NOW(6) WHERE id IN ({ids}) AND state = 'open' AND closes_at > NOW(6)"
)


class Running(NamedTuple):
    """Of a window at a time: the period that it is in, and the last one that has ended. None where there is no row."""

    current: Period | None
    previous: Period | None


async def list_by_id(connection: AsyncConnection, period_ids: Collection[int]) -> list[Period]:
    """The periods with these ids, of whatever boards."""
    return [Period(*row) for row in await connection.execute(select(*_columns).where(_row.id.in_(period_ids)))]


async def list_expired(connection: AsyncConnection, period_ids: Collection[int]) -> set[int]:
    """Those of these periods whose standings are gone, or are going."""
    expired = select(_row.id).where(_row.id.in_(period_ids), _row.state == "expired")
    return set((await connection.scalars(expired)).all())


async def share(connection: AsyncConnection, period_ids: Collection[int]) -> dict[int, PeriodState]:
    """Keep these periods as they are until the transaction ends: who settles or expires one waits for it. Gives the states of
    those that have not expired: in one that has, no standing is changed any more.
    """
    if not period_ids:
        return {}
    shared = await connection.execute(text(_SHARE.format(ids=_listed(period_ids))))
    return {period_id: state for period_id, state in shared if state != "expired"}


async def find(connection: AsyncConnection, board_id: int, window_id: int, time: datetime) -> Period | None:
    """The period that ``time`` is in. None where no row has it: nobody has played then, or a listed window has a gap."""
    return (await find_running(connection, board_id, window_id, time)).current


async def find_running(connection: AsyncConnection, board_id: int, window_id: int, time: datetime) -> Running:
    """The period that ``time`` is in and the one before, or the last one where none is."""
    newest = await connection.execute(_until(board_id, window_id, time).limit(2))
    periods = [Period(*row) for row in newest]
    if periods and periods[0].has(time):
        return Running(periods[0], periods[1] if len(periods) > 1 else None)
    return Running(None, periods[0] if periods else None)


async def find_each(connection: AsyncConnection, windows: Iterable[tuple[int, int]], time: datetime) -> dict[int, Period]:
    """The periods that ``time`` is in, by window, of several windows that are given by board and window."""
    newest = [_until(board_id, window_id, time).limit(1) for board_id, window_id in windows]
    if not newest:
        return {}
    periods = [Period(*row) for row in await connection.execute(union_all(*newest))]
    return {period.window_id: period for period in periods if period.has(time)}


async def list_periods(
    connection: AsyncConnection, board_id: int, window_id: int, before: datetime | None, limit: int
) -> list[Period]:
    """Up to ``limit`` periods of a window, newest first: from the last one on, or those that begin before a time.

    A page's last ``starts_at`` is where the next one goes on. Numbers are no cursor: periods may share one.
    """
    listed = _of(board_id, window_id).order_by(_row.starts_at.desc()).limit(limit)
    if before is not None:
        listed = listed.where(_row.starts_at < before)
    return [Period(*row) for row in await connection.execute(listed)]


async def list_coming(connection: AsyncConnection, board_id: int, window_id: int, time: datetime, limit: int) -> list[Period]:
    """Up to ``limit`` periods of a window that have rows and end after a time, oldest first."""
    listed = _of(board_id, window_id).where(_row.ends_at > time).order_by(_row.starts_at).limit(limit)
    return [Period(*row) for row in await connection.execute(listed)]


async def find_or_make(database: Database, window: ScheduledWindow, time: datetime) -> Period | None:
    """The period that ``time`` is in. If no row has it, one is made, in a transaction of its own.

    None where nothing can count at that time: before the window's first period, or in one that would be closed already, or on
    a board that is not active. Raises what the database raises; done again, it gives what was made.
    """
    async with database.reading() as connection:
        found = await find(connection, window.board_id, window.window_id, time)
        if found is not None:
            return found
        # What can be told without the board's lock: who sends times of long ago is not to keep others waiting.
        longest = window.cut(time, None, None)
        if longest is None or longest.ends_at + window.grace <= await _now(connection):
            return None
    return await database.transaction(lambda connection: _make(connection, window, time))


async def tell_begun(connection: AsyncConnection, limit: int) -> int:
    """Write for up to ``limit`` periods that they have begun: those that were written down before. Gives how many they were."""
    begun = select(_row.id).where(_row.opened_at.is_(None), _row.starts_at <= _NOW).order_by(_row.starts_at).limit(limit)
    ids = (await connection.scalars(begun)).all()
    untold = (await connection.scalars(text(_LOCK_BEGUN.format(ids=_listed(ids))))).all() if ids else []
    await _tell_opened(connection, untold)
    return len(untold)


async def close(connection: AsyncConnection, period_id: int) -> bool:
    """Close a period whose time is over. It waits for those who hold it, and they for it. Gives whether it was open.

    Its row is locked from then on: who closes several in one transaction keeps others waiting.
    """
    return (await connection.execute(_CLOSE, {"period_id": period_id})).rowcount == 1


async def close_over(connection: AsyncConnection, _now: datetime, limit: int) -> int:
    """Close up to ``limit`` periods whose time is over, those first that nobody holds. Gives how many they were."""
    over = select(_row.id).where(_row.state == "open", _row.closes_at <= _NOW).order_by(_row.closes_at).limit(limit)
    ids = (await connection.scalars(over)).all()
    if not ids:
        return 0
    free = (await connection.scalars(text(_LOCK_OVER.format(ids=_listed(ids))))).all()
    if not free:
        return int(await close(connection, ids[0]))
    await connection.execute(text(_CLOSE_ALL.format(ids=_listed(free))))
    return len(free)


async def end_all(connection: AsyncConnection, board_ids: Sequence[int]) -> None:
    """Have nothing count any more in the running periods of boards that are being closed, and whose rows are held for it.

    Those that have not begun stay as they are: the board may be opened again before.
    """
    running = select(_row.id).where(
        _row.board_id.in_(board_ids), _row.state == "open", _row.starts_at <= _NOW, _row.closes_at > _NOW
    )
    ids = (await connection.scalars(running)).all()
    if ids:
        await connection.execute(text(_END_ALL.format(ids=_listed(ids))))


async def write_listed(
    database: Database,
    board_id: int,
    window_id: int,
    *,
    title: str | None,
    starts_at: datetime,
    ends_at: datetime,
    grace: timedelta,
    record: Record | None = None,
) -> Period:
    """Write down a period of a listed window. Written down again, it is the one that there is, and nothing is recorded.

    Raises ValueError when it does not end after its start, and PeriodConflict when another one has some of its time, when it
    would be closed already, or when the board is gone.
    """
    if ends_at <= starts_at:
        raise ValueError("a period that does not end after its start")

    async def write(connection: AsyncConnection) -> Period:
        if await _lock_board(connection, board_id) in {None, "deleting"}:
            raise PeriodConflict("The board of this period is not there any more.")
        # They do not overlap: so if any has some of this time, the last one that begins before its end does.
        last = (await connection.execute(_until(board_id, window_id, ends_at - timedelta(microseconds=1)).limit(1))).first()
        if last is not None:
            other = Period(*last)
            if (other.starts_at, other.ends_at, other.title) == (starts_at, ends_at, title):
                return other
            if other.ends_at > starts_at:
                raise PeriodConflict(
                    f"The period from {other.starts_at:%FT%TZ} to {other.ends_at:%FT%TZ} has some of this time."
                )
        numbers = select(func.coalesce(func.max(_row.number), 0)).where(_row.board_id == board_id, _row.window_id == window_id)
        number = (await connection.execute(numbers)).scalar_one() + 1
        period = Period(0, board_id, window_id, number, title, starts_at, ends_at, ends_at + grace, "open", None)
        written = await _insert(connection, period)
        if written is None:
            raise PeriodConflict("The time of this period is over: it would be closed already.")
        if record is not None:
            await record(connection, written)
        return written

    return await database.transaction(write)


async def take_back(database: Database, board_id: int, period_id: int, record: Record | None = None) -> bool:
    """Delete a period of a listed window that has not begun yet, nor begins within `NOT_TAKEN_BACK`. Gives whether it did."""
    values = {"period_id": period_id, "board_id": board_id, "seconds": NOT_TAKEN_BACK.seconds}

    async def delete(connection: AsyncConnection) -> bool:
        await _lock_board(connection, board_id)
        found = await list_by_id(connection, [period_id])
        taken = (await connection.execute(_TAKE_BACK, values)).rowcount == 1
        if taken and record is not None:
            await record(connection, *found)
        return taken

    return await database.transaction(delete)


async def _make(connection: AsyncConnection, window: ScheduledWindow, time: datetime) -> Period | None:
    """Under the board's lock what is read here is all there is: who made a row before has committed it."""
    if await _lock_board(connection, window.board_id) != "active":
        return None
    before, after = await _neighbours(connection, window, time)
    if before is not None and before.has(time):
        return before
    stretch = window.cut(time, before.ends_at if before else None, after)
    if stretch is None:
        return None
    number, starts_at, ends_at = stretch
    closes_at = ends_at + window.grace
    made = await _insert(
        connection, Period(0, window.board_id, window.window_id, number, None, starts_at, ends_at, closes_at, "open", None)
    )
    await _tell_opened(connection, [] if made is None else [made.period_id])
    return made


async def _tell_opened(connection: AsyncConnection, period_ids: Sequence[int]) -> None:
    if period_ids:
        await connection.execute(text(_OPENED.format(ids=_listed(period_ids))))
        await events.add_opened(connection, period_ids)


async def _neighbours(
    connection: AsyncConnection, window: ScheduledWindow, time: datetime
) -> tuple[Period | None, datetime | None]:
    """The last period that begins at ``time`` or before, and when the next one begins."""
    before = (await connection.execute(_until(window.board_id, window.window_id, time).limit(1))).first()
    after = select(func.min(_row.starts_at)).where(
        _row.board_id == window.board_id, _row.window_id == window.window_id, _row.starts_at > time
    )
    begins: datetime | None = await connection.scalar(after)
    return (None if before is None else Period(*before)), begins


async def _lock_board(connection: AsyncConnection, board_id: int) -> str | None:
    """The board's state, which stays what it is until the transaction ends. None where there is no such board."""
    state: str | None = await connection.scalar(_LOCK_BOARD, {"board_id": board_id})
    return state


async def _now(connection: AsyncConnection) -> datetime:
    now: datetime = (await connection.execute(select(_NOW))).scalar_one()
    return now


async def _insert(connection: AsyncConnection, period: Period) -> Period | None:
    """Store a period, unless it would be closed already by the time it is stored."""
    values = [literal(getattr(period, name), getattr(_row, name).type) for name in _MADE]
    made = select(*values).where(cast(literal(period.closes_at, UTCDateTime()), DATETIME(fsp=6)) > _NOW)
    result = await connection.execute(insert(_row).from_select(_MADE, made, include_defaults=False))
    return period._replace(period_id=result.lastrowid) if result.rowcount else None


def _of(board_id: int, window_id: int) -> Select[Any]:
    return select(*_columns).where(_row.board_id == board_id, _row.window_id == window_id)


def _until(board_id: int, window_id: int, time: datetime) -> Select[Any]:
    """A window's periods that have begun at ``time``, newest first."""
    return _of(board_id, window_id).where(_row.starts_at <= time).order_by(_row.starts_at.desc())


def _listed(ids: Collection[int]) -> str:
    """In the order in which they are locked."""
    return ",".join(f"{period_id:d}" for period_id in sorted(ids))
