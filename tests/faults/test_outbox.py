"""More groups than the outbox keeps are stored while Redis is away: it stays short, and the index is right on its return."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from services.common.mysql.multistatement import Transactions
from services.leaderboard.app import create_app
from services.leaderboard.index.follower import MAX_NOTES, ROUNDS_BETWEEN_COUNTS
from services.leaderboard.log.sessions import Submission
from services.leaderboard.log.writer import LANES, Writer
from services.leaderboard.rules.places import MAIN_RANKED, Ranked
from services.leaderboard.rules.played import Played
from services.leaderboard.rules.ranking import Aggregate, Count
from services.leaderboard.rules.standings import Aheads, Ranks, StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.local.redis import RedisServer
from tests.faults.proofs import Bar, Proof
from tests.faults.shown import leader, redis_in_use
from tests.system import eventually, rows, serving
from tests.writing import NEWEST, OnlyMain

pytestmark = pytest.mark.proof(6)

PLAYERS = 16


async def store(settings: LeaderboardSettings, groups: int, bar: Bar) -> None:
    """Store so many sessions, each one a group: a transaction, and a note in the outbox.

    By a writer of its own, as it is while Redis is away, but past HTTP and without ranks, which would take most of the time.
    """
    password = settings.leaderboard_mysql_password.get_secret_value()
    transactions = Transactions(settings, settings.leaderboard_mysql_user, password, connections=LANES)
    numbers = count()

    async def apply_and_rank(standings: Sequence[tuple[Ranked, Sequence[StandingRow]]]) -> list[Aheads | None]:
        return [None] * len(standings)

    async def ranks(asked: Sequence[tuple[Ranked, Mapping[int, int]]]) -> Sequence[Ranks]:
        return [Ranks({}, None)] * len(asked)

    alone = settings.model_copy(update={"submission_group": 1})

    writer = Writer(
        transactions,
        alone,
        places=OnlyMain(),
        apply_and_rank=apply_and_rank,
        ranks=ranks,
        told=lambda _: None,
    )

    async def play(user_id: int) -> None:
        while (number := next(numbers)) < groups:
            counts = [Count(MAIN_RANKED, Aggregate.TOTAL, user_id, NEWEST)]
            session = Submission(
                user_id, f"player{user_id}", f"s:{number}".encode(), Played(user_id), datetime.now(UTC), counts
            )
            await writer.submit(session)
            bar.advance()

    await asyncio.gather(*map(play, range(1, PLAYERS + 1)))
    await transactions.dispose()


async def test_the_outbox_stays_bounded_without_redis_and_the_index_is_right_after_its_return(
    redis: RedisServer,
    on_redis: LeaderboardSettings,
    mysql: Any,
    monkeypatch: pytest.MonkeyPatch,
    rounds: Callable[[int, int], int],
    proof: Proof,
) -> None:
    groups = rounds(300, MAX_NOTES + 1)
    most = groups - 1
    monkeypatch.setattr("services.leaderboard.index.follower.MAX_NOTES", most)
    monkeypatch.setattr("services.leaderboard.index.follower.ROUNDS_BETWEEN_COUNTS", rounds(2, ROUNDS_BETWEEN_COUNTS))
    redis.kill()
    async with serving(create_app(on_redis)) as process:
        with proof.progress("groups", groups) as bar:
            await store(on_redis, groups, bar)
        proof.did("groups stored without Redis", groups)

        async def replaced() -> bool:
            return rows(mysql, "SELECT COUNT(*) FROM outbox") == [(0,)]

        before = rows(mysql, "SELECT epoch FROM index_epoch")
        await eventually(replaced, 60)
        assert rows(mysql, "SELECT epoch FROM index_epoch") != before  # which says that everything has changed
        assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(groups,)]
        redis.start()
        await redis_in_use(process)
        [(most_points,)] = rows(mysql, "SELECT MAX(score) FROM standings")
        assert await leader(process) == most_points
        proof.find("sessions lost")
        await proof.whole(on_redis)
