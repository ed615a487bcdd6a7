"""Holding a typed password against an account's: the one place through which every guess goes, and is slowed down.

Guesses are counted by account in MySQL, and by name where nobody has it, so that neither the answers nor their times tell
which it is.
"""

import asyncio
import hashlib
import math
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from weakref import WeakValueDictionary

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts.users import UserRecord
from services.auth.audit import events
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import PasswordQueueFull, TooManyFailures
from services.auth.passwords import attempts, rules
from services.auth.passwords.attempts import Attempt, Delays
from services.auth.passwords.hashing import Passwords
from services.auth.settings import AuthSettings
from services.common.database import Database


class PasswordCheck:
    """Checks what somebody says is an account's password: at login, and again for what a stolen session must not do."""

    def __init__(self, database: Database, hashing: Passwords, settings: AuthSettings, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._hashing = hashing
        self._clock = clock
        self._delays = Delays(
            settings.password_free_failures, settings.password_delay_seconds, settings.password_delay_max_seconds
        )
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        # Enough that every worker always has its next password: more at once would only keep the loop from everybody else.
        self._gate = asyncio.Semaphore(2 * settings.password_workers)
        self._room = settings.password_queue
        self._seconds = settings.password_queue_seconds

    async def check(self, account: str, user: UserRecord | None, typed: str, client: Client, *, failed: Event) -> str | None:
        """The normal form of ``typed`` when it is the password of ``user``, else None, and ``failed`` is in the audit log.

        ``account`` is the canonical name that was tried (as typed, where no account can have it), whether ``user`` has it or
        nobody does: both take the same work. Raises PasswordQueueFull, and TooManyFailures while the account is slowed
        down: then ``typed`` is not looked at, right or wrong.
        """
        attempt = Attempt(_key(account, user), uuid.uuid4().bytes)
        async with self._turn(attempt.key):
            await self._count(attempt, user, client)
            try:
                normal = await self._verify(user, typed)
            except PasswordQueueFull:
                await self._database.transaction(lambda c: attempts.uncount(c, attempt, self._clock()))
                raise
            await self._database.transaction(partial(self._conclude, attempt, user, client, None if normal else failed))
            return normal

    async def _count(self, attempt: Attempt, user: UserRecord | None, client: Client) -> None:
        now = self._clock()

        async def count(connection: AsyncConnection) -> attempts.Count:
            counted = await attempts.count(connection, attempt, self._delays, now)
            if counted.refusals == 1:  # once a delay: a flood must not fill the log
                await events.record(connection, Event.ATTEMPTS_DELAYED, client, user_id=user.user_id if user else None, now=now)
            return counted

        counted = await self._database.transaction(count)
        if not counted.admitted:
            raise TooManyFailures(max(1, math.ceil((counted.delayed_until - now).total_seconds())))

    async def _verify(self, user: UserRecord | None, typed: str) -> str | None:
        try:
            normal = rules.normalize(typed)
        except rules.InvalidPassword:
            # No such password can have been set. The same work as for any other.
            await self._hashing.verify(None, "")
            return None
        return normal if await self._hashing.verify(user.password_hash if user else None, normal) else None

    async def _conclude(
        self, attempt: Attempt, user: UserRecord | None, client: Client, failed: Event | None, connection: AsyncConnection
    ) -> None:
        if failed is None:
            await attempts.clear(connection, attempt)
        else:
            await events.record(connection, failed, client, user_id=user.user_id if user else None, now=self._clock())

    @asynccontextmanager
    async def _turn(self, key: bytes) -> AsyncIterator[None]:
        """One attempt an account at a time: of right passwords that come at once, none finds the others counted as wrong.

        And few at a time in all. Those who wait are bounded in number and in time. Raises PasswordQueueFull.
        """
        turn = self._turns.setdefault(key, asyncio.Lock())
        if self._room <= 0 and (turn.locked() or self._gate.locked()):
            raise PasswordQueueFull("Try again in a moment.")
        async with AsyncExitStack() as held:
            self._room -= 1
            try:
                async with asyncio.timeout(self._seconds):
                    await held.enter_async_context(turn)
                    await held.enter_async_context(self._gate)
            except TimeoutError:
                raise PasswordQueueFull("Try again in a moment.") from None
            finally:
                self._room += 1
            yield


def _key(account: str, user: UserRecord | None) -> bytes:
    """What attempts are counted by: the account, since its name can be changed; where there is none, the name.

    Hashed, because people type passwords where names belong.
    """
    text = f"account {user.user_id}" if user else f"name {account}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
