"""SQL of deliveries: what each webhook is still to be told, and what it was told lately.

A delivery is written in the transaction of its event. Whoever tries it has a lease on it, which is its next time: a process
that ends in the middle leaves it to be tried again. What was delivered or given up is kept for a while, and then forgotten.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Delivery, Event, Webhook

LEASE = timedelta(seconds=30)
"""What a try has until somebody else tries again: longer than it takes."""
KEPT_DELIVERED = timedelta(days=7)
KEPT_FAILED = timedelta(days=30)
UNSENT = timedelta(days=4)
"""What should have been sent for longer, to a webhook that is off, is given up."""
MAX_ERROR = 200


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Claimed(NamedTuple):
    """A delivery that is to be tried now, by whoever claimed it. ``tries``: with this one."""

    delivery_id: int
    tries: int
    event_id: int
    nonce: bytes
    kind: str
    data: Mapping[str, Any]
    created_at: datetime


class DeliveryRecord(NamedTuple):
    """A delivery as staff are shown it."""

    delivery_id: int
    event_id: int
    nonce: bytes
    kind: str
    state: DeliveryState
    created_at: datetime
    tries: int
    tried_at: datetime | None
    next_at: datetime
    status: int | None
    error: str | None


_TO_EACH_THAT_WANTS = """
INSERT INTO deliveries (webhook_id, event_id)
SELECT w.id, e.id FROM events AS e JOIN webhooks AS w ON w.state = 'on' AND JSON_CONTAINS(w.events, JSON_QUOTE(e.kind))
WHERE e.id >= LAST_INSERT_ID() AND e.nonce = {nonce} ORDER BY w.id, e.id"""
_TO_ONE = text("""
INSERT INTO deliveries (webhook_id, event_id)
SELECT :webhook_id, e.id FROM events AS e WHERE e.id >= LAST_INSERT_ID() AND e.nonce = :nonce""")
_LOCK_DUE = text("""
SELECT id FROM deliveries FORCE INDEX (ix_deliveries_webhook_id_state_next_at)
WHERE webhook_id = :webhook_id AND state = 'pending' AND next_at <= NOW(6) ORDER BY next_at LIMIT :limit
FOR UPDATE SKIP LOCKED""")
_CLAIM = """
UPDATE deliveries SET tries = tries + 1, tried_at = NOW(6), next_at = NOW(6) + INTERVAL :lease MICROSECOND
WHERE id IN ({ids})"""
_DELIVERED = text("""
UPDATE deliveries SET state = 'delivered', status = :status, error = NULL, next_at = NOW(6) + INTERVAL :kept MICROSECOND
WHERE id = :delivery_id""")
# Not what somebody else tries by now, whose lease it is.
_TRY_AGAIN = text("""
UPDATE deliveries SET status = :status, error = :error, next_at = NOW(6) + INTERVAL :wait MICROSECOND
WHERE id = :delivery_id AND state = 'pending' AND tries = :tries""")
_GIVE_UP = text("""
UPDATE deliveries SET state = 'failed', status = :status, error = :error, next_at = NOW(6) + INTERVAL :kept MICROSECOND
WHERE id = :delivery_id AND state = 'pending' AND tries = :tries""")
_REPLAY = "UPDATE deliveries SET state = 'pending', tries = 0, next_at = NOW(6) WHERE id IN ({ids})"
_GIVE_UP_UNSENT = f"""
UPDATE deliveries SET state = 'failed', error = 'the webhook is off',
next_at = NOW(6) + INTERVAL {KEPT_FAILED.days} DAY WHERE id IN ({{ids}}) AND state = 'pending'"""


async def add(connection: AsyncConnection, nonce: bytes) -> None:
    """Have the events that were just written with ``nonce`` delivered to each webhook that wants their kind."""
    await connection.execute(text(_TO_EACH_THAT_WANTS.format(nonce=":nonce")), {"nonce": nonce})


def adding(nonce: bytes) -> str:
    """What `add` does, as a statement for a packet of several."""
    return _TO_EACH_THAT_WANTS.format(nonce=f"0x{nonce.hex()}")


async def add_to(connection: AsyncConnection, webhook_id: int, nonce: bytes) -> int:
    """Have the one that was just written delivered to one webhook, whatever it wants. Gives the delivery's id."""
    added = await connection.execute(_TO_ONE, {"webhook_id": webhook_id, "nonce": nonce})
    delivery_id: int = added.lastrowid
    return delivery_id


async def claim(connection: AsyncConnection, webhook_id: int, limit: int, lease: timedelta) -> list[Claimed]:
    """Take up to ``limit`` deliveries of a webhook that are due. Nobody else has them until ``lease`` is over."""
    due = (await connection.scalars(_LOCK_DUE, {"webhook_id": webhook_id, "limit": limit})).all()
    if not due:
        return []
    await connection.execute(text(_CLAIM.format(ids=_list(due))), {"lease": _micro(lease)})
    claimed = (
        select(Delivery.id, Delivery.tries, Event.id, Event.nonce, Event.kind, Event.data, Event.created_at)
        .join(Event, Event.id == Delivery.event_id)
        .where(Delivery.id.in_(due))
        .order_by(Delivery.id)
    )
    return [Claimed(*row) for row in await connection.execute(claimed)]


async def note_delivered(connection: AsyncConnection, delivery_id: int, status: int) -> None:
    """It has arrived, whoever tries it by now."""
    values = {"delivery_id": delivery_id, "status": status, "kept": _micro(KEPT_DELIVERED)}
    await connection.execute(_DELIVERED, values)


async def note_failed(
    connection: AsyncConnection, claimed: Claimed, status: int | None, error: str, wait: timedelta | None
) -> None:
    """A try has failed. It is tried again after ``wait``; with None it is given up."""
    values = {"delivery_id": claimed.delivery_id, "tries": claimed.tries, "status": status, "error": error[:MAX_ERROR]}
    if wait is None:
        await connection.execute(_GIVE_UP, values | {"kept": _micro(KEPT_FAILED)})
    else:
        await connection.execute(_TRY_AGAIN, values | {"wait": _micro(wait)})


async def find(connection: AsyncConnection, webhook_id: int, delivery_id: int) -> DeliveryRecord | None:
    """A delivery of a webhook."""
    row = (await connection.execute(_records(webhook_id).where(Delivery.id == delivery_id))).one_or_none()
    return None if row is None else _record(row)


async def list_records(
    connection: AsyncConnection, webhook_id: int, state: DeliveryState | None, before: int | None, limit: int
) -> list[DeliveryRecord]:
    """A webhook's deliveries, newest first, from before one on."""
    page = _records(webhook_id)
    if state is not None:
        page = page.where(Delivery.state == state)
    if before is not None:
        page = page.where(Delivery.id < before)
    return [_record(row) for row in await connection.execute(page.order_by(Delivery.id.desc()).limit(limit))]


async def count(connection: AsyncConnection, webhook_id: int | None = None) -> Mapping[tuple[int, DeliveryState], int]:
    """How many wait and how many were given up, by webhook: of one, or of all."""
    counts = (
        select(Delivery.webhook_id, Delivery.state, func.count())
        .where(Delivery.state.in_([DeliveryState.PENDING, DeliveryState.FAILED]))
        .group_by(Delivery.webhook_id, Delivery.state)
    )
    if webhook_id is not None:
        counts = counts.where(Delivery.webhook_id == webhook_id)
    return {(webhook_id, DeliveryState(state)): count for webhook_id, state, count in await connection.execute(counts)}


async def replay(connection: AsyncConnection, delivery_id: int) -> None:
    """Try it again now, with all the tries that it had."""
    await connection.execute(text(_REPLAY.format(ids=_list([delivery_id]))))


async def replay_failed(connection: AsyncConnection, webhook_id: int, limit: int) -> int:
    """Do so with up to ``limit`` that a webhook was given up for. Gives how many they were."""
    failed = select(Delivery.id).where(Delivery.webhook_id == webhook_id, Delivery.state == DeliveryState.FAILED)
    ids = (await connection.scalars(failed.order_by(Delivery.id).limit(limit).with_for_update())).all()
    if ids:
        await connection.execute(text(_REPLAY.format(ids=_list(ids))))
    return len(ids)


async def forget(connection: AsyncConnection, _now: datetime, limit: int) -> int:
    """Remove up to ``limit`` that are kept no longer, or whose webhook is gone. Gives how many they were."""
    over = (
        select(Delivery.id)
        .where(Delivery.state.in_([DeliveryState.DELIVERED, DeliveryState.FAILED]), Delivery.next_at <= func.now(6))
        .limit(limit)
    )
    ids = (await connection.scalars(over)).all()
    if len(ids) < limit:
        gone = select(Delivery.id).outerjoin(Webhook, Webhook.id == Delivery.webhook_id).where(Webhook.id.is_(None))
        ids = [*ids, *(await connection.scalars(gone.limit(limit - len(ids)))).all()]
    await connection.execute(delete(Delivery).where(Delivery.id.in_(sorted(set(ids)))))
    return len(ids)


async def give_up_unsent(connection: AsyncConnection, _now: datetime, limit: int) -> int:
    """Give up what should have been sent long ago, to a webhook that is off. Gives how many they were."""
    long_ago = func.timestampadd(text("DAY"), -UNSENT.days, func.now(6))
    unsent = select(Delivery.id).where(Delivery.state == DeliveryState.PENDING, Delivery.next_at <= long_ago)
    ids = (await connection.scalars(unsent.order_by(Delivery.next_at).limit(limit))).all()
    if ids:
        await connection.execute(text(_GIVE_UP_UNSENT.format(ids=_list(ids))))
    return len(ids)


def _records(webhook_id: int) -> Select[Any]:
    columns: tuple[Any, ...] = (
        Delivery.id,
        Event.id,
        Event.nonce,
        Event.kind,
        Delivery.state,
        Event.created_at,
        Delivery.tries,
        Delivery.tried_at,
        Delivery.next_at,
        Delivery.status,
        Delivery.error,
    )
    return select(*columns).join(Event, Event.id == Delivery.event_id).where(Delivery.webhook_id == webhook_id)


def _record(row: Any) -> DeliveryRecord:
    record = DeliveryRecord(*row)
    return record._replace(state=DeliveryState(record.state))


def _list(ids: Sequence[int]) -> str:
    return ",".join(f"{each:d}" for each in ids)


def _micro(time: timedelta) -> int:
    """Microseconds, which are all that INTERVAL takes of a number with a fraction."""
    return time // timedelta(microseconds=1)
