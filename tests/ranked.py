"""Standings put straight into MySQL, and the ranking index beside them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from random import Random
from time import monotonic
from typing import Any

from services.common.mysql.database import Database
from services.leaderboard.index.breaker import Breaker
from services.leaderboard.index.connection import RedisConnection
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.index.writer import IndexWriter
from services.leaderboard.rules.places import MAIN
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.settings import LeaderboardSettings


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


@asynccontextmanager
async def indexing(settings: LeaderboardSettings) -> AsyncIterator[tuple[IndexWriter, RankingIndex]]:
    """The index as a builder changes it and as requests read it."""
    redis = RedisConnection(settings, 2.0)
    try:
        yield IndexWriter(redis), RankingIndex(redis, usable())
    finally:
        await redis.aclose()


async def fill(index: IndexWriter, rows: list[StandingRow]) -> None:
    """Build the index of the main board from these standings."""
    assert await index.begin(MAIN, "test") == "BEGUN"
    assert await index.apply(MAIN, rows, "test") == "OK"
    assert await index.finish(MAIN, "test") == "OK"
