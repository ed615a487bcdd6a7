"""The use cases of one's own second factor: setting it up, giving it in a session, staff codes, removing it."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import users
from services.auth.accounts.users import UserRecord
from services.auth.audit import events, limits
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import (
    NoSecondFactor,
    NotStaff,
    SecondFactorNeeded,
    SecondFactorUnreadable,
    TooManyWrongCodes,
    WrongCode,
)
from services.auth.passwords import attempts
from services.auth.passwords.attempts import Attempt, Delays
from services.auth.roles import remove_second_factor
from services.auth.sessions.access import SessionAccess
from services.auth.sessions.live import require_session
from services.auth.staff import codes, roles, second_factors, totp
from services.auth.staff.second_factors import StoredFactor
from services.common.encryption import Encryption, Undecryptable
from services.common.mysql.database import Database
from services.common.tokens import Principal

log = structlog.get_logger(__name__)

T = TypeVar("T")
# What looks at a code, in a transaction that holds the user's row. None: it is wrong.
Look = Callable[[AsyncConnection, UserRecord, datetime], Awaitable[T | None]]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app is told. It is shown once."""

    secret: str
    uri: str
    qr: str


class SecondFactorService:
    """What somebody of the staff does with their second factor.

    Each use case raises Unauthenticated when the caller's session has ended, and NotStaff when they have no role.
    """

    def __init__(
        self,
        database: Database,
        access: SessionAccess,
        encryption: Encryption,
        delays: Delays,
        clock: Callable[[], datetime],
        *,
        issuer: str,
    ) -> None:
        self._database = database
        self._access = access
        self._encryption = encryption
        self._delays = delays
        self._clock = clock
        self._issuer = issuer

    async def begin(self, caller: Principal, client: Client) -> Enrolment:
        """Make a secret, which counts once a code of it is confirmed; until then one from before does.

        Raises TooManyEvents, and SecondFactorNeeded where there is one and this session has not given it.
        """
        secret = totp.new_secret()
        pending = self._encryption.encrypt(secret.encode(), second_factors.place(caller.user_id))

        async def begin(connection: AsyncConnection) -> str:
            user, now = await self._lock(connection, caller)
            await self._require_given_if_any(connection, caller, await second_factors.find(connection, user.user_id))
            await limits.require_room(connection, Event.SECOND_FACTOR_BEGUN, user.user_id, now)
            await second_factors.begin(connection, user.user_id, pending)
            await events.record(connection, Event.SECOND_FACTOR_BEGUN, client, user_id=user.user_id, now=now)
            return user.username

        uri = totp.uri_of(secret, await self._database.transaction(begin), self._issuer)
        # In a thread, since drawing it takes 12 to 32 ms (two cores), and nobody is to wait for that.
        return Enrolment(secret, uri, await asyncio.to_thread(totp.qr_of, uri))

    async def confirm(self, caller: Principal, code: str, client: Client) -> tuple[list[str], str, timedelta]:
        """Make the pending secret the second factor. This session has it from then on, and no other.

        Gives staff codes and an access token, and for how long that is good. Raises NoSecondFactor, SecondFactorNeeded,
        WrongCode, TooManyWrongCodes or SecondFactorUnreadable.
        """
        pending = (await self._find(caller)).pending
        if pending is None:
            raise NoSecondFactor("Nothing waits to be confirmed. Begin anew (POST /auth/me/second-factor).")
        secret = self._decrypt(caller.user_id, pending)
        made = codes.new_codes()

        async def look(connection: AsyncConnection, user: UserRecord, now: datetime) -> str | None:
            await self._require_given_if_any(connection, caller, await second_factors.find(connection, user.user_id))
            step = totp.find_step(secret, code, now)
            if step is None or not await second_factors.confirm(connection, user.user_id, pending, step, now):
                return None
            await codes.replace(connection, user.user_id, made)
            await second_factors.note_given_nowhere_else(connection, user.user_id, caller.session_id)
            await events.record(connection, Event.SECOND_FACTOR_CONFIRMED, client, user_id=user.user_id, now=now)
            return await self._raise(connection, caller, user, now)

        return made, await self._try(caller, client, look), self._access.lifetime

    async def give(self, caller: Principal, code: str, client: Client) -> tuple[str, timedelta]:
        """Give the second factor in the caller's session, whose tokens have the role's scopes from then on.

        ``code`` is one of the device, or a staff code; each is good once. Gives an access token, and for how long it is good.
        Raises NoSecondFactor, WrongCode, TooManyWrongCodes or SecondFactorUnreadable.
        """
        stored = (await self._find(caller)).secret
        if stored is None:
            raise NoSecondFactor("You have no second factor yet. Set one up (POST /auth/me/second-factor).")
        secret = self._decrypt(caller.user_id, stored) if code.isdigit() else None

        async def look(connection: AsyncConnection, user: UserRecord, now: datetime) -> str | None:
            if secret is None:
                if not await codes.use(connection, user.user_id, code):
                    return None
                detail: dict[str, str | int] = {"codes_left": await codes.count_left(connection, user.user_id)}
            else:
                # No step is below the one that was used last: a wrong code is held against the same row as a used one.
                if not await second_factors.use(connection, user.user_id, stored, totp.find_step(secret, code, now) or 0):
                    return None
                detail = {}
            given = Event.SECOND_FACTOR_GIVEN
            await events.record(
                connection, given, client, user_id=user.user_id, now=now, session_id=str(caller.session_id), **detail
            )
            return await self._raise(connection, caller, user, now)

        return await self._try(caller, client, look), self._access.lifetime

    async def make_codes(self, caller: Principal, client: Client) -> list[str]:
        """Staff codes in the place of those there are. Raises NoSecondFactor, SecondFactorNeeded or TooManyEvents."""
        made = codes.new_codes()

        async def make(connection: AsyncConnection) -> None:
            user, now = await self._lock(connection, caller)
            await self._require_given(connection, caller)
            await limits.require_room(connection, Event.STAFF_CODES_MADE, user.user_id, now)
            await codes.replace(connection, user.user_id, made)
            await events.record(connection, Event.STAFF_CODES_MADE, client, user_id=user.user_id, now=now)

        await self._database.transaction(make)
        return made

    async def remove(self, caller: Principal, client: Client) -> None:
        """Remove the second factor and the staff codes. Raises NoSecondFactor, SecondFactorNeeded or TooManyEvents."""

        async def remove(connection: AsyncConnection) -> None:
            user, now = await self._lock(connection, caller)
            await self._require_given(connection, caller)
            await limits.require_room(connection, Event.SECOND_FACTOR_REMOVED, user.user_id, now)
            await remove_second_factor(connection, user.user_id, client, now, by=caller.user_id)

        await self._database.transaction(remove)

    async def _lock(self, connection: AsyncConnection, caller: Principal) -> tuple[UserRecord, datetime]:
        """The caller's account, which nobody else changes until the transaction ends, and the time."""
        now = self._clock()
        await users.lock_user(connection, caller.user_id)
        user = await require_session(connection, caller, now)
        await _require_staff(connection, user.user_id)
        return user, now

    async def _find(self, caller: Principal) -> StoredFactor:
        """What is stored of the caller's second factor, looked at before a code is counted."""
        async with self._database.reading() as connection:
            user = await require_session(connection, caller, self._clock())
            await _require_staff(connection, user.user_id)
            found = await second_factors.find(connection, user.user_id)
        return found or StoredFactor(user.user_id, None, None, None)

    async def _require_given_if_any(self, connection: AsyncConnection, caller: Principal, factor: StoredFactor | None) -> None:
        if factor is not None and factor.secret is not None:
            await self._require_given(connection, caller)

    async def _require_given(self, connection: AsyncConnection, caller: Principal) -> None:
        """Raise NoSecondFactor, or SecondFactorNeeded if this session has not given it."""
        given = await second_factors.find_session(connection, caller.session_id)
        if given is not None and given.second_factor_at is not None:
            return
        factor = await second_factors.find(connection, caller.user_id)
        if factor is None or factor.secret is None:
            raise NoSecondFactor("You have no second factor yet. Set one up (POST /auth/me/second-factor).")
        raise SecondFactorNeeded("Give your second factor first (POST /auth/second-factor).")

    async def _try(self, caller: Principal, client: Client, look: Look[T]) -> T:
        """What ``look`` gives of a code, counted by account before it is looked at. Raises WrongCode or TooManyWrongCodes."""
        attempt = Attempt(attempts.by_second_factor(caller.user_id), uuid.uuid4().bytes)
        begins_delay = await self._count(attempt)

        async def run(connection: AsyncConnection) -> T | None:
            user, now = await self._lock(connection, caller)
            found = await look(connection, user, now)
            if found is not None:
                await attempts.clear(connection, attempt.key)
                return found
            for event in (Event.SECOND_FACTOR_REFUSED, *([Event.ATTEMPTS_DELAYED] if begins_delay else [])):
                await events.record(connection, event, client, user_id=user.user_id, now=now)
            return None

        found = await self._database.transaction(run)
        if found is None:  # what was noted of it is committed
            raise WrongCode("This code is wrong, or was used before.")
        return found

    async def _count(self, attempt: Attempt) -> bool:
        """Count a code as wrong; gives whether a delay begins with it if it is. Raises TooManyWrongCodes during one."""
        now = self._clock()
        counted = await self._database.transaction(lambda connection: attempts.count(connection, attempt, self._delays, now))
        if not counted.admitted:
            raise TooManyWrongCodes(counted.wait(now))
        return counted.delayed_until > now

    async def _raise(self, connection: AsyncConnection, caller: Principal, user: UserRecord, now: datetime) -> str:
        """Note that the session has the second factor; gives an access token with what that adds."""
        await second_factors.note_given(connection, caller.session_id, now)
        given = await second_factors.find_session(connection, caller.session_id)
        auth_time = None if given is None else given.authenticated_at
        return await self._access.issue(connection, user.user_id, user.username, caller.session_id, now, auth_time=auth_time)

    def _decrypt(self, user_id: int, stored: bytes) -> str:
        try:
            return self._encryption.decrypt(stored, second_factors.place(user_id)).decode()
        except Undecryptable as error:
            log.error("second factor cannot be read", user_id=user_id, reason=str(error))  # noqa: TRY400 - no defect
            raise SecondFactorUnreadable(
                "Your second factor cannot be read. Give a staff code, or ask an operator to restore ENCRYPTION_KEYS."
            ) from None


async def _require_staff(connection: AsyncConnection, user_id: int) -> None:
    if await roles.find_staff(connection, user_id) is None:
        raise NotStaff("You have no role: an admin or an operator gives one.")


class SecretsAnew:
    """Encrypts second factors with the key that encrypts now, so that the one before it can be retired."""

    def __init__(self, encryption: Encryption) -> None:
        self._encryption = encryption

    async def encrypt(self, connection: AsyncConnection, _: datetime, limit: int) -> int:
        """Encrypt at most ``limit`` of them anew; gives how many."""
        done = 0
        for factor in await second_factors.list_encrypted_otherwise(connection, self._encryption.prefix, limit):
            try:
                anew = [self._encrypt(factor.user_id, stored) for stored in (factor.secret, factor.pending)]
            except Undecryptable as error:
                # Left as it is: the key may be put back.
                log.error("second factor cannot be read", user_id=factor.user_id, reason=str(error))  # noqa: TRY400
            else:
                await second_factors.replace(connection, factor.user_id, *anew)
                done += 1
        return done

    def _encrypt(self, user_id: int, stored: bytes | None) -> bytes | None:
        if stored is None:
            return None
        place = second_factors.place(user_id)
        return self._encryption.encrypt(self._encryption.decrypt(stored, place), place)
