"""SQL of accounts. That of sessions is in families.py."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import changes
from services.auth.accounts.usernames import Username
from services.auth.errors import UsernameTaken
from services.auth.models import User
from services.common.mysql.database import error_code

USER_COLUMNS = User.id, User.username, User.username_canonical, User.password_hash, User.created_at
_DUPLICATE_KEY = 1062
# As long as those of a user.
_NOBODY, _NO_HASH = "nobody_here", "x" * 97


@dataclass(frozen=True, slots=True)
class UserRecord:
    user_id: int
    username: str
    canonical: str
    password_hash: str | None
    """None: a guest or a studio's player, who has no password."""
    created_at: datetime


async def add_user(connection: AsyncConnection, username: Username, password_hash: str | None, now: datetime) -> int:
    """Store a user and give its id. Raises UsernameTaken.

    The unique key decides, not a look-up before: of two at once, exactly one gets the name.
    """
    statement = insert(User).values(
        username=username.display, username_canonical=username.canonical, password_hash=password_hash, created_at=now
    )
    async with _name_may_be_taken(username):
        user_id: int = (await connection.execute(statement)).lastrowid
    await changes.note_made(connection, user_id, username)
    return user_id


async def add_players(connection: AsyncConnection, usernames: Collection[Username], now: datetime) -> dict[str, int]:
    """Store users without a password, all or none; gives their ids by their canonical names. Raises UsernameTaken."""
    values = [
        {"username": name.display, "username_canonical": name.canonical, "password_hash": None, "created_at": now}
        for name in usernames
    ]
    try:
        await connection.execute(insert(User).values(values))
    except IntegrityError as error:
        if error_code(error) != _DUPLICATE_KEY:
            raise
        raise UsernameTaken("One of the names is taken.") from None
    canonical = {name.canonical: name for name in usernames}
    found = select(User.username_canonical, User.id).where(User.username_canonical.in_(canonical))
    ids: dict[str, int] = {row[0]: row[1] for row in await connection.execute(found)}
    await changes.note_many_made(connection, {user_id: canonical[name] for name, user_id in ids.items()})
    return ids


async def list_taken(connection: AsyncConnection, canonical: Collection[str]) -> set[str]:
    """Those of the names that somebody has."""
    taken = select(User.username_canonical).where(User.username_canonical.in_(canonical))
    return set((await connection.scalars(taken)).all())


async def rename_user(connection: AsyncConnection, user_id: int, username: Username) -> None:
    """Give a user another name. Raises UsernameTaken, as add_user does."""
    statement = update(User).where(User.id == user_id).values(username=username.display, username_canonical=username.canonical)
    async with _name_may_be_taken(username):
        await connection.execute(statement)
    await changes.note_renamed(connection, user_id, username)


@asynccontextmanager
async def _name_may_be_taken(username: Username) -> AsyncIterator[None]:
    try:
        yield
    except IntegrityError as error:
        if error_code(error) != _DUPLICATE_KEY:
            raise
        raise UsernameTaken(f"{username.display} is taken. Choose another name.") from None


async def delete_user(connection: AsyncConnection, user_id: int) -> None:
    """Delete a user, and with it every session; what is kept of its name says no more whose it was.

    The board erases what they played, by itself, within a second.
    """
    await connection.execute(delete(User).where(User.id == user_id))
    await changes.note_ended(connection, user_id)


async def find_user_by_name(connection: AsyncConnection, canonical: str) -> UserRecord | None:
    """The user who has the name.

    Nobody is read and made into a record too, in the place of a user who is not there, so that a login's time does not tell.
    """
    always = select(literal(1)).subquery()
    columns = (
        User.id,
        func.coalesce(User.username, _NOBODY),
        func.coalesce(User.username_canonical, _NOBODY),
        case((User.id.is_(None), _NO_HASH), else_=User.password_hash),
        func.coalesce(User.created_at, func.utc_timestamp(6)),
    )
    found = select(*columns).select_from(always.outerjoin(User, User.username_canonical == canonical))
    row: Any = (await connection.execute(found)).one()
    record = UserRecord(*row)
    return None if row[0] is None else record


async def lock_user(connection: AsyncConnection, user_id: int) -> UserRecord | None:
    """The user as it is now and will be until this transaction ends: whoever else wants to change it waits."""
    row = (await connection.execute(select(*USER_COLUMNS).where(User.id == user_id).with_for_update())).one_or_none()
    return UserRecord(*row) if row else None


async def set_password_hash(connection: AsyncConnection, user_id: int, stored: str | None, replacement: str) -> None:
    """Replace a hash, unless the password was changed meanwhile. ``stored``: None for a guest, who had none."""
    await connection.execute(
        update(User)
        .where(User.id == user_id, User.password_hash.is_not_distinct_from(stored))
        .values(password_hash=replacement)
    )
