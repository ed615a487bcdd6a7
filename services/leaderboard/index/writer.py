"""What changes an index: standings applied to it, and its building. The scripts are in lua/."""

import json
import os
from collections.abc import Sequence
from enum import StrEnum

from services.leaderboard.index.connection import RedisConnection, Script
from services.leaderboard.index.layout import board_score, keys, prefix, sort_key
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.standings import StandingRow

MOST_ROWS = 200
"""Players a call: the server serves nobody else meanwhile, about 3 ms."""
LEASE_SECONDS = 5.0
"""A build whose builder has not been heard of for so long is another's to begin anew."""
APPLY = Script("apply")
_BEGIN, _FINISH, _STATUS = Script("begin"), Script("finish"), Script("status")
_SIZES, _ENTRIES = Script("sizes"), Script("entries")


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


class IndexWriter:
    """What changes the index. Each method raises one of UNAVAILABLE when Redis could not do it."""

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis

    async def apply(self, at: Place, rows: Sequence[StandingRow], token: str = "") -> Applied:
        """Bring the index up to these standings, unless it has newer ones. ``token``: as the builder who holds it."""
        for start in range(0, max(1, len(rows)), MOST_ROWS):
            applied, _ = await self._apply(at, rows[start : start + MOST_ROWS], token)
            if applied is not Applied.OK:
                return applied
        return Applied.OK

    async def apply_and_rank(self, at: Place, rows: Sequence[StandingRow]) -> list[int | None]:
        """Bring the index up to at most MOST_ROWS standings, and give how many others are ahead of each: None if that is
        not to be told, because the index is not complete, or the player was removed.
        """
        _, aheads = await self._apply(at, rows, "")
        return aheads or [None] * len(rows)

    async def _apply(self, at: Place, rows: Sequence[StandingRow], token: str) -> tuple[Applied, list[int | None]]:
        fields: list[str] = []
        for row in rows:
            if row.score is None:
                fields += (str(row.user_id), str(row.version), "", "", "")
            else:
                key = sort_key(row.reached_session_id)
                fields += (str(row.user_id), str(row.version), board_score(row.score), key, row.username)
        answer = await self._redis.run(APPLY, keys(at), [token, _nonce(), _LEASE_MS, json.dumps(fields)])
        return Applied(answer[0].decode()), answer[1:]

    async def begin(self, at: Place, token: str, cause: str = "") -> Begun:
        """Start to build, from nothing. ``cause``: even a complete index is built anew, unless for that very cause it was."""
        return Begun((await self._redis.run(_BEGIN, keys(at), [token, _LEASE_MS, cause])).decode())

    async def finish(self, at: Place, token: str) -> Applied:
        """The builder has told everything: from now on the index is read."""
        return Applied((await self._redis.run(_FINISH, keys(at), [token, _nonce()])).decode())

    async def complete(self, at: Place, cause: str = "") -> bool:
        """Whether the index is complete, and built for ``cause`` if one is given."""
        return bool(await self._redis.run(_STATUS, keys(at), [cause]))

    async def entries(self, at: Place, user_ids: Sequence[int]) -> list[tuple[bytes | None, bytes | None]] | None:
        """What is kept of each of these players: their field, and their member's score. None unless complete."""
        answer = await self._redis.run(_ENTRIES, keys(at), list(user_ids))
        return None if answer is None else [(entry[0], entry[1] if len(entry) > 1 else None) for entry in answer]

    async def sizes(self, at: Place) -> tuple[int, int] | None:
        """How many players the index has, and how many of them are ranked. None unless complete."""
        answer = await self._redis.run(_SIZES, keys(at), [])
        return None if answer is None else (answer[0], answer[1])

    async def probe(self, at: Place) -> None:
        """Return if Redis takes writes: one that is full or read-only answers questions all the same."""
        await self._redis.set(f"{prefix(at)}:probe", b"", 1000)


def _nonce() -> str:
    """A generation. Made anew for each send: a counter that was evicted would start over and revive old pages."""
    return os.urandom(16).hex()


_LEASE_MS = int(LEASE_SECONDS * 1000)
