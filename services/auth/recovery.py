"""The use cases of recovery codes: what a player has in the place of a password that was forgotten, since no mail is known."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import users
from services.auth.accounts.users import UserRecord
from services.auth.audit import events
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import InvalidRecoveryCode
from services.auth.passwords import attempts, recovery_codes, rules, unused_codes
from services.auth.passwords.claims import find_claim
from services.auth.passwords.device_cookies import DeviceCookies
from services.auth.passwords.unused_codes import UnusedCodes
from services.auth.passwords.verification import Guess, PasswordCheck
from services.auth.sessions import families
from services.auth.sessions.live import require_session
from services.common.http.problems import FieldError, InvalidRequest
from services.common.mysql.database import Database
from services.common.tokens import Principal

# Whom a code is looked for of a name that nobody has: no user has this number.
_NOBODY = 0


class RecoveryService:
    """Coming back to an account with a recovery code. They are made by `AccountService`, which asks for the password."""

    def __init__(
        self,
        database: Database,
        check: PasswordCheck,
        devices: DeviceCookies,
        *,
        password_min_length: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._check = check
        self._devices = devices
        self._password_min_length = password_min_length
        self._clock = clock

    async def count_codes(self, caller: Principal) -> UnusedCodes:
        """How many codes the caller has left. Raises Unauthenticated when the session has ended."""
        async with self._database.reading() as connection:
            user = await require_session(connection, caller, self._clock())
            return await unused_codes.count(connection, user.user_id)

    async def recover(
        self, username: str, code: str, new_password: str, client: Client, device_cookie: str | None = None
    ) -> None:
        """Set another password by a recovery code, which is used up, and end every session of the account.

        A code is a guess like a password, in the same counts. Until it is found right, the same is done whoever's the name
        is: the new password is hashed first, so that no time tells whether a code was right, or whether there are any.
        Raises InvalidRequest, InvalidRecoveryCode, TooManyFailures or PasswordQueueFull.
        """
        try:
            normal = rules.new_password(new_password, self._password_min_length, [username])
        except rules.InvalidPassword as error:
            raise InvalidRequest(f"{error}", errors=[FieldError(detail=f"{error}", pointer="#/new_password")]) from None
        claim = await find_claim(self._database, self._devices, username, device_cookie, self._clock())
        async with self._check.guess(claim.count, client) as guess:
            stored = await guess.turn.hash(normal)

            async def recover(connection: AsyncConnection) -> bool:
                user = await self._use(connection, claim.user, code)
                if user is None:
                    await guess.note_failure(connection, Event.RECOVERY_FAILED, claim.user, client, self._clock())
                    return False
                await self._replace_password(connection, user, stored, guess, client)
                return True

            recovered = await self._database.transaction(recover)
        if not recovered:
            raise InvalidRecoveryCode("The username or the recovery code is wrong, or the code was used before.")

    async def _use(self, connection: AsyncConnection, claimed: UserRecord | None, code: str) -> UserRecord | None:
        """Use a code up; gives whose it was, as that account is until the transaction ends. None: it is not one of theirs."""
        user_id = claimed.user_id if claimed else _NOBODY
        # Before the user's row is held: strangers' guesses lock nothing, and do the same for a name that nobody has.
        if not await unused_codes.use(connection, user_id, recovery_codes.code_hash(user_id, code)):
            return None
        return await users.lock_user(connection, user_id)

    async def _replace_password(
        self, connection: AsyncConnection, user: UserRecord, stored: str, guess: Guess, client: Client
    ) -> None:
        await users.set_password_hash(connection, user.user_id, user.password_hash, stored)
        ended = await families.end_every_family(connection, user.user_id)
        # The account's count too, where a browser has its own: with the password that browser's cookie became worthless.
        await attempts.clear(connection, guess.count, attempts.by_account(user.user_id))
        left = (await unused_codes.count(connection, user.user_id)).left
        await events.record(
            connection,
            Event.ACCOUNT_RECOVERED,
            client,
            user_id=user.user_id,
            now=self._clock(),
            sessions_ended=ended,
            codes_left=left,
        )
