"""Holds sessions, standings and the ranking index against each other, row by row.

`python -m services.leaderboard.operate.check` tells what differs, and exits with 1 if anything does. Reads and writes
may go on: what differs is looked at again until it agrees, for as long as a change may take to be seen everywhere.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from time import monotonic

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from services.common.mysql.database import Database
from services.common.settings import load_settings
from services.leaderboard.boards import definitions
from services.leaderboard.index.build import PATIENCE_SECONDS
from services.leaderboard.index.connection import UNAVAILABLE, RedisConnection
from services.leaderboard.index.epoch import get_epoch
from services.leaderboard.index.layout import parse_sort, sort_key
from services.leaderboard.index.writer import MOST_ROWS, IndexWriter, State
from services.leaderboard.log import history
from services.leaderboard.models import Board
from services.leaderboard.operate.progress import Bar
from services.leaderboard.operate.rebuild import COMMAND_SECONDS
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import MAIN, Place
from services.leaderboard.rules.ranking import TOTALS, Tally
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.standings import queries, table

# A change is everywhere within a second; a whole build is waited for a little longer.
SETTLING_SECONDS = 5.0
_PAUSE_SECONDS = 0.2
_BATCH = 5 * MOST_ROWS
_LAST_ID = 2**64 - 1
_TOLD = 100


class Check:
    """One board and period, checked. What differs is in ``differences``, as sentences."""

    def __init__(self, reads: Database, index: IndexWriter, at: Place, direction: Direction, *, needs_index: bool) -> None:
        self._reads = reads
        self._index = index
        self._at = at
        self._direction = direction
        self._needs_index = needs_index
        self.has_index = True
        self.differences: list[str] = []
        self.players = 0
        self.sessions = 0

    async def run(self, bar: Bar) -> None:
        """Go through every player, by id."""
        self.has_index = await self._find_index()
        after = 0
        while True:
            rows, upto = await self._compare_log(after)
            for start in range(0, len(rows) if self.has_index else 0, MOST_ROWS):
                await self._compare_index([row for row, _ in rows[start : start + MOST_ROWS]])
            bar.advance(len(rows))
            self.players += len(rows)
            after = upto
            if upto == _LAST_ID:
                break
        if self.has_index or self._needs_index:
            await self._compare_sizes()

    async def _find_index(self) -> bool:
        """Whether there is an index to compare. One that is being built is waited for, and so is one that there must be."""
        deadline = monotonic() + SETTLING_SECONDS
        while True:
            state = (await self._index.status(self._at, await self._read_epoch())).state
            if state is State.COMPLETE:
                return True
            if (state is State.NONE and not self._needs_index) or monotonic() > deadline:
                return False
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _read_epoch(self) -> str:
        async with self._reads.reading() as connection:
            return await get_epoch(connection)

    async def _compare_log(self, after: int) -> tuple[list[tuple[StandingRow, Tally | None]], int]:
        """Every standing is the fold of its sessions, of the next players by id. Gives their standings, and where they end."""
        # One connection, one snapshot: sessions and standings of the same moment.
        async with self._reads.reading() as connection:
            rows = await table.scan_tallies(connection, self._at, after, _BATCH)
            upto = rows[-1][0].user_id if len(rows) == _BATCH else _LAST_ID
            folded = await history.fold_sessions(connection, after, upto, {self._at.board_id: TOTALS})
        log = folded.get(self._at, {})
        self.sessions += sum(tally.sessions for tally in log.values())
        self.differences += _log_differences(rows, log)
        return rows, upto

    async def _compare_index(self, rows: Sequence[StandingRow]) -> None:
        """The index has the same version, score, place and name of each."""
        deadline = monotonic() + SETTLING_SECONDS
        while True:
            entries = await self._index.entries(self._at, [row.user_id for row in rows], await self._read_epoch())
            if entries is not None:
                told = [(row, _difference(row, entry, self._direction)) for row, entry in zip(rows, entries, strict=True)]
                rows = [row for row, difference in told if difference]
                if not rows or monotonic() > deadline:
                    self.differences += [difference for _, difference in told if difference]
                    return
            elif monotonic() > deadline:
                self.has_index = False  # which the sizes will tell
                return
            await asyncio.sleep(_PAUSE_SECONDS)
            async with self._reads.reading() as connection:
                rows = await table.list_rows(connection, self._at, [row.user_id for row in rows])

    async def _compare_sizes(self) -> None:
        """The index has nobody else: with each player's entry right, as many are the same ones."""
        deadline = monotonic() + SETTLING_SECONDS
        while True:
            async with self._reads.reading() as connection:
                expected = await table.count_rows(connection, self._at), await queries.count_players(connection, self._at)
            found = await self._index.sizes(self._at, await self._read_epoch())
            if found == expected:
                return
            if monotonic() > deadline:
                has = "is not complete" if found is None else f"has {found[0]} players, {found[1]} of them ranked"
                self.differences.append(f"the index {has}; there are {expected[0]} standings, {expected[1]} of them ranked")
                return
            await asyncio.sleep(_PAUSE_SECONDS)


def _log_differences(rows: Sequence[tuple[StandingRow, Tally | None]], log: Mapping[int, Tally]) -> list[str]:
    differences = []
    for row, tally in rows:
        found = log.get(row.user_id)
        if tally is None and found is not None:
            differences.append(f"player {row.user_id}: was removed, and has {found.sessions} sessions")
        elif found != tally:
            differences.append(f"player {row.user_id}: the standing is {tally}, the sessions give {found}")
    known = {row.user_id for row, _ in rows}
    return differences + [f"player {user_id}: has sessions and no standing" for user_id in log if user_id not in known]


def _difference(row: StandingRow, entry: tuple[bytes | None, bytes | None], direction: Direction) -> str | None:
    """What is wrong with a player's entry, None if nothing is."""
    value, sort = entry
    expected = str(row.version)
    if row.score is not None:
        expected += f" {sort_key(row.reached_session_id)} {row.username}"
    found = None if value is None else value.decode(errors="replace")
    if found != expected:
        return f"player {row.user_id}: the index has {found!r}, the standing gives {expected!r}"
    indexed = None if sort is None else direction.score(parse_sort(sort))
    if indexed != row.score:
        return f"player {row.user_id}: the index has the score {indexed}, the standing {row.score}"
    return None


async def check(settings: LeaderboardSettings) -> list[str]:
    """Check every board and period, with a progress bar. Gives what differs."""
    settings = settings.model_copy(update={"mysql_timeout": COMMAND_SECONDS})
    account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
    reads = Database(settings, *account, isolation_level="REPEATABLE READ")
    redis = RedisConnection(settings, PATIENCE_SECONDS)
    differences: list[str] = []
    try:
        async with reads.reading() as connection:
            boards = await connection.execute(select(Board.id, Board.direction))
            directions = {board_id: Direction(direction) for board_id, direction in boards}
            places = [
                (at, directions[at.board_id]) for at in await definitions.list_places(connection) if at.board_id in directions
            ]
        for at, direction in places:
            async with reads.reading() as connection:
                players = await table.count_rows(connection, at)
            bar = Bar(f"Board {at.board_id}, period {at.period_id}", players)
            # Every process keeps the main board's. Others are there if somebody asked.
            needs_index = at == MAIN and players >= settings.index_from_players
            checked = Check(reads, IndexWriter(redis), at, direction, needs_index=needs_index)
            await checked.run(bar)
            bar.done()
            differences += checked.differences
            index = " and with the index" if checked.has_index else ""
            sys.stdout.write(f"Compared {checked.players:,} players with {checked.sessions:,} game sessions{index}\n")
    finally:
        await redis.aclose()
        await reads.dispose()
    return differences


def main() -> int:
    """Tell what differs. 1 if anything does, or if it could not be found out."""
    try:
        differences = asyncio.run(check(load_settings(LeaderboardSettings)))
    except (*UNAVAILABLE, SQLAlchemyError) as error:
        sys.stderr.write(f"not checked: {error or type(error).__name__}\n")
        return 1
    for difference in differences[:_TOLD]:
        sys.stdout.write(f"{difference}\n")
    if len(differences) > _TOLD:
        sys.stdout.write(f"and {len(differences) - _TOLD:,} more\n")
    sys.stdout.write(f"{len(differences):,} differences\n" if differences else "Everything agrees\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
