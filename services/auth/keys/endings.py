"""SQL of keys that were revoked: what the leaderboard service must know, in a table that it may read.

`ended_at` is MySQL's clock, and tells the leaderboard's processes what is new.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.models import KeyEnding

KEPT_FOR = timedelta(days=1)
"""Longer than any token of a key lives."""


async def note_ended(connection: AsyncConnection, client_id: str) -> None:
    """A key was revoked."""
    await connection.execute(insert(KeyEnding).values(client_id=client_id, ended_at=func.utc_timestamp(6)))


async def forget_endings(connection: AsyncConnection, now: datetime, limit: int) -> int:
    """Forget at most ``limit`` keys whose tokens have all expired; gives how many. Looked for without locks."""
    old = select(KeyEnding.client_id).where(KeyEnding.ended_at < now - KEPT_FOR).limit(limit)
    ids = sorted((await connection.scalars(old)).all())
    if ids:
        await connection.execute(delete(KeyEnding).where(KeyEnding.client_id.in_(ids)))
    return len(ids)
