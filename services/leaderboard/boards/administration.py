"""Making, changing and closing boards. The SQL of it, and the order in which it locks.

Whoever changes boards locks the row of `boards_version` first, and so comes after whoever does already: nobody else locks it,
and it is read without a lock. What is read then of boards is what they are. The rows of boards that change are locked after it,
by id, which waits for the groups of sessions that are being counted for them, and they for it; then the periods, by id.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.http.problems import FieldError, pointer
from services.common.mysql.database import Database
from services.leaderboard import models
from services.leaderboard.boards import periods, table
from services.leaderboard.boards.board import Board, Definition, WindowDefinition
from services.leaderboard.boards.change import Change, compare
from services.leaderboard.boards.document import Fault, hold_json, rewards_json, rule_json
from services.leaderboard.errors import BoardConflict

AT_ONCE = 100
"""Boards that are made or changed in one transaction, at most: sessions of those that change wait for it."""
# A process that has not heard of a window yet does not count for it. It hears within a second while MySQL answers.
HEARD = timedelta(seconds=5)

Record = Callable[[AsyncConnection, Board | None, Board], Awaitable[None]]
"""Writes down, in the transaction that does it, what a board was, None where it is new, and what it became."""


class BoardsConflict(Exception):
    """Some of the boards cannot become what was asked for. ``faults`` say why, with places in the list that was given."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


async def put(database: Database, definition: Definition, record: Record | None = None) -> Change:
    """Make a board, or change it to what is given, whole. Given again, nothing is changed, and nothing recorded.

    Raises BoardConflict.
    """

    async def put_one(connection: AsyncConnection) -> Change:
        [change] = await _put(connection, [definition], 0)
        if record is not None and change.outcome != "unchanged":
            [became] = await table.list_named(connection, [definition.name])
            await record(connection, change.board, became)
        return change

    try:
        change = await database.transaction(put_one)
    except BoardsConflict as conflict:
        errors = [FieldError(detail=fault.detail, pointer=pointer(list(map(str, fault.at[2:])))) for fault in conflict.faults]
        raise BoardConflict("; ".join(error.detail for error in errors), errors=errors) from None
    return change


async def plan(database: Database, definitions: Sequence[Definition]) -> list[Change]:
    """What `put_all` would do. Raises BoardsConflict, with everything that stands against it."""
    changes: list[Change] = []
    async with database.reading() as connection:
        for start in range(0, len(definitions), AT_ONCE):
            changes += await _compare(connection, definitions[start : start + AT_ONCE])
    _require_possible(changes, 0)
    return changes


async def put_all(database: Database, definitions: Sequence[Definition]) -> list[Change]:
    """Make boards, or change them to what is given; others are left alone. Given again, nothing is changed.

    Raises BoardsConflict when some cannot become that, before anything is changed. What they are is looked at once more in each
    transaction, of up to `AT_ONCE` boards: who meets another's change there stops, with what was done before; it can be run
    again.
    """
    changes = await plan(database, definitions)
    for start in range(0, len(definitions), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        if any(change.outcome != "unchanged" for change in changes[some]):
            changes[some] = await database.transaction(lambda connection: _put(connection, definitions[some], start))  # noqa: B023 - run here
    return changes


async def next_version(connection: AsyncConnection) -> int:
    """Come after whoever changes boards, and give the version that this transaction's changes have."""
    locked = await connection.exec_driver_sql("SELECT version FROM boards_version WHERE id = 1 FOR UPDATE")
    version: int = locked.scalar_one() + 1
    return version


async def set_version(connection: AsyncConnection, version: int) -> None:
    """Have each process look for what was changed."""
    await connection.exec_driver_sql("UPDATE boards_version SET version = %s WHERE id = 1", (version,))


async def lock_boards(connection: AsyncConnection, board_ids: Iterable[int]) -> None:
    """Wait for what is being counted for these boards, and keep what comes next waiting."""
    ids = sorted(board_ids)
    if ids:
        listed = ", ".join(map(str, ids))
        # In order, and not the ids alone: else MariaDB goes through the whole index, and waits for every board that is held.
        await connection.exec_driver_sql(
            f"SELECT id, state FROM boards FORCE INDEX (PRIMARY) WHERE id IN ({listed}) ORDER BY id FOR UPDATE"
        )


async def _put(connection: AsyncConnection, definitions: Sequence[Definition], number: int) -> list[Change]:
    """``number``: how many of the list that was given come before these."""
    version = await next_version(connection)
    changes = await _compare(connection, definitions, locking=True)
    _require_possible(changes, number)
    if all(change.outcome == "unchanged" for change in changes):
        return changes
    await _insert(connection, [change.definition for change in changes if change.board is None], version)
    for change in changes:
        if change.board is not None and change.differences:
            await _update(connection, change.board, change.definition, version)
            await _update_rewards(connection, change.board, change.rewarding)
    await _insert_windows(connection, [change for change in changes if change.added])
    await set_version(connection, version)
    return changes


async def _compare(connection: AsyncConnection, definitions: Sequence[Definition], *, locking: bool = False) -> list[Change]:
    """What each comes to. ``locking``: those that change are locked, so that what is found out about their sessions stays."""
    names = [definition.name for definition in definitions]
    boards = {board.name: board for board in await table.list_named(connection, names)}
    deleting = await table.list_deleting(connection, names)
    changes = [compare(definition, boards.get(definition.name)) for definition in definitions]
    if locking:
        await lock_boards(connection, [change.board.board_id for change in changes if change.board and change.differences])
    return [await _look_closer(connection, change, deleting) for change in changes]


async def _look_closer(connection: AsyncConnection, change: Change, deleting: set[str]) -> Change:
    """With what only MySQL knows of the board."""
    conflicts = list(change.conflicts)
    if change.definition.name in deleting:
        conflicts.append(Fault(("name",), "The board that had this name is being deleted: wait until it is gone"))
    has_sessions = change.board is not None and bool(change.added) and await _has_sessions(connection, change.board.board_id)
    if has_sessions:
        why = "The window all cannot be added to a board that has sessions: it would lack those of before"
        windows = enumerate(change.definition.windows)
        conflicts += [Fault(("windows", index), why) for index, each in windows if each.kind == "all" and each in change.added]
    return replace(change, conflicts=tuple(conflicts), has_sessions=has_sessions)


def _require_possible(changes: Sequence[Change], number: int) -> None:
    faults = [
        Fault(("boards", index, *fault.at), fault.detail)
        for index, change in enumerate(changes, number)
        for fault in change.conflicts
    ]
    if faults:
        raise BoardsConflict(faults)


async def _has_sessions(connection: AsyncConnection, board_id: int) -> bool:
    """Whether a session has ever counted for a board."""
    found = await connection.exec_driver_sql("SELECT 1 FROM standings WHERE board_id = %s LIMIT 1", (board_id,))
    return found.first() is not None


async def _insert(connection: AsyncConnection, definitions: Sequence[Definition], version: int) -> None:
    if definitions:
        rows = [{"name": each.name, "version": version, **_fixed(each), **_changeable(each)} for each in definitions]
        await connection.execute(insert(models.Board), rows)


async def _update(connection: AsyncConnection, board: Board, definition: Definition, version: int) -> None:
    values = {"version": version, **_changeable(definition)}
    await connection.execute(update(models.Board).where(models.Board.id == board.board_id).values(**values))
    if definition.state == "closed" and board.definition.state != "closed":
        await periods.end_all(connection, [board.board_id])


async def _update_rewards(connection: AsyncConnection, board: Board, windows: Iterable[WindowDefinition]) -> None:
    """Of periods that are settled from then on: those that are settled keep what they were settled with."""
    for window in windows:
        of_window = models.Window.board_id == board.board_id, models.Window.name == window.name
        await connection.execute(update(models.Window).where(*of_window).values(rewards=rewards_json(window.rewards)))


async def _insert_windows(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    names = [change.definition.name for change in changes]
    found = await connection.execute(select(models.Board.name, models.Board.id).where(models.Board.name.in_(names)))
    ids = {row.name: row.id for row in found}
    soon = await _now(connection) + HEARD
    rows = []
    for change in changes:
        position = len(change.definition.windows) - len(change.added)
        for window in change.added:
            counts_from = next_start(window, soon) if change.has_sessions else None
            rows.append(_row(ids[change.definition.name], position, window, counts_from))
            position += 1
    if rows:
        await connection.execute(insert(models.Window), rows)


async def _now(connection: AsyncConnection) -> datetime:
    now: datetime = (await connection.exec_driver_sql("SELECT NOW(6)")).scalar_one()
    return now.replace(tzinfo=UTC)


def next_start(window: WindowDefinition, after: datetime) -> datetime | None:
    """When the first period begins that begins after a time. None where periods are written down one by one."""
    if window.schedule is None:
        return None
    number = window.schedule.number_at(after)
    return window.schedule.occurrence(0 if number is None else number + 1)


def _fixed(definition: Definition) -> dict[str, object]:
    return {name: getattr(definition, name) for name in ("metric", "aggregate", "direction")}


def _changeable(definition: Definition) -> dict[str, object]:
    names = "title", "min_score", "max_score", "show_extra", "submitters", "state"
    documents = {"rule": rule_json(definition.rule), "hold": hold_json(definition.hold)}
    return {**documents, **{name: getattr(definition, name) for name in names}}


def _row(board_id: int, position: int, window: WindowDefinition, counts_from: datetime | None) -> dict[str, object]:
    schedule = window.schedule
    return {
        "board_id": board_id,
        "position": position,
        "name": window.name,
        "kind": window.kind,
        "every": schedule and schedule.every,
        "unit": schedule and schedule.unit,
        "zone": schedule and schedule.zone,
        "first": schedule and schedule.first,
        "grace_seconds": window.grace_seconds,
        "keep": window.keep,
        "rewards": rewards_json(window.rewards),
        "counts_from": counts_from,
    }
