"""The use cases of an account that is signed in: its password, its recovery codes, its name, its data, its end."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import kept_names, reserved_names, users
from services.auth.accounts.endings import end_account
from services.auth.accounts.renaming import rename_account
from services.auth.accounts.usernames import InvalidUsername, Username
from services.auth.accounts.users import UserRecord
from services.auth.audit import events, limits
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import NotForGuests, WrongPassword
from services.auth.passwords import attempts, recovery_codes, rules, unused_codes
from services.auth.passwords.device_cookies import DeviceCookie, DeviceCookies
from services.auth.passwords.hashing import Passwords
from services.auth.passwords.verification import PasswordCheck
from services.auth.sessions import families
from services.auth.sessions.access import SessionAccess
from services.auth.sessions.live import require_session
from services.auth.staff import roles
from services.common.http.problems import FieldError, InvalidRequest
from services.common.mysql.database import Database
from services.common.tokens import Principal

T = TypeVar("T")
Change = Callable[[AsyncConnection, UserRecord, datetime], Awaitable[T]]

# A hash that changed between its check and the change is checked again: a login may only have renewed it.
_ATTEMPTS = 3


class AccountService:
    """What a user does with their own account. Each use case raises Unauthenticated when the caller's session has ended."""

    def __init__(
        self,
        database: Database,
        hashing: Passwords,
        check: PasswordCheck,
        access: SessionAccess,
        devices: DeviceCookies,
        *,
        password_min_length: int,
        name_kept_for: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._hashing = hashing
        self._check = check
        self._access = access
        self._devices = devices
        self._password_min_length = password_min_length
        self._name_kept_for = name_kept_for
        self._clock = clock

    async def confirm(self, caller: Principal, password: str | None, client: Client) -> tuple[str, timedelta]:
        """An access token for this session that says that its password was given now (RFC 9470), and for how long it is good.

        Tokens that the session is renewed with say it too. Who has no password, a guest or a studio's player, gives none.
        Raises InvalidRequest, WrongPassword, TooManyFailures, TooManyEvents or PasswordQueueFull.
        """

        async def confirm(connection: AsyncConnection, user: UserRecord, now: datetime) -> str:
            await limits.require_room(connection, Event.PASSWORD_CONFIRMED, user.user_id, now)
            await families.note_password(connection, caller.session_id, now)
            await events.record(connection, Event.PASSWORD_CONFIRMED, client, user_id=user.user_id, now=now)
            return await self._access.issue(connection, user.user_id, user.username, caller.session_id, now, auth_time=now)

        return await self._with_password(caller, password, client, confirm), self._access.lifetime

    async def change_password(self, caller: Principal, current: str, new: str, client: Client) -> DeviceCookie:
        """Set another password and end every other session: whoever else knew the old one is out.

        Gives the device cookie that goes with the new password. Raises InvalidRequest, WrongPassword, TooManyFailures,
        NotForGuests, TooManyEvents or PasswordQueueFull.
        """
        user = await self._get_user(caller)
        if user.password_hash is None:
            raise NotForGuests(
                "Your account has no password to change. Choose a name and a password (POST /auth/me/credentials)."
            )
        try:
            normal = rules.new_password(new, self._password_min_length, [user.username])
        except rules.InvalidPassword as error:
            raise _invalid(f"{error}", "#/new_password") from None

        async def change(connection: AsyncConnection, user: UserRecord, now: datetime) -> DeviceCookie:
            await limits.require_room(connection, Event.PASSWORD_CHANGED, user.user_id, now)
            await users.set_password_hash(connection, user.user_id, user.password_hash, stored)
            await families.note_password(connection, caller.session_id, now)
            ended = await families.end_other_families(connection, user.user_id, caller.session_id, now)
            await events.record(connection, Event.PASSWORD_CHANGED, client, user_id=user.user_id, now=now, sessions_ended=ended)
            return self._devices.issue(user.user_id, stored, now)

        for _ in range(_ATTEMPTS):
            proven = await self._prove(caller, current, client)
            stored = await self._hashing.hash(normal, client)
            device = await self._change(caller, proven, change)
            if device is not None:
                return device
        raise _changed_meanwhile()

    async def change_username(self, caller: Principal, username: str, client: Client) -> tuple[str, timedelta]:
        """Take another name; gives an access token that carries it, and for how long. The old one is kept for its owner.

        Other access tokens carry the old name until they are renewed. Raises InvalidRequest, UsernameTaken, TooManyNames or
        TooManyEvents.
        """
        try:
            name = Username.parse(username)
        except InvalidUsername as error:
            raise _invalid(f"{error}", "#/username") from None

        # The new name says nothing of the password: the token goes on from what the caller's said.
        given = None if caller.auth_time is None else datetime.fromtimestamp(caller.auth_time, UTC)

        async def rename(connection: AsyncConnection) -> str:
            now = self._clock()
            user = await users.lock_user(connection, caller.user_id)
            await require_session(connection, caller, now)
            if user is not None and user.username != name.display:
                await change(connection, user, now)
            return await self._access.issue(connection, caller.user_id, name.display, caller.session_id, now, auth_time=given)

        async def change(connection: AsyncConnection, user: UserRecord, now: datetime) -> None:
            await limits.require_room(connection, Event.USERNAME_CHANGED, user.user_id, now)
            if user.canonical != name.canonical:
                if reserved_names.is_reserved(name):
                    raise _invalid(reserved_names.REFUSAL, "#/username")
                await kept_names.require_free(connection, name, now, owner=user.user_id)
                await kept_names.require_room(connection, user.user_id, name.canonical, now)
            await rename_account(connection, user, name, now, old_kept_until=now + self._name_kept_for)
            await events.record(connection, Event.USERNAME_CHANGED, client, user_id=user.user_id, now=now)

        return await self._database.transaction(rename), self._access.lifetime

    async def make_recovery_codes(self, caller: Principal, password: str, client: Client) -> list[str]:
        """New recovery codes in the place of those that the account had. Only their hashes are kept.

        Raises NotForGuests, WrongPassword, TooManyFailures, TooManyEvents or PasswordQueueFull.
        """
        if (await self._get_user(caller)).password_hash is None:
            raise NotForGuests("A guest has no password to forget. Choose a name and a password (POST /auth/me/credentials).")
        codes = recovery_codes.make()

        async def store(connection: AsyncConnection, user: UserRecord, now: datetime) -> list[str]:
            await limits.require_room(connection, Event.RECOVERY_CODES_MADE, user.user_id, now)
            hashes = [recovery_codes.code_hash(user.user_id, code) for code in codes]
            await unused_codes.replace(connection, user.user_id, hashes, now)
            await events.record(connection, Event.RECOVERY_CODES_MADE, client, user_id=user.user_id, now=now)
            return codes

        return await self._with_password(caller, password, client, store)

    async def delete(self, caller: Principal, password: str | None, client: Client) -> None:
        """Delete the account and with it every session. Its name is kept for a time, so that nobody poses as who had it.

        Who has no password gives none. Raises InvalidRequest, WrongPassword, TooManyFailures, PasswordQueueFull or
        LastAdmin.
        """

        async def delete(connection: AsyncConnection, user: UserRecord, now: datetime) -> bool:
            await roles.require_another_admin(connection, user.user_id)
            await end_account(connection, user, client, now, name_kept_until=now + self._name_kept_for)
            return True

        await self._with_password(caller, password, client, delete)

    async def _get_user(self, caller: Principal) -> UserRecord:
        async with self._database.reading() as connection:
            return await require_session(connection, caller, self._clock())

    async def _with_password(self, caller: Principal, typed: str | None, client: Client, change: Change[T]) -> T:
        """Run ``change`` on the caller's account, whose password ``typed`` is. Raises InvalidRequest or WrongPassword."""
        for _ in range(_ATTEMPTS):
            proven = await self._prove(caller, typed, client)
            done = await self._change(caller, proven, change)
            if done is not None:
                return done
        raise _changed_meanwhile()

    async def _prove(self, caller: Principal, typed: str | None, client: Client) -> UserRecord:
        """The caller's account as it was when ``typed`` was found to be its password. Raises InvalidRequest or WrongPassword.

        The token alone speaks for who has no password: there is nothing else that only this person has.
        """
        user = await self._get_user(caller)
        if user.password_hash is None:
            return user
        if typed is None:
            raise _invalid("Give your password.", "#/password")
        # A count of its own: strangers who guess at the account do not keep its owner from what they do in a session.
        count = attempts.by_session(caller.session_id)
        if await self._check.check(count, user, typed, client, failed=Event.PASSWORD_REFUSED) is None:
            raise WrongPassword("This is not your password.")
        return user

    async def _change(self, caller: Principal, proven: UserRecord, change: Change[T]) -> T | None:
        """Run ``change`` on the account, which nobody else changes meanwhile; None if its password is not the proven one."""

        async def run(connection: AsyncConnection) -> T | None:
            now = self._clock()
            user = await users.lock_user(connection, proven.user_id)
            await require_session(connection, caller, now)
            if user is None or user.password_hash != proven.password_hash:
                return None
            return await change(connection, user, now)

        return await self._database.transaction(run)


def _changed_meanwhile() -> WrongPassword:
    return WrongPassword("The password was changed a moment ago.")


def _invalid(detail: str, pointer: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=[FieldError(detail=detail, pointer=pointer)])
