"""The use cases of roles: who is of the staff, given and taken by admins."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import users
from services.auth.accounts.users import UserRecord
from services.auth.audit import events, limits
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import NoSecondFactor, NotForGuests
from services.auth.sessions.access import SessionAccess
from services.auth.staff import roles, second_factors
from services.auth.staff.roles import Role, StaffRecord
from services.common.http.problems import NotFound
from services.common.mysql.database import Database
from services.common.tokens import Principal, Scope


class RoleService:
    """What admins do with the staff. Each use case raises Unauthenticated or InsufficientScope when the caller is none now."""

    def __init__(self, database: Database, access: SessionAccess, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._access = access
        self._clock = clock

    async def list_staff(self, caller: Principal) -> Sequence[StaffRecord]:
        """All of the staff, by their numbers."""
        async with self._database.reading() as connection:
            await self._access.require_scope(connection, caller, Scope.ADMIN, self._clock())
            return await roles.list_staff(connection)

    async def give(self, caller: Principal, user_id: int, role: Role, client: Client) -> tuple[StaffRecord, bool]:
        """Give a role, or another one; gives whether the user had none. What somebody has already is left as it was given.

        Raises NotFound, NotForGuests, LastAdmin or TooManyEvents.
        """

        async def give(connection: AsyncConnection) -> tuple[StaffRecord, bool]:
            now = self._clock()
            user = await users.lock_user(connection, user_id)
            await self._access.require_scope(connection, caller, Scope.ADMIN, now)
            if user is None:
                raise NotFound("There is no such user.")
            made = await give_role(connection, user, role, client, now, by=caller.user_id)
            staff = await roles.find_staff(connection, user_id)
            assert staff is not None
            return staff, made

        return await self._database.transaction(give)

    async def take(self, caller: Principal, user_id: int, client: Client) -> None:
        """Take somebody's role, and with it their second factor. Raises NotFound, LastAdmin or TooManyEvents."""

        async def take(connection: AsyncConnection) -> None:
            now = self._clock()
            await self._lock_staff(connection, caller, user_id, now)
            await roles.require_another_admin(connection, user_id)
            await limits.require_room(connection, Event.ROLE_TAKEN, user_id, now)
            await roles.take(connection, user_id)
            await events.record(connection, Event.ROLE_TAKEN, client, user_id=user_id, now=now, by=caller.user_id)

        await self._database.transaction(take)

    async def reset_second_factor(self, caller: Principal, user_id: int, client: Client) -> None:
        """Remove somebody's second factor: they set up another. Raises NotFound, NoSecondFactor or TooManyEvents."""

        async def reset(connection: AsyncConnection) -> None:
            now = self._clock()
            await self._lock_staff(connection, caller, user_id, now)
            await limits.require_room(connection, Event.SECOND_FACTOR_REMOVED, user_id, now)
            await remove_second_factor(connection, user_id, client, now, by=caller.user_id)

        await self._database.transaction(reset)

    async def _lock_staff(self, connection: AsyncConnection, caller: Principal, user_id: int, now: datetime) -> None:
        await users.lock_user(connection, user_id)
        await self._access.require_scope(connection, caller, Scope.ADMIN, now)
        if await roles.find_staff(connection, user_id) is None:
            raise NotFound("This user has no role.")


async def give_role(
    connection: AsyncConnection, user: UserRecord, role: Role, client: Client | None, now: datetime, *, by: int | str
) -> bool:
    """Give a user a role; gives whether they had none. ``by``: an admin's number, or what the audit log calls who else did.

    The caller holds the user's row. Raises NotForGuests; TooManyEvents, and LastAdmin where it is an admin who does.
    """
    if user.password_hash is None:
        raise NotForGuests(f"{user.username} has no password, and cannot be of the staff.")
    before = await roles.find_staff(connection, user.user_id)
    if before is not None and before.role is role:
        return False
    admin = by if isinstance(by, int) else None
    if admin is not None:
        await limits.require_room(connection, Event.ROLE_GIVEN, user.user_id, now)
        await roles.require_another_admin(connection, user.user_id)
    made = await roles.give(connection, user.user_id, role, admin, now)
    await events.record(connection, Event.ROLE_GIVEN, client, user_id=user.user_id, now=now, role=role.value, by=by)
    return made


async def remove_second_factor(
    connection: AsyncConnection, user_id: int, client: Client | None, now: datetime, *, by: int | str
) -> None:
    """Remove a user's second factor and staff codes, whoever asks. The caller holds the user's row. Raises NoSecondFactor."""
    if not await second_factors.remove(connection, user_id):
        raise NoSecondFactor("This user has no second factor.")
    await events.record(connection, Event.SECOND_FACTOR_REMOVED, client, user_id=user_id, now=now, by=by)
