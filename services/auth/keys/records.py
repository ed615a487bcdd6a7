"""SQL of keys and of their secrets."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.errors import KeyNotFound, TooManyKeys
from services.auth.models import ApiKey, KeySecret
from services.common.tokens import Scope

MOST = 40
"""Keys that there are at once. One that has expired is kept for its list until its place is needed."""
MOST_SECRETS = 2
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as its makers are shown it. ``secrets``: how many are good."""

    client_id: str
    name: str
    scopes: Sequence[Scope]
    created_by: int | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    secrets: int


async def add_key(connection: AsyncConnection, key: KeyRecord, secret_hash: bytes, now: datetime) -> None:
    """Store a key with its first secret. Raises TooManyKeys.

    Whoever makes one at the same time waits for the rows that are there. So few deadlock at the count after the insert, which
    waits for every row that is not committed yet: it is what holds the limit.
    """
    if await _count(connection) >= MOST:
        await connection.execute(delete(ApiKey).where(ApiKey.expires_at <= now))
    values = {"client_id": key.client_id, "name": key.name, "scopes": " ".join(sorted(key.scopes))}
    times = {"created_at": key.created_at, "expires_at": key.expires_at}
    await connection.execute(insert(ApiKey).values(**values, created_by=key.created_by, **times))
    if await _count(connection) > MOST:
        raise TooManyKeys(f"There are {MOST} keys already. Revoke one that is not needed any more.")
    await add_secret(connection, key.client_id, secret_hash, now)


async def _count(connection: AsyncConnection) -> int:
    return len((await connection.scalars(select(ApiKey.client_id).with_for_update())).all())


async def add_secret(connection: AsyncConnection, client_id: str, secret_hash: bytes, now: datetime) -> None:
    """Store a secret. Of more than MOST_SECRETS the older ones go. The caller holds the key's row."""
    await connection.execute(insert(KeySecret).values(client_id=client_id, secret_hash=secret_hash, created_at=now))
    await keep_newest_secrets(connection, client_id, MOST_SECRETS)


async def keep_newest_secrets(connection: AsyncConnection, client_id: str, how_many: int) -> int:
    """End all secrets of a key but the newest; gives how many they were. The caller holds the key's row."""
    ids = select(KeySecret.id).where(KeySecret.client_id == client_id).order_by(KeySecret.id.desc())
    older = (await connection.scalars(ids.offset(how_many).limit(1000))).all()
    if older:
        await connection.execute(delete(KeySecret).where(KeySecret.id.in_(older)))
    return len(older)


async def lock_key(connection: AsyncConnection, client_id: str) -> None:
    """Let nobody else change a key until this transaction ends. Raises KeyNotFound."""
    found = await connection.scalar(select(ApiKey.client_id).where(ApiKey.client_id == client_id).with_for_update())
    if found is None:
        raise KeyNotFound("There is no such key. It may have been revoked.")


async def get_key(connection: AsyncConnection, client_id: str) -> KeyRecord:
    """A key, expired or not. Raises KeyNotFound."""
    row = (await connection.execute(_KEYS.where(ApiKey.client_id == client_id))).one_or_none()
    if row is None:
        raise KeyNotFound("There is no such key. It may have been revoked.")
    return _record(row)


async def list_keys(connection: AsyncConnection) -> Sequence[KeyRecord]:
    """Every key, the newest first."""
    newest_first = _KEYS.order_by(ApiKey.created_at.desc(), ApiKey.client_id)
    return [_record(row) for row in await connection.execute(newest_first)]


async def find_live_key(connection: AsyncConnection, client_id: str, now: datetime) -> KeyRecord | None:
    """A key that has not expired."""
    live = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)
    row = (await connection.execute(_KEYS.where(ApiKey.client_id == client_id, live))).one_or_none()
    return _record(row) if row else None


async def list_secret_hashes(connection: AsyncConnection, client_id: str) -> Collection[bytes]:
    """What is stored of a key's secrets; nothing of a key that there is not."""
    return (await connection.scalars(select(KeySecret.secret_hash).where(KeySecret.client_id == client_id))).all()


async def note_use(connection: AsyncConnection, client_id: str, now: datetime) -> None:
    """Store that a key was used in this minute."""
    minute = now.replace(second=0, microsecond=0)
    older = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < minute)
    await connection.execute(update(ApiKey).where(ApiKey.client_id == client_id, older).values(last_used_at=minute))


def is_use_noted(key: KeyRecord, now: datetime) -> bool:
    """Whether it is known already that a key was used in this minute."""
    return key.last_used_at is not None and now - key.last_used_at < _MINUTE


async def delete_key(connection: AsyncConnection, client_id: str) -> None:
    """Delete a key with its secrets."""
    await connection.execute(delete(ApiKey).where(ApiKey.client_id == client_id))


_SECRETS = select(func.count()).where(KeySecret.client_id == ApiKey.client_id).correlate(ApiKey).scalar_subquery()
_KEYS = select(
    ApiKey.client_id,
    ApiKey.name,
    ApiKey.scopes,
    ApiKey.created_by,
    ApiKey.created_at,
    ApiKey.expires_at,
    ApiKey.last_used_at,
    _SECRETS,
)


def _record(row: Any) -> KeyRecord:
    client_id, name, scopes, *rest = row
    return KeyRecord(client_id, name, [Scope(scope) for scope in scopes.split(" ")], *rest)
