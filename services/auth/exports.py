"""The use case of an account's export: all that is kept of a person, read a page at a time while it is sent.

Neither memory nor a connection is held for a client that reads slowly, and an account has one export at a time.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import export_leases, external, guests, kept_names, users
from services.auth.accounts.external import Identity
from services.auth.accounts.kept_names import KeptName
from services.auth.accounts.users import UserRecord
from services.auth.audit import events, limits
from services.auth.audit.clients import Client
from services.auth.audit.events import AuditRecord, Event
from services.auth.errors import ExportUnderWay
from services.auth.passwords import unused_codes
from services.auth.passwords.unused_codes import UnusedCodes
from services.auth.sessions import families
from services.auth.sessions.families import SessionRecord
from services.auth.sessions.live import require_session
from services.auth.staff import roles
from services.auth.staff.roles import StaffRecord
from services.common.http.problems import DATABASE_AWAY
from services.common.mysql.database import Database, reason
from services.common.tokens import Principal

log = structlog.get_logger(__name__)

# Events read at once: a process does nothing else while it takes a page apart, some 10 ms.
PAGE = 500
# How long a lease outlives a process that died with it, and when one that goes on renews it.
LEASE = timedelta(seconds=60)
_RENEWED_AFTER = LEASE / 3
# What somebody is told to wait who comes while another export is under way: 150,000 events take about that long.
_RETRY_SECONDS = 5


class LeaseLost(TimeoutError):
    """The client read so slowly that the lease ran out and another export took it, or the account is gone."""


@dataclass(frozen=True, slots=True)
class AccountData:
    """What is kept of a person here, besides the events. ``last_event_id`` is the export's own event, the last to be sent."""

    user: UserRecord
    staff: StaffRecord | None
    sessions: Sequence[SessionRecord]
    guest: bool
    kept_names: Sequence[KeptName]
    recovery_codes: UnusedCodes
    identities: Sequence[Identity]
    last_event_id: int


class AccountExports:
    """Begins exports. At most one of an account is under way, in whatever process."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        # Pages are read one after the other, however many exports there are: everybody else waits for one page at most.
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def begin(self, caller: Principal, client: Client) -> AsyncIterator["AccountExport"]:
        """The caller's export, under way until the context ends. Raises Unauthenticated, ExportUnderWay or TooManyEvents."""
        lease_id = uuid.uuid4().bytes

        async def read(connection: AsyncConnection) -> AccountData:
            now = self._clock()
            await users.lock_user(connection, caller.user_id)
            user = await require_session(connection, caller, now)
            if not await export_leases.take(connection, user.user_id, lease_id, now, now + LEASE):
                raise ExportUnderWay(_RETRY_SECONDS)
            await limits.require_room(connection, Event.ACCOUNT_EXPORTED, user.user_id, now)
            return AccountData(
                user,
                await roles.find_staff(connection, user.user_id),
                await families.list_families(connection, user.user_id, now),
                await guests.is_guest(connection, user.user_id),
                await kept_names.list_kept(connection, user.user_id, now),
                await unused_codes.count(connection, user.user_id),
                await external.list_identities(connection, user.user_id),
                await events.record(connection, Event.ACCOUNT_EXPORTED, client, user_id=user.user_id, now=now),
            )

        data = await self._database.transaction(read)
        try:
            yield AccountExport(self._database, self._clock, self._turn, data, lease_id)
        finally:
            await self._release(data.user.user_id, lease_id)

    async def _release(self, user_id: int, lease_id: bytes) -> None:
        # The client that left must not take this along: its cancellation would reach every await from here on.
        with anyio.CancelScope(shield=True):
            try:
                await self._database.transaction(lambda c: export_leases.release(c, user_id, lease_id))
            except DATABASE_AWAY as error:
                log.warning("lease of an export is left to run out", error=reason(error))


class AccountExport:
    """One export that is under way."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], turn: asyncio.Lock, data: AccountData, lease_id: bytes
    ) -> None:
        self._database = database
        self._clock = clock
        self._turn = turn
        self._lease_id = lease_id
        self._renewed_at = clock()
        self.data = data

    async def pages(self) -> AsyncGenerator[Sequence[AuditRecord], None]:
        """Every event, oldest first, the export's own the last. Raises LeaseLost, and what reading from MySQL raises."""
        after, upto = 0, self.data.last_event_id
        while after < upto:
            await self._renew()
            async with self._turn, self._database.reading() as connection:
                page = await events.list_events(connection, self.data.user.user_id, after=after, upto=upto, limit=PAGE)
            if not page:  # an administrator shortens the log meanwhile
                return
            yield page
            after = page[-1].event_id

    async def _renew(self) -> None:
        now = self._clock()
        if now - self._renewed_at < _RENEWED_AFTER:
            return
        user_id, until = self.data.user.user_id, now + LEASE
        if not await self._database.transaction(lambda c: export_leases.renew(c, user_id, self._lease_id, until)):
            raise LeaseLost("another export of the account has begun, or the account is gone")
        self._renewed_at = now
