"""Holding a typed password against an account's: the one place through which every guess goes, and is slowed down.

Guesses are counted in MySQL. A stranger's count by account, and by name where nobody has it, so that neither the answers nor
their times tell which it is. A browser that has signed in before and a session each have a count of their own, which
strangers do not add to.
"""

import math
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts.users import UserRecord
from services.auth.audit import events
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import TooManyFailures
from services.auth.passwords import attempts, rules
from services.auth.passwords.attempts import Attempt, Delays
from services.auth.passwords.hashing import Passwords, Turn
from services.auth.settings import AuthSettings
from services.common.mysql.database import Database


class PasswordCheck:
    """Checks what somebody says is an account's password: at login, and again for what a stolen session must not do."""

    def __init__(self, database: Database, hashing: Passwords, settings: AuthSettings, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._hashing = hashing
        self._clock = clock
        self._delays = Delays(
            settings.password_free_failures, settings.password_delay_seconds, settings.password_delay_max_seconds
        )

    async def check(self, count: bytes, user: UserRecord | None, typed: str, client: Client, *, failed: Event) -> str | None:
        """The normal form of ``typed`` when it is the password of ``user``, else None, and ``failed`` is in the audit log.

        ``count`` is the key of the count that a failure is added to. Nobody's password takes the same work as ``user``'s.
        Raises PasswordQueueFull, and TooManyFailures while the count is delayed: then ``typed`` is not looked at, right or
        wrong.
        """
        attempt = Attempt(count, uuid.uuid4().bytes)
        # One attempt at a time: of right passwords that come at once, none finds the others counted as wrong.
        async with self._hashing.turn(client, attempt.key) as turn:
            await self._count(attempt, user, client)
            normal = await self._verify(turn, user, typed)
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

    async def _verify(self, turn: Turn, user: UserRecord | None, typed: str) -> str | None:
        try:
            normal = rules.normalize(typed)
        except rules.InvalidPassword:
            # No such password can have been set. The same work as for any other.
            await turn.verify(None, "")
            return None
        return normal if await turn.verify(user.password_hash if user else None, normal) else None

    async def _conclude(
        self, attempt: Attempt, user: UserRecord | None, client: Client, failed: Event | None, connection: AsyncConnection
    ) -> None:
        if failed is None:
            await attempts.clear(connection, attempt)
        else:
            await events.record(connection, failed, client, user_id=user.user_id if user else None, now=self._clock())
