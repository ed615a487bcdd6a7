"""The use cases of signing up, in and out."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import kept_names, users
from services.auth.accounts.users import UserRecord
from services.auth.audit import events
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import InvalidCredentials, InvalidRefreshToken
from services.auth.passwords import credentials
from services.auth.passwords.claims import find_claim
from services.auth.passwords.device_cookies import DeviceCookie, DeviceCookies
from services.auth.passwords.hashing import Passwords
from services.auth.passwords.verification import PasswordCheck
from services.auth.sessions import families
from services.auth.sessions.beginning import Beginnings, SignedIn
from services.auth.sessions.families import Kind, Lifetimes
from services.auth.sessions.tokens import Successors, refresh_token_hash
from services.common.mysql.database import Database

# A hash that changed between its check and the login is checked again: another login may only have renewed it.
_LOGIN_ATTEMPTS = 3


class AuthService:
    """Signing up, in, on and out: accounts begin here, and sessions begin, go on and end."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        check: PasswordCheck,
        beginnings: Beginnings,
        devices: DeviceCookies,
        successors: Successors,
        *,
        lifetimes: Lifetimes,
        repeat: timedelta,
        password_min_length: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._check = check
        self._beginnings = beginnings
        self._devices = devices
        self._successors = successors
        self._lifetimes = lifetimes
        self._repeat = repeat
        self._password_min_length = password_min_length
        self._clock = clock

    async def register(self, username: str, password: str, client: Client) -> tuple[int, str]:
        """Make an account; gives its id and its name. Raises InvalidRequest, UsernameTaken or PasswordQueueFull."""
        name, normal = credentials.choose(username, password, self._password_min_length)
        stored = await self._passwords.hash(normal, client)
        now = self._clock()

        async def add(connection: AsyncConnection) -> int:
            await kept_names.require_free(connection, name, now)
            user_id = await users.add_user(connection, name, stored, now)
            await kept_names.require_free(connection, name, now)
            await events.record(connection, Event.REGISTERED, client, user_id=user_id, now=now)
            return user_id

        return await self._database.transaction(add), name.display

    async def login(
        self, username: str, password: str, client: Client, kind: Kind, device_cookie: str | None = None
    ) -> tuple[SignedIn, DeviceCookie]:
        """Begin a session; gives a device cookie with it. Raises InvalidCredentials, TooManyFailures or PasswordQueueFull.

        ``device_cookie``: what an earlier login gave this browser, if there was one.
        """
        for _ in range(_LOGIN_ATTEMPTS):
            claim = await find_claim(self._database, self._devices, username, device_cookie, self._clock())
            user = claim.user
            normal = await self._check.check(claim.count, user, password, client, failed=Event.LOGIN_FAILED)
            if user is None or user.password_hash is None or normal is None:
                break
            stale = self._passwords.needs_rehash(user.password_hash)
            rehashed = await self._passwords.hash(normal, client) if stale else None
            signed_in = await self._begin(user, rehashed, client, kind)
            if signed_in is not None:
                return signed_in
        raise InvalidCredentials("The username or the password is wrong.")

    async def refresh(self, token: str | None, client: Client) -> SignedIn:
        """Rotate a refresh token. Raises InvalidRefreshToken; a token that was used before ends its session.

        Answers get lost, and browsers repeat requests by themselves: a token that is sent again soon, while its successor is
        not used, is answered with that one again.
        """
        if token is None:
            raise InvalidRefreshToken("You are signed out. Sign in to go on.")
        signed_in = await self._database.transaction(lambda connection: self._rotate(connection, token, client))
        if signed_in is None:
            token_hash = refresh_token_hash(token)
            # A transaction of its own, committed before the refusal, which must not undo it.
            await self._database.transaction(lambda connection: self._end_reused(connection, token_hash, client))
            raise InvalidRefreshToken("Your session has ended. Sign in again.")
        return signed_in

    async def logout(self, token: str | None, client: Client) -> None:
        """End the token's session. Nothing happens where there is none: signed out is what was asked for."""
        if token is None:
            return
        token_hash = refresh_token_hash(token)

        async def end(connection: AsyncConnection) -> None:
            now = self._clock()
            found = await families.find_family(connection, token_hash)
            if found and await families.end_family(connection, *found, now):
                user_id, session_id = found
                await events.record(connection, Event.LOGGED_OUT, client, user_id=user_id, now=now, session_id=str(session_id))

        await self._database.transaction(end)

    async def _begin(
        self, checked: UserRecord, rehashed: str | None, client: Client, kind: Kind
    ) -> tuple[SignedIn, DeviceCookie] | None:
        """Begin a session of the user whose password was right; None when it has changed since, or the user is gone."""

        async def begin(connection: AsyncConnection) -> tuple[SignedIn, DeviceCookie] | None:
            user = await users.lock_user(connection, checked.user_id)
            if user is None or user.password_hash is None or user.password_hash != checked.password_hash:
                return None
            if rehashed is not None:
                await users.set_password_hash(connection, user.user_id, user.password_hash, rehashed)
            now = self._clock()
            signed_in = await self._beginnings.begin(connection, user, kind, client, now)
            return signed_in, self._devices.issue(user.user_id, rehashed or user.password_hash, now)

        return await self._database.transaction(begin)

    async def _rotate(self, connection: AsyncConnection, token: str, client: Client) -> SignedIn | None:
        now = self._clock()
        token_hash = refresh_token_hash(token)
        used = await families.use_token(connection, token_hash, client, now, self._lifetimes)
        if used is None:
            return await self._repeat_answer(connection, token, now)
        successor = self._successors.next(token)
        await families.add_token(connection, used.session_id, refresh_token_hash(successor), now, used.expires_at)
        return await self._beginnings.go_on(connection, used, successor, now)

    async def _repeat_answer(self, connection: AsyncConnection, token: str, now: datetime) -> SignedIn | None:
        known = self._successors.known(token)
        found = await families.find_repeat(connection, refresh_token_hash(token), known, now - self._repeat, now)
        if found is None:
            return None
        used, successor_hash = found
        return await self._beginnings.go_on(connection, used, known[successor_hash], now)

    async def _end_reused(self, connection: AsyncConnection, token_hash: bytes, client: Client) -> None:
        now = self._clock()
        found = await families.find_family(connection, token_hash, used=True)
        if found and await families.end_family(connection, *found, now):
            user_id, session_id = found
            await events.record(connection, Event.REFRESH_REUSED, client, user_id=user_id, now=now, session_id=str(session_id))
