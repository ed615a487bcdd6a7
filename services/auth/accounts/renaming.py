"""Another name for an account, whoever takes it: a player, or a guest who stays."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import kept_names, users
from services.auth.accounts.usernames import Username
from services.auth.accounts.users import UserRecord


async def rename_account(
    connection: AsyncConnection, user: UserRecord, name: Username, now: datetime, *, old_kept_until: datetime
) -> None:
    """Give an account a name that was seen to be free. The old one is kept for it for a time. Raises UsernameTaken.

    The caller holds the user's row.
    """
    if user.canonical == name.canonical:  # written otherwise: it is the same name
        await users.rename_user(connection, user.user_id, name)
        return
    await kept_names.keep(connection, user, old_kept_until, owner=user.user_id)
    await users.rename_user(connection, user.user_id, name)
    await kept_names.require_free(connection, name, now, owner=user.user_id)
    await kept_names.take_back(connection, name.canonical)
