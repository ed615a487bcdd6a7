"""The index as requests read it, and as what a writer has committed reaches it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.common.gather import Gather
from services.leaderboard.index.breaker import Breaker
from services.leaderboard.index.connection import UNAVAILABLE, RedisConnection, Script
from services.leaderboard.index.layout import board_score, keys, neighbours, page_key, player
from services.leaderboard.index.writer import IndexWriter
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.standings import Neighbours, Position, StandingRow

K = TypeVar("K")
R = TypeVar("R")

_GATHERED = 100
# While Redis works on one round trip, the process reads and sends what came back with another. Of neighbours Redis has more to
# do: with three, a million players' were told a seventh faster.
_LANES, _AROUND_LANES = 2, 3
_PAGE, _RANKS, _AROUND = Script("page"), Script("ranks"), Script("around")


@dataclass(frozen=True, slots=True)
class Page:
    """Of a page, under a generation: ``body`` as it was rendered before, else its players; neither if the asker has it."""

    generation: bytes
    total_players: int
    body: bytes | None
    neighbours: Neighbours | None


class RankingIndex:
    """The index as requests use it. No method raises because of Redis: it says that it could not, and the breaker opens.

    Questions that are asked at the same time share a round trip.
    """

    def __init__(self, redis: RedisConnection, breaker: Breaker) -> None:
        self._redis = redis
        self._breaker = breaker
        self._writer = IndexWriter(redis)
        self._pages: _Gathered[tuple[int, int, bytes], Page] = _Gathered(self._read_pages)
        self._ranks: _Gathered[int, Position | None] = _Gathered(self._read_ranks)
        self._aheads: _Gathered[tuple[int, int], int] = _Gathered(self._read_aheads)
        self._arounds: _Gathered[tuple[int, int], Neighbours | None] = _Gathered(self._read_arounds, _AROUND_LANES)

    async def apply_and_rank(self, at: Place, rows: Sequence[StandingRow]) -> list[int | None] | None:
        """Tell the index of standings that changed, MOST_ROWS at most. None when it could not be told: the outbox has to
        remember them. Else how many others are ahead of each, None where the index does not say.
        """
        if not self._breaker.writable:
            return None
        try:
            aheads = await self._writer.apply_and_rank(at, rows)
        except UNAVAILABLE as error:
            self._breaker.open(error)
            return None
        return aheads if self._breaker.readable else [None] * len(rows)

    async def keep_page(self, at: Place, limit: int, offset: int, generation: bytes, body: bytes, milliseconds: int) -> None:
        """Keep a page that was rendered under a generation, for other processes."""
        if not self._breaker.readable:
            return
        try:
            await self._redis.set(page_key(at, limit, offset), generation + b" " + body, milliseconds)
        except UNAVAILABLE as error:
            self._breaker.open(error)

    async def page(self, at: Place, limit: int, offset: int, known: bytes) -> Page | None:
        """A page, ``known`` being the generation of the one that the asker has. None when the index is not to be read."""
        answer = await self._look_up(self._pages, at, (limit, offset, known))
        return answer[0] if answer else None

    async def rank(self, at: Place, user_id: int) -> tuple[Position | None] | None:
        """A player's place, or none if they are not ranked; None instead of either when the index is not to be read."""
        return await self._look_up(self._ranks, at, user_id)

    async def ahead(self, at: Place, user_id: int, score: int) -> int | None:
        """How many others are strictly ahead of a player with this score. None when the index is not to be read.

        Others: the index may have a later score of the player, and nobody is ahead of themselves.
        """
        answer = await self._look_up(self._aheads, at, (user_id, score))
        return answer[0] if answer else None

    async def ahead_of_each(self, at: Place, scores: Sequence[tuple[int, int]]) -> list[int] | None:
        """The same of many players, whom one asker has gathered already."""
        if not self._breaker.readable:
            return None
        try:
            return await self._read_aheads(at, scores)
        except UNAVAILABLE as error:
            self._breaker.open(error)
            return None

    async def around(self, at: Place, user_id: int, radius: int) -> tuple[Neighbours | None] | None:
        """A player among others, or none if they are not ranked; None instead of either when the index is not to be read."""
        return await self._look_up(self._arounds, at, (user_id, radius))

    async def _look_up(self, gathered: "_Gathered[K, R]", at: Place, question: K) -> tuple[R] | None:
        if not self._breaker.readable:
            return None
        try:
            return await gathered.look_up(at, question)
        except UNAVAILABLE as error:
            self._breaker.open(error)
            return None

    async def _read_pages(self, at: Place, questions: Sequence[tuple[int, int, bytes]]) -> list[Page] | None:
        wanted = [page_key(at, limit, offset) for limit, offset, _ in questions]
        arguments: list[str | bytes | int] = [each for question in questions for each in question]
        answer = await self._redis.run(_PAGE, [*keys(at), *wanted], arguments)
        if answer is None:
            return None
        generation, total_players, *found = answer
        return [
            Page(
                generation,
                total_players,
                body=page if isinstance(page, bytes) else None,
                neighbours=neighbours(offset, page[0]) if isinstance(page, list) else None,
            )
            for (_, offset, _), page in zip(questions, found, strict=True)
        ]

    async def _read_ranks(self, at: Place, user_ids: Sequence[int]) -> list[Position | None] | None:
        answer = await self._redis.run(_RANKS, keys(at), [f"u{user_id}" for user_id in user_ids])
        if answer is None:
            return None
        return [
            found and Position(player(user, found[0], found[2]), found[1]) for user, found in zip(user_ids, answer, strict=True)
        ]

    async def _read_aheads(self, at: Place, questions: Sequence[tuple[int, int]]) -> list[int] | None:
        asked: list[str | bytes | int] = [f"s{board_score(score)} {user_id}" for user_id, score in questions]
        aheads: list[int] | None = await self._redis.run(_RANKS, keys(at), asked)
        return aheads

    async def _read_arounds(self, at: Place, questions: Sequence[tuple[int, int]]) -> list[Neighbours | None] | None:
        answer = await self._redis.run(_AROUND, keys(at), [each for question in questions for each in question])
        return None if answer is None else [found and neighbours(*found) for found in answer]


class _Gathered(Generic[K, R]):
    """Questions about one kind of thing; the same question is asked once in each round trip.

    An answer is in a tuple of its own, because None says that the index is not complete.
    """

    def __init__(self, read: Callable[[Place, Sequence[K]], Awaitable[Sequence[R] | None]], lanes: int = _LANES) -> None:
        self._read = read
        self._gather: Gather[tuple[Place, K], tuple[R] | None] = Gather(self._run, most=_GATHERED, lanes=lanes)

    async def look_up(self, at: Place, question: K) -> tuple[R] | None:
        return await self._gather.ask((at, question))

    async def _run(self, members: list[tuple[Place, K]]) -> list[tuple[R] | BaseException | None]:
        answers: dict[tuple[Place, K], tuple[R] | BaseException | None] = {}
        for at in dict.fromkeys(at for at, _ in members):
            questions = list(dict.fromkeys(question for where, question in members if where == at))
            found = await self._read(at, questions)
            for number, question in enumerate(questions):
                answers[at, question] = None if found is None else (found[number],)
        return [answers[member] for member in members]
