"""SQL of what the leaderboard service must know of accounts: their names and their ends, in a table that it may read.

Whoever makes, renames or ends an account writes it down in the same transaction. `changed_at` is MySQL's clock, and tells the
leaderboard's processes what is new. An account that is made is nothing new to them: its first token has its name.
"""

from collections.abc import Mapping

from sqlalchemy import func
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts.usernames import Username
from services.auth.models import AccountChange


async def note_made(connection: AsyncConnection, user_id: int, username: Username) -> None:
    """An account was made."""
    await connection.execute(insert(AccountChange).values(id=user_id, **_names(username)))


async def note_many_made(connection: AsyncConnection, made: Mapping[int, Username]) -> None:
    """Accounts were made, by their numbers."""
    await connection.execute(
        insert(AccountChange).values([{"id": user_id, **_names(username)} for user_id, username in made.items()])
    )


async def note_renamed(connection: AsyncConnection, user_id: int, username: Username) -> None:
    """An account has another name."""
    await _note(connection, user_id, {**_names(username), "changed_at": func.utc_timestamp(6)})


async def note_ended(connection: AsyncConnection, user_id: int) -> None:
    """An account has ended. Its number is kept, so that nothing brings it back, and nothing else."""
    ended: dict[str, object] = {
        "username": "",
        "username_canonical": "",
        "ended_at": func.utc_timestamp(6),
        "changed_at": func.utc_timestamp(6),
    }
    await _note(connection, user_id, ended)


async def _note(connection: AsyncConnection, user_id: int, values: dict[str, object]) -> None:
    """The row may be missing: a release without this table may have made the account while it was being replaced."""
    await connection.execute(insert(AccountChange).values(id=user_id, **values).on_duplicate_key_update(**values))


def _names(username: Username) -> dict[str, object]:
    return {"username": username.display, "username_canonical": username.canonical}
