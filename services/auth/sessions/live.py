"""Whether a session is live: asked each time, since an access token says only what was true when it was signed."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts.users import UserRecord
from services.auth.sessions import families
from services.common.http.problems import Unauthenticated
from services.common.tokens import Principal


def session_ended() -> Unauthenticated:
    """What a caller is told whose session has ended, or whose account is gone."""
    return Unauthenticated("Your session has ended. Sign in again.", challenge='Bearer error="invalid_token"')


async def require_session(connection: AsyncConnection, caller: Principal, now: datetime) -> UserRecord:
    """The user whose live session an access token speaks for. Raises Unauthenticated when it has ended, or the user is gone.

    A token says what was true when it was signed. The auth service looks, each time, whether it still is.
    """
    user = await families.find_user_of(connection, caller.user_id, caller.session_id, now)
    if user is None:
        raise session_ended()
    return user
