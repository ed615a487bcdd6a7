"""Holding a typed password against an account's: the one place through which every guess goes, and is slowed down.

A recovery code is a guess too.

Guesses are counted in MySQL. A stranger's count by account, and by name where nobody has it, so that neither the answers nor
their times tell which it is. A browser that has signed in before and a session each have a count of their own, which
strangers do not add to.
"""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

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


def delays(settings: AuthSettings) -> Delays:
    """How guesses are slowed down, of passwords and of codes alike."""
    return Delays(settings.password_free_failures, settings.password_delay_seconds, settings.password_delay_max_seconds)


@dataclass(frozen=True, slots=True)
class Guess:
    """One guess that was let through. It is counted as failed, until whoever finds it right clears the count."""

    count: bytes
    turn: Turn
    begins_delay: bool

    async def note_failure(
        self, connection: AsyncConnection, failed: Event, user: UserRecord | None, client: Client, now: datetime
    ) -> None:
        """Add to the audit log that it was wrong.

        A delay is noted where it begins. Noted with the first attempt that it turns away, it would take longer for a name
        that somebody has: its event has a place in an index of its own.
        """
        for event in (failed, Event.ATTEMPTS_DELAYED) if self.begins_delay else (failed,):
            await events.record(connection, event, client, user_id=user.user_id if user else None, now=now)


class PasswordCheck:
    """Checks what somebody says is an account's password: at login, and again for what a stolen session must not do."""

    def __init__(self, database: Database, hashing: Passwords, settings: AuthSettings, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._hashing = hashing
        self._clock = clock
        self._delays = delays(settings)

    async def check(self, count: bytes, user: UserRecord | None, typed: str, client: Client, *, failed: Event) -> str | None:
        """The normal form of ``typed`` when it is the password of ``user``, else None, and ``failed`` is in the audit log.

        ``count`` is the key of the count that a failure is added to. Nobody's password takes the same work as ``user``'s.
        Raises PasswordQueueFull, and TooManyFailures while the count is delayed: then ``typed`` is not looked at, right or
        wrong.
        """
        async with self.guess(count, client) as guess:
            normal = await self._verify(guess.turn, user, typed)

            async def conclude(connection: AsyncConnection) -> None:
                if normal is None:
                    await guess.note_failure(connection, failed, user, client, self._clock())
                else:
                    await attempts.clear(connection, count)

            await self._database.transaction(conclude)
            return normal

    @asynccontextmanager
    async def guess(self, count: bytes, client: Client) -> AsyncIterator[Guess]:
        """A guess that is added to the count with the key ``count``, and its turn. Raises as `check` does.

        One at a time: of right passwords that come at once, none finds the others counted as wrong.
        """
        attempt = Attempt(count, uuid.uuid4().bytes)
        async with self._hashing.turn(client, count) as turn:
            yield Guess(count, turn, await self._count(attempt))

    async def _count(self, attempt: Attempt) -> bool:
        """Count an attempt as failed; gives whether a delay begins with it if it is. Raises TooManyFailures during one."""
        now = self._clock()
        counted = await self._database.transaction(lambda connection: attempts.count(connection, attempt, self._delays, now))
        if not counted.admitted:
            raise TooManyFailures(counted.wait(now))
        return counted.delayed_until > now

    async def _verify(self, turn: Turn, user: UserRecord | None, typed: str) -> str | None:
        try:
            normal = rules.normalize(typed)
        except rules.InvalidPassword:
            # No such password can have been set. The same work as for any other.
            await turn.verify(None, "")
            return None
        return normal if await turn.verify(user.password_hash if user else None, normal) else None
