"""Whether a key is live: asked each time, since an access token says only what was true when it was signed."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.keys import records
from services.common.http.problems import invalid_token
from services.common.tokens import KEY_REVOKED, KeyPrincipal


async def require_key(connection: AsyncConnection, caller: KeyPrincipal, now: datetime) -> None:
    """Raise Unauthenticated when the key that an access token speaks for was revoked, or has expired."""
    if await records.find_live_key(connection, caller.client_id, now) is None:
        raise invalid_token(KEY_REVOKED)
