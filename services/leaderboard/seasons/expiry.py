"""SQL of expiry: of settled periods those beyond what their window keeps. Their results stay, their standings go.

Reads refuse them at once. Their standings go later, when no process can still take them for what they were.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

ROWS_AT_ONCE = 1000
"""Standings that go in one transaction, at most."""

# The newest first: those after so many are beyond. Of all windows, or of some.
_BEYOND = """
SELECT id FROM (
  SELECT p.id, w.keep, ROW_NUMBER() OVER (PARTITION BY p.board_id, p.window_id ORDER BY p.starts_at DESC) AS number
  FROM windows AS w JOIN periods AS p ON p.board_id = w.board_id AND p.window_id = w.id
  WHERE w.keep IS NOT NULL AND p.state = 'settled' AND {windows}
) AS settled WHERE number > keep ORDER BY id LIMIT :limit"""
_LOCK_SETTLED = "SELECT id FROM periods FORCE INDEX (PRIMARY) WHERE id IN ({ids}) AND state = 'settled' ORDER BY id FOR UPDATE"
_EXPIRE = """
UPDATE periods FORCE INDEX (PRIMARY) SET state = 'expired', drop_at = NOW(6) + INTERVAL 10 SECOND WHERE id IN ({ids})"""
_DUE = "SELECT id FROM periods WHERE drop_at <= NOW(6) ORDER BY drop_at LIMIT :limit"
# Those that nobody else is at.
_LOCK_DUE = (
    "SELECT id, board_id FROM periods FORCE INDEX (PRIMARY) WHERE id IN ({ids}) AND drop_at IS NOT NULL"
    " ORDER BY id FOR UPDATE SKIP LOCKED"
)
_DROP = """
DELETE FROM standings WHERE board_id = :board_id AND period_id = :period_id
ORDER BY board_id, period_id, user_id LIMIT :limit"""
_DROPPED = "UPDATE periods FORCE INDEX (PRIMARY) SET drop_at = NULL WHERE id IN ({ids})"


async def expire(connection: AsyncConnection, _now: datetime, limit: int, *, windows: Collection[int] | None = None) -> int:
    """Have up to ``limit`` periods expire, of these windows or of all. Gives how many they were."""
    which = "TRUE" if windows is None else f"w.id IN ({_listed(windows)})"
    beyond = (await connection.scalars(text(_BEYOND.format(windows=which)), {"limit": limit})).all()
    if not beyond:
        return 0
    # It waits for those who change standings of these, and they find it expired after.
    settled = (await connection.scalars(text(_LOCK_SETTLED.format(ids=_listed(beyond))))).all()
    if settled:
        await connection.execute(text(_EXPIRE.format(ids=_listed(settled))))
    return len(settled)


async def drop_standings(connection: AsyncConnection, _now: datetime, limit: int) -> int:
    """Delete up to `ROWS_AT_ONCE` standings of expired periods, of up to ``limit`` periods. Gives how many rows it dealt with.

    Cut short, it is gone on with by whoever comes next.
    """
    due = (await connection.scalars(text(_DUE), {"limit": limit})).all()
    if not due:
        return 0
    free = (await connection.execute(text(_LOCK_DUE.format(ids=_listed(due))))).all()
    left, empty = ROWS_AT_ONCE, []
    for period_id, board_id in free:
        values = {"board_id": board_id, "period_id": period_id, "limit": left}
        gone = (await connection.execute(text(_DROP), values)).rowcount
        if gone == left:
            left = 0
            break
        left -= gone
        empty.append(period_id)
    if empty:
        await connection.execute(text(_DROPPED.format(ids=_listed(empty))))
    return ROWS_AT_ONCE - left + len(empty)


def _listed(ids: Collection[int] | Sequence[int]) -> str:
    return ",".join(f"{each:d}" for each in sorted(ids))
