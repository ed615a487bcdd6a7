"""A writer inside a test: on real MySQL, with what it tells Redis kept."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import NamedTuple

from services.common.mysql.multistatement import Transactions
from services.leaderboard.boards.places import Places
from services.leaderboard.log.sessions import Submission
from services.leaderboard.log.writer import LANES, Submitted, Writer
from services.leaderboard.rules.places import MAIN, MAIN_RANKED, Place, Ranked
from services.leaderboard.rules.played import Played
from services.leaderboard.rules.ranking import Aggregate, Count
from services.leaderboard.rules.standings import Aheads, Ranks, StandingRow
from services.leaderboard.settings import LeaderboardSettings

_keys = count()
NEWEST = 2**63
"""A board's version that no change of it outdates."""


def session(user_id: int, score: int, key: str | None = None, username: str | None = None) -> Submission:
    name = username or f"player{user_id}"
    counts = [Count(MAIN_RANKED, Aggregate.TOTAL, score, NEWEST)]
    return Submission(user_id, name, (key or f"key{next(_keys)}").encode(), Played(score), datetime.now(UTC), counts)


class Answer(NamedTuple):
    """What a submission was answered with, of the main board."""

    session_id: int
    total_score: int
    rank: int | None
    replayed: bool


def _answer(submitted: Submitted | BaseException) -> Answer | BaseException:
    if isinstance(submitted, BaseException):
        return submitted
    [main] = submitted.ranks
    assert main.at == MAIN
    return Answer(submitted.session_id, main.score or 0, main.rank, submitted.replayed)


class Redis:
    """Hears what the writer tells, or is away."""

    def __init__(self) -> None:
        self.away = False
        self.aheads: list[int | None] = []
        self.heard: list[list[StandingRow]] = []
        self.told: list[int] = []

    async def apply_and_rank(self, standings: Sequence[tuple[Ranked, Sequence[StandingRow]]]) -> list[Aheads | None]:
        [(place, changes)] = standings
        assert place == MAIN_RANKED
        self.heard.append(list(changes))
        return [None if self.away else Aheads(self.aheads or [None] * len(changes), None)]


class OnlyMain(Places):
    """Knows the main board, in all time, and asks nobody."""

    def __init__(self) -> None: ...

    async def ranked(self, places: Collection[Place]) -> dict[Place, Ranked]:
        assert set(places) <= {MAIN}
        return dict.fromkeys(places, MAIN_RANKED)


class Board:
    """A writer, with what it tells others kept."""

    def __init__(self, transactions: Transactions, settings: LeaderboardSettings) -> None:
        self.redis = Redis()
        self.ranks_are_known = True
        self.writer = Writer(
            transactions,
            settings,
            places=OnlyMain(),
            apply_and_rank=self.redis.apply_and_rank,
            ranks=self._ranks,
            told=self.redis.told.append,
        )

    async def _ranks(self, asked: Sequence[tuple[Ranked, Mapping[int, int]]]) -> Sequence[Ranks]:
        [(place, scores)] = asked
        assert place == MAIN_RANKED
        if not self.ranks_are_known:
            raise ConnectionError
        return [Ranks({user_id: 1_000_000 - score for user_id, score in scores.items()}, len(scores))]

    async def submit(self, *submissions: Submission) -> list[Answer | BaseException]:
        """Submit all in one turn of the loop, which makes them one group."""
        answers = await asyncio.gather(*map(self.writer.submit, submissions), return_exceptions=True)
        return [_answer(answer) for answer in answers]

    async def store(self, *submissions: Submission) -> list[Answer]:
        answers = await self.submit(*submissions)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for answer in answers if isinstance(answer, Answer)]


def connect(settings: LeaderboardSettings) -> Transactions:
    password = settings.leaderboard_mysql_password.get_secret_value()
    return Transactions(settings, settings.leaderboard_mysql_user, password, connections=4 * LANES)
