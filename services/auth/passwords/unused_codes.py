"""SQL of the recovery codes that are left. One that is used is deleted."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.models import RecoveryCode


@dataclass(frozen=True, slots=True)
class UnusedCodes:
    """How many codes a user has left, and when they were made; None where none is left."""

    left: int
    made_at: datetime | None


async def replace(connection: AsyncConnection, user_id: int, hashes: Iterable[bytes], now: datetime) -> None:
    """Store new codes in the place of those that were left. The caller holds the user's row."""
    await connection.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [{"user_id": user_id, "code_hash": each, "made_at": now} for each in sorted(hashes)]
    await connection.execute(insert(RecoveryCode), codes)


async def use(connection: AsyncConnection, user_id: int, code_hash: bytes) -> bool:
    """Use a code up, if there is such a one: the one statement that decides which of two uses at once is the first."""
    code = RecoveryCode.user_id == user_id, RecoveryCode.code_hash == code_hash
    return (await connection.execute(delete(RecoveryCode).where(*code))).rowcount == 1


async def count(connection: AsyncConnection, user_id: int) -> UnusedCodes:
    """What a user has left."""
    left = select(func.count(), func.max(RecoveryCode.made_at)).where(RecoveryCode.user_id == user_id)
    return UnusedCodes(*(await connection.execute(left)).one())
