"""The use cases of exports: the standings of a place, and the log of sessions, as of one moment, written while it is sent.

A snapshot holds a connection for as long as its reader takes, and MySQL keeps what it may still read. So there are few at once,
with connections of their own, and none goes on for longer than `MOST_SECONDS`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from typing import NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database, Snapshot
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.boards.places import Places
from services.leaderboard.errors import TooManyTransfers
from services.leaderboard.log import submission_keys
from services.leaderboard.rules.places import unpack_kept
from services.leaderboard.rules.played import SessionState
from services.leaderboard.rules.standings import End
from services.leaderboard.transfers import rows
from services.leaderboard.transfers.formats import Format, JSONText, Writer
from services.leaderboard.transfers.rows import SessionRow, StandingRecord, Wanted

T = TypeVar("T")

AT_ONCE = 2
"""Exports that a process has under way, at most: each holds a connection."""
MOST_SECONDS = 600.0
"""What an export may take. The gateway ends an answer after as long."""
STANDING_COLUMNS = "rank", "user_id", "username", "score", "sessions", "reached_session_id"
SESSION_COLUMNS = (
    "session_id",
    "user_id",
    "username",
    "score",
    "submission",
    "submitted_at",
    "played_at",
    "boards",
    "metrics",
    "tags",
    "extra",
    "state",
)


class BulkExports:
    """One process's. ``snapshots`` gives each connection one snapshot (REPEATABLE READ)."""

    def __init__(self, snapshots: Database, catalogue: Catalogue, places: Places) -> None:
        self._snapshots = snapshots
        self._catalogue = catalogue
        self._places = places
        self._under_way = 0

    async def standings(self, form: Format, board: str, window: str | None, period: str | None) -> AsyncGenerator[bytes, None]:
        """Whoever is ranked in a place, in the order of the board, in pieces. A place is named as in `Places.shown`.

        Raises, with the first piece, BoardNotFound, WindowNotFound, PeriodNotFound, PeriodExpired and TooManyTransfers; and
        with any what reading from MySQL raises.
        """
        shown = await self._places.shown(board, window, period, self._catalogue.clock.now)
        writer = Writer(form, STANDING_COLUMNS)
        if shown.place is None:  # nobody has played yet
            yield writer.head()
            return
        at = shown.place.at
        async with self._begin() as export:
            page = await export.read(partial(rows.list_standings, at=at, after=None))
            yield writer.head()
            ranks = _Ranks()
            while page:
                yield writer.rows([_ranked(each, ranks.next(each.sort)) for each in page])
                after = End(page[-1].sort, page[-1].reached_session_id)
                page = await export.read(partial(rows.list_standings, at=at, after=after))

    async def sessions(self, form: Format, wanted: Wanted, board: str | None) -> AsyncGenerator[bytes, None]:
        """The log, oldest first: of sessions that are ``wanted``, those that count on a board, or would. As `standings`.

        Raises BoardNotFound and TooManyTransfers with the first piece.
        """
        board_id = None if board is None else (await self._catalogue.get(board)).board_id
        writer = Writer(form, SESSION_COLUMNS)
        async with self._begin() as export:
            names = await export.read(rows.list_board_names)
            yield writer.head()
            last = 0
            while (upto := await export.read(partial(rows.find_last, wanted=wanted, after=last))) is not None:
                page = await export.read(partial(rows.list_sessions, wanted=wanted, after=last, upto=upto))
                found = [(row, _board_ids(row.places)) for row in page]
                yield writer.rows([_session(row, ids, names) for row, ids in found if board_id is None or board_id in ids])
                last = upto

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator["_Export"]:
        if self._under_way >= AT_ONCE:
            raise TooManyTransfers("As many exports are under way as may.")
        self._under_way += 1
        try:
            async with self._snapshots.snapshot() as snapshot:
                yield _Export(snapshot, monotonic() + MOST_SECONDS)
        finally:
            self._under_way -= 1


class _Export(NamedTuple):
    """One that is under way."""

    snapshot: Snapshot
    deadline: float

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What MySQL had at the export's moment. Raises TimeoutError once it has taken too long."""
        if monotonic() > self.deadline:
            raise TimeoutError("the export took too long")
        return await self.snapshot.read(work)


class _Ranks:
    """Ranks of players in the order of their board: equal scores share one."""

    def __init__(self) -> None:
        self._rank = self._count = 0
        self._sort: int | None = None

    def next(self, sort: int) -> int:
        """The rank of the next player, whose score is ordered by ``sort``."""
        self._count += 1
        if sort != self._sort:
            self._rank, self._sort = self._count, sort
        return self._rank


def _ranked(row: StandingRecord, rank: int) -> Sequence[object]:
    return rank, row.user_id, row.username, row.score, row.sessions, row.reached_session_id


def _session(row: SessionRow, board_ids: Sequence[int], names: Mapping[int, str]) -> Sequence[object]:
    submission = submission_keys.write(bytes(row.submission_key))
    boards = [names[each] for each in board_ids if each in names] or None
    metrics, tags = JSONText(row.metrics or "{}"), JSONText(row.tags or "{}")
    extra = None if row.extra is None else JSONText(row.extra)
    state = SessionState(row.state).name.lower()
    played_at = row.played_at or row.submitted_at
    head = row.id, row.user_id, row.username or None, row.score, submission, row.submitted_at, played_at
    return *head, boards, metrics, tags, extra, state


def _board_ids(places: bytes | None) -> list[int]:
    """The boards of these places, each once, in their order."""
    return list(dict.fromkeys([at.board_id for at in unpack_kept(places)]))
