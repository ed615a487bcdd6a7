"""SQL of the keys of erased sessions, kept as digests for a while.

A client that never had its answer sends its submission again, for as long as it can sign in. Were nothing kept of an erased
session, the repeat would be a new one, and would bring the player back to the board. A digest says neither whose the session
was nor what it scored.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard import submission_keys
from services.leaderboard.models import ErasedKey

REMEMBERED = timedelta(days=30)
"""As long as a refresh token lives: a client that was away for longer has to be signed in anew, by the player."""

# As text: it travels with the statements that store sessions.
FIND = "SELECT digest FROM erased_keys WHERE digest IN ({digests})"


async def remember(
    connection: AsyncConnection, user_id: int, submissions: Iterable[tuple[bytes, datetime]], now: datetime
) -> None:
    """Keep the keys under which clients sent these (key, submitted at). Keys that the server made cannot come again."""
    rows = [
        {"digest": submission_keys.digest(user_id, key), "forget_at": at + REMEMBERED}
        for key, at in submissions
        if submission_keys.is_clients(key) and at + REMEMBERED > now
    ]
    if rows:
        statement = insert(ErasedKey)
        await connection.execute(statement.on_duplicate_key_update(digest=ErasedKey.digest), rows)


async def forget(connection: AsyncConnection, now: datetime, limit: int) -> int:
    """Remove up to ``limit`` of those whose time is over. Gives how many they were."""
    over = select(ErasedKey.digest).where(ErasedKey.forget_at <= now).order_by(ErasedKey.forget_at).limit(limit)
    digests = (await connection.execute(over)).scalars().all()
    await connection.execute(delete(ErasedKey).where(ErasedKey.digest.in_(sorted(digests))))
    return len(digests)
