"""SQL of names that were given up, by a rename or with an account: kept for a time, so that nobody poses as their owner."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts.usernames import Username
from services.auth.accounts.users import UserRecord
from services.auth.errors import TooManyNames, UsernameTaken
from services.auth.models import KeptUsername

# Names that are kept for one account at once: with more, one account could take every name there is. The oldest is not let
# go instead, or a thief of a session could rename it out of its owner's reach.
MAX_KEPT = 10


@dataclass(frozen=True, slots=True)
class KeptName:
    """A name that its owner may take back until ``kept_until``, and nobody else may take."""

    username: str
    kept_until: datetime


async def require_free(connection: AsyncConnection, username: Username, now: datetime, *, owner: int | None = None) -> None:
    """Raise UsernameTaken when the name is kept, unless it is for ``owner``.

    Look twice: before the name is written, since an INSERT that is rolled back makes those who wait for it deadlock; and after,
    when nobody else can have the name any more, for one that was given up meanwhile.
    """
    kept = select(KeptUsername.username).where(
        KeptUsername.username_canonical == username.canonical, KeptUsername.kept_until > now
    )
    if owner is not None:
        kept = kept.where(or_(KeptUsername.user_id.is_(None), KeptUsername.user_id != owner))
    if (await connection.execute(kept)).first():
        raise UsernameTaken(f"{username.display} is taken. Choose another name.")


async def list_unfree(connection: AsyncConnection, canonical: Collection[str], now: datetime) -> set[str]:
    """Those of the names that are kept, for whomever. Look twice, as above."""
    kept = select(KeptUsername.username_canonical).where(
        KeptUsername.username_canonical.in_(canonical), KeptUsername.kept_until > now
    )
    return set((await connection.scalars(kept)).all())


async def keep(connection: AsyncConnection, user: UserRecord, until: datetime, *, owner: int | None) -> None:
    """Keep the name that ``user`` has: for ``owner``, or for nobody when the account goes too."""
    values = {"username": user.username, "user_id": owner, "kept_until": until}
    statement = insert(KeptUsername).values(username_canonical=user.canonical, **values)
    # Only its last owner can have given it up, whoever had it before.
    await connection.execute(statement.on_duplicate_key_update(**values))


async def require_room(connection: AsyncConnection, user_id: int, canonical: str, now: datetime) -> None:
    """Raise TooManyNames when as many names are kept for a user as can be, ``canonical`` not counted: that one is taken back.

    The caller holds the user's row, so that two at once count one after the other.
    """
    kept = select(KeptUsername.kept_until).where(
        KeptUsername.user_id == user_id, KeptUsername.kept_until > now, KeptUsername.username_canonical != canonical
    )
    ends = (await connection.scalars(kept)).all()
    if len(ends) >= MAX_KEPT:
        raise TooManyNames(f"You have given up {MAX_KEPT} names lately, which are kept for you until {min(ends):%d %B %Y}.")


async def take_back(connection: AsyncConnection, canonical: str) -> None:
    """A name is in use again: it is not kept any more."""
    await connection.execute(delete(KeptUsername).where(KeptUsername.username_canonical == canonical))


async def list_kept(connection: AsyncConnection, user_id: int, now: datetime) -> Sequence[KeptName]:
    """The names that are kept for a user, the newest first."""
    statement = (
        select(KeptUsername.username, KeptUsername.kept_until)
        .where(KeptUsername.user_id == user_id, KeptUsername.kept_until > now)
        .order_by(KeptUsername.kept_until.desc(), KeptUsername.username_canonical)
    )
    return [KeptName(*row) for row in await connection.execute(statement)]


async def forget_names(connection: AsyncConnection, now: datetime, limit: int) -> int:
    """Let at most ``limit`` names go whose time is over; gives how many were looked at. Looked for without locks."""
    over = KeptUsername.kept_until <= now
    names = sorted((await connection.scalars(select(KeptUsername.username_canonical).where(over).limit(limit))).all())
    if names:
        await connection.execute(delete(KeptUsername).where(KeptUsername.username_canonical.in_(names), over))
    return len(names)
