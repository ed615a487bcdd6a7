"""The use cases that read what boards there are: lists of them, one as it is now, and its periods."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.gather import SharedWork
from services.common.mysql.database import Database
from services.leaderboard.boards import periods, running
from services.leaderboard.boards.board import Board
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.boards.running import WindowNow
from services.leaderboard.cursors import Listing
from services.leaderboard.errors import WindowNotFound
from services.leaderboard.rules.names import BOARD_NAME
from services.leaderboard.rules.periods import Period
from services.leaderboard.rules.places import ALL_TIME, Place
from services.leaderboard.standings import queries

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Microseconds since the epoch, in the years 1653 to 5138, and an id.
_MOMENT_AND_ID = r"(?:-?[0-9]{1,16}|[0-9]{17})-[1-9][0-9]{0,9}"


class BoardsPage(NamedTuple):
    """Boards by name, and the cursor of the next page: None when there is none."""

    boards: Sequence[Board]
    next_cursor: str | None


class BoardNow(NamedTuple):
    """A board as it is now, and how many players are ranked in each of its periods that go on."""

    board: Board
    windows: Sequence[WindowNow]
    players: Sequence[int]


class PeriodsPage(NamedTuple):
    """Periods, newest first, how many players are ranked in each, and the cursor of the next page."""

    board: Board
    periods: Sequence[Period]
    players: Sequence[int]
    next_cursor: str | None


class Directory:
    """What boards there are. ``reads`` gives each connection one snapshot."""

    def __init__(self, catalogue: Catalogue, reads: Database) -> None:
        self._catalogue = catalogue
        self._reads = reads
        self._counts = PlayerCounts(reads)

    async def boards(self, prefix: str, limit: int, cursor: str | None) -> BoardsPage:
        """A page of the boards whose names begin so. Raises InvalidRequest when the cursor is not one of this list."""
        listing = Listing("b1", BOARD_NAME, (prefix,))
        after = "" if cursor is None else listing.decode(cursor)
        boards = self._catalogue.page(prefix, after, limit + 1)
        return BoardsPage(*listing.cut(boards, limit, lambda each: each.name))

    async def board(self, name: str) -> BoardNow:
        """A board, and what goes on in its windows. Raises BoardNotFound."""
        board = await self._catalogue.get(name)
        async with self._reads.reading() as connection:
            windows = await running.list_now(connection, board)
        places = [_place_now(board, each) for each in windows]
        counts = await self._counts.of([place for place in places if place is not None])
        return BoardNow(board, windows, [0 if place is None else counts[place] for place in places])

    async def periods(self, name: str, window: str | None, limit: int, cursor: str | None) -> PeriodsPage:
        """A page of the periods of a board's window, of all its windows where none is named.

        Raises BoardNotFound, WindowNotFound, and InvalidRequest when the cursor is not one of this list.
        """
        board = await self._catalogue.get(name)
        windows = [each for each in board.windows if window is None or each.definition.name == window]
        if not windows:
            raise WindowNotFound(f"The board {name} has no window of the name {window}.")
        listing = Listing("p1", _MOMENT_AND_ID, (board.board_id, window or ""))
        before = None if cursor is None else _moment_and_id(listing.decode(cursor))
        found: list[Period] = []
        async with self._reads.reading() as connection:
            for each in windows:
                found += await _list_before(connection, board.board_id, each.window_id, before, limit + 1)
        rows = sorted(found, key=_moment, reverse=True)[: limit + 1]
        page = rows[:limit]
        counts = await self._counts.of([_place(period) for period in page if period.players is None])
        players = [counts[_place(period)] if period.players is None else period.players for period in page]
        next_cursor = None
        if len(rows) > limit:
            microseconds = (page[-1].starts_at - _EPOCH) // _MICROSECOND
            next_cursor = listing.encode(f"{microseconds}-{page[-1].period_id}")
        return PeriodsPage(board, page, players, next_cursor)


class PlayerCounts:
    """How many players are ranked in places: counted by MySQL, once for all who ask at the same time.

    A million take a tenth of a second. So a count is kept for `_KEPT` times as long as it took, and for a second at least:
    however often it is asked for, little of MySQL's time goes into it.
    """

    _KEPT = 50
    _LEAST_SECONDS = 1.0
    _MOST = 10_000

    def __init__(self, reads: Database) -> None:
        self._reads = reads
        self._shared: SharedWork[int] = SharedWork()
        # Until when a count is good.
        self._counts: dict[Place, tuple[float, int]] = {}

    async def of(self, places: Collection[Place]) -> dict[Place, int]:
        """How many are ranked in each."""
        return {at: await self._of(at) for at in places}

    async def _of(self, at: Place) -> int:
        until, count = self._counts.get(at, (0.0, 0))
        if monotonic() < until:
            return count

        async def work() -> int:
            async with self._reads.reading() as connection:
                began = monotonic()
                count = await queries.count_players(connection, at)
            if len(self._counts) >= self._MOST:
                self._counts.clear()
            now = monotonic()
            self._counts[at] = now + max(self._LEAST_SECONDS, self._KEPT * (now - began)), count
            return count

        return await self._shared.ask(at, work)


async def _list_before(
    connection: AsyncConnection, board_id: int, window_id: int, before: tuple[datetime, int] | None, limit: int
) -> list[Period]:
    """A window's newest periods that come after one of another window perhaps: those may begin at the same time."""
    if before is None:
        return await periods.list_periods(connection, board_id, window_id, None, limit)
    found = await periods.list_periods(connection, board_id, window_id, before[0] + _MICROSECOND, limit + 1)
    return [period for period in found if _moment(period) < before]


def _moment(period: Period) -> tuple[datetime, int]:
    return period.starts_at, period.period_id


def _place(period: Period) -> Place:
    return Place(period.board_id, period.period_id)


def _place_now(board: Board, now: WindowNow) -> Place | None:
    """Where players are ranked now. None where nobody is yet."""
    if now.window.definition.kind == "all":
        return Place(board.board_id, ALL_TIME)
    return None if now.period is None or now.period.period_id == running.UNMADE else _place(now.period)


def _moment_and_id(text: str) -> tuple[datetime, int]:
    microseconds, _, period_id = text.rpartition("-")
    return _EPOCH + int(microseconds) * _MICROSECOND, int(period_id)
