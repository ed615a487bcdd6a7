"""SQL of second factors: each one's secret, encrypted, and which sessions it was given in."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.models import RefreshFamily, SecondFactor, StaffCode


@dataclass(frozen=True, slots=True)
class StoredFactor:
    """A user's second factor. ``secret`` is None until the first was confirmed, ``pending`` unless one waits for that."""

    user_id: int
    secret: bytes | None
    pending: bytes | None
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionFactors:
    """When a session's password and its second factor were given last."""

    authenticated_at: datetime
    second_factor_at: datetime | None


def place(user_id: int) -> bytes:
    """What a user's encrypted secret is bound to."""
    return f"totp:{user_id}".encode()


async def find(connection: AsyncConnection, user_id: int) -> StoredFactor | None:
    """A user's second factor, pending or confirmed."""
    columns = SecondFactor.user_id, SecondFactor.secret, SecondFactor.pending, SecondFactor.confirmed_at
    row = (await connection.execute(select(*columns).where(SecondFactor.user_id == user_id))).one_or_none()
    return StoredFactor(*row) if row else None


async def begin(connection: AsyncConnection, user_id: int, pending: bytes) -> None:
    """Store a secret that waits to be confirmed. One that is confirmed stays until then."""
    statement = insert(SecondFactor).values(user_id=user_id, pending=pending, last_step=0)
    await connection.execute(statement.on_duplicate_key_update(pending=pending))


async def confirm(connection: AsyncConnection, user_id: int, pending: bytes, step: int, now: datetime) -> bool:
    """Make the pending secret the one that counts, whose code of ``step`` is used by that; False if it is another by now."""
    waiting = update(SecondFactor).where(SecondFactor.user_id == user_id, SecondFactor.pending == pending)
    confirmed = await connection.execute(waiting.values(secret=pending, pending=None, confirmed_at=now, last_step=step))
    return confirmed.rowcount == 1


async def use(connection: AsyncConnection, user_id: int, secret: bytes, step: int) -> bool:
    """Use the code of a time step: the one statement that decides which of two uses at once is the first.

    False when it, or a later one, was used before, or when the secret is another by now.
    """
    unused = SecondFactor.user_id == user_id, SecondFactor.secret == secret, SecondFactor.last_step < step
    return (await connection.execute(update(SecondFactor).where(*unused).values(last_step=step))).rowcount == 1


async def remove(connection: AsyncConnection, user_id: int) -> bool:
    """Remove a user's second factor and staff codes; False if there is none. No session of theirs has one any more."""
    await connection.execute(delete(StaffCode).where(StaffCode.user_id == user_id))
    removed = await connection.execute(delete(SecondFactor).where(SecondFactor.user_id == user_id))
    await note_given_nowhere_else(connection, user_id, None)
    return removed.rowcount == 1


async def find_session(connection: AsyncConnection, session_id: uuid.UUID) -> SessionFactors | None:
    """What was given in a session."""
    columns = RefreshFamily.authenticated_at, RefreshFamily.second_factor_at
    row = (await connection.execute(select(*columns).where(RefreshFamily.id == session_id.bytes))).one_or_none()
    return SessionFactors(*row) if row else None


async def note_given(connection: AsyncConnection, session_id: uuid.UUID, now: datetime) -> None:
    """Store that the second factor was given in a session now."""
    await connection.execute(update(RefreshFamily).where(RefreshFamily.id == session_id.bytes).values(second_factor_at=now))


async def note_given_nowhere_else(connection: AsyncConnection, user_id: int, session_id: uuid.UUID | None) -> None:
    """No session of the user but this one, if any, has the second factor any more."""
    given = update(RefreshFamily).where(RefreshFamily.user_id == user_id, RefreshFamily.second_factor_at.is_not(None))
    if session_id is not None:
        given = given.where(RefreshFamily.id != session_id.bytes)
    await connection.execute(given.values(second_factor_at=None))


async def list_encrypted_otherwise(connection: AsyncConnection, prefix: bytes, limit: int) -> Sequence[StoredFactor]:
    """At most ``limit`` second factors with a secret that does not begin with ``prefix``. Nobody changes them meanwhile."""
    factor = SecondFactor
    columns = factor.user_id, factor.secret, factor.pending, factor.confirmed_at
    other = or_(*(func.left(secret, len(prefix)) != prefix for secret in (factor.secret, factor.pending)))
    found = select(*columns).where(other).order_by(factor.user_id).limit(limit).with_for_update()
    return [StoredFactor(*row) for row in await connection.execute(found)]


async def replace(connection: AsyncConnection, user_id: int, secret: bytes | None, pending: bytes | None) -> None:
    """Store the same secrets, encrypted anew."""
    await connection.execute(update(SecondFactor).where(SecondFactor.user_id == user_id).values(secret=secret, pending=pending))
