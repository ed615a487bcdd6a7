"""What a job would void, were it begun now: read, and nothing is changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.leaderboard.models import GameSession, Player
from services.leaderboard.voids.filters import Search

FIRST = 100
"""Sessions that are shown, at most."""
SECONDS = 10.0
"""What it may take. What it has found by then is told."""
MOST_FOUND = 1_000_000
"""Sessions after which it looks no further: it remembers their players."""
_LOOKED_AT_ONCE = 20_000


class FoundSession(NamedTuple):
    """A session that would be voided."""

    session_id: int
    user_id: int
    username: str
    score: int
    submitted_at: datetime
    played_at: datetime | None
    metrics: Mapping[str, int] | None
    tags: Mapping[str, str] | None


class Preview(NamedTuple):
    """How many sessions fit, of how many players, and the first of them. Not ``complete``: there may be more of each."""

    sessions: int
    players: int
    complete: bool
    first: Sequence[FoundSession]


async def preview(database: Database, search: Search, *, seconds: float = SECONDS) -> Preview:
    """Go through the log once, for so long at most. Each part of it is read as it is when it is come to."""
    async with database.reading() as connection:
        upto: int = await connection.scalar(select(func.max(GameSession.id))) or 0
    ends = monotonic() + seconds
    players: set[int] = set()
    first: list[FoundSession] = []
    found = after = 0
    complete = False
    while not complete and found < MOST_FOUND and monotonic() < ends:
        async with database.reading() as connection:
            stretch = await search.find_stretch(connection, after, upto, _LOOKED_AT_ONCE)
            if stretch is None:
                complete = True
            else:
                after = stretch.last
                whose = await search.list_players(connection, stretch)
                found += len(whose)
                players.update(whose)
                if whose and len(first) < FIRST:
                    first += await _list(connection, await search.list_ids(connection, stretch, FIRST - len(first)))
    return Preview(found, len(players), complete, first)


async def _list(connection: AsyncConnection, session_ids: Sequence[int]) -> list[FoundSession]:
    session = GameSession
    columns = select(
        session.id,
        session.user_id,
        func.coalesce(Player.username, ""),
        session.score,
        session.submitted_at,
        session.played_at,
        session.metrics,
        session.tags,
    ).outerjoin(Player, Player.user_id == session.user_id)
    rows = await connection.execute(columns.where(session.id.in_(session_ids)).order_by(session.id))
    return [FoundSession(*row) for row in rows]
