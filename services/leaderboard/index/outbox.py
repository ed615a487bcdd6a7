"""SQL of the outbox: what changed and has still to be told to the index."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Outbox
from services.leaderboard.rules.places import Place

_DELETED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Note:
    """A row of the outbox: whose standings changed, None if everything may have."""

    id: int
    changed: list[tuple[Place, int]] | None
    created_at: datetime


async def list_notes(connection: AsyncConnection, older_than_ms: int, limit: int) -> list[Note]:
    """Notes older than that by the database's clock, read without a lock."""
    age = text(f"NOW(6) - INTERVAL {older_than_ms * 1000:d} MICROSECOND")
    statement = select(Outbox.id, Outbox.changed, Outbox.created_at).where(Outbox.created_at <= age)
    notes = []
    for row in await connection.execute(statement.order_by(Outbox.id).limit(limit)):
        changed = row.changed and [(Place(board, period), user_id) for board, period, user_id in row.changed]
        notes.append(Note(row.id, changed, row.created_at))
    return notes


async def list_ids(connection: AsyncConnection) -> Sequence[int]:
    return (await connection.execute(select(Outbox.id))).scalars().all()


async def delete_notes(connection: AsyncConnection, ids: Collection[int]) -> None:
    """Remove notes by id, in the order of the index, as every other process does."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _DELETED_AT_ONCE):
        chunk = ordered[start : start + _DELETED_AT_ONCE]
        await connection.execute(delete(Outbox).where(Outbox.id.in_(chunk)))


async def replace_notes(connection: AsyncConnection, ids: Collection[int]) -> None:
    """Let one note that everything changed stand for all of ``ids``."""
    await connection.execute(insert(Outbox).values(changed=None))
    await delete_notes(connection, ids)
