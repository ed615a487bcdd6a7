"""Who a player is to others: by which name, since when, and how much they have played."""

from collections import OrderedDict
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.gather import SharedWork
from services.common.mysql.database import Database
from services.leaderboard.log import history
from services.leaderboard.log.history import Counted
from services.leaderboard.rules.places import Place

# A count of very many is kept for so many times as long as it took: however often it is asked for, little of MySQL's time goes
# into it. One of fewer is made each time, and is right at once.
_KEPT = 50
_MOST = 10_000


async def find_name(connection: AsyncConnection, user_id: int) -> str | None:
    """The name of a player's account; where auth has not said anything of it, the one on the board.

    None for one who has not played, is banned, or whose account has ended.
    """
    name: str | None = (await connection.exec_driver_sql(_NAME, (user_id,))).scalar_one_or_none()
    return name


class NamedStanding(NamedTuple):
    """A player's standing, by the same name, and the session that reached it."""

    username: str
    score: int
    reached_session_id: int


async def find_standing(connection: AsyncConnection, at: Place, user_id: int) -> NamedStanding | None:
    """A player's standing in a place. None for one who is not ranked there, or whom `find_name` does not name."""
    row: Any = (await connection.exec_driver_sql(_STANDING, (*at, user_id))).one_or_none()
    return None if row is None else NamedStanding(*row)


class Careers:
    """How many of a player's sessions count, and since when: counted once for all who ask at the same time.

    A hundred sessions take less than a millisecond, and a million take seconds: those are counted some at a time.
    """

    def __init__(self, reads: Database) -> None:
        self._reads = reads
        self._shared: SharedWork[Counted] = SharedWork()
        # Until when a count of very many is good.
        self._many: OrderedDict[int, tuple[float, Counted]] = OrderedDict()

    async def of(self, user_id: int) -> Counted:
        """The player's."""
        until, counted = self._many.get(user_id, (0.0, Counted(0, None)))
        return counted if monotonic() < until else await self._shared.ask(user_id, lambda: self._count(user_id))

    async def _count(self, user_id: int) -> Counted:
        began = monotonic()
        (sessions, since), last = await self._count_some(user_id, 0)
        if last is None:
            return Counted(sessions, since)
        while last is not None:
            (more, first), last = await self._count_some(user_id, last)
            sessions, since = sessions + more, min(filter(None, (since, first)), default=None)
        now = monotonic()
        self._many.pop(user_id, None)  # so that who was counted last is last
        self._many[user_id] = now + _KEPT * (now - began), Counted(sessions, since)
        if len(self._many) > _MOST:
            self._many.popitem(last=False)
        return self._many[user_id][1]

    async def _count_some(self, user_id: int, after: int) -> tuple[Counted, int | None]:
        async with self._reads.reading() as connection:
            return await history.count_counted(connection, user_id, after)


_SHOWN = "p.banned_at IS NULL AND p.username <> '' AND a.ended_at IS NULL"
_NAME = f"""
SELECT COALESCE(a.username, p.username) FROM players AS p LEFT JOIN account_changes AS a ON a.id = p.user_id
WHERE p.user_id = %s AND {_SHOWN}"""
_STANDING = f"""
SELECT COALESCE(a.username, p.username), s.score, s.reached_session_id
FROM standings AS s JOIN players AS p ON p.user_id = s.user_id LEFT JOIN account_changes AS a ON a.id = p.user_id
WHERE s.board_id = %s AND s.period_id = %s AND s.user_id = %s AND s.score IS NOT NULL AND {_SHOWN}"""
