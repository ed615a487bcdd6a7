"""Deleting a board: closed first, then gone in batches, by whoever began it or by whoever comes next.

Nothing counts for a board that is closed, and nobody is shown one that is being deleted. Its row goes last, so that what has
begun is found again; its name is taken until then. The log is not touched: its sessions may count elsewhere.

An index of all time would stay in Redis for ever. So periods, and the board itself, go only after Redis has removed theirs:
without Redis the standings go, and the rest waits. No index comes back: whoever builds one looks for the board after it has
begun, and removes what it has begun if the board is not there any more.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from time import monotonic

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.leaderboard.boards.administration import lock_boards, next_version, set_version
from services.leaderboard.boards.board import MAIN_NAME
from services.leaderboard.boards.table import DELETING
from services.leaderboard.errors import BoardConflict, BoardNotFound
from services.leaderboard.models import Board, Period
from services.leaderboard.rules.places import ALL_TIME, Place

Forget = Callable[[Sequence[Place]], Awaitable[bool]]
"""Removes the indexes of places, and gives whether Redis has heard of it."""
Record = Callable[[AsyncConnection], Awaitable[None]]
"""Writes down that a board is to be deleted, in the transaction that says so. The board is locked, and still shown there."""

ROWS_AT_ONCE = 1000
"""Rows that are deleted in one transaction, at most."""
# Each by a key that begins with the board, or in no time.
_STANDINGS = "DELETE FROM standings WHERE board_id = %s ORDER BY board_id, period_id, user_id LIMIT %s"
_WINDOWS = "DELETE FROM windows WHERE board_id = %s ORDER BY board_id, name LIMIT %s"
_BOARD = "DELETE FROM boards WHERE id = %s AND state = %s"
# By their ids: somebody who deletes the same board may have deleted them meanwhile, and others are not to go instead of them.
_LOCK_PERIODS = "SELECT id, state FROM periods FORCE INDEX (PRIMARY) WHERE id IN ({ids}) ORDER BY id FOR UPDATE"
_RESULTS = "DELETE FROM results WHERE period_id IN ({ids}) ORDER BY period_id, position LIMIT %s"
_PERIODS = "DELETE p FROM periods AS p FORCE INDEX (PRIMARY) WHERE p.board_id = %s AND p.id IN ({ids})"


async def delete(
    database: Database, name: str, forget: Forget, *, seconds: float = math.inf, record: Record | None = None
) -> bool:
    """Delete a board and its standings. Cut short, it is gone on with: by this function, or by `finish`. It is recorded once.

    After ``seconds`` what is left is left. Gives whether the board is gone: without Redis its name stays taken. Raises
    BoardNotFound, and BoardConflict for a board that is not closed and for the main one.
    """
    board_id = await database.transaction(partial(_begin, name=name, record=record))
    go_on = partial(_go_on, board_ids=[board_id], limit=ROWS_AT_ONCE, forget=forget)
    ends = monotonic() + seconds
    while await database.transaction(go_on) == ROWS_AT_ONCE and monotonic() < ends:
        pass
    async with database.reading() as connection:
        return await connection.scalar(select(Board.id).where(Board.id == board_id)) is None


async def finish(connection: AsyncConnection, _now: datetime, limit: int, *, forget: Forget) -> int:
    """Go on with what a process has left over that did not come to the end of it. Gives how many rows were deleted."""
    board_ids = (await connection.scalars(select(Board.id).where(Board.state == DELETING).order_by(Board.id))).all()
    return await _go_on(connection, board_ids, limit, forget)


async def _begin(connection: AsyncConnection, name: str, record: Record | None) -> int:
    """Nobody is shown the board from here on. Gives its id."""
    version = await next_version(connection)
    board = (await connection.execute(select(Board.id, Board.state).where(Board.name == name))).one_or_none()
    if board is None:
        raise BoardNotFound(name)
    if name == MAIN_NAME:
        raise BoardConflict(f"The board {name} cannot be deleted: it is the one of the endpoints that name none.")
    if board.state == "active":
        raise BoardConflict(f"The board {name} is active: close it first.")
    if board.state != DELETING:
        await lock_boards(connection, [board.id])
        if record is not None:
            await record(connection)
        await connection.execute(update(Board).where(Board.id == board.id).values(state=DELETING, version=version))
        await set_version(connection, version)
    board_id: int = board.id
    return board_id


async def _go_on(connection: AsyncConnection, board_ids: Sequence[int], limit: int, forget: Forget) -> int:
    """Delete up to ``limit`` rows of what the boards have. A board of which that is all is gone. Gives how many they were."""
    if not board_ids:
        return 0
    periods = {board_id: await _list_periods(connection, board_id, limit) for board_id in board_ids}
    # Before anything is locked: no lock is held across a call to Redis.
    forgotten = await forget([Place(board_id, each) for board_id, ids in periods.items() for each in (ALL_TIME, *ids)])
    deleted = 0
    for board_id, period_ids in periods.items():
        if deleted < limit:
            deleted += await _delete(connection, board_id, period_ids, limit - deleted, whole=forgotten)
    return deleted


async def _list_periods(connection: AsyncConnection, board_id: int, limit: int) -> Sequence[int]:
    period = select(Period.id).where(Period.board_id == board_id)
    return (await connection.scalars(period.order_by(Period.window_id, Period.number).limit(limit))).all()


async def _delete(connection: AsyncConnection, board_id: int, period_ids: Sequence[int], limit: int, *, whole: bool) -> int:
    """``whole``: also these periods, and what is left of the board when there are no more of them. Else its standings."""
    deleted = 0
    if whole and period_ids:
        ids = sorted(period_ids)[:limit]
        listed = ",".join(map(str, ids))
        # Who settles one of them meanwhile has committed its results before, or finds no period after.
        await connection.exec_driver_sql(_LOCK_PERIODS.format(ids=listed))
        deleted = (await connection.exec_driver_sql(_RESULTS.format(ids=listed), (limit,))).rowcount
        if deleted == limit:
            return deleted
        await connection.exec_driver_sql(_PERIODS.format(ids=listed), (board_id,))
        deleted = min(limit, deleted + len(ids))
    deleted += (await connection.exec_driver_sql(_STANDINGS, (board_id, limit - deleted))).rowcount
    if whole and deleted < limit:
        deleted += (await connection.exec_driver_sql(_WINDOWS, (board_id, limit - deleted))).rowcount
        if deleted < limit:
            await connection.exec_driver_sql(_BOARD, (board_id, DELETING))
    return deleted
