"""The ranking index: every standing of a board and period in Redis, so that pages, ranks and neighbours need no MySQL.

Keys, all of a board and period under one hash tag, so that Redis Cluster keeps them together (one primary is assumed for a
tag: a script sees all of them, or none):

- ``lb:{board:period}:players``: HASH, user → ``version key username`` (removed: ``version``), and fields that begin with #.
- ``lb:{board:period}:order``: ZSET, member = ``key``, user, a blank and ``username``, score = the score with a minus sign.
- ``lb:{board:period}:top:<limit>:<offset>``: STRING, the generation and a rendered page (see pages.py).

A **key** is ``reached_session_id`` written so that it sorts by its bytes as the number does, in few of them: how many digits
follow, then digits of base 64. Among equal scores ZRANGE sorts members by their bytes, so its order is the board's,
`score DESC, reached_session_id ASC`. A score is a double there, exact below 2^53. The name is in both keys: a page or a
player's neighbours are one ZRANGE then, without a look-up of each that at a million players misses every cache there is.

The index is read only while it is complete: see lua/prelude.lua. What is older than what it has, it refuses, by version.
"""

import base64
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from redis.exceptions import RedisError

from services.common.gather import Gather
from services.leaderboard.breaker import Breaker
from services.leaderboard.repository import BoardPeriod, PlayerScore
from services.leaderboard.scripting import RedisConnection, Script
from services.leaderboard.sessions import Change
from services.leaderboard.standings import Neighbours

K = TypeVar("K")
R = TypeVar("R")

UNAVAILABLE = RedisError, OSError, TimeoutError
"""What a call raises when Redis could not do it."""

MOST_ROWS = 200
"""Players a call: the server serves nobody else meanwhile, about 3 ms."""
LEASE_SECONDS = 5.0
"""A build whose builder has not been heard of for so long is another's to begin anew."""

_GATHERED = 100
# While Redis works on one round trip, the process reads and sends what came back with another. Of neighbours Redis has more to
# do: with three, a million players' were told a seventh faster.
_LANES, _AROUND_LANES = 2, 3
APPLY = Script("apply")
_BEGIN, _FINISH, _STATUS = Script("begin"), Script("finish"), Script("status")
_SIZES = Script("sizes")
_PAGE, _RANKS, _AROUND, _ENTRIES = Script("page"), Script("ranks"), Script("around"), Script("entries")
# The alphabet of base64 in the order of its digits' values, and one whose bytes are in that order.
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SORTED = bytes.maketrans(_DIGITS, bytes(sorted(b"-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")))


class Applied(StrEnum):
    OK = "OK"
    INCOMPLETE = "INCOMPLETE"
    """There is no index to tell: whoever builds one reads MySQL after this, and will see it there."""
    STALE = "STALE"
    """The build is another's by now, or nobody's."""


class Begun(StrEnum):
    BEGUN = "BEGUN"
    HELD = "HELD"
    COMPLETE = "COMPLETE"


@dataclass(frozen=True, slots=True)
class Page:
    """Of a page, under a generation: ``body`` as it was rendered before, else its players; neither if the asker has it."""

    generation: bytes
    total_players: int
    body: bytes | None
    neighbours: Neighbours | None


class Place(NamedTuple):
    """A player's score, and how many are strictly ahead of it."""

    player: PlayerScore
    ahead: int


class IndexWriter:
    """What changes the index. Each method raises one of UNAVAILABLE when Redis could not do it."""

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis

    async def apply(self, at: BoardPeriod, rows: Sequence[Change], token: str = "") -> Applied:
        """Bring the index up to these standings, unless it has newer ones. ``token``: as the builder who holds it."""
        for start in range(0, max(1, len(rows)), MOST_ROWS):
            applied, _ = await self._apply(at, rows[start : start + MOST_ROWS], token)
            if applied is not Applied.OK:
                return applied
        return Applied.OK

    async def announce(self, at: BoardPeriod, rows: Sequence[Change]) -> list[int | None]:
        """Bring the index up to at most MOST_ROWS standings, and give how many others are ahead of each: None if that is
        not to be told, because the index is not complete, or the player was removed.
        """
        _, aheads = await self._apply(at, rows, "")
        return aheads or [None] * len(rows)

    async def _apply(self, at: BoardPeriod, rows: Sequence[Change], token: str) -> tuple[Applied, list[int | None]]:
        fields: list[str] = []
        for row in rows:
            if row.score is None:
                fields += (str(row.user_id), str(row.version), "", "", "")
            else:
                key = sort_key(row.reached_session_id)
                fields += (str(row.user_id), str(row.version), board_score(row.score), key, row.username)
        answer = await self._redis.run(APPLY, keys(at), [token, _nonce(), _LEASE_MS, json.dumps(fields)])
        return Applied(answer[0].decode()), answer[1:]

    async def begin(self, at: BoardPeriod, token: str, cause: str = "") -> Begun:
        """Start to build, from nothing. ``cause``: even a complete index is built anew, unless for that very cause it was."""
        return Begun((await self._redis.run(_BEGIN, keys(at), [token, _LEASE_MS, cause])).decode())

    async def finish(self, at: BoardPeriod, token: str) -> Applied:
        """The builder has told everything: from now on the index is read."""
        return Applied((await self._redis.run(_FINISH, keys(at), [token, _nonce()])).decode())

    async def complete(self, at: BoardPeriod, cause: str = "") -> bool:
        """Whether the index is complete, and built for ``cause`` if one is given."""
        return bool(await self._redis.run(_STATUS, keys(at), [cause]))

    async def entries(self, at: BoardPeriod, user_ids: Sequence[int]) -> list[tuple[bytes | None, bytes | None]] | None:
        """What is kept of each of these players: their field, and their member's score. None unless complete."""
        answer = await self._redis.run(_ENTRIES, keys(at), list(user_ids))
        return None if answer is None else [(entry[0], entry[1] if len(entry) > 1 else None) for entry in answer]

    async def sizes(self, at: BoardPeriod) -> tuple[int, int] | None:
        """How many players the index has, and how many of them are ranked. None unless complete."""
        answer = await self._redis.run(_SIZES, keys(at), [])
        return None if answer is None else (answer[0], answer[1])

    async def probe(self, at: BoardPeriod) -> None:
        """Return if Redis takes writes: one that is full or read-only answers questions all the same."""
        await self._redis.set(f"{_prefix(at)}:probe", b"", 1000)


class RankingIndex:
    """The index as requests use it. No method raises because of Redis: it says that it could not, and the breaker opens.

    Questions that are asked at the same time share a round trip.
    """

    def __init__(self, redis: RedisConnection, breaker: Breaker) -> None:
        self._redis = redis
        self._breaker = breaker
        self._writer = IndexWriter(redis)
        self._pages: _Gathered[tuple[int, int, bytes], Page] = _Gathered(self._read_pages)
        self._ranks: _Gathered[int, Place | None] = _Gathered(self._read_ranks)
        self._aheads: _Gathered[tuple[int, int], int] = _Gathered(self._read_aheads)
        self._arounds: _Gathered[tuple[int, int], Neighbours | None] = _Gathered(self._read_arounds, _AROUND_LANES)

    async def announce(self, at: BoardPeriod, rows: Sequence[Change]) -> list[int | None] | None:
        """Tell the index of standings that changed, MOST_ROWS at most. None when it could not be told: the outbox has to
        remember them. Else how many others are ahead of each, None where the index does not say.
        """
        if not self._breaker.writable:
            return None
        try:
            aheads = await self._writer.announce(at, rows)
        except UNAVAILABLE as error:
            self._breaker.open(error)
            return None
        return aheads if self._breaker.readable else [None] * len(rows)

    async def keep_page(
        self, at: BoardPeriod, limit: int, offset: int, generation: bytes, body: bytes, milliseconds: int
    ) -> None:
        """Keep a page that was rendered under a generation, for other processes."""
        if not self._breaker.readable:
            return
        try:
            await self._redis.set(_page_key(at, limit, offset), generation + b" " + body, milliseconds)
        except UNAVAILABLE as error:
            self._breaker.open(error)

    async def page(self, at: BoardPeriod, limit: int, offset: int, known: bytes) -> Page | None:
        """A page, ``known`` being the generation of the one that the asker has. None when the index is not to be read."""
        answer = await self._ask(self._pages, at, (limit, offset, known))
        return answer[0] if answer else None

    async def rank(self, at: BoardPeriod, user_id: int) -> tuple[Place | None] | None:
        """A player's place, or none if they are not ranked; None instead of either when the index is not to be read."""
        return await self._ask(self._ranks, at, user_id)

    async def ahead(self, at: BoardPeriod, user_id: int, score: int) -> int | None:
        """How many others are strictly ahead of a player with this score. None when the index is not to be read.

        Others: the index may have a later score of the player, and nobody is ahead of themselves.
        """
        answer = await self._ask(self._aheads, at, (user_id, score))
        return answer[0] if answer else None

    async def ahead_of_each(self, at: BoardPeriod, scores: Sequence[tuple[int, int]]) -> list[int] | None:
        """The same of many players, whom one asker has gathered already."""
        if not self._breaker.readable:
            return None
        try:
            return await self._read_aheads(at, scores)
        except UNAVAILABLE as error:
            self._breaker.open(error)
            return None

    async def around(self, at: BoardPeriod, user_id: int, radius: int) -> tuple[Neighbours | None] | None:
        """A player among others, or none if they are not ranked; None instead of either when the index is not to be read."""
        return await self._ask(self._arounds, at, (user_id, radius))

    async def _ask(self, gathered: "_Gathered[K, R]", at: BoardPeriod, question: K) -> tuple[R] | None:
        if not self._breaker.readable:
            return None
        try:
            return await gathered.ask(at, question)
        except UNAVAILABLE as error:
            self._breaker.open(error)
            return None

    async def _read_pages(self, at: BoardPeriod, questions: Sequence[tuple[int, int, bytes]]) -> list[Page] | None:
        wanted = [_page_key(at, limit, offset) for limit, offset, _ in questions]
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
                neighbours=_neighbours(offset, page[0]) if isinstance(page, list) else None,
            )
            for (_, offset, _), page in zip(questions, found, strict=True)
        ]

    async def _read_ranks(self, at: BoardPeriod, user_ids: Sequence[int]) -> list[Place | None] | None:
        answer = await self._redis.run(_RANKS, keys(at), [f"u{user_id}" for user_id in user_ids])
        if answer is None:
            return None
        return [
            found and Place(_player(user, found[0], found[2]), found[1]) for user, found in zip(user_ids, answer, strict=True)
        ]

    async def _read_aheads(self, at: BoardPeriod, questions: Sequence[tuple[int, int]]) -> list[int] | None:
        asked: list[str | bytes | int] = [f"s{board_score(score)} {user_id}" for user_id, score in questions]
        aheads: list[int] | None = await self._redis.run(_RANKS, keys(at), asked)
        return aheads

    async def _read_arounds(self, at: BoardPeriod, questions: Sequence[tuple[int, int]]) -> list[Neighbours | None] | None:
        answer = await self._redis.run(_AROUND, keys(at), [each for question in questions for each in question])
        return None if answer is None else [found and _neighbours(*found) for found in answer]


class _Gathered(Generic[K, R]):
    """Questions about one kind of thing; the same question is asked once in each round trip.

    An answer is in a tuple of its own, because None says that the index is not complete.
    """

    def __init__(self, read: Callable[[BoardPeriod, Sequence[K]], Awaitable[Sequence[R] | None]], lanes: int = _LANES) -> None:
        self._read = read
        self._gather: Gather[tuple[BoardPeriod, K], tuple[R] | None] = Gather(self._run, most=_GATHERED, lanes=lanes)

    async def ask(self, at: BoardPeriod, question: K) -> tuple[R] | None:
        return await self._gather.ask((at, question))

    async def _run(self, members: list[tuple[BoardPeriod, K]]) -> list[tuple[R] | BaseException | None]:
        answers: dict[tuple[BoardPeriod, K], tuple[R] | BaseException | None] = {}
        for at in dict.fromkeys(at for at, _ in members):
            questions = list(dict.fromkeys(question for where, question in members if where == at))
            found = await self._read(at, questions)
            for number, question in enumerate(questions):
                answers[at, question] = None if found is None else (found[number],)
        return [answers[member] for member in members]


def keys(at: BoardPeriod) -> list[str]:
    """Where the index of a board and period is: its hash and its sorted set."""
    return [f"{_prefix(at)}:players", f"{_prefix(at)}:order"]


def sort_key(reached_session_id: int) -> str:
    """A number of up to 64 bits as ASCII that sorts as it does: the number of digits, then the digits."""
    digits = base64.b64encode(reached_session_id.to_bytes(9)).translate(_SORTED).lstrip(b"-").decode()
    return chr(ord("0") + len(digits)) + digits


def board_score(score: int) -> str:
    """A score as the sorted set orders it: the greatest first. A string, for no number on the way may lose a digit."""
    return f"-{score}" if score else "0"


def _prefix(at: BoardPeriod) -> str:
    return f"lb:{{{at.board_id}:{at.period_id}}}"


def _page_key(at: BoardPeriod, limit: int, offset: int) -> str:
    return f"{_prefix(at)}:top:{limit}:{offset}"


def _nonce() -> str:
    """A generation. Made anew for each send: a counter that was evicted would start over and revive old pages."""
    return os.urandom(16).hex()


def parse_score(kept: str | bytes) -> int:
    """The score that the sorted set orders by this."""
    try:
        return -int(kept)
    except ValueError:  # newer servers write 5e+15; a double all the same, and exact
        return -int(float(kept))


def parse_member(member: str) -> tuple[int, str]:
    """The player and the name in a member of the sorted set. A key's first character says how many follow it, "0" none."""
    user, username = member[ord(member[0]) - 47 :].split(" ", 1)
    return int(user), username


def _player(user_id: int, score: bytes, username: bytes) -> PlayerScore:
    return PlayerScore(user_id, username.decode(), parse_score(score))


def _neighbours(offset: int, rows: bytes) -> Neighbours:
    # A name has no line break: `str.splitlines` knows more of them than this.
    ahead, *lines = rows.decode().split("\n")
    players = []
    for member, score in zip(lines[::2], lines[1::2], strict=True):
        user_id, username = parse_member(member)
        players.append(PlayerScore(user_id, username, parse_score(score)))
    return Neighbours(players, offset, int(ahead))


_LEASE_MS = int(LEASE_SECONDS * 1000)
