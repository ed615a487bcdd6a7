"""The catalogue: what boards there are, in the memory of each process, and never a second behind MySQL.

One number tells whether anything changed, and each board has the number of its last change: so a change of one is read alone,
however many there are.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from services.common.gather import Gather
from services.common.http.problems import ServiceUnavailable
from services.common.mysql.database import Database
from services.common.mysql.rounds import Rounds
from services.leaderboard.boards import table
from services.leaderboard.boards.board import Board
from services.leaderboard.boards.clock import Clock, utc_now
from services.leaderboard.boards.known import KnownBoards
from services.leaderboard.errors import BoardNotFound
from services.leaderboard.rules.names import BOARD_NAME

INTERVAL_SECONDS = 1.0
"""From one look for changes to the next."""
_GATHERED = 100
_NAME = re.compile(BOARD_NAME)


class Catalogue:
    """One process's. ``database`` gives each connection one snapshot (REPEATABLE READ), so that what a look reads is of one
    moment. While MySQL is away, what is known stays.
    """

    def __init__(
        self, database: Database, *, interval: float = INTERVAL_SECONDS, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.clock = Clock(clock)
        self._database = database
        self._known = KnownBoards()
        # What boards_version said when everything that is known was read. 0: nothing has been.
        self._version = 0
        self._looking = asyncio.Lock()
        self._lookups: Gather[str, Board | None] = Gather(self._look_up, most=_GATHERED)
        self._rounds = Rounds(
            self.refresh,
            interval,
            name="looking for changes of boards",
            failing="boards cannot be read, what is known of them stays",
        )

    async def start(self) -> None:
        """Read what there is, and begin to look for changes. Without MySQL the process starts all the same."""
        await self._rounds.attempt()
        self._rounds.start(later=True)

    async def stop(self) -> None:
        """End the rounds."""
        await self._rounds.stop()

    @property
    def version(self) -> int:
        """Every change up to this one is known."""
        return self._version

    async def find(self, name: str) -> Board | None:
        """The board of this name. One that is not known may be new: it is looked up before the answer is that there is none.

        Raises what the database raises when MySQL does not answer that.
        """
        board = self._known.by_name(name)
        if board is not None or not _NAME.fullmatch(name):
            return board
        return await self._lookups.ask(name)

    async def get(self, name: str) -> Board:
        """The board of this name. Raises BoardNotFound, and what `find` raises."""
        board = await self.find(name)
        if board is None:
            raise BoardNotFound(name)
        return board

    def by_name(self, name: str) -> Board | None:
        """The board of this name, if it is known."""
        return self._known.by_name(name)

    def by_id(self, board_id: int) -> Board | None:
        """The board with this id, if it is known."""
        return self._known.by_id(board_id)

    def matching(self, tags: Mapping[str, str]) -> Sequence[Board]:
        """The active boards that a session with these tags counts for if it names none, in the order of their names.

        Raises ServiceUnavailable as long as the boards have never been read.
        """
        self._require()
        return self._known.matching(tags)

    def page(self, prefix: str, after: str, limit: int) -> list[Board]:
        """Up to so many boards whose names begin with ``prefix`` and come after ``after``, in the order of their names.

        Raises ServiceUnavailable as long as the boards have never been read.
        """
        self._require()
        return self._known.page(prefix, after, limit)

    async def refresh(self) -> None:
        """Know everything that is committed before this call. Raises what the database raises."""
        async with self._looking:
            asked = self.clock.own()
            version, now = await table.look(self._database)
            self.clock.set(asked, now, self.clock.own())
            if version != self._version:
                await self._read()

    async def _read(self) -> None:
        async with self._database.reading() as connection:
            version, _ = await table.get_version(connection)
            if not self._version or version < self._version:  # an older database was restored
                self._known = KnownBoards(await table.list_boards(connection))
            else:
                for board in await table.list_boards(connection, self._version):
                    self._known.put(board)
                # A board that is being deleted, or is gone already, is found by its absence.
                if await table.count_boards(connection) != len(self._known):
                    self._known.keep(await table.list_ids(connection))
            self._version = version

    def _require(self) -> None:
        if not self._version:
            raise ServiceUnavailable("What boards there are has not been read yet. Try again in a moment.")

    async def _look_up(self, names: list[str]) -> list[Board | None]:
        async with self._database.reading() as connection:
            for board in await table.list_named(connection, set(names)):
                # Else it is known as it was later, or was deleted since: what is known is newer than what was read here.
                if board.version > self._version:
                    known = self._known.by_id(board.board_id)
                    if known is None or known.version < board.version:
                        self._known.put(board)
        return [self._known.by_name(name) for name in names]
