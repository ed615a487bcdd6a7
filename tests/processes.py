"""Processes as far as they have to do with the index, and standings and notes in more places than one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import time
from typing import Any

from services.leaderboard.index.breaker import Breaker
from services.leaderboard.index.builds import Builds
from services.leaderboard.index.connection import RedisConnection
from services.leaderboard.index.epoch import Epoch
from services.leaderboard.index.follower import Follower
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import MAIN_RANKED, Place, Ranked
from services.leaderboard.rules.standings import Span, StandingRow
from services.leaderboard.settings import LeaderboardSettings
from tests.ranked import database_of
from tests.system import eventually, rows

UPWARDS = 2
"""A board on which less is better, with a period that closes in an hour."""
PERIOD = 4
CLOSES_MS = 1000 * int(time() + 3600)
WEEK = Ranked(Place(UPWARDS, PERIOD), Direction.ASCENDING, CLOSES_MS)
PLACES = [MAIN_RANKED, Ranked(Place(UPWARDS, 0), Direction.ASCENDING, None), WEEK]
FEW = 3
"""Players from whom on a place of these tests has an index."""


@dataclass
class Process:
    """What a process has of the index."""

    reads: RankingIndex
    follower: Follower
    builds: Builds
    breaker: Breaker

    async def shows(self, place: Ranked) -> list[tuple[int, int]] | None:
        """Players and scores of a place in order; None when the index is not to be read."""
        page = await self.reads.page(place, "top", Span(100, 0), b"")
        return None if page is None else [(p.user_id, p.score) for p in page.neighbours.players] if page.neighbours else []

    async def built(self, place: Ranked) -> None:
        """Return when the index of a place is read."""

        async def is_so() -> bool:
            return await self.shows(place) is not None

        await eventually(is_so)


@asynccontextmanager
async def processing(settings: LeaderboardSettings) -> AsyncIterator[Process]:
    """A process, whose follower goes round when it is told to."""
    async with AsyncExitStack() as stack:
        databases = [database_of(settings) for _ in range(2)]
        for database in databases:
            stack.push_async_callback(database.dispose)
        redis = RedisConnection(settings, 2.0)
        stack.push_async_callback(redis.aclose)
        breaker, epoch = Breaker(), Epoch()
        builds = Builds(databases[0], settings)
        stack.push_async_callback(builds.stop)
        follower = Follower(databases[1], builds, redis, breaker, epoch, settings)
        yield Process(RankingIndex(redis, breaker, epoch, builds.want), follower, builds, breaker)


def write(mysql: Any, place: Ranked, *standings: StandingRow) -> None:
    """Write standings past everybody, over what is there."""

    def sort(score: int | None) -> int | None:
        return None if score is None else place.direction.sort(score)

    with mysql.cursor() as cursor:
        cursor.executemany(
            "REPLACE INTO players (user_id, username) VALUES (%s, %s)", [(row.user_id, row.username) for row in standings]
        )
        cursor.executemany(
            "REPLACE INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version)"
            " VALUES (%s, %s, %s, %s, %s, 1, %s, %s)",
            [(*place.at, row.user_id, row.score, sort(row.score), row.reached_session_id, row.version) for row in standings],
        )


def note(mysql: Any, *changed: tuple[Ranked, int]) -> None:
    """What changed, as a writer notes it whose process ended before it could tell Redis."""
    what = [[*place.at, user_id] for place, user_id in changed]
    rows(mysql, "INSERT INTO outbox (changed, created_at) VALUES (%s, NOW(6) - INTERVAL 1 MINUTE)", str(what))


def notes(mysql: Any) -> int:
    [(number,)] = rows(mysql, "SELECT COUNT(*) FROM outbox")
    return int(number)
