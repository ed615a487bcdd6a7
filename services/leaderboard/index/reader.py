"""The index as requests read it, and as what a writer has committed reaches it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Generic, TypeVar

from services.common.gather import Gather
from services.leaderboard.index.breaker import Breaker
from services.leaderboard.index.connection import UNAVAILABLE, RedisConnection
from services.leaderboard.index.epoch import Epoch
from services.leaderboard.index.layout import page_key
from services.leaderboard.index.questions import (
    AHEADS,
    AROUNDS,
    DISTRIBUTIONS,
    LISTS,
    OWN_PLACINGS,
    PAGES,
    PLACINGS,
    RANKS,
    Kind,
    Page,
)
from services.leaderboard.index.writer import Applied, IndexWriter, now_ms
from services.leaderboard.rules.distribution import Distribution
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.standings import Aheads, Neighbours, Placing, PlayerScore, Position, Span, StandingRow

K = TypeVar("K")
R = TypeVar("R")

_GATHERED = 100
# While Redis works on one round trip, the process reads and sends what came back with another. Of neighbours Redis has more to
# do: with three, a million players' were told a seventh faster.
_LANES, _AROUND_LANES = 2, 3
# Of what takes Redis a millisecond or two, no more than so many are in a round trip: everybody else's wait behind it.
_FEW_GATHERED = 2
# An index of an ended period that is read goes on for a day, which is said so often.
RENEWED_SECONDS = 60.0
_MOST_RENEWED = 10_000


class RankingIndex:
    """The index as requests use it. No method raises because of Redis: it says that it could not, and the breaker opens.

    Questions that are asked at the same time share a round trip. ``want`` is given each place that is asked for and has no
    complete index: so one is built because somebody asked.
    """

    def __init__(self, redis: RedisConnection, breaker: Breaker, epoch: Epoch, want: Callable[[Ranked], None]) -> None:
        self._redis = redis
        self._breaker = breaker
        self._epoch = epoch
        self._want = want
        self._writer = IndexWriter(redis)
        self._pages = _Gathered(PAGES, redis, epoch)
        self._ranks = _Gathered(RANKS, redis, epoch)
        self._aheads = _Gathered(AHEADS, redis, epoch)
        self._arounds = _Gathered(AROUNDS, redis, epoch, _AROUND_LANES)
        self._placings = _Gathered(PLACINGS, redis, epoch)
        self._own_placings = _Gathered(OWN_PLACINGS, redis, epoch)
        self._lists = _Gathered(LISTS, redis, epoch, most=_FEW_GATHERED)
        self._distributions = _Gathered(DISTRIBUTIONS, redis, epoch, most=_FEW_GATHERED)
        self._renewed: dict[Place, float] = {}
        self._renewing: set[asyncio.Task[None]] = set()

    async def apply_and_rank(self, standings: Sequence[tuple[Ranked, Sequence[StandingRow]]]) -> list[Aheads | None]:
        """Tell the indexes of places of standings that changed, all in one round trip.

        Gives for each place how many others are ahead of each player, and how many are ranked, as far as its index says. None
        for a place that could not be told: the outbox has to remember, unless every place could.
        """
        if not self._breaker.writable:
            return [None] * len(standings)
        try:
            outcomes = await self._writer.tell(standings, self._epoch.value)
        except UNAVAILABLE as error:
            self._breaker.open(error)
            return [None] * len(standings)
        readable = self._breaker.readable
        answers: list[Aheads | None] = []
        for (place, rows), outcome in zip(standings, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self._breaker.open(outcome)
                answers.append(None)
                continue
            # What is over is changed by who judges, leaves or takes another name: an index of it is for who reads it.
            if outcome.applied is not Applied.OK and readable and not _is_over(place):
                self._want(place)
            heard = outcome.applied in (Applied.OK, Applied.INCOMPLETE)
            aheads = Aheads(outcome.aheads, outcome.total_players) if readable else Aheads([None] * len(rows), None)
            answers.append(aheads if heard else None)
        return answers

    async def keep_page(self, at: Place, style: str, span: Span, generation: bytes, body: bytes, milliseconds: int) -> None:
        """Keep a page that was rendered under a generation, in a ``style``, for other processes."""
        if not self._breaker.readable:
            return
        try:
            await self._redis.set(page_key(at, style, span), generation + b" " + body, milliseconds)
        except UNAVAILABLE as error:
            self._breaker.open(error)

    async def page(self, place: Ranked, style: str, span: Span, known: bytes) -> Page | None:
        """A page, ``known`` being the generation of the one that the asker has. None when the index is not to be read."""
        answer = await self._look_up(self._pages, place, (style, span, known))
        return answer[0] if answer else None

    async def rank(self, place: Ranked, user_id: int) -> tuple[Position | None, int] | None:
        """A player's place, or none if they are not ranked, and how many are. None when the index is not to be read."""
        answer = await self._look_up(self._ranks, place, user_id)
        return answer[0] if answer else None

    async def ahead(self, place: Ranked, user_id: int, score: int) -> tuple[int, int] | None:
        """How many others are strictly ahead of a player with this score, and how many players are ranked. None when the index
        is not to be read.

        Others: the index may have a later score of the player, and nobody is ahead of themselves.
        """
        answer = await self._look_up(self._aheads, place, (user_id, score))
        return answer[0] if answer else None

    async def ahead_after_change(self, place: Ranked, user_id: int, score: int) -> tuple[int, int] | None:
        """The same, where a player's sessions have been judged: of a period that is over no index is built for that.

        Building one costs as much as counting with MySQL 150 times does, and who asks meanwhile waits for it: with builds of
        past weeks and days beside it, a void on a board of 100,000 players took six times as long.
        """
        answer = await self._look_up(self._aheads, place, (user_id, score), wanted=not _is_over(place))
        return answer[0] if answer else None

    async def around(self, place: Ranked, user_id: int, radius: int) -> tuple[Neighbours | None, int] | None:
        """A player among others, or none if they are not ranked, and how many are. None when the index is not to be read."""
        answer = await self._look_up(self._arounds, place, (user_id, radius))
        return answer[0] if answer else None

    async def look_up_each(
        self, kind: Kind[K, R], questions: Mapping[Ranked, Sequence[K]]
    ) -> Mapping[Ranked, Sequence[R] | None]:
        """Answers to questions of one kind about several places, in one round trip. None for each that is not to be read."""
        nothing = dict.fromkeys(questions)
        if not questions or not self._breaker.readable:
            return nothing
        try:
            answers = await _ask(kind, self._redis, self._epoch, questions)
        except UNAVAILABLE as error:
            self._breaker.open(error)
            return nothing
        told: dict[Ranked, Sequence[R] | None] = {}
        for place, answer in answers.items():
            if isinstance(answer, BaseException):
                self._breaker.open(answer)
                return nothing
            self._note_read(place, complete=answer is not None, wanted=True)
            told[place] = answer
        return told

    async def placing(self, place: Ranked, user_id: int) -> tuple[Placing | None] | None:
        """A player's place and what they lack of a better one, or none if they are not ranked. None when the index is not to be
        read.
        """
        return await self._look_up(self._placings, place, user_id)

    async def own_placing(self, place: Ranked, own: PlayerScore) -> Placing | None:
        """The same of a player with this score, among the others. None when the index is not to be read."""
        answer = await self._look_up(self._own_placings, place, own)
        return answer[0] if answer else None

    async def positions(self, place: Ranked, user_ids: tuple[int, ...]) -> tuple[list[Position], int] | None:
        """The places of those of some players who are ranked, in their order, and how many are.

        None when the index is not to be read.
        """
        answer = await self._look_up(self._lists, place, user_ids)
        return answer[0] if answer else None

    async def distribution(self, place: Ranked, bins: int) -> Distribution | None:
        """How scores are distributed, in at most so many bins. None when the index is not to be read."""
        answer = await self._look_up(self._distributions, place, bins)
        return answer[0] if answer else None

    async def count_complete(self, places: Sequence[Ranked]) -> int | None:
        """How many of these places have a complete index, in one round trip; None when Redis is not to be read.

        None is built for this: nobody has asked for a place.
        """
        if not self._breaker.readable:
            return None
        try:
            calls = [RANKS.ask(place, self._epoch.value, []) for place in places]
            answers = await self._redis.run_each(RANKS.script, calls) if calls else []
        except UNAVAILABLE as error:
            self._breaker.open(error)
            return None
        return sum(isinstance(answer, list) for answer in answers)

    async def aclose(self) -> None:
        """Return when nothing is on its way to Redis any more."""
        if self._renewing:
            await asyncio.wait(self._renewing)

    async def _look_up(
        self, gathered: "_Gathered[K, R]", place: Ranked, question: K, *, wanted: bool = True
    ) -> tuple[R] | None:
        if not self._breaker.readable:
            return None
        try:
            answer = await gathered.look_up(place, question)
        except UNAVAILABLE as error:
            self._breaker.open(error)
            return None
        self._note_read(place, complete=answer is not None, wanted=wanted)
        return answer

    def _note_read(self, place: Ranked, *, complete: bool, wanted: bool) -> None:
        """Have an index built that is not there and wanted, and one kept that is of an ended period and is still read."""
        if complete:
            if _is_over(place):
                self._keep(place)
        elif wanted:
            self._want(place)

    def _keep(self, place: Ranked) -> None:
        now = monotonic()
        if now - self._renewed.get(place.at, -RENEWED_SECONDS) < RENEWED_SECONDS:
            return
        self._renewed.pop(place.at, None)  # so that who was renewed last is last
        self._renewed[place.at] = now
        if len(self._renewed) > _MOST_RENEWED:
            del self._renewed[next(iter(self._renewed))]
        task = asyncio.create_task(self._renew(place))
        self._renewing.add(task)
        task.add_done_callback(self._renewing.discard)

    async def _renew(self, place: Ranked) -> None:
        try:
            await self._writer.renew(place, self._epoch.value)
        except UNAVAILABLE as error:
            self._breaker.open(error)


def _is_over(place: Ranked) -> bool:
    """Whether nothing is counted there any more."""
    return place.closes_at_ms is not None and place.closes_at_ms < now_ms()


class _Gathered(Generic[K, R]):
    """Questions of one kind. Those that are asked at the same time, of whichever places, share a round trip; in it the same
    question is asked once.

    An answer is in a tuple of its own, because None says that the index is not complete.
    """

    def __init__(
        self, kind: Kind[K, R], redis: RedisConnection, epoch: Epoch, lanes: int = _LANES, most: int = _GATHERED
    ) -> None:
        self._kind = kind
        self._redis = redis
        self._epoch = epoch
        self._gather: Gather[tuple[Ranked, K], tuple[R] | None] = Gather(self._run, most=most, lanes=lanes)

    async def look_up(self, place: Ranked, question: K) -> tuple[R] | None:
        return await self._gather.ask((place, question))

    async def _run(self, members: list[tuple[Ranked, K]]) -> list[tuple[R] | BaseException | None]:
        asked: dict[Ranked, dict[K, None]] = {}
        for place, question in members:
            asked.setdefault(place, {})[question] = None
        questions = {place: list(of_place) for place, of_place in asked.items()}
        told: dict[tuple[Ranked, K], tuple[R] | BaseException | None] = {}
        for place, answer in (await _ask(self._kind, self._redis, self._epoch, questions)).items():
            if answer is None or isinstance(answer, BaseException):
                told |= {(place, question): answer for question in questions[place]}
                continue
            told |= {(place, question): (each,) for question, each in zip(questions[place], answer, strict=True)}
        return [told[member] for member in members]


async def _ask(
    kind: Kind[K, R], redis: RedisConnection, epoch: Epoch, questions: Mapping[Ranked, Sequence[K]]
) -> dict[Ranked, Sequence[R] | BaseException | None]:
    """The answers of each place, None where its index is not complete, or its error. Raises one of UNAVAILABLE."""
    calls = [kind.ask(place, epoch.value, of_place) for place, of_place in questions.items()]
    answers = await redis.run_each(kind.script, calls)
    return {
        place: answer if answer is None or isinstance(answer, BaseException) else kind.parse(place, of_place, answer)
        for (place, of_place), answer in zip(questions.items(), answers, strict=True)
    }
