"""All SQL of the auth service."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.errors import UsernameTaken
from services.auth.models import RefreshToken, User
from services.auth.usernames import Username
from services.common.database import error_code

_DUPLICATE_KEY = 1062


@dataclass(frozen=True, slots=True)
class UserRecord:
    user_id: int
    username: str
    password_hash: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RefreshTokenRecord:
    user_id: int
    family_id: bytes
    used_at: datetime | None
    revoked_at: datetime | None
    expires_at: datetime


async def add_user(connection: AsyncConnection, username: Username, password_hash: str, now: datetime) -> int:
    """Store a user and give its id. Raises UsernameTaken.

    The unique key decides, not a look-up before: of two at once, exactly one gets the name.
    """
    statement = insert(User).values(
        username=username.display, username_canonical=username.canonical, password_hash=password_hash, created_at=now
    )
    try:
        return (await connection.execute(statement)).lastrowid
    except IntegrityError as error:
        if error_code(error) != _DUPLICATE_KEY:
            raise
        raise UsernameTaken(f"{username.display} is taken. Choose another name.") from None


async def find_user_by_name(connection: AsyncConnection, canonical: str) -> UserRecord | None:
    return await _find_user(connection, User.username_canonical == canonical)


async def find_user(connection: AsyncConnection, user_id: int) -> UserRecord | None:
    return await _find_user(connection, User.id == user_id)


async def _find_user(connection: AsyncConnection, condition: ColumnElement[bool]) -> UserRecord | None:
    statement = select(User.id, User.username, User.password_hash, User.created_at).where(condition)
    row = (await connection.execute(statement)).one_or_none()
    return UserRecord(*row) if row else None


async def set_password_hash(connection: AsyncConnection, user_id: int, stored: str, replacement: str) -> None:
    """Replace a hash, unless the password was changed meanwhile."""
    await connection.execute(
        update(User).where(User.id == user_id, User.password_hash == stored).values(password_hash=replacement)
    )


async def add_refresh_token(
    connection: AsyncConnection, user_id: int, family_id: bytes, token_hash: bytes, now: datetime, expires_at: datetime
) -> None:
    await connection.execute(
        insert(RefreshToken).values(
            user_id=user_id, family_id=family_id, token_hash=token_hash, issued_at=now, expires_at=expires_at
        )
    )


async def use_refresh_token(connection: AsyncConnection, token_hash: bytes, now: datetime) -> bool:
    """Mark a token used, if it can be: the one statement that decides which of two uses at once is the first."""
    result = await connection.execute(
        update(RefreshToken)
        .where(
            RefreshToken.token_hash == token_hash,
            RefreshToken.used_at.is_(None),
            RefreshToken.revoked_at.is_(None),
            RefreshToken.expires_at > now,
        )
        .values(used_at=now)
    )
    return result.rowcount == 1


async def find_refresh_token(connection: AsyncConnection, token_hash: bytes) -> RefreshTokenRecord | None:
    statement = select(
        RefreshToken.user_id,
        RefreshToken.family_id,
        RefreshToken.used_at,
        RefreshToken.revoked_at,
        RefreshToken.expires_at,
    ).where(RefreshToken.token_hash == token_hash)
    row = (await connection.execute(statement)).one_or_none()
    return RefreshTokenRecord(*row) if row else None


async def revoke_family(connection: AsyncConnection, family_id: bytes, now: datetime) -> None:
    await connection.execute(
        update(RefreshToken)
        .where(RefreshToken.family_id == family_id, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )


async def delete_expired_refresh_tokens(connection: AsyncConnection, user_id: int, now: datetime) -> None:
    """Drop a user's tokens that could not be used any more. Rows of others are left to their own logins."""
    await connection.execute(delete(RefreshToken).where(RefreshToken.user_id == user_id, RefreshToken.expires_at <= now))
