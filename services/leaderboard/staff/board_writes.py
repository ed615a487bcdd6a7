"""The use cases that write boards down over HTTP: making, changing and deleting one, and the periods of listed windows."""

from datetime import datetime, timedelta

from services.common.mysql.database import Database
from services.leaderboard.boards import administration, deletion, periods
from services.leaderboard.boards.board import Board, Definition, Window
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.boards.deletion import Forget
from services.leaderboard.errors import PeriodConflict, PeriodNotFound, WindowNotFound
from services.leaderboard.rules.periods import Period

# What a deletion may take of a request. Upkeep goes on with what is left.
_DELETING_SECONDS = 2.0


class BoardWrites:
    """Boards as they are written down. ``forget`` removes indexes from Redis."""

    def __init__(self, catalogue: Catalogue, database: Database, forget: Forget) -> None:
        self._catalogue = catalogue
        self._database = database
        self._forget = forget

    async def put(self, definition: Definition) -> tuple[Board, bool]:
        """Make a board, or change it to what is given, whole. Gives it, and whether it is new.

        Raises BoardConflict when it cannot become that, and BoardNotFound when it was deleted meanwhile.
        """
        change = await administration.put(self._database, definition)
        await self._catalogue.refresh()
        return await self._catalogue.get(definition.name), change.outcome == "created"

    async def delete(self, name: str) -> bool:
        """Delete a board that is closed, and its standings. Gives whether it is gone: else it is gone on with by itself.

        Raises BoardNotFound, and BoardConflict for a board that is not closed and for the main one.
        """
        gone = await deletion.delete(self._database, name, self._forget, seconds=_DELETING_SECONDS)
        await self._catalogue.refresh()
        return gone

    async def write_period(self, name: str, window: str, title: str | None, starts_at: datetime, ends_at: datetime) -> Period:
        """Write down a period of a listed window. Written down again, it is the one that there is.

        Raises BoardNotFound, WindowNotFound, and PeriodConflict when there cannot be such a period.
        """
        board, listed = await self._listed(name, window)
        return await periods.write_listed(
            self._database,
            board.board_id,
            listed.window_id,
            title=title,
            starts_at=starts_at,
            ends_at=ends_at,
            grace=timedelta(seconds=listed.definition.grace_seconds or 0),
        )

    async def take_back(self, name: str, window: str, period_id: int) -> None:
        """Delete a period of a listed window that has not begun.

        Raises BoardNotFound, WindowNotFound, PeriodNotFound, and PeriodConflict when it has begun, or begins in a moment.
        """
        board, listed = await self._listed(name, window)
        async with self._database.reading() as connection:
            found = await periods.list_by_id(connection, [period_id])
        if not found or found[0].window_id != listed.window_id:
            raise PeriodNotFound(f"The window {window} of the board {name} has no period {period_id}.")
        if not await periods.take_back(self._database, board.board_id, period_id):
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
