"""SQL of webhooks: where they are, what they want to know, and what signs what they are told."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database, UTCDateTime
from services.leaderboard.errors import TooManyWebhooks, WebhookNotFound
from services.leaderboard.models import Webhook

MOST = 32
"""Webhooks that there are at once. A process sends to each at the same time, so that none waits for another."""
OLD_SECRET_LIVES = timedelta(hours=24)
_NOW = literal_column("NOW(6)", UTCDateTime())


class WebhookState(StrEnum):
    """Whether anything is sent."""

    ON = "on"
    OFF = "off"


class WebhookRecord(NamedTuple):
    """A webhook as staff are shown it."""

    webhook_id: int
    name: str
    url: str
    events: Sequence[str]
    state: WebhookState
    paused_until: datetime | None
    old_secret_until: datetime | None
    created_at: datetime


class Waiting(NamedTuple):
    """A webhook for which deliveries are due. ``secrets``: sealed, those that are live, the newest first."""

    webhook_id: int
    name: str
    url: str
    secrets: Sequence[bytes]


_WAITING = f"""
SELECT w.id, w.name, w.url, w.secret, IF(w.old_secret_until > NOW(6), w.old_secret, NULL) FROM webhooks AS w
WHERE w.state = '{WebhookState.ON}' AND (w.paused_until IS NULL OR w.paused_until <= NOW(6)) AND
(SELECT MIN(d.next_at) FROM deliveries AS d WHERE d.webhook_id = w.id AND d.state = 'pending') <= NOW(6) ORDER BY w.id"""
_COLUMNS = (
    Webhook.id,
    Webhook.name,
    Webhook.url,
    Webhook.events,
    Webhook.state,
    func.if_(Webhook.paused_until > _NOW, Webhook.paused_until, None, type_=UTCDateTime()),
    func.if_(Webhook.old_secret_until > _NOW, Webhook.old_secret_until, None, type_=UTCDateTime()),
    Webhook.created_at,
)


async def lock(connection: AsyncConnection, name: str) -> WebhookRecord | None:
    """A webhook, which nobody else changes until this transaction ends."""
    row = (await connection.execute(select(*_COLUMNS).where(Webhook.name == name).with_for_update())).one_or_none()
    return None if row is None else _record(row)


async def get_locked(connection: AsyncConnection, name: str) -> WebhookRecord:
    """The same of one that there must be. Raises WebhookNotFound."""
    return _found(await lock(connection, name), name)


async def get(connection: AsyncConnection, name: str) -> WebhookRecord:
    """A webhook. Raises WebhookNotFound."""
    row = (await connection.execute(select(*_COLUMNS).where(Webhook.name == name))).one_or_none()
    return _found(None if row is None else _record(row), name)


async def list_all(connection: AsyncConnection) -> list[WebhookRecord]:
    """Every webhook, by name."""
    return [_record(row) for row in await connection.execute(select(*_COLUMNS).order_by(Webhook.name))]


async def add(connection: AsyncConnection, name: str, url: str, events: Sequence[str], secret: bytes) -> None:
    """Store a webhook. Raises TooManyWebhooks, and IntegrityError where somebody else has just stored one of this name.

    The count waits for every row that is not committed yet: it is what holds the limit.
    """
    await connection.execute(insert(Webhook).values(name=name, url=url, events=events, secret=secret))
    if len((await connection.scalars(select(Webhook.id).with_for_update())).all()) > MOST:
        raise TooManyWebhooks(f"There are {MOST} webhooks already. Delete one that is not needed any more.")


async def change(connection: AsyncConnection, webhook_id: int, url: str, events: Sequence[str]) -> None:
    """Give a webhook another URL and other events, and have it sent to at once, whatever it has answered."""
    values = {"url": url, "events": events, "state": WebhookState.ON, "paused_until": None}
    await connection.execute(update(Webhook).where(Webhook.id == webhook_id).values(**values))


async def remove(connection: AsyncConnection, webhook_id: int) -> None:
    """Delete a webhook. Its deliveries go by themselves, batch by batch."""
    await connection.execute(delete(Webhook).where(Webhook.id == webhook_id))


async def rotate(connection: AsyncConnection, webhook_id: int, secret: bytes) -> None:
    """Have a webhook's messages signed with another secret, and for a while with the one before too, but with none older."""
    before = await connection.scalar(select(Webhook.secret).where(Webhook.id == webhook_id))
    values = {"secret": secret, "old_secret": before, "old_secret_until": _NOW + text(f"INTERVAL {_hours()} HOUR")}
    await connection.execute(update(Webhook).where(Webhook.id == webhook_id).values(**values))


async def switch_off(connection: AsyncConnection, webhook_id: int, url: str) -> None:
    """Send nothing to a webhook any more, unless it has another URL by now."""
    same = Webhook.id == webhook_id, Webhook.url == url
    await connection.execute(update(Webhook).where(*same).values(state=WebhookState.OFF))


async def pause(connection: AsyncConnection, webhook_id: int, url: str, wait: timedelta) -> None:
    """Send nothing to a webhook for so long, unless it has another URL by now."""
    until = func.timestampadd(text("SECOND"), int(wait.total_seconds()), _NOW)
    same = Webhook.id == webhook_id, Webhook.url == url
    await connection.execute(update(Webhook).where(*same).values(paused_until=until))


async def list_waiting(database: Database) -> list[Waiting]:
    """The webhooks that are to be sent to now. One look into an index each, however much waits for it."""
    found = await database.look(_WAITING)
    return [Waiting(webhook_id, name, url, [secret, *([old] if old else [])]) for webhook_id, name, url, secret, old in found]


def _hours() -> int:
    return OLD_SECRET_LIVES // timedelta(hours=1)


def _record(row: Any) -> WebhookRecord:
    record = WebhookRecord(*row)
    return record._replace(state=WebhookState(record.state))


def _found(record: WebhookRecord | None, name: str) -> WebhookRecord:
    if record is None:
        raise WebhookNotFound(f"There is no webhook of the name {name}.")
    return record
