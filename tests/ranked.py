"""Standings put straight into MySQL, and the ranking index beside them."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from random import Random
from time import monotonic
from typing import Any

from services.common.mysql.database import Database
from services.leaderboard.index.breaker import Breaker
from services.leaderboard.index.connection import RedisConnection
from services.leaderboard.index.epoch import Epoch
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.index.writer import Applied, Begun, IndexWriter
from services.leaderboard.rules.places import MAIN_RANKED, Ranked
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.settings import LeaderboardSettings

EPOCH = "5e" * 8
"""Of indexes that are built past MySQL."""


def random_standings(players: int, random: Random) -> list[StandingRow]:
    """Standings with many ties, the largest totals beside each other, zeros, and some players removed."""
    reached = random.sample(range(1, 50 * players), players)
    few = [0, 1, 2, 10, 999, 10**15, 5 * 10**15, MAX_TOTAL - 2, MAX_TOTAL - 1, MAX_TOTAL]

    def score() -> int | None:
        chance = random.random()
        if chance < 0.05:
            return None
        return random.choice(few) if chance < 0.7 else random.randrange(1000)

    return [
        StandingRow(user_id, f'näme"{user_id}\\', score(), reached[user_id - 1], random.randrange(1, 100))
        for user_id in range(1, players + 1)
    ]


def put(mysql: Any, rows: Iterable[StandingRow]) -> None:
    """Write standings, their players, and the one session that each who is ranked has, over what is there."""
    rows = list(rows)
    with mysql.cursor() as cursor:
        cursor.executemany("REPLACE INTO players (user_id, username) VALUES (%s, %s)", [(r.user_id, r.username) for r in rows])
        cursor.executemany(
            "REPLACE INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version) "
            "VALUES (1, 0, %s, %s, %s, %s, %s, %s)",
            [
                (r.user_id, r.score, r.score and -r.score, int(r.score is not None), r.reached_session_id, r.version)
                for r in rows
            ],
        )
        cursor.executemany(
            "REPLACE INTO game_sessions (id, user_id, submission_key, group_id, score, submitted_at) "
            "VALUES (%s, %s, 'test', REPEAT('0', 16), %s, NOW(6))",
            [(row.reached_session_id, row.user_id, row.score) for row in rows if row.score is not None],
        )


def ranked(mysql: Any) -> list[tuple[int, int, int]]:
    """Every ranked player in board order as MySQL has it: rank, user, score."""
    with mysql.cursor() as cursor:
        cursor.execute(
            "SELECT RANK() OVER (ORDER BY score DESC), user_id, score FROM standings "
            "WHERE score IS NOT NULL ORDER BY score DESC, reached_session_id"
        )
        return list(cursor.fetchall())


def database_of(settings: LeaderboardSettings) -> Database:
    """MySQL as the leaderboard service sees it."""
    return Database(settings, settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value())


def usable() -> Breaker:
    """A breaker that lets everything through, for a while that no test outlasts."""
    breaker = Breaker()
    breaker.recover()
    breaker.close()
    breaker.followed(monotonic() + 3600)
    return breaker


def change(user_id: int, score: int | None, version: int = 1, *, reached: int = 0, name: str = "") -> StandingRow:
    return StandingRow(user_id, name or f"player{user_id}", score, reached or user_id, version)


@asynccontextmanager
async def indexing(
    settings: LeaderboardSettings, epoch: str = EPOCH, want: Callable[[Ranked], None] = lambda _: None
) -> AsyncIterator[tuple[IndexWriter, RankingIndex]]:
    """The index as a builder changes it and as requests read it."""
    redis = RedisConnection(settings, 2.0)
    try:
        yield IndexWriter(redis), RankingIndex(redis, usable(), Epoch(epoch), want)
    finally:
        await redis.aclose()


async def aheads_told(
    reads: RankingIndex, standings: Sequence[tuple[Ranked, Sequence[StandingRow]]]
) -> list[list[int | None] | None]:
    """What telling of these standings is answered with, by place: how many others are ahead of each."""
    return [told and list(told.aheads) for told in await reads.apply_and_rank(standings)]


async def begin(index: IndexWriter, token: str, place: Ranked = MAIN_RANKED, epoch: str = EPOCH) -> Begun:
    """Begin to build, as who has just looked at what there is."""
    found = await index.status(place.at, "")
    return await index.begin(place, epoch, token, found.build)


async def fill(index: IndexWriter, rows: Sequence[StandingRow], place: Ranked = MAIN_RANKED, epoch: str = EPOCH) -> None:
    """Build the index of a place from these standings."""
    assert await begin(index, "test", place, epoch) == "BEGUN"
    assert await index.apply(place, rows, epoch, "test") == "OK"
    assert await index.finish(place, epoch, "test") == "OK"


async def tell(index: IndexWriter, *rows: StandingRow, place: Ranked = MAIN_RANKED, epoch: str = EPOCH) -> Applied:
    """Tell the index of standings that changed."""
    [told] = await index.tell([(place, rows)], epoch)
    if isinstance(told, Exception):
        raise told
    return told.applied
