"""The use cases that write boards down over HTTP: making, changing and deleting one, and the periods of listed windows."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.common.tokens import Caller
from services.leaderboard.boards import administration, deletion, periods, table
from services.leaderboard.boards.board import Board, Definition, Window
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.boards.deletion import Forget
from services.leaderboard.boards.document import board_json
from services.leaderboard.errors import PeriodConflict, PeriodNotFound, WindowNotFound
from services.leaderboard.moderation import entries
from services.leaderboard.moderation.entries import Act, Order
from services.leaderboard.rules.periods import Period

# What a deletion may take of a request. Upkeep goes on with what is left.
_DELETING_SECONDS = 2.0
_SAID_OF_A_PERIOD = "period_id", "number", "title", "starts_at", "ends_at", "closes_at", "state"


class BoardWrites:
    """Boards as they are written down. ``forget`` removes indexes from Redis. Each change is in the log of moderation."""

    def __init__(self, catalogue: Catalogue, database: Database, forget: Forget) -> None:
        self._catalogue = catalogue
        self._database = database
        self._forget = forget

    async def put(self, definition: Definition, by: Caller) -> tuple[Board, bool]:
        """Make a board, or change it to what is given, whole. Gives it, and whether it is new.

        Raises BoardConflict when it cannot become that, and BoardNotFound when it was deleted meanwhile.
        """

        async def record(connection: AsyncConnection, was: Board | None, became: Board) -> None:
            act = Act.BOARD_MADE if was is None else Act.BOARD_CHANGED
            await _log(connection, act, by, was={} if was is None else board_json(was), became=board_json(became))

        change = await administration.put(self._database, definition, record)
        await self._catalogue.refresh()
        return await self._catalogue.get(definition.name), change.outcome == "created"

    async def delete(self, name: str, by: Caller) -> bool:
        """Delete a board that is closed, and its standings. Gives whether it is gone: else it is gone on with by itself.

        Raises BoardNotFound, and BoardConflict for a board that is not closed and for the main one.
        """

        async def record(connection: AsyncConnection) -> None:
            boards = await table.list_named(connection, [name])
            # None where this process cannot read a window of it.
            was = board_json(boards[0]) if boards else {"name": name}
            await _log(connection, Act.BOARD_DELETED, by, was=was)

        gone = await deletion.delete(self._database, name, self._forget, seconds=_DELETING_SECONDS, record=record)
        await self._catalogue.refresh()
        return gone

    async def write_period(
        self, name: str, window: str, title: str | None, starts_at: datetime, ends_at: datetime, by: Caller
    ) -> Period:
        """Write down a period of a listed window. Written down again, it is the one that there is.

        Raises BoardNotFound, WindowNotFound, and PeriodConflict when there cannot be such a period.
        """
        board, listed = await self._listed(name, window)

        async def record(connection: AsyncConnection, written: Period) -> None:
            await _log(connection, Act.PERIOD_WRITTEN, by, became=_said(name, window, written))

        return await periods.write_listed(
            self._database,
            board.board_id,
            listed.window_id,
            title=title,
            starts_at=starts_at,
            ends_at=ends_at,
            grace=timedelta(seconds=listed.definition.grace_seconds or 0),
            record=record,
        )

    async def take_back(self, name: str, window: str, period_id: int, by: Caller) -> None:
        """Delete a period of a listed window that has not begun.

        Raises BoardNotFound, WindowNotFound, PeriodNotFound, and PeriodConflict when it has begun, or begins in a moment.
        """
        board, listed = await self._listed(name, window)
        async with self._database.reading() as connection:
            found = await periods.list_by_id(connection, [period_id])
        if not found or found[0].window_id != listed.window_id:
            raise PeriodNotFound(f"The window {window} of the board {name} has no period {period_id}.")

        async def record(connection: AsyncConnection, taken: Period) -> None:
            await _log(connection, Act.PERIOD_TAKEN_BACK, by, was=_said(name, window, taken))

        if not await periods.take_back(self._database, board.board_id, period_id, record):
            seconds = periods.NOT_TAKEN_BACK.seconds
            raise PeriodConflict(f"The period has begun, or begins within {seconds} seconds: it stays.")

    async def _listed(self, name: str, window: str) -> tuple[Board, Window]:
        board = await self._catalogue.get(name)
        found = board.window(window)
        if found is None:  # it may have been added just now
            await self._catalogue.refresh()
            board = await self._catalogue.get(name)
            found = board.window(window)
        if found is None:
            raise WindowNotFound(f"The board {name} has no window of the name {window}.")
        if not found.definition.listed:
            raise PeriodConflict(f"The window {window} starts anew by itself: its periods are not written down.")
        return board, found


def _said(board: str, window: str, period: Period) -> Mapping[str, Any]:
    """What the log says of a period."""
    named = {name: getattr(period, name) for name in _SAID_OF_A_PERIOD}
    said: Mapping[str, Any] = to_jsonable_python({"board": board, "window": window, **named})
    return said


async def _log(
    connection: AsyncConnection,
    act: Act,
    by: Caller,
    *,
    was: Mapping[str, Any] | None = None,
    became: Mapping[str, Any] | None = None,
) -> None:
    """None: there was nothing before, or is nothing after."""
    await entries.add(connection, act, Order(by, None), user_id=None, was=was or {}, became=became or {})
