"""Deleting a board: closed first, then gone in batches, by whoever began it or by whoever comes next.

Nothing counts for a board that is closed, and nobody is shown one that is being deleted. Its row goes last, so that what has
begun is found again; its name is taken until then. The log is not touched: its sessions may count elsewhere.
"""

from datetime import datetime
from functools import partial

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.leaderboard.boards.administration import lock_boards, next_version, set_version
from services.leaderboard.boards.board import MAIN_NAME
from services.leaderboard.boards.table import DELETING
from services.leaderboard.errors import BoardConflict, BoardNotFound
from services.leaderboard.models import Board

ROWS_AT_ONCE = 1000
"""Rows that are deleted in one transaction, at most."""
# Each by a key that begins with the board, or in no time.
_PARTS = (
    "DELETE FROM standings WHERE board_id = %s ORDER BY board_id, period_id, user_id LIMIT %s",
    "DELETE FROM periods WHERE board_id = %s ORDER BY board_id, window_id, number LIMIT %s",
    "DELETE FROM windows WHERE board_id = %s ORDER BY board_id, name LIMIT %s",
)


async def delete(database: Database, name: str) -> None:
    """Delete a board and its standings. Cut short, it is gone on with: by this function, or by `finish`.

    Raises BoardNotFound, and BoardConflict for a board that is not closed and for the main one.
    """
    board_id = await database.transaction(partial(_begin, name=name))
    while await database.transaction(partial(_go_on, board_id=board_id, limit=ROWS_AT_ONCE)) == ROWS_AT_ONCE:
        pass


async def finish(connection: AsyncConnection, _now: datetime, limit: int) -> int:
    """Go on with what a process has left over that did not come to the end of it. Gives how many rows were deleted."""
    deleted = 0
    for board_id in (await connection.scalars(select(Board.id).where(Board.state == DELETING).order_by(Board.id))).all():
        if deleted < limit:
            deleted += await _go_on(connection, board_id, limit - deleted)
    return deleted


async def _begin(connection: AsyncConnection, name: str) -> int:
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
        await connection.execute(update(Board).where(Board.id == board.id).values(state=DELETING, version=version))
        await set_version(connection, version)
    board_id: int = board.id
    return board_id


async def _go_on(connection: AsyncConnection, board_id: int, limit: int) -> int:
    """Delete up to ``limit`` rows of what the board has. If that is all, the board is gone. Gives how many they were."""
    deleted = 0
    for part in _PARTS:
        deleted += (await connection.exec_driver_sql(part, (board_id, limit - deleted))).rowcount
        if deleted == limit:
            return deleted
    await connection.exec_driver_sql("DELETE FROM boards WHERE id = %s AND state = %s", (board_id, DELETING))
    return deleted
