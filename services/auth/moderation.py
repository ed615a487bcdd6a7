"""The use case of staff who replace a player's name, which nobody should have to read."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import kept_names, made_up_names, users
from services.auth.accounts.usernames import Username
from services.auth.audit import events, limits
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import NameOfStaff, UsernameTaken
from services.auth.keys.live import require_key
from services.auth.sessions.access import SessionAccess
from services.auth.staff import roles
from services.common.http.problems import NotFound
from services.common.mysql.database import Database
from services.common.tokens import Caller, Principal, Scope

# A name that was replaced is nobody's any more. MySQL keeps times of four digits.
_FOR_EVER: Final = datetime(9998, 1, 1, tzinfo=UTC)


class NameModeration:
    """What moderators do about names. The boards follow within a second, as after any rename."""

    def __init__(self, database: Database, access: SessionAccess, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._access = access
        self._clock = clock

    async def replace(self, caller: Caller, user_id: int, reason: str, client: Client) -> str:
        """Give a user a made-up name, and let nobody have the old one again. Gives the new one.

        Raises Unauthenticated or InsufficientScope when the caller may not any more, NotFound, NameOfStaff, TooManyEvents, and
        UsernameTaken if the made-up name is, time and again.
        """
        for attempt in range(made_up_names.ATTEMPTS - 1):
            try:
                return await self._replace(caller, user_id, reason, client, made_up_names.make(attempt))
            except UsernameTaken:
                continue
        return await self._replace(caller, user_id, reason, client, made_up_names.make(made_up_names.ATTEMPTS - 1))

    async def _replace(self, caller: Caller, user_id: int, reason: str, client: Client, name: Username) -> str:
        async def replace(connection: AsyncConnection) -> str:
            now = self._clock()
            user = await users.lock_user(connection, user_id)
            await self._require_live(connection, caller, now)
            if user is None:
                raise NotFound("There is no such user.")
            if await roles.find_staff(connection, user_id) is not None:
                raise NameOfStaff("This user is of the staff, and signs in by that name.")
            await limits.require_room(connection, Event.USERNAME_REPLACED, user_id, now)
            await kept_names.require_free(connection, name, now)
            await kept_names.keep(connection, user, _FOR_EVER, owner=None)
            await users.rename_user(connection, user_id, name)
            await kept_names.require_free(connection, name, now)
            await kept_names.take_back(connection, name.canonical)
            by: dict[str, str | int] = (
                {"by": caller.user_id} if isinstance(caller, Principal) else {"client_id": caller.client_id}
            )
            await events.record(connection, Event.USERNAME_REPLACED, client, user_id=user_id, now=now, reason=reason, **by)
            return name.display

        return await self._database.transaction(replace)

    async def _require_live(self, connection: AsyncConnection, caller: Caller, now: datetime) -> None:
        if isinstance(caller, Principal):
            await self._access.require_scope(connection, caller, Scope.MODERATE, now)
        else:
            await require_key(connection, caller, now)
