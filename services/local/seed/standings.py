"""Folds what seeded players have played into standings, by the service's own rules, and holds all standings against the log."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.leaderboard.boards import table as boards_table
from services.leaderboard.index.epoch import renew_epoch
from services.leaderboard.log import history
from services.leaderboard.operate.check import LogCheck
from services.leaderboard.rules.places import MAIN, Place
from services.leaderboard.rules.ranking import Counting, Tally
from services.leaderboard.standings import queries, table
from services.local.seed.loading import HASH_START, Advance

PLAYERS_A_TRANSACTION = 5_000
ROWS_A_STATEMENT = 5_000
# One folds while MySQL writes what another one has folded.
_AT_ONCE = 2
_SHOWN = 5

_WITHOUT = text("""
SELECT u.id FROM users AS u
WHERE u.password_hash LIKE :seeded AND NOT EXISTS (SELECT 1 FROM standings AS t WHERE t.user_id = u.id)
AND EXISTS (SELECT 1 FROM game_sessions AS s WHERE s.user_id = u.id) ORDER BY u.id""")
_STANDINGS = (
    "INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version) VALUES {rows}"
)
_PLAYERS = """
INSERT INTO players (user_id, username) SELECT id, username FROM users WHERE id IN ({user_ids})
ON DUPLICATE KEY UPDATE username = players.username"""
_NAMELESS = text("""
SELECT COUNT(*) FROM standings AS t LEFT JOIN players AS p ON p.user_id = t.user_id
WHERE t.board_id = :board_id AND t.period_id = :period_id AND t.score IS NOT NULL AND p.user_id IS NULL""")

_Countings = Mapping[int, tuple[str, Counting]]


async def add_standings(database: Database, begin: Callable[[int], Advance]) -> None:
    """Fold the log into standings for every seeded account without: this seeding's, and those of one cut short.

    ``begin`` is told how many there are. A player's standings are added in one transaction, which sets another epoch, so that
    indexes are built anew: whatever ends us early, nothing that was committed goes unnoticed.
    """
    async with database.reading() as connection:
        ids = (await connection.scalars(_WITHOUT, {"seeded": f"{HASH_START}%"})).all()
        countings = await boards_table.list_countings(connection)
    advance = begin(len(ids))
    chunks = iter([ids[start : start + PLAYERS_A_TRANSACTION] for start in range(0, len(ids), PLAYERS_A_TRANSACTION)])

    async def work() -> None:
        for chunk in chunks:
            await database.transaction(lambda connection: _add(connection, chunk, countings))  # noqa: B023  # run here
            advance(len(chunk))

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(work())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


async def _add(connection: AsyncConnection, user_ids: Sequence[int], countings: _Countings) -> None:
    folded = await history.fold_sessions(connection, user_ids[0] - 1, user_ids[-1], countings)
    ours = set(user_ids)
    for at in sorted(folded):  # the order of the primary key
        _, counting = countings[at.board_id]
        rows = (_row(at, user_id, tally, counting) for user_id, tally in folded[at].items() if user_id in ours)
        while some := ",".join(islice(rows, ROWS_A_STATEMENT)):
            await connection.exec_driver_sql(_STANDINGS.format(rows=some))
    await connection.exec_driver_sql(_PLAYERS.format(user_ids=_listed(user_ids)))
    await renew_epoch(connection)


def _row(at: Place, user_id: int, tally: Tally, counting: Counting) -> str:
    sort = counting.direction.sort(tally.score)
    return f"({at.board_id},{at.period_id},{user_id},{tally.score},{sort},{tally.sessions},{tally.reached_session_id},1)"


def _listed(user_ids: Iterable[int]) -> str:
    return ",".join(map(str, user_ids))


@dataclass(frozen=True)
class Agreement:
    """What was compared, and what differs. ``nameless``: how many ranked players have no name."""

    players: int
    sessions: int
    standings: int
    differences: Sequence[str]
    nameless: int

    @property
    def holds(self) -> bool:
        """Whether every standing is what the log says."""
        return not self.differences and not self.nameless

    def __str__(self) -> str:
        compared = f"{self.standings:,} standings of {self.players:,} players"
        if self.holds:
            return (
                f"Checked {compared} against {self.sessions:,} game sessions: each is what its sessions give, in every window"
            )
        log = f"{self.sessions:,} game sessions"
        told = f"Of {compared}, {len(self.differences):,} do not agree with {log}, and {self.nameless:,} players have no name"
        return "\n".join([told, *self.differences[:_SHOWN], *(["and more"] if len(self.differences) > _SHOWN else [])])


async def check_agreement(database: Database, begin: Callable[[int], Advance]) -> Agreement:
    """Compare every standing, in every place, with its fold, as `make check` does. Submissions may go on: what one connection
    of ``database`` reads is of one moment. ``begin`` is told how many players there are.
    """
    async with database.reading() as connection:
        check = LogCheck(database, await boards_table.list_countings(connection))
        advance = begin(await table.count_players(connection))
        players = await queries.count_players(connection, MAIN)
        nameless = (await connection.execute(_NAMELESS, MAIN._asdict())).scalar_one()
    await check.run(advance)
    return Agreement(players, check.sessions, check.standings, check.differences, nameless)
