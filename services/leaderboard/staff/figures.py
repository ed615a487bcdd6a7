"""How the whole system does, for who runs a game: how much is played, what is in use, and what waits to be done."""

from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.gather import SharedWork
from services.common.mysql.database import Database
from services.leaderboard.index.follower import Follower
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.log.writer import Writer
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.seasons.settling import count_unsettled
from services.leaderboard.voids.jobs import count_going_on

KEPT_SECONDS = 1.0
COUNTED = 10_000
"""Rows that are counted one by one, at most."""
LAST = 3_000
"""Sessions by which it is told how many are submitted a second, at most."""
MOST_PLACES = 500


class Count(NamedTuple):
    """How many there are. Not ``exact``: by MySQL's own estimate."""

    rows: int
    exact: bool


class Measured(NamedTuple):
    """What `GET /figures` tells. ``complete``: how many of the places have an index in Redis; None when Redis is not read.

    ``outbox`` and ``players_waiting`` are `COUNTED` at most.
    """

    submissions_per_second: float
    players: Count
    sessions: Count
    in_use: bool
    places: int
    complete: int | None
    submissions: int
    outbox: int
    periods: int
    players_waiting: int
    void_jobs: int
    measured_at: datetime


class Figures:
    """Measures at most once a second, however many ask. ``snapshots`` gives each connection one snapshot.

    What is played and what waits is the whole system's, as MySQL has it. But the submissions that wait are this process's, and
    so is whether it reads Redis.
    """

    def __init__(self, snapshots: Database, follower: Follower, index: RankingIndex, writer: Writer) -> None:
        self._snapshots = snapshots
        self._follower = follower
        self._index = index
        self._writer = writer
        self._shared: SharedWork[Measured] = SharedWork()
        self._last: tuple[float, Measured] | None = None

    async def get(self) -> Measured:
        """What was measured last, or now if that is a second ago. Raises what the database raises."""
        if self._last is not None and monotonic() - self._last[0] < KEPT_SECONDS:
            return self._last[1]
        return await self._shared.ask("figures", self._measure)

    async def _measure(self) -> Measured:
        async with self._snapshots.reading() as connection:
            rate = await _rate(connection)
            players, sessions = [await _count(connection, table) for table in ("players", "game_sessions")]
            places = await _list_places(connection)
            periods, void_jobs = await count_unsettled(connection), await count_going_on(connection)
            outbox, changes, at = (await connection.execute(text(_WAITING))).one()
        measured = Measured(
            submissions_per_second=rate,
            players=players,
            sessions=sessions,
            in_use=self._follower.in_use,
            places=len(places),
            complete=await self._index.count_complete(places),
            submissions=self._writer.waiting,
            outbox=outbox,
            periods=periods,
            players_waiting=changes,
            void_jobs=void_jobs,
            measured_at=at.replace(tzinfo=UTC),
        )
        self._last = monotonic(), measured
        return measured


async def _rate(connection: AsyncConnection) -> float:
    """Sessions that were stored a second: over the last minute, or by the last of them, if those were more than enough."""
    stored, seconds = (await connection.execute(text(_RATE))).one()
    over = float(seconds) if stored == LAST else 60.0
    rate: float = round(stored / max(over, 0.001), 1)
    return rate


async def _count(connection: AsyncConnection, table: str) -> Count:
    rows: int = (await connection.execute(text(_COUNT.format(table=table)))).scalar_one()
    if rows <= COUNTED:
        return Count(rows, exact=True)
    estimate = (await connection.execute(text(_ESTIMATE.format(table=table)))).mappings().one()
    return Count(max(int(estimate["rows"]), rows), exact=False)


async def _list_places(connection: AsyncConnection) -> Sequence[Ranked]:
    """The places that go on: so many of them, at most."""
    found = (await connection.execute(text(_PLACES))).all()
    return [Ranked(Place(board_id, period_id), Direction(goes), None) for board_id, period_id, goes in found]


# By the primary key from its end on, whatever the log's length is.
_RATE = f"""
SELECT COUNT(*), COALESCE(TIMESTAMPDIFF(MICROSECOND, MIN(submitted_at), NOW(6)) / 1000000, 0)
FROM (SELECT submitted_at FROM game_sessions FORCE INDEX (PRIMARY) ORDER BY id DESC LIMIT {LAST}) AS last
WHERE submitted_at > NOW(6) - INTERVAL 60 SECOND"""
_COUNT = f"SELECT COUNT(*) FROM (SELECT 1 FROM {{table}} LIMIT {COUNTED + 1}) AS some"
# What the optimizer knows of a table, which counting would take seconds for.
_ESTIMATE = "EXPLAIN FORMAT=TRADITIONAL SELECT 1 FROM {table} FORCE INDEX (PRIMARY)"
_WAITING = f"""
SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM outbox LIMIT {COUNTED}) AS notes),
  (SELECT COUNT(*) FROM (SELECT 1 FROM erasures UNION ALL SELECT 1 FROM foldings LIMIT {COUNTED}) AS changes), NOW(6)"""
_PLACES = f"""
(SELECT b.id, 0, b.direction FROM windows AS w JOIN boards AS b ON b.id = w.board_id
 WHERE w.kind = 'all' AND b.state <> 'deleting' LIMIT {MOST_PLACES})
UNION ALL
(SELECT p.board_id, p.id, b.direction FROM periods AS p JOIN boards AS b ON b.id = p.board_id
 WHERE p.state = 'open' AND p.starts_at <= NOW(6) AND b.state <> 'deleting' LIMIT {MOST_PLACES})
LIMIT {MOST_PLACES}"""
