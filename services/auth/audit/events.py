"""The audit log: what happened to accounts, as rows that nobody can change and as lines of the service's log.

Neither ever holds a secret, nor a name that was typed: people type passwords there.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.audit.clients import Client
from services.auth.models import AuditAddress, AuditEvent

log = structlog.get_logger(__name__)

_ADDRESS_LENGTH = 64


class Event(StrEnum):
    """What is worth remembering of an account."""

    REGISTERED = "registered"
    GUEST_MADE = "guest_made"
    GUEST_KEPT = "guest_kept"
    EXTERNAL_MADE = "external_made"
    LOGGED_IN = "logged_in"
    LOGGED_OUT = "logged_out"
    LOGIN_FAILED = "login_failed"
    PASSWORD_REFUSED = "password_refused"  # noqa: S105 - an event's name; asked again while signed in
    ATTEMPTS_DELAYED = "attempts_delayed"
    REFRESH_REUSED = "refresh_reused"
    SESSION_ENDED = "session_ended"
    SESSIONS_ENDED = "sessions_ended"
    PASSWORD_CONFIRMED = "password_confirmed"  # noqa: S105 - an event's name
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an event's name
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_FAILED = "recovery_failed"
    ACCOUNT_RECOVERED = "account_recovered"
    USERNAME_CHANGED = "username_changed"
    USERNAME_REPLACED = "username_replaced"
    ACCOUNT_DELETED = "account_deleted"
    ACCOUNT_EXPORTED = "account_exported"
    ROLE_GIVEN = "role_given"
    ROLE_TAKEN = "role_taken"
    SECOND_FACTOR_BEGUN = "second_factor_begun"
    SECOND_FACTOR_CONFIRMED = "second_factor_confirmed"
    SECOND_FACTOR_GIVEN = "second_factor_given"
    SECOND_FACTOR_REFUSED = "second_factor_refused"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    STAFF_CODES_MADE = "staff_codes_made"
    KEY_MADE = "key_made"
    KEY_ROTATED = "key_rotated"
    KEY_SECRETS_ENDED = "key_secrets_ended"
    KEY_REVOKED = "key_revoked"
    KEY_REFUSED = "key_refused"
    SIGNING_KEY_CHANGED = "signing_key_changed"


# What somebody should look at when it comes often.
_SUSPICIOUS = frozenset(
    {
        Event.LOGIN_FAILED,
        Event.PASSWORD_REFUSED,
        Event.SECOND_FACTOR_REFUSED,
        Event.ATTEMPTS_DELAYED,
        Event.REFRESH_REUSED,
        Event.RECOVERY_FAILED,
        Event.KEY_REFUSED,
    }
)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An event as it is kept. ``address`` is None once it was forgotten."""

    event_id: int
    event: str
    address: str | None
    detail: dict[str, Any] | None
    occurred_at: datetime


async def record(
    connection: AsyncConnection,
    event: Event,
    client: Client | None,
    *,
    user_id: int | None,
    now: datetime,
    **detail: str | int,
) -> int:
    """Add an event to the log, in the caller's transaction: what is rolled back has not happened. Gives the event's id.

    The line is written at once, so a transaction that is run again writes it again: the rows are what counts.
    """
    address = client.address[:_ADDRESS_LENGTH] if client else None
    added = await connection.execute(
        insert(AuditEvent).values(event=event, user_id=user_id, detail=detail or None, occurred_at=now)
    )
    event_id: int = added.lastrowid
    if address:
        await connection.execute(insert(AuditAddress).values(event_id=event_id, address=address, occurred_at=now))
    tell = log.warning if event in _SUSPICIOUS else log.info
    tell(event.value, audit=True, user_id=user_id, address=address, **detail)
    return event_id


async def record_for_many(
    connection: AsyncConnection, event: Event, client: Client, user_ids: Collection[int], now: datetime, **detail: str | int
) -> None:
    """The same for many users, none of whom has had an event of this kind before: in three statements."""
    common = {"event": event, "detail": detail or None, "occurred_at": now}
    await connection.execute(insert(AuditEvent).values([common | {"user_id": user_id} for user_id in user_ids]))
    address = client.address[:_ADDRESS_LENGTH]
    if address:
        added = select(AuditEvent.id).where(AuditEvent.user_id.in_(user_ids), AuditEvent.event == event)
        values = [{"event_id": each, "address": address, "occurred_at": now} for each in await connection.scalars(added)]
        await connection.execute(insert(AuditAddress).values(values))
    for user_id in user_ids:
        log.info(event.value, audit=True, user_id=user_id, address=address, **detail)


async def list_events(connection: AsyncConnection, user_id: int, *, after: int, upto: int, limit: int) -> list[AuditRecord]:
    """At most ``limit`` events of an account, oldest first: those whose ids are above ``after`` and not above ``upto``."""
    page = (
        select(AuditEvent.id, AuditEvent.event, AuditAddress.address, AuditEvent.detail, AuditEvent.occurred_at)
        .outerjoin(AuditAddress, AuditAddress.event_id == AuditEvent.id)
        # MySQL 9.7 would go through everybody's events by id, once an account has many of them.
        .with_hint(AuditEvent, "FORCE INDEX (ix_audit_events_user_id)")
        .where(AuditEvent.user_id == user_id, AuditEvent.id > after, AuditEvent.id <= upto)
        .order_by(AuditEvent.id)
        .limit(limit)
    )
    return [AuditRecord(*row) for row in await connection.execute(page)]


async def record_signing_key(connection: AsyncConnection, kid: str, now: datetime) -> None:
    """Add that tokens are signed with another key than before, if they are."""
    last = select(AuditEvent.detail).where(AuditEvent.event == Event.SIGNING_KEY_CHANGED)
    found = (await connection.execute(last.order_by(AuditEvent.occurred_at.desc(), AuditEvent.id.desc()).limit(1))).scalar()
    if found is None or found.get("kid") != kid:
        await record(connection, Event.SIGNING_KEY_CHANGED, None, user_id=None, now=now, kid=kid)


async def forget_addresses(connection: AsyncConnection, before: datetime, limit: int) -> int:
    """Forget the addresses of at most ``limit`` events that happened before ``before``; gives how many.

    Looked for without locks: only the rows that change are ever locked.
    """
    old = select(AuditAddress.event_id).where(AuditAddress.occurred_at < before)
    ids = sorted((await connection.scalars(old.limit(limit))).all())
    if ids:
        await connection.execute(delete(AuditAddress).where(AuditAddress.event_id.in_(ids)))
    return len(ids)
