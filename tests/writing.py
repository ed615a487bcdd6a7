"""A writer inside a test: on real MySQL, with what it tells Redis kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple, TypeVar

from services.common.mysql.database import Database
from services.common.mysql.multistatement import Transaction, Transactions
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.boards.clock import utc_now
from services.leaderboard.boards.places import Places
from services.leaderboard.log import submission_keys
from services.leaderboard.log.sessions import Submission
from services.leaderboard.log.writer import LANES, Submitted, Writer
from services.leaderboard.operate.check import check
from services.leaderboard.rules.places import MAIN, MAIN_RANKED, Place, Ranked
from services.leaderboard.rules.played import Played
from services.leaderboard.rules.ranking import Aggregate, Count
from services.leaderboard.rules.standings import Aheads, Ranks, StandingRow
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import catalogue_of
from tests.playing import own_database

T = TypeVar("T")

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


class Watched(Transactions):
    """Transactions that keep what they failed with."""

    def __init__(self, settings: LeaderboardSettings) -> None:
        password = settings.leaderboard_mysql_password.get_secret_value()
        super().__init__(settings, settings.leaderboard_mysql_user, password, connections=LANES)
        self.errors: list[Exception] = []

    async def attempt(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        try:
            return await super().attempt(work)
        except Exception as error:
            self.errors.append(error)
            raise


class Process:
    """What counts in a process: the boards that it knows, their places, and a writer. Its Redis is away."""

    def __init__(
        self, catalogue: Catalogue, database: Database, transactions: Transactions, settings: LeaderboardSettings
    ) -> None:
        self.catalogue = catalogue
        self.places = Places(catalogue, database)
        self.writer = Writer(
            transactions,
            settings,
            places=self.places,
            apply_and_rank=self._apply_and_rank,
            ranks=self._ranks,
            told=self._told,
        )

    async def submission(
        self, user_id: int, score: int, key: str | None = None, *, time: datetime | None = None, **said: Any
    ) -> Submission:
        """A session, and where it counts."""
        played = Played(score, **said)
        time = time or self.catalogue.clock.now()
        counts = await self.places.counts(played, time)
        name = submission_keys.make() if key is None else submission_keys.of_client(key)
        return Submission(user_id, f"player{user_id}", name, played, time, counts)

    async def submit(self, user_id: int, score: int, key: str | None = None, **said: Any) -> Submitted:
        """Have a session stored."""
        return await self.writer.submit(await self.submission(user_id, score, key, **said))

    async def _apply_and_rank(self, standings: Sequence[tuple[Ranked, Sequence[StandingRow]]]) -> list[Aheads | None]:
        return [None] * len(standings)

    async def _ranks(self, asked: Sequence[tuple[Ranked, Mapping[int, int]]]) -> Sequence[Ranks]:
        return [Ranks({}, None)] * len(asked)

    def _told(self, note: int) -> None:
        raise AssertionError(f"Redis has heard of {note}")


@asynccontextmanager
async def counting(
    settings: LeaderboardSettings, *, transactions: Transactions | None = None, clock: Callable[[], datetime] = utc_now
) -> AsyncIterator[Process]:
    """A process that counts, for a block: through a ``transactions`` that the caller disposes of, or one of its own."""
    own = transactions or connect(settings)
    async with catalogue_of(settings, clock=clock) as catalogue, own_database(settings) as database:
        process = Process(catalogue, database, own, settings)
        yield process
        await process.writer.drain()
    if transactions is None:
        await own.dispose()


async def check_standings(settings: LeaderboardSettings) -> list[str]:
    """What differs between sessions and standings, where no process keeps an index."""
    return await check(settings.model_copy(update={"index_from_players": 1_000_000_000}))
