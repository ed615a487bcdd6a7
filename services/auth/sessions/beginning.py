"""Beginning a session, and what it gives whoever signed in."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts.users import UserRecord
from services.auth.audit import events
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.sessions import families
from services.auth.sessions.access import SessionAccess
from services.auth.sessions.families import Kind, Lifetimes, UsedToken
from services.auth.sessions.tokens import new_refresh_token, refresh_token_hash


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a login or a refresh gives: an access token, and the refresh token that follows the one used."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


class Beginnings:
    """Begins sessions, of which a user has at most ``most`` of a kind."""

    def __init__(self, access: SessionAccess, lifetimes: Lifetimes, most: int) -> None:
        self._access = access
        self._lifetimes = lifetimes
        self._most = most

    async def begin(
        self, connection: AsyncConnection, user: UserRecord, kind: Kind, client: Client, now: datetime, **detail: str | int
    ) -> SignedIn:
        """Begin a session of ``user``, whose row the caller holds. ``detail``: what the audit log says of it besides."""
        session_id, expires_at = await families.begin_family(
            connection, user.user_id, kind, client, now, self._lifetimes, self._most
        )
        detail["session_id"] = str(session_id)
        await events.record(connection, Event.LOGGED_IN, client, user_id=user.user_id, now=now, **detail)
        token = new_refresh_token()
        await families.add_token(connection, session_id, refresh_token_hash(token), now, expires_at)
        return await self.go_on(connection, UsedToken(user, session_id, expires_at, now), token, now)

    async def go_on(self, connection: AsyncConnection, used: UsedToken, refresh_token: str, now: datetime) -> SignedIn:
        """What goes on with ``refresh_token``."""
        user = used.user
        return SignedIn(
            await self._access.issue(
                connection, user.user_id, user.username, used.session_id, now, auth_time=used.authenticated_at
            ),
            int(self._access.lifetime.total_seconds()),
            refresh_token,
            int((used.expires_at - now).total_seconds()),
        )
