"""SQL of events: what happened that a studio's own systems may want to know, written in the transaction that it tells of.

With each goes a delivery for every webhook that wants to know of its kind.
"""

import secrets
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Event
from services.leaderboard.rules.holds import HoldRule
from services.leaderboard.webhooks import deliveries


class Kind(StrEnum):
    """What happened."""

    PERIOD_OPENED = "period.opened"
    PERIOD_SETTLED = "period.settled"
    PERIOD_CORRECTED = "period.corrected"
    SESSION_HELD = "session.held"


TEST = "webhook.test"
"""The kind of what a webhook is told when staff try it. Nothing has happened."""
_NONCE_BYTES = 8

_PERIOD_OPENED = """
INSERT INTO events (kind, nonce, data)
SELECT :kind, :nonce, JSON_OBJECT(
  'board', b.name, 'window', w.name, 'period_id', p.id, 'title', p.title,
  'starts_at', DATE_FORMAT(p.starts_at, '{time}'), 'ends_at', DATE_FORMAT(p.ends_at, '{time}'))
FROM periods AS p JOIN windows AS w ON w.id = p.window_id JOIN boards AS b ON b.id = p.board_id WHERE p.id IN ({ids})
ORDER BY p.id"""
_SESSION_HELD = f"""
INSERT INTO events (kind, nonce, data)
SELECT '{Kind.SESSION_HELD}', {{nonce}}, JSON_OBJECT(
  'board', name, 'session_id', {{session_id:d}}, 'user_id', {{user_id:d}}, 'reason', '{{rule}}')
FROM boards FORCE INDEX (PRIMARY) WHERE id = {{board_id:d}}"""
# As `write_time` has it.
_TIME = r"%Y-%m-%dT%H\:%i\:%s.%fZ"


async def add(connection: AsyncConnection, kind: Kind, data: Mapping[str, object]) -> None:
    """Write an event. ``data`` is JSON, and short: who is told of it asks for the rest."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    await connection.execute(insert(Event).values(kind=kind, nonce=nonce, data=data))
    await deliveries.add(connection, nonce)


async def add_opened(connection: AsyncConnection, period_ids: Collection[int]) -> None:
    """Write for each of these periods that it has begun."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    ids = ",".join(f"{period_id:d}" for period_id in sorted(period_ids))
    opened = text(_PERIOD_OPENED.format(time=_TIME, ids=ids))
    await connection.execute(opened, {"kind": Kind.PERIOD_OPENED, "nonce": nonce})
    await deliveries.add(connection, nonce)


def adding_held(session_id: int, user_id: int, board_id: int, rule: HoldRule) -> Iterator[str]:
    """The statements that write that a board holds a session: for the packet of the group that stores it."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    values = {"session_id": session_id, "user_id": user_id, "board_id": board_id, "rule": rule}
    yield _SESSION_HELD.format(nonce=f"0x{nonce.hex()}", **values)
    yield deliveries.adding(nonce)


async def add_test(connection: AsyncConnection, webhook_id: int, name: str) -> int:
    """Write an event that one webhook alone is told of. Gives the delivery's id."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    await connection.execute(insert(Event).values(kind=TEST, nonce=nonce, data={"webhook": name}))
    return await deliveries.add_to(connection, webhook_id, nonce)
