"""SQL of sessions: families of refresh tokens. A session is live while its row is there and its time is not over."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from services.auth.accounts.users import USER_COLUMNS, UserRecord
from services.auth.audit.clients import Client
from services.auth.models import Guest, RefreshFamily, RefreshToken, User
from services.common.mysql.database import UTCDateTime


class Kind(StrEnum):
    """Who keeps a session's refresh token."""

    BROWSER = "browser"
    """A browser, in a cookie that no script can read."""
    APP = "app"
    """The client itself, which is sent it in bodies."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """When a session is over: ``idle`` after its last use, and ``absolute`` after its login however much it is used."""

    idle: timedelta
    absolute: timedelta


@dataclass(frozen=True, slots=True)
class SessionRecord:
    session_id: uuid.UUID
    kind: Kind
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """What a user is told of their own account."""

    user_id: int
    username: str
    created_at: datetime
    guest: bool


@dataclass(frozen=True, slots=True)
class UsedToken:
    """What became of a refresh token's use: whose session goes on, until when, and when its password was given last."""

    user: UserRecord
    session_id: uuid.UUID
    expires_at: datetime
    authenticated_at: datetime


async def begin_family(
    connection: AsyncConnection, user_id: int, kind: Kind, client: Client, now: datetime, lifetimes: Lifetimes, most: int
) -> tuple[uuid.UUID, datetime]:
    """Store a session that begins now, with its password; gives its id and when it expires.

    Of more than ``most`` of its kind, the ones that were used longest ago end: an app that signs in again and again ends no
    browser's session. The caller holds the user's row, so that two logins at once count one after the other.
    """
    mine = RefreshFamily.user_id == user_id
    await connection.execute(delete(RefreshFamily).where(mine, RefreshFamily.expires_at <= now))
    by_use = RefreshFamily.last_used_at.desc(), RefreshFamily.created_at.desc(), RefreshFamily.id
    alike = RefreshFamily.kind == kind
    surplus = select(RefreshFamily.id).where(mine, alike).order_by(*by_use).offset(most - 1).limit(1000)
    if ids := (await connection.scalars(surplus)).all():
        await connection.execute(delete(RefreshFamily).where(RefreshFamily.id.in_(ids)))
    session_id = uuid.uuid4()
    ends_at = now + lifetimes.absolute
    expires_at = min(now + lifetimes.idle, ends_at)
    await connection.execute(
        insert(RefreshFamily).values(
            id=session_id.bytes,
            user_id=user_id,
            created_at=now,
            last_used_at=now,
            expires_at=expires_at,
            ends_at=ends_at,
            address=client.address,
            user_agent=client.user_agent,
            kind=kind,
            authenticated_at=now,
        )
    )
    return session_id, expires_at


async def add_token(
    connection: AsyncConnection, session_id: uuid.UUID, token_hash: bytes, now: datetime, expires_at: datetime
) -> None:
    """Store the refresh token that a session goes on with."""
    await connection.execute(
        insert(RefreshToken).values(family_id=session_id.bytes, token_hash=token_hash, issued_at=now, expires_at=expires_at)
    )


async def use_token(
    connection: AsyncConnection, token_hash: bytes, client: Client, now: datetime, lifetimes: Lifetimes
) -> UsedToken | None:
    """Use a refresh token, if it can be used: the one statement that decides which of two uses at once is the first.

    It holds the family's row until this transaction ends, so a family that is ended meanwhile ends with its new token.
    """
    used = await connection.execute(
        update(RefreshToken)
        .where(
            RefreshToken.token_hash == token_hash,
            RefreshToken.used_at.is_(None),
            RefreshFamily.id == RefreshToken.family_id,
            RefreshFamily.expires_at > now,
        )
        .values(
            {
                RefreshToken.used_at: now,
                RefreshFamily.last_used_at: now,
                RefreshFamily.expires_at: func.least(literal(now + lifetimes.idle, UTCDateTime), RefreshFamily.ends_at),
                RefreshFamily.address: client.address,
                RefreshFamily.user_agent: client.user_agent,
            }
        )
    )
    if not used.rowcount:
        return None
    statement = (
        select(RefreshFamily.id, RefreshFamily.expires_at, RefreshFamily.authenticated_at, *USER_COLUMNS)
        .join(RefreshToken, RefreshToken.family_id == RefreshFamily.id)
        .join(User, User.id == RefreshFamily.user_id)
        .where(RefreshToken.token_hash == token_hash)
    )
    row = (await connection.execute(statement)).one()
    return UsedToken(UserRecord(*row[3:]), uuid.UUID(bytes=row[0]), row[1], row[2])


async def find_repeat(
    connection: AsyncConnection, token_hash: bytes, successors: Collection[bytes], used_after: datetime, now: datetime
) -> tuple[UsedToken, bytes] | None:
    """What became of a token that was used after ``used_after``, and its successor's hash, while that one is not used.

    ``successors``: the hashes that it may have. None when the token was used earlier, or its session has ended.
    """
    used, successor = aliased(RefreshToken), aliased(RefreshToken)
    statement = (
        select(successor.token_hash, RefreshFamily.id, RefreshFamily.expires_at, RefreshFamily.authenticated_at, *USER_COLUMNS)
        .select_from(used)
        .join(successor, successor.family_id == used.family_id)
        .join(RefreshFamily, RefreshFamily.id == used.family_id)
        .join(User, User.id == RefreshFamily.user_id)
        .where(
            used.token_hash == token_hash,
            used.used_at > used_after,
            successor.token_hash.in_(successors),
            successor.used_at.is_(None),
            RefreshFamily.expires_at > now,
        )
    )
    row = (await connection.execute(statement)).one_or_none()
    return (UsedToken(UserRecord(*row[4:]), uuid.UUID(bytes=row[1]), row[2], row[3]), row[0]) if row else None


async def note_password(connection: AsyncConnection, session_id: uuid.UUID, now: datetime) -> None:
    """Store that a session's password was given now."""
    await connection.execute(update(RefreshFamily).where(RefreshFamily.id == session_id.bytes).values(authenticated_at=now))


async def find_family(
    connection: AsyncConnection, token_hash: bytes, *, used: bool | None = None
) -> tuple[int, uuid.UUID] | None:
    """Whose session a refresh token belongs to, and which; with ``used``, only a token that was used already."""
    statement = (
        select(RefreshFamily.user_id, RefreshFamily.id)
        .join(RefreshToken, RefreshToken.family_id == RefreshFamily.id)
        .where(RefreshToken.token_hash == token_hash)
    )
    if used is not None:
        statement = statement.where(RefreshToken.used_at.is_not(None) if used else RefreshToken.used_at.is_(None))
    row = (await connection.execute(statement)).one_or_none()
    return (row[0], uuid.UUID(bytes=row[1])) if row else None


async def end_family(connection: AsyncConnection, user_id: int, session_id: uuid.UUID, now: datetime) -> bool:
    """End one of a user's sessions; False when the user has no such live one."""
    ended = await connection.execute(
        delete(RefreshFamily).where(
            RefreshFamily.id == session_id.bytes, RefreshFamily.user_id == user_id, RefreshFamily.expires_at > now
        )
    )
    return ended.rowcount == 1


async def find_kind(connection: AsyncConnection, session_id: uuid.UUID) -> Kind | None:
    """Of which kind a session is, if it is there."""
    kind = await connection.scalar(select(RefreshFamily.kind).where(RefreshFamily.id == session_id.bytes))
    return None if kind is None else Kind(kind)


async def end_other_families(connection: AsyncConnection, user_id: int, session_id: uuid.UUID, now: datetime) -> int:
    """End every live session of a user but one; gives how many they were. What is over already is left to upkeep."""
    ended = await connection.execute(
        delete(RefreshFamily).where(
            RefreshFamily.user_id == user_id, RefreshFamily.id != session_id.bytes, RefreshFamily.expires_at > now
        )
    )
    return ended.rowcount


async def end_every_family(connection: AsyncConnection, user_id: int) -> int:
    """End every session of a user; gives how many they were."""
    return (await connection.execute(delete(RefreshFamily).where(RefreshFamily.user_id == user_id))).rowcount


async def end_some_families(connection: AsyncConnection, before: datetime, limit: int) -> int:
    """End at most ``limit`` sessions, whoever's, that began before ``before``; gives how many they were."""
    began = select(RefreshFamily.id).where(RefreshFamily.created_at <= before).limit(limit)
    ids = sorted((await connection.scalars(began)).all())
    if ids:
        await connection.execute(delete(RefreshFamily).where(RefreshFamily.id.in_(ids)))
    return len(ids)


async def list_families(connection: AsyncConnection, user_id: int, now: datetime) -> Sequence[SessionRecord]:
    """A user's live sessions, newest use first."""
    statement = (
        select(
            RefreshFamily.id,
            RefreshFamily.kind,
            RefreshFamily.created_at,
            RefreshFamily.last_used_at,
            RefreshFamily.expires_at,
            RefreshFamily.address,
            RefreshFamily.user_agent,
        )
        .where(RefreshFamily.user_id == user_id, RefreshFamily.expires_at > now)
        .order_by(RefreshFamily.last_used_at.desc(), RefreshFamily.created_at.desc(), RefreshFamily.id)
    )
    return [SessionRecord(uuid.UUID(bytes=row[0]), Kind(row[1]), *row[2:]) for row in await connection.execute(statement)]


async def find_user_of(connection: AsyncConnection, user_id: int, session_id: uuid.UUID, now: datetime) -> UserRecord | None:
    """The user, if this is a live session of theirs."""
    statement = (
        select(*USER_COLUMNS)
        .join(RefreshFamily, RefreshFamily.user_id == User.id)
        .where(User.id == user_id, RefreshFamily.id == session_id.bytes, RefreshFamily.expires_at > now)
    )
    row = (await connection.execute(statement)).one_or_none()
    return UserRecord(*row) if row else None


async def list_accounts(
    connection: AsyncConnection, session_ids: Collection[bytes], now: datetime
) -> dict[bytes, AccountRecord]:
    """Whose those of these sessions are that are live, by session."""
    statement = (
        select(RefreshFamily.id, User.id, User.username, User.created_at, Guest.user_id.is_not(None))
        .join(User, User.id == RefreshFamily.user_id)
        .outerjoin(Guest, Guest.user_id == User.id)
        .where(RefreshFamily.id.in_(session_ids), RefreshFamily.expires_at > now)
    )
    return {row[0]: AccountRecord(*row[1:4], guest=bool(row[4])) for row in await connection.execute(statement)}


async def forget_families(connection: AsyncConnection, now: datetime, limit: int) -> int:
    """Delete at most ``limit`` sessions that are over; gives how many were looked at. Looked for without locks."""
    over = RefreshFamily.expires_at <= now
    ids = sorted((await connection.scalars(select(RefreshFamily.id).where(over).limit(limit))).all())
    if ids:
        await connection.execute(delete(RefreshFamily).where(RefreshFamily.id.in_(ids), over))
    return len(ids)


async def forget_tokens(connection: AsyncConnection, now: datetime, limit: int) -> int:
    """Delete at most ``limit`` refresh tokens that have expired, of sessions that ended too; gives how many were looked at."""
    over = RefreshToken.expires_at <= now
    ids = sorted((await connection.scalars(select(RefreshToken.id).where(over).limit(limit))).all())
    if ids:
        await connection.execute(delete(RefreshToken).where(RefreshToken.id.in_(ids), over))
    return len(ids)
