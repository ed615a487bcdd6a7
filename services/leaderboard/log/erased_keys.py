"""SQL of the keys of erased sessions, kept as digests for a while.

A client that never had its answer sends its submission again, for as long as it can sign in. Were nothing kept of an erased
session, the repeat would be a new one, and would bring the player back to the board. A digest says neither whose the session
was nor what it scored.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.log import submission_keys
from services.leaderboard.models import ErasedKey

REMEMBERED = timedelta(days=30)
"""As long as a refresh token lives: a client that was away for longer has to be signed in anew, by the player."""

# As text: it travels with the statements that store sessions.
FIND = "SELECT digest FROM erased_keys WHERE digest IN ({digests})"
_NAMED = ", ".join(["%s"] * len(submission_keys.NAMED))
# `submission_keys.digest`, by the server: of a thousand keys it is made in no time, and they need not come here.
_REMEMBER = f"""
INSERT INTO erased_keys (digest, forget_at)
SELECT UNHEX(SHA2(CONCAT(user_id, ':', submission_key), 256)), submitted_at + INTERVAL {REMEMBERED.days} DAY
FROM game_sessions WHERE id IN ({{ids}}) AND LEFT(submission_key, 2) IN ({_NAMED}) AND submitted_at > %s
ON DUPLICATE KEY UPDATE forget_at = erased_keys.forget_at"""


async def remember(connection: AsyncConnection, session_ids: Sequence[int], now: datetime) -> None:
    """Keep the keys under which clients sent these sessions. Keys that the server made cannot come again."""
    since = (now - REMEMBERED).astimezone(UTC).replace(tzinfo=None)
    ids = ",".join([f"{session_id:d}" for session_id in session_ids])
    await connection.exec_driver_sql(_REMEMBER.format(ids=ids), (*submission_keys.NAMED, since))


async def forget(connection: AsyncConnection, now: datetime, limit: int) -> int:
    """Remove up to ``limit`` of those whose time is over. Gives how many they were."""
    over = select(ErasedKey.digest).where(ErasedKey.forget_at <= now).order_by(ErasedKey.forget_at).limit(limit)
    digests = (await connection.execute(over)).scalars().all()
    await connection.execute(delete(ErasedKey).where(ErasedKey.digest.in_(sorted(digests))))
    return len(digests)
