"""SQL of guests: accounts that nobody can sign in to, which are deleted when nobody has been able to reach them for long."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.models import Guest, RefreshFamily


async def add(connection: AsyncConnection, user_id: int) -> None:
    """Store that a user is a guest."""
    await connection.execute(insert(Guest).values(user_id=user_id))


async def remove(connection: AsyncConnection, user_id: int) -> None:
    """A user is a guest no more."""
    await connection.execute(delete(Guest).where(Guest.user_id == user_id))


async def is_guest(connection: AsyncConnection, user_id: int) -> bool:
    """Whether a user is one."""
    return await connection.scalar(select(Guest.user_id).where(Guest.user_id == user_id)) is not None


async def note_unreachable(connection: AsyncConnection, after: int, now: datetime, limit: int) -> tuple[int, int]:
    """Note which of the next ``limit`` guests after ``after`` have no session; gives how many were looked at, and the last.

    A guest signs in once, as it is made, so one without a session stays so; unless it was another process's clock that said
    that the session was over. Looked for without locks.
    """
    live = exists().where(RefreshFamily.user_id == Guest.user_id, RefreshFamily.expires_at > now)
    page = select(Guest.user_id, Guest.unreachable_since.is_not(None), live).where(Guest.user_id > after)
    found = (await connection.execute(page.order_by(Guest.user_id).limit(limit))).all()
    for lives, since in ((False, now), (True, None)):
        changed = [user_id for user_id, is_noted, is_live in found if is_noted == is_live == lives]
        if changed:
            await connection.execute(update(Guest).where(Guest.user_id.in_(changed)).values(unreachable_since=since))
    return len(found), found[-1][0] if found else after


async def list_unreachable(connection: AsyncConnection, before: datetime, limit: int) -> Sequence[int]:
    """At most ``limit`` guests whom nobody has been able to reach since ``before``, in the order of their ids."""
    over = select(Guest.user_id).where(Guest.unreachable_since <= before).order_by(Guest.unreachable_since).limit(limit)
    return sorted((await connection.scalars(over)).all())
