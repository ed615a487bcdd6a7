"""The use cases of guests: to play without signing up, to keep what was played, and what becomes of those who left."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import guests, kept_names, made_up_names, users
from services.auth.accounts.endings import end_account
from services.auth.accounts.renaming import rename_account
from services.auth.accounts.usernames import Username
from services.auth.accounts.users import UserRecord
from services.auth.audit import events
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import NotAGuest, UsernameTaken
from services.auth.passwords import credentials
from services.auth.passwords.device_cookies import DeviceCookie, DeviceCookies
from services.auth.passwords.hashing import Passwords
from services.auth.sessions import families
from services.auth.sessions.beginning import Beginnings, SignedIn
from services.auth.sessions.families import Kind
from services.auth.sessions.live import require_session
from services.common.mysql.database import Database
from services.common.tokens import Principal


class GuestService:
    """Accounts without a password: each has the one session that it was made with."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        beginnings: Beginnings,
        devices: DeviceCookies,
        *,
        password_min_length: int,
        name_kept_for: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._beginnings = beginnings
        self._devices = devices
        self._password_min_length = password_min_length
        self._name_kept_for = name_kept_for
        self._clock = clock

    async def make(self, client: Client, kind: Kind) -> tuple[UserRecord, SignedIn]:
        """Make an account with a made-up name, and begin its session. Raises UsernameTaken if that name is, time and again."""
        for attempt in range(made_up_names.ATTEMPTS - 1):
            try:
                return await self._make(made_up_names.make(attempt), client, kind)
            except UsernameTaken:
                continue
        return await self._make(made_up_names.make(made_up_names.ATTEMPTS - 1), client, kind)

    async def keep(
        self, caller: Principal, username: str, password: str, client: Client
    ) -> tuple[SignedIn, Kind, DeviceCookie]:
        """Make a guest's account an ordinary one, of the same number. A session of the same kind takes the place of its own.

        Raises InvalidRequest, Unauthenticated, NotAGuest, UsernameTaken or PasswordQueueFull.
        """
        name, normal = credentials.choose(username, password, self._password_min_length)
        async with self._database.reading() as connection:
            _require_guest(await require_session(connection, caller, self._clock()))
        stored = await self._passwords.hash(normal, client)

        async def keep(connection: AsyncConnection) -> tuple[SignedIn, Kind, DeviceCookie]:
            now = self._clock()
            locked = await users.lock_user(connection, caller.user_id)
            if locked is not None:
                _require_guest(locked)  # of two at once, the second finds that it is none
            user = await require_session(connection, caller, now)
            kind = await families.find_kind(connection, caller.session_id) or Kind.BROWSER
            if user.canonical != name.canonical:
                await kept_names.require_free(connection, name, now, owner=user.user_id)
            await rename_account(connection, user, name, now, old_kept_until=now + self._name_kept_for)
            await users.set_password_hash(connection, user.user_id, None, stored)
            await guests.remove(connection, user.user_id)
            await events.record(connection, Event.GUEST_KEPT, client, user_id=user.user_id, now=now)
            await families.end_every_family(connection, user.user_id)
            kept = replace(user, username=name.display, canonical=name.canonical, password_hash=stored)
            signed_in = await self._beginnings.begin(connection, kept, kind, client, now)
            return signed_in, kind, self._devices.issue(user.user_id, stored, now)

        return await self._database.transaction(keep)

    async def _make(self, name: Username, client: Client, kind: Kind) -> tuple[UserRecord, SignedIn]:
        async def add(connection: AsyncConnection) -> tuple[UserRecord, SignedIn]:
            now = self._clock()
            await kept_names.require_free(connection, name, now)
            user_id = await users.add_user(connection, name, None, now)
            await kept_names.require_free(connection, name, now)
            await guests.add(connection, user_id)
            await events.record(connection, Event.GUEST_MADE, client, user_id=user_id, now=now)
            user = UserRecord(user_id, name.display, name.canonical, None, now)
            return user, await self._beginnings.begin(connection, user, kind, client, now)

        return await self._database.transaction(add)


def _require_guest(user: UserRecord) -> None:
    if user.password_hash is not None:
        raise NotAGuest("You are no guest: your account has a name and a password.")


class LeftGuests:
    """Guests whom nobody can reach any more, since their session has ended: they are deleted after ``kept_for``."""

    def __init__(self, *, kept_for: timedelta, name_kept_for: timedelta) -> None:
        self._kept_for = kept_for
        self._name_kept_for = name_kept_for
        self._looked_upto = 0

    async def note(self, connection: AsyncConnection, now: datetime, limit: int) -> int:
        """Look at the next ``limit`` guests, and note who has left; gives how many were looked at."""
        looked_at, last = await guests.note_unreachable(connection, self._looked_upto, now, limit)
        self._looked_upto = last if looked_at == limit else 0
        return looked_at

    async def delete(self, connection: AsyncConnection, now: datetime, limit: int) -> int:
        """Delete at most ``limit`` of those who left long ago, like any account; gives how many were looked at."""
        left = await guests.list_unreachable(connection, now - self._kept_for, limit)
        for user_id in left:
            user = await users.lock_user(connection, user_id)
            if user is not None and user.password_hash is None:
                until = now + self._name_kept_for
                await end_account(connection, user, None, now, name_kept_until=until, by="time")
        return len(left)
