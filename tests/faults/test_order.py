"""The index's order, and every rank, are MySQL's: with many ties, and with the largest totals there can be."""

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import pytest

from services.leaderboard.index.build import Outcome, build
from services.leaderboard.index.connection import RedisConnection
from services.leaderboard.index.epoch import Epoch, get_epoch, renew_epoch
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.rules.places import MAIN_RANKED
from services.leaderboard.settings import LeaderboardSettings
from services.local.redis import RedisServer
from tests.faults.proofs import Proof
from tests.ranked import database_of, put, random_standings, ranked, usable

pytestmark = pytest.mark.proof(8)


@pytest.fixture
def epoch() -> Epoch:
    return Epoch()


@pytest.fixture
async def reads(on_redis: LeaderboardSettings, epoch: Epoch) -> AsyncIterator[RankingIndex]:
    redis = RedisConnection(on_redis, 2.0)
    yield RankingIndex(redis, usable(), epoch, lambda _: None)
    await redis.aclose()


@pytest.mark.timeout(600)  # many rows, on a machine that may be busy
async def test_order_and_every_rank_are_those_of_mysql(
    on_redis: LeaderboardSettings,
    redis: RedisServer,
    reads: RankingIndex,
    epoch: Epoch,
    mysql: Any,
    rounds: Callable[[int, int], int],
    proof: Proof,
) -> None:
    database, players = database_of(on_redis), rounds(5_000, 20_000)
    with proof.progress("sets of standings", rounds(1, 5)) as bar:
        for number in range(rounds(1, 5)):
            with mysql.cursor() as cursor:
                for table in ("game_sessions", "standings"):
                    cursor.execute(f"TRUNCATE TABLE {table}")
            put(mysql, random_standings(players, Random(53 + number)))
            await database.transaction(renew_epoch)
            assert await build(database, on_redis, MAIN_RANKED) is Outcome.BUILT
            async with database.reading() as connection:
                epoch.value = await get_epoch(connection)
            expected = ranked(mysql)
            for start in range(0, len(expected), 1000):
                rows = expected[start : start + 1000]
                aheads = await asyncio.gather(*(reads.ahead(MAIN_RANKED, user_id, score) for _, user_id, score in rows))
                assert [each and each[0] for each in aheads] == [rank - 1 for rank, _, _ in rows]
                places = await asyncio.gather(*(reads.rank(MAIN_RANKED, user_id) for _, user_id, _ in rows))
                assert [(p[0].ahead + 1, p[0].player.user_id, p[0].player.score) for p in places if p and p[0]] == rows
            proof.did("ranks compared", 2 * len(expected))
            bar.advance()
            await proof.whole(on_redis)
    await database.dispose()
