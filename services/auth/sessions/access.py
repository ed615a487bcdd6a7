"""What a session gives access to: its access tokens, and the scopes that its user's role adds to them."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts.users import UserRecord
from services.auth.sessions.live import require_session
from services.auth.sessions.tokens import AccessTokenIssuer
from services.auth.staff import roles
from services.common.http.problems import InsufficientScope
from services.common.tokens import Principal, Scope


class SessionAccess:
    """Looks the role up each time: one that was taken is in no token that is issued from then on.

    ``second_factor``: whether a role counts only in a session in which the second factor was given.
    """

    def __init__(self, issuer: AccessTokenIssuer, *, second_factor: bool) -> None:
        self._issuer = issuer
        self._second_factor = second_factor

    @property
    def lifetime(self) -> timedelta:
        """How long an access token is good."""
        return self._issuer.lifetime

    async def issue(
        self,
        connection: AsyncConnection,
        user_id: int,
        username: str,
        session_id: uuid.UUID,
        now: datetime,
        auth_time: datetime | None,
    ) -> str:
        """An access token of a session, as AccessTokenIssuer issues it, with the scopes that its user has now."""
        scopes = await roles.find_scopes(connection, session_id, second_factor=self._second_factor)
        return self._issuer.issue(user_id, username, session_id, now, auth_time=auth_time, scopes=scopes)

    async def require_scope(self, connection: AsyncConnection, caller: Principal, scope: Scope, now: datetime) -> UserRecord:
        """The caller, whose session lives and who has the scope now, whatever the token says.

        Raises Unauthenticated or InsufficientScope.
        """
        user = await require_session(connection, caller, now)
        if scope not in await roles.find_scopes(connection, caller.session_id, second_factor=self._second_factor):
            raise InsufficientScope(f"You have the scope {scope} no more.", scope=scope)
        return user
