"""SQL of leases: one export an account at a time, over all processes.

A lease is a row and not a lock of MySQL's: GET_LOCK would hold a connection for as long as a slow client reads.
"""

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.models import ExportLease


async def take(connection: AsyncConnection, user_id: int, lease_id: bytes, now: datetime, until: datetime) -> bool:
    """Hold the account's lease; False while another export holds it. The caller holds the user's row."""
    held = select(ExportLease.lease_id).where(ExportLease.user_id == user_id, ExportLease.held_until > now)
    if await connection.scalar(held):
        return False
    values = {"lease_id": lease_id, "held_until": until}
    await connection.execute(insert(ExportLease).values(user_id=user_id, **values).on_duplicate_key_update(**values))
    return True


async def renew(connection: AsyncConnection, user_id: int, lease_id: bytes, until: datetime) -> bool:
    """Hold the lease for longer; False when another export has taken it, or the account is gone."""
    mine = ExportLease.user_id == user_id, ExportLease.lease_id == lease_id
    return (await connection.execute(update(ExportLease).where(*mine).values(held_until=until))).rowcount == 1


async def release(connection: AsyncConnection, user_id: int, lease_id: bytes) -> None:
    """Let the lease go, if it is still held."""
    await connection.execute(delete(ExportLease).where(ExportLease.user_id == user_id, ExportLease.lease_id == lease_id))
