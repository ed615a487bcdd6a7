"""The use cases of webhooks, for admins: making, changing and deleting them, and what became of what they were told."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.encryption import Encryption
from services.common.http.problems import FieldError, InvalidRequest
from services.common.mysql.database import Database
from services.common.tokens import Caller
from services.leaderboard import events
from services.leaderboard.cursors import ID, Listing
from services.leaderboard.errors import DeliveryNotFound
from services.leaderboard.events import Kind
from services.leaderboard.moderation import entries
from services.leaderboard.moderation.entries import Act, Order
from services.leaderboard.webhooks import deliveries, endpoints, secret_keys
from services.leaderboard.webhooks.deliveries import DeliveryRecord, DeliveryState
from services.leaderboard.webhooks.endpoints import WebhookRecord
from services.leaderboard.webhooks.targets import Addresses, RefusedTarget, parse_url

_BATCH = 500
_RESOLVING_SECONDS = 5.0


class Subscription(NamedTuple):
    """A webhook, and how many deliveries wait for it and were given up. ``secret``: of one that has just been made."""

    webhook: WebhookRecord
    pending: int
    failed: int
    secret: str | None = None


class Rotated(NamedTuple):
    """A webhook's new secret, and until when the one before signs too."""

    secret: str
    old_secret_until: datetime


class DeliveriesPage(NamedTuple):
    """A webhook's deliveries, newest first, and the cursor of the next page."""

    deliveries: Sequence[DeliveryRecord]
    next_cursor: str | None


class Subscriptions:
    """Who is told of what. Every act is written to the log of moderation."""

    def __init__(self, database: Database, encryption: Encryption, addresses: Addresses) -> None:
        self._database = database
        self._encryption = encryption
        self._addresses = addresses

    async def put(self, name: str, url: str, kinds: Sequence[Kind], by: Caller) -> Subscription:
        """Make a webhook, whose secret is given this once, or change it. One that is off is switched on.

        Raises InvalidRequest for a URL to which nothing is sent, and TooManyWebhooks.
        """
        await self._require_allowed(url)
        secret = secret_keys.new_secret()
        sealed = secret_keys.seal(self._encryption, name, secret)
        wanted = [kind.value for kind in sorted(set(kinds))]

        async def put(connection: AsyncConnection) -> tuple[WebhookRecord, bool]:
            before = await endpoints.lock(connection, name)
            if before is None:
                await endpoints.add(connection, name, url, wanted, sealed)
            else:
                await endpoints.change(connection, before.webhook_id, url, wanted)
            after = await endpoints.get(connection, name)
            was, became = {} if before is None else _said(before), _said(after)
            if before is None or before[:-1] != after[:-1]:
                act = Act.WEBHOOK_MADE if before is None else Act.WEBHOOK_CHANGED
                await _log(connection, act, by, name, was, became)
            return after, before is None

        try:
            after, made = await self._database.transaction(put)
        except IntegrityError:  # somebody else has just made it
            after, made = await self._database.transaction(put)
        pending, failed = await self._count(after.webhook_id)
        return Subscription(after, pending, failed, secret if made else None)

    async def get(self, name: str) -> Subscription:
        """A webhook. Raises WebhookNotFound."""
        async with self._database.reading() as connection:
            webhook = await endpoints.get(connection, name)
        return Subscription(webhook, *await self._count(webhook.webhook_id))

    async def list(self) -> Sequence[Subscription]:
        """Every webhook, by name."""
        async with self._database.reading() as connection:
            webhooks = await endpoints.list_all(connection)
            counts = await deliveries.count(connection)
        return [Subscription(each, *_counts(counts, each.webhook_id)) for each in webhooks]

    async def delete(self, name: str, by: Caller) -> None:
        """Tell a webhook nothing any more, and forget what it was told. Raises WebhookNotFound."""

        async def delete(connection: AsyncConnection) -> None:
            webhook = await endpoints.get_locked(connection, name)
            await endpoints.remove(connection, webhook.webhook_id)
            await _log(connection, Act.WEBHOOK_DELETED, by, name, _said(webhook), {})

        await self._database.transaction(delete)

    async def rotate(self, name: str, by: Caller) -> Rotated:
        """A new secret, beside which the one before is good for a while. Raises WebhookNotFound."""
        secret = secret_keys.new_secret()
        sealed = secret_keys.seal(self._encryption, name, secret)

        async def rotate(connection: AsyncConnection) -> datetime:
            webhook = await endpoints.get_locked(connection, name)
            await endpoints.rotate(connection, webhook.webhook_id, sealed)
            await _log(connection, Act.WEBHOOK_SECRET_MADE, by, name, {}, {})
            until = (await endpoints.get(connection, name)).old_secret_until
            assert until is not None
            return until

        return Rotated(secret, await self._database.transaction(rotate))

    async def test(self, name: str, by: Caller) -> DeliveryRecord:
        """Have a webhook told that nothing has happened. Raises WebhookNotFound."""

        async def test(connection: AsyncConnection) -> DeliveryRecord:
            webhook = await endpoints.get_locked(connection, name)
            delivery_id = await events.add_test(connection, webhook.webhook_id, name)
            await _log(connection, Act.WEBHOOK_TESTED, by, name, {}, {})
            return await _get(connection, webhook, delivery_id)

        return await self._database.transaction(test)

    async def deliveries(self, name: str, state: DeliveryState | None, limit: int, cursor: str | None) -> DeliveriesPage:
        """A page of what a webhook is told, and was lately. Raises WebhookNotFound, and InvalidRequest for a cursor that is
        not one of this list.
        """
        listing = Listing("d1", ID, (name, state or ""))
        before = listing.decode_id(cursor)
        async with self._database.reading() as connection:
            webhook = await endpoints.get(connection, name)
            rows = await deliveries.list_records(connection, webhook.webhook_id, state, before, limit + 1)
        return DeliveriesPage(*listing.cut(rows, limit, lambda each: each.delivery_id))

    async def replay(self, name: str, delivery_id: int, by: Caller) -> DeliveryRecord:
        """Try a delivery again now, whatever became of it. Raises WebhookNotFound and DeliveryNotFound."""

        async def replay(connection: AsyncConnection) -> DeliveryRecord:
            webhook = await endpoints.get_locked(connection, name)
            before = await _get(connection, webhook, delivery_id)
            await deliveries.replay(connection, delivery_id)
            was, became = {"delivery_id": delivery_id, "state": before.state}, {"deliveries": 1}
            await _log(connection, Act.DELIVERIES_REPLAYED, by, name, was, became)
            return await _get(connection, webhook, delivery_id)

        return await self._database.transaction(replay)

    async def replay_failed(self, name: str, by: Caller) -> int:
        """Try all that a webhook was given up for again now; gives how many they were. Raises WebhookNotFound."""

        async def replay(connection: AsyncConnection) -> int:
            webhook = await endpoints.get_locked(connection, name)
            batch = await deliveries.replay_failed(connection, webhook.webhook_id, _BATCH)
            if batch:
                was, became = {"state": DeliveryState.FAILED}, {"deliveries": batch}
                await _log(connection, Act.DELIVERIES_REPLAYED, by, name, was, became)
            return batch

        done = 0
        while True:
            batch = await self._database.transaction(replay)
            done += batch
            if batch < _BATCH:
                return done

    async def _require_allowed(self, url: str) -> None:
        try:
            async with asyncio.timeout(_RESOLVING_SECONDS):
                await self._addresses.find(parse_url(url))
        except RefusedTarget as refusal:
            raise _refused(str(refusal)) from None
        except OSError as error:
            raise _refused(f"The host's name was not found ({error.strerror or error})") from None

    async def _count(self, webhook_id: int) -> tuple[int, int]:
        async with self._database.reading() as connection:
            return _counts(await deliveries.count(connection, webhook_id), webhook_id)


def _counts(counts: Mapping[tuple[int, DeliveryState], int], webhook_id: int) -> tuple[int, int]:
    return counts.get((webhook_id, DeliveryState.PENDING), 0), counts.get((webhook_id, DeliveryState.FAILED), 0)


def _said(webhook: WebhookRecord) -> Mapping[str, Any]:
    """What the log says of a webhook. Of its URL the host: what follows may be a secret, and moderators read the log."""
    host = urlsplit(webhook.url).netloc
    return {"host": host, "events": list(webhook.events), "state": webhook.state}


async def _log(
    connection: AsyncConnection, act: Act, by: Caller, name: str, was: Mapping[str, Any], became: Mapping[str, Any]
) -> None:
    named: Mapping[str, Any] = {"webhook": name}
    await entries.add(connection, act, Order(by, None), user_id=None, was={**named, **was}, became={**named, **became})


async def _get(connection: AsyncConnection, webhook: WebhookRecord, delivery_id: int) -> DeliveryRecord:
    found = await deliveries.find(connection, webhook.webhook_id, delivery_id)
    if found is None:
        raise DeliveryNotFound(f"The webhook {webhook.name} has no delivery {delivery_id}. It may be forgotten by now.")
    return found


def _refused(detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=[FieldError(detail=detail, pointer="#/url")])
