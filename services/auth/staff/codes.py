"""Staff codes: what somebody of the staff signs in with once where the device with the second factor is lost."""

import base64
import hashlib
import secrets
from collections.abc import Collection

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.models import StaffCode

COUNT = 10
PATTERN = "[A-Za-z2-7]{4}(-[A-Za-z2-7]{4}){5}"
"""How one is written: 24 letters of base32 (RFC 4648) in groups of four, in either case."""
_BYTES = 15


def new_codes() -> list[str]:
    """A set of codes. Each has 120 random bits, so that a fast hash is enough (ASVS 6.5.2 asks for 112)."""
    return [_new_code() for _ in range(COUNT)]


def _new_code() -> str:
    letters = base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.lower().encode()).digest()


async def replace(connection: AsyncConnection, user_id: int, codes: Collection[str]) -> None:
    """Store these codes of a user, and no others."""
    await connection.execute(delete(StaffCode).where(StaffCode.user_id == user_id))
    await connection.execute(insert(StaffCode).values([{"user_id": user_id, "code_hash": _hash(code)} for code in codes]))


async def use(connection: AsyncConnection, user_id: int, code: str) -> bool:
    """Use a code, which is gone then: the one statement that decides which of two uses at once is the first."""
    mine = StaffCode.user_id == user_id, StaffCode.code_hash == _hash(code)
    return (await connection.execute(delete(StaffCode).where(*mine))).rowcount == 1


async def count_left(connection: AsyncConnection, user_id: int) -> int:
    """How many codes a user has that are not used."""
    left = select(func.count()).select_from(StaffCode).where(StaffCode.user_id == user_id)
    return (await connection.scalar(left)) or 0
