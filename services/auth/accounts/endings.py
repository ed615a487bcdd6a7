"""The end of an account, whoever ends it: its owner, an operator, or time."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import kept_names, users
from services.auth.accounts.users import UserRecord
from services.auth.audit import events
from services.auth.audit.clients import Client
from services.auth.audit.events import Event


async def end_account(
    connection: AsyncConnection,
    user: UserRecord,
    client: Client | None,
    now: datetime,
    *,
    name_kept_until: datetime,
    **detail: str,
) -> None:
    """Delete an account and with it every session. Its name is kept for a time, so that nobody poses as who had it.

    The caller holds the user's row.
    """
    await kept_names.keep(connection, user, name_kept_until, owner=None)
    await users.delete_user(connection, user.user_id)
    await events.record(connection, Event.ACCOUNT_DELETED, client, user_id=user.user_id, now=now, **detail)
