"""SQL of roles, and the scopes that they stand for.

Whoever changes a role holds its user's row, and then, where an admin is to lose it, the rows of all admins.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.errors import LastAdmin
from services.auth.models import RefreshFamily, SecondFactor, Staff, User
from services.auth.staff import second_factors
from services.common.tokens import Scope


class Role(StrEnum):
    """What somebody of the staff is."""

    ADMIN = "admin"
    """Everything, roles and keys included."""
    MODERATOR = "moderator"
    """What others played, and who may play."""


SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.ADMIN: frozenset(Scope),
    Role.MODERATOR: frozenset({Scope.MODERATE}),
}


@dataclass(frozen=True, slots=True)
class StaffRecord:
    """Somebody of the staff. ``granted_by`` is None where an operator did, ``second_factor_since`` where there is none yet."""

    user_id: int
    username: str
    role: Role
    granted_by: int | None
    granted_at: datetime
    second_factor_since: datetime | None


_RECORD = (
    select(Staff.user_id, User.username, Staff.role, Staff.granted_by, Staff.granted_at, SecondFactor.confirmed_at)
    .join(User, User.id == Staff.user_id)
    .outerjoin(SecondFactor, SecondFactor.user_id == Staff.user_id)
    .order_by(Staff.user_id)
)


async def list_staff(connection: AsyncConnection) -> Sequence[StaffRecord]:
    """All of the staff, by their numbers."""
    return [StaffRecord(row[0], row[1], Role(row[2]), *row[3:]) for row in await connection.execute(_RECORD)]


async def find_staff(connection: AsyncConnection, user_id: int) -> StaffRecord | None:
    """One of the staff."""
    row = (await connection.execute(_RECORD.where(Staff.user_id == user_id))).one_or_none()
    return StaffRecord(row[0], row[1], Role(row[2]), *row[3:]) if row else None


async def find_scopes(connection: AsyncConnection, session_id: uuid.UUID, *, second_factor: bool) -> frozenset[Scope]:
    """What the user of a session may do by role; with ``second_factor``, only if one was given in this session."""
    statement = (
        select(Staff.role, RefreshFamily.second_factor_at)
        .join(RefreshFamily, RefreshFamily.user_id == Staff.user_id)
        .where(RefreshFamily.id == session_id.bytes)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None or (second_factor and row[1] is None):
        return frozenset()
    return SCOPES[Role(row[0])]


async def give(connection: AsyncConnection, user_id: int, role: Role, by: int | None, now: datetime) -> bool:
    """Give a role to a user who has none, or another one; gives whether they had none. The caller holds the user's row."""
    values = {"role": role, "granted_by": by, "granted_at": now}
    changed = await connection.execute(update(Staff).where(Staff.user_id == user_id).values(values))
    if changed.rowcount:
        return False
    await connection.execute(insert(Staff).values(user_id=user_id, **values))
    return True


async def take(connection: AsyncConnection, user_id: int) -> None:
    """Take a user's role, and with it the second factor: whoever is given one again proves themselves anew."""
    await second_factors.remove(connection, user_id)
    await connection.execute(delete(Staff).where(Staff.user_id == user_id))


async def require_another_admin(connection: AsyncConnection, user_id: int) -> None:
    """Raise LastAdmin if this is the only admin. Nobody else takes an admin's role until this transaction ends.

    Of two admins who give up at once, or take each other's role, the second waits here and then finds the first gone. The
    caller holds the user's row; whoever is no admin waits for nobody.
    """
    if await connection.scalar(select(Staff.role).where(Staff.user_id == user_id)) != Role.ADMIN:
        return
    admins = select(Staff.user_id).where(Staff.role == Role.ADMIN).order_by(Staff.user_id).with_for_update()
    if (await connection.scalars(admins)).all() == [user_id]:
        raise LastAdmin("There is no other admin. Make somebody else an admin first.")
