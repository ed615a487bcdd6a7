"""The use cases of a user's sessions: which there are, and ending them."""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import users
from services.auth.audit import events, limits
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.sessions import families
from services.auth.sessions.families import SessionRecord
from services.auth.sessions.live import require_session
from services.common.http.problems import NotFound
from services.common.mysql.database import Database
from services.common.tokens import Principal


class SessionService:
    """A user's own sessions. Each use case raises Unauthenticated when the caller's session has ended."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def list_own(self, caller: Principal) -> Sequence[SessionRecord]:
        """The caller's live sessions, newest use first."""
        now = self._clock()
        async with self._database.reading() as connection:
            await require_session(connection, caller, now)
            return await families.list_families(connection, caller.user_id, now)

    async def end(self, caller: Principal, session_id: uuid.UUID, client: Client) -> None:
        """End one of the caller's live sessions, this one too if it is named. Raises NotFound or TooManyEvents."""

        async def end(connection: AsyncConnection) -> None:
            now = self._clock()
            await users.lock_user(connection, caller.user_id)
            await require_session(connection, caller, now)
            if not await families.end_family(connection, caller.user_id, session_id, now):
                raise NotFound("You have no such session. It may have ended by itself.")
            await limits.require_room(connection, Event.SESSION_ENDED, caller.user_id, now)
            await events.record(
                connection, Event.SESSION_ENDED, client, user_id=caller.user_id, now=now, session_id=str(session_id)
            )

        await self._database.transaction(end)

    async def end_others(self, caller: Principal, client: Client) -> None:
        """End every session of the caller but this one. Where there is none, nothing is done. Raises TooManyEvents."""

        async def end(connection: AsyncConnection) -> None:
            now = self._clock()
            await users.lock_user(connection, caller.user_id)
            await require_session(connection, caller, now)
            ended = await families.end_other_families(connection, caller.user_id, caller.session_id, now)
            if not ended:
                return
            await limits.require_room(connection, Event.SESSIONS_ENDED, caller.user_id, now)
            await events.record(connection, Event.SESSIONS_ENDED, client, user_id=caller.user_id, now=now, sessions=ended)

        await self._database.transaction(end)
