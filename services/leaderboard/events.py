"""SQL of events: what happened that a studio's own systems may want to know, written in the transaction that it tells of."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Event


class Kind(StrEnum):
    """What happened."""

    PERIOD_OPENED = "period.opened"
    PERIOD_SETTLED = "period.settled"
    PERIOD_CORRECTED = "period.corrected"
    SESSION_HELD = "session.held"


_PERIOD_OPENED = """
INSERT INTO events (kind, data)
SELECT :kind, JSON_OBJECT(
  'board', b.name, 'window', w.name, 'period_id', p.id, 'title', p.title,
  'starts_at', DATE_FORMAT(p.starts_at, '{time}'), 'ends_at', DATE_FORMAT(p.ends_at, '{time}'))
FROM periods AS p JOIN windows AS w ON w.id = p.window_id JOIN boards AS b ON b.id = p.board_id WHERE p.id IN ({ids})
ORDER BY p.id"""
# Of one session, for the packet of the group that stores it: log/holds.py fills it in.
HELD = f"""
INSERT INTO events (kind, data)
SELECT '{Kind.SESSION_HELD}', JSON_OBJECT(
  'board', name, 'session_id', {{session_id:d}}, 'user_id', {{user_id:d}}, 'reason', '{{rule}}')
FROM boards FORCE INDEX (PRIMARY) WHERE id = {{board_id:d}}"""
# RFC 3339, as `write_time` has it.
_TIME = r"%Y-%m-%dT%H\:%i\:%s.%fZ"


async def add(connection: AsyncConnection, kind: Kind, data: Mapping[str, object]) -> None:
    """Write an event. ``data`` is JSON, and short: who is told of it asks for the rest."""
    await connection.execute(insert(Event).values(kind=kind, data=data))


async def add_opened(connection: AsyncConnection, period_ids: Collection[int]) -> None:
    """Write for each of these periods that it has begun."""
    ids = ",".join(f"{period_id:d}" for period_id in sorted(period_ids))
    await connection.execute(text(_PERIOD_OPENED.format(time=_TIME, ids=ids)), {"kind": Kind.PERIOD_OPENED})


def write_time(time: datetime) -> str:
    """A time as events have it: UTC, to the microsecond."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
