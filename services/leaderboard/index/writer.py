"""What changes an index: standings applied to it, and its building. The scripts are in lua/."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from enum import IntEnum, StrEnum
from typing import NamedTuple

from services.leaderboard.index.connection import UNAVAILABLE, Arguments, RedisConnection, Script
from services.leaderboard.index.layout import expiry, keys, prefix, sort_key
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.standings import StandingRow

MOST_ROWS = 200
"""Players a call: the server serves nobody else meanwhile, about 3 ms."""
LEASE_SECONDS = 5.0
"""A build whose builder has not been heard of for so long is another's to begin anew."""
APPLY = Script("apply")
_BEGIN, _FINISH, _STATUS, _RENEW = Script("begin"), Script("finish"), Script("status"), Script("renew")
_SIZES, _ENTRIES = Script("sizes"), Script("entries")


class Applied(StrEnum):
    OK = "OK"
    INCOMPLETE = "INCOMPLETE"
    """There is no index to tell: whoever builds one reads MySQL after this, and will see it there."""
    OTHER = "OTHER"
    """The index is of another epoch. If that is a newer one, its builder may have read MySQL before this was committed."""
    STALE = "STALE"
    """The build is another's by now, or nobody's."""


class Told(NamedTuple):
    """What telling of standings came to, how many others are ahead of each, and how many players are ranked: None where that
    is not to be told, because the index is not complete, or the player was removed.
    """

    applied: Applied
    aheads: list[int | None]
    total_players: int | None


class Begun(StrEnum):
    BEGUN = "BEGUN"
    HELD = "HELD"
    """Another builds it."""
    COMPLETE = "COMPLETE"
    OVERTAKEN = "OVERTAKEN"
    """Another has begun since one looked."""
    DROPPED = "DROPPED"


class State(IntEnum):
    NONE = 0
    COMPLETE = 1
    BUILDING = 2


class Status(NamedTuple):
    """What Redis has of a place. ``build`` says which one, empty if there is nothing. Memory is in bytes; 0: it may use any."""

    state: State
    build: str
    players: int
    used_memory: int
    max_memory: int


class IndexWriter:
    """What changes the index. Each method raises one of UNAVAILABLE when Redis could not do it.

    ``epoch`` is the one that the caller knows (epoch.py): an index of another is as good as none.
    """

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis

    async def tell(self, standings: Sequence[tuple[Ranked, Sequence[StandingRow]]], epoch: str) -> list[Told | Exception]:
        """Bring indexes up to these standings, unless they have newer ones: all in one round trip. Gives for each place what
        that came to, or the error that Redis answered with.
        """
        calls = [(number, place, rows) for number, (place, each) in enumerate(standings) for rows in _pieces(each)]
        answers = await self._redis.run_each(
            APPLY, [(keys(place.at), self._application(place, rows, epoch, "")) for _, place, rows in calls]
        )
        outcomes: list[Told | Exception] = [Told(Applied.OK, [], None) for _ in standings]
        for (number, _, rows), answer in zip(calls, answers, strict=True):
            outcome = outcomes[number]
            if isinstance(outcome, Exception):
                continue
            if isinstance(answer, Exception):
                outcomes[number] = answer
                continue
            applied = Applied(answer[0].decode())
            total_players, *aheads = answer[1:] or [None, *[None] * len(rows)]
            applied = applied if outcome.applied is Applied.OK else outcome.applied
            outcomes[number] = Told(applied, [*outcome.aheads, *aheads], total_players)
        return outcomes

    async def apply(self, place: Ranked, rows: Sequence[StandingRow], epoch: str, token: str) -> Applied:
        """The same as the builder who holds ``token``, of one place."""
        for piece in _pieces(rows):
            answer = await self._redis.run(APPLY, keys(place.at), self._application(place, piece, epoch, token))
            applied = Applied(answer[0].decode())
            if applied is not Applied.OK:
                return applied
        return Applied.OK

    @staticmethod
    def _application(place: Ranked, rows: Sequence[StandingRow], epoch: str, token: str) -> Arguments:
        fields: list[str] = []
        for row in rows:
            if row.score is None:
                fields += (str(row.user_id), str(row.version), "", "", "")
            else:
                sort, key = place.direction.sort(row.score), sort_key(row.reached_session_id)
                fields += (str(row.user_id), str(row.version), str(sort), key, row.username)
        return [epoch, token, _nonce(), _LEASE_MS, expiry(place, now_ms()), json.dumps(fields)]

    async def begin(self, place: Ranked, epoch: str, token: str, found: str) -> Begun:
        """Start to build, from nothing. ``found``: the build that the caller saw there before it asked MySQL for the epoch."""
        arguments: Arguments = [epoch, token, _LEASE_MS, expiry(place, now_ms()), found]
        return Begun((await self._redis.run(_BEGIN, keys(place.at), arguments)).decode())

    async def drop(self, place: Ranked, epoch: str, found: str) -> Begun:
        """Remove what is there of another epoch: DROPPED, unless one is complete, being built, or begun since."""
        return await self.begin(place, epoch, "", found)

    async def remove(self, places: Sequence[Place]) -> None:
        """Remove what there is of places, also what is being built."""
        await self._redis.unlink([keys(at) for at in places])

    async def forget(self, places: Sequence[Place]) -> bool:
        """The same, of places that are gone. Gives whether Redis could do it, and raises nothing when it could not."""
        try:
            await self.remove(places)
        except UNAVAILABLE:
            return False
        return True

    async def finish(self, place: Ranked, epoch: str, token: str) -> Applied:
        """The builder has told everything: from now on the index is read."""
        arguments = [epoch, token, _nonce(), expiry(place, now_ms())]
        return Applied((await self._redis.run(_FINISH, keys(place.at), arguments)).decode())

    async def renew(self, place: Ranked, epoch: str) -> None:
        """Keep an index that is still read."""
        await self._redis.run(_RENEW, keys(place.at), [epoch, expiry(place, now_ms())])

    async def status(self, at: Place, epoch: str) -> Status:
        """What there is. Without an epoch, whatever is there is not complete."""
        state, build, players, used, most = await self._redis.run(_STATUS, keys(at), [epoch])
        return Status(State(state), build.decode(), players, used, most)

    async def entries(self, at: Place, user_ids: Sequence[int], epoch: str) -> list[tuple[bytes | None, bytes | None]] | None:
        """What is kept of each of these players: their field, and their member's sort. None unless complete."""
        arguments: Arguments = [epoch, *map(str, user_ids)]
        answer = await self._redis.run(_ENTRIES, keys(at), arguments)
        return None if answer is None else [(entry[0], entry[1] if len(entry) > 1 else None) for entry in answer]

    async def sizes(self, at: Place, epoch: str) -> tuple[int, int] | None:
        """How many players the index has, and how many of them are ranked. None unless complete."""
        answer = await self._redis.run(_SIZES, keys(at), [epoch])
        return None if answer is None else (answer[0], answer[1])

    async def probe(self, at: Place) -> None:
        """Return if Redis takes writes: one that is full or read-only answers questions all the same."""
        await self._redis.set(f"{prefix(at)}:probe", b"", 1000)


def now_ms() -> int:
    return int(time.time() * 1000)


def _pieces(rows: Sequence[StandingRow]) -> Iterator[Sequence[StandingRow]]:
    """As many as a call takes; nothing is told of nobody, which may be asked for all the same."""
    for start in range(0, max(1, len(rows)), MOST_ROWS):
        yield rows[start : start + MOST_ROWS]


def _nonce() -> str:
    """A generation. Made anew for each send: a counter that was evicted would start over and revive old pages."""
    return os.urandom(16).hex()


_LEASE_MS = int(LEASE_SECONDS * 1000)
