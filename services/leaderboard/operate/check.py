"""Holds sessions, standings, accounts and the ranking indexes against each other, row by row.

`python -m services.leaderboard.operate.check` tells what differs, and exits with 1 if anything does. Reads and writes
may go on: what differs is looked at again until it agrees, for as long as a change may take to be seen everywhere.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from services.common.mysql.database import Database
from services.common.settings import load_settings
from services.leaderboard.boards import periods
from services.leaderboard.boards import table as boards_table
from services.leaderboard.index.build import PATIENCE_SECONDS
from services.leaderboard.index.connection import UNAVAILABLE, RedisConnection
from services.leaderboard.index.epoch import get_epoch
from services.leaderboard.index.layout import parse_sort, sort_key
from services.leaderboard.index.writer import MOST_ROWS, IndexWriter, State
from services.leaderboard.log import history
from services.leaderboard.operate.progress import Bar
from services.leaderboard.operate.rebuild import COMMAND_SECONDS
from services.leaderboard.players import accounts, folding
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import MAIN, Place
from services.leaderboard.rules.ranking import Counting, Tally
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.standings import queries, table
from services.leaderboard.standings.table import KeptStanding

# A change is everywhere within a second; a whole build is waited for a little longer.
SETTLING_SECONDS = 5.0
_PAUSE_SECONDS = 0.2
_PLAYERS_AT_ONCE = 200
# While what some have is compared, MySQL reads what others have.
_AT_ONCE = 3
_BATCH = 5 * MOST_ROWS
_LAST_ID = 2**64 - 1
_TOLD = 100


class LogCheck:
    """Every standing, in every place, is the fold of its sessions. By player: so the log is read once for all places."""

    def __init__(self, reads: Database, boards: Mapping[int, tuple[str, Counting]]) -> None:
        self._reads = reads
        self._boards = boards
        self.differences: list[str] = []
        self.standings = 0
        self.sessions = 0
        self._giving = asyncio.Lock()
        # Up to this player others have begun with what there is.
        self._given = 0

    async def run(self, advance: Callable[[int], None]) -> None:
        """Go through every player. ``advance`` is told how many more are done."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(_AT_ONCE):
                    tasks.create_task(self._work(advance))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _work(self, advance: Callable[[int], None]) -> None:
        while (part := await self._next()) is not None:
            after, upto, players = part
            # One connection, one snapshot: sessions and standings of the same moment.
            async with self._reads.reading() as connection:
                texts = await table.scan_kept(connection, after, upto)
                folded = await history.fold_sessions(connection, after, upto, self._boards)
                expired = await periods.list_expired(connection, {at.period_id for at in folded})
                pending = await folding.list_pending(connection, after, upto)
            self.sessions += sum(tally.sessions for tally in folded.get(MAIN, {}).values())
            expected = self._write({at: by_player for at, by_player in folded.items() if at.period_id not in expired})
            others = await self._without_expired(map(KeptStanding.parse, texts - expected.keys()))
            missing = [expected[text] for text in expected.keys() - texts]
            self.standings += len(expected) - len(missing) + len(others)
            if pending:  # whoever goes on with it makes them agree
                others = [each for each in others if each.user_id not in pending]
                missing = [each for each in missing if each[1] not in pending]
            if others or missing:
                self.differences += self._compare(sorted(others), {(at, user_id): tally for at, user_id, tally in missing})
            advance(players)

    async def _without_expired(self, kept: Iterable[KeptStanding]) -> list[KeptStanding]:
        """Those of boards that are there, in periods that are kept. The standings of an expired one go a little later."""
        there = [each for each in kept if each.at.board_id in self._boards]
        if not there:
            return []
        async with self._reads.reading() as connection:
            expired = await periods.list_expired(connection, {each.at.period_id for each in there})
        return [each for each in there if each.at.period_id not in expired]

    async def _next(self) -> tuple[int, int, int] | None:
        """The next players, by id: after which one, up to which, and how many have standings. None when all have been given."""
        async with self._giving:
            after = self._given
            if after == _LAST_ID:
                return None
            async with self._reads.reading() as connection:
                players = await table.list_players(connection, after, _PLAYERS_AT_ONCE)
            self._given = players[-1] if len(players) == _PLAYERS_AT_ONCE else _LAST_ID
            return after, self._given, len(players)

    def _write(self, folded: Mapping[Place, Mapping[int, Tally]]) -> dict[str, tuple[Place, int, Tally]]:
        """What the standings have to be, as they are read."""
        expected = {}
        for at, by_player in folded.items():
            sort = self._boards[at.board_id][1].direction.sort
            for user_id, tally in by_player.items():
                expected[KeptStanding.text(at, user_id, tally, sort(tally.score))] = at, user_id, tally
        return expected

    def _compare(self, kept: Sequence[KeptStanding], tallies: Mapping[tuple[Place, int], Tally]) -> list[str]:
        """What differs of standings that are not what they have to be. ``tallies``: those that have none which is."""
        differences = []
        known = set()
        for at, user_id, tally, sort in kept:
            known.add((at, user_id))
            found = tallies.get((at, user_id))
            if tally is None and found is not None:
                differences.append(f"{_player(at, user_id)}: was removed, and has {found.sessions} sessions")
            elif found != tally:
                differences.append(f"{_player(at, user_id)}: the standing is {tally}, the sessions give {found}")
            _, counting = self._boards[at.board_id]
            if sort != (None if tally is None else counting.direction.sort(tally.score)):
                differences.append(f"{_player(at, user_id)}: the standing is ordered by {sort}")
        missing = sorted(tallies.keys() - known)
        return differences + [f"{_player(at, user_id)}: has sessions and no standing" for at, user_id in missing]


class IndexCheck:
    """The index of one place has its standings, and nobody else."""

    def __init__(self, reads: Database, index: IndexWriter, at: Place, direction: Direction, *, needs_index: bool) -> None:
        self._reads = reads
        self._index = index
        self._at = at
        self._direction = direction
        self._needs_index = needs_index
        self.has_index = True
        self.differences: list[str] = []

    async def run(self, bar: Bar) -> None:
        """Go through every player, by id."""
        self.has_index = await self._find_index()
        rows: Sequence[StandingRow] = []
        while self.has_index:
            async with self._reads.reading() as connection:
                rows = await table.scan_rows(connection, self._at, rows[-1].user_id if rows else 0, _BATCH)
            for start in range(0, len(rows), MOST_ROWS):
                await self._compare_index(rows[start : start + MOST_ROWS])
            bar.advance(len(rows))
            if len(rows) < _BATCH:
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

    async def _compare_index(self, rows: Sequence[StandingRow]) -> None:
        """The index has the same version, score, place and name of each."""
        deadline = monotonic() + SETTLING_SECONDS
        while True:
            entries = await self._index.entries(self._at, [row.user_id for row in rows], await self._read_epoch())
            if entries is not None:
                told = [
                    (row, _difference(self._at, row, entry, self._direction)) for row, entry in zip(rows, entries, strict=True)
                ]
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


def _player(at: Place, user_id: int) -> str:
    """A player, and where, unless it is the main board in all time."""
    return f"player {user_id}" + ("" if at == MAIN else f" on board {at.board_id}, period {at.period_id}")


def _difference(at: Place, row: StandingRow, entry: tuple[bytes | None, bytes | None], direction: Direction) -> str | None:
    """What is wrong with a player's entry, None if nothing is."""
    value, sort = entry
    expected = str(row.version)
    if row.score is not None:
        expected += f" {sort_key(row.reached_session_id)} {row.username}"
    found = None if value is None else value.decode(errors="replace")
    if found != expected:
        return f"{_player(at, row.user_id)}: the index has {found!r}, the standing gives {expected!r}"
    indexed = None if sort is None else direction.score(parse_sort(sort))
    if indexed != row.score:
        return f"{_player(at, row.user_id)}: the index has the score {indexed}, the standing {row.score}"
    return None


class AccountCheck:
    """Nothing is left of an account that has ended, and every other one is shown by the name that it has."""

    def __init__(self, reads: Database) -> None:
        self._reads = reads
        self.differences: list[str] = []

    async def run(self) -> None:
        """Look at all of them, again and again while anything differs: what auth has just committed takes a moment."""
        deadline = monotonic() + SETTLING_SECONDS
        while True:
            self.differences = await self._compare()
            if not self.differences or monotonic() > deadline:
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _compare(self) -> list[str]:
        async with self._reads.reading() as connection:
            left = await accounts.list_remains(connection, _TOLD + 1)
        differences = [f"player {user_id}: the account has ended, and something is left" for user_id in left]
        after: int | None = 0
        while after is not None:
            async with self._reads.reading() as connection:
                behind, after = await accounts.list_behind(connection, after, _BATCH)
            differences += [f"player {each.user_id}: is not called as the account is" for each in behind if not each.ended]
        return differences


async def check(settings: LeaderboardSettings) -> list[str]:
    """Check every standing, every account, and every index that there is, with a progress bar. Gives what differs."""
    settings = settings.model_copy(update={"mysql_timeout": COMMAND_SECONDS})
    account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
    reads = Database(settings, *account, isolation_level="REPEATABLE READ")
    redis = RedisConnection(settings, PATIENCE_SECONDS)
    try:
        async with reads.reading() as connection:
            boards = await boards_table.list_countings(connection)
            places = [at for at in await table.list_places(connection) if at.board_id in boards]
            expired = await periods.list_expired(connection, {at.period_id for at in places})
            players = await table.count_players(connection)
        log = LogCheck(reads, boards)
        bar = Bar("Players", players)
        await log.run(bar.advance)
        bar.done()
        of_accounts = AccountCheck(reads)
        await of_accounts.run()
        differences = log.differences + of_accounts.differences
        sys.stdout.write(f"Compared {log.standings:,} standings with {log.sessions:,} game sessions\n")
        # Nobody keeps the index of an expired period, and nobody reads it.
        for at in [each for each in places if each.period_id not in expired] or [MAIN]:
            direction = boards[at.board_id][1].direction
            differences += await _check_index(settings, reads, IndexWriter(redis), at, direction)
    finally:
        await redis.aclose()
        await reads.dispose()
    return differences


async def _check_index(
    settings: LeaderboardSettings, reads: Database, index: IndexWriter, at: Place, direction: Direction
) -> list[str]:
    async with reads.reading() as connection:
        count = await table.count_rows(connection, at)
    # Every process keeps the main board's. Others are there if somebody asked.
    checked = IndexCheck(reads, index, at, direction, needs_index=at == MAIN and count >= settings.index_from_players)
    bar = Bar(f"Index of board {at.board_id}, period {at.period_id}", count)
    await checked.run(bar)
    if checked.has_index:
        bar.done()
        sys.stdout.write(f"Compared {count:,} standings with their index\n")
    return checked.differences


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
