"""SQL of boards and of the outbox. That of sessions is in sessions.py, that of standings in standings.py."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Integer, delete, insert, literal, select, text, union
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Board, Outbox, Standing

_DELETED_AT_ONCE = 1000


class BoardPeriod(NamedTuple):
    """Where players are ranked: one board in one of its periods."""

    board_id: int
    period_id: int


class PlayerScore(NamedTuple):
    """A ranked player. A tuple, since making dataclasses takes longer, and pages are made of many."""

    user_id: int
    username: str
    score: int


@dataclass(frozen=True, slots=True)
class Note:
    """A row of the outbox: whose standings changed, None if everything may have."""

    id: int
    changed: list[tuple[BoardPeriod, int]] | None
    created_at: datetime


async def get_max_score(connection: AsyncConnection, board_id: int) -> int:
    """The greatest score that the board takes of one session."""
    max_score: int = (await connection.execute(select(Board.max_score).where(Board.id == board_id))).scalar_one()
    return max_score


async def list_outbox(connection: AsyncConnection, older_than_ms: int, limit: int) -> list[Note]:
    """Notes older than that by the database's clock, read without a lock."""
    age = text(f"NOW(6) - INTERVAL {older_than_ms * 1000:d} MICROSECOND")
    statement = select(Outbox.id, Outbox.changed, Outbox.created_at).where(Outbox.created_at <= age)
    notes = []
    for row in await connection.execute(statement.order_by(Outbox.id).limit(limit)):
        changed = row.changed and [(BoardPeriod(board, period), user_id) for board, period, user_id in row.changed]
        notes.append(Note(row.id, changed, row.created_at))
    return notes


async def list_outbox_ids(connection: AsyncConnection) -> Sequence[int]:
    return (await connection.execute(select(Outbox.id))).scalars().all()


async def delete_outbox(connection: AsyncConnection, ids: Collection[int]) -> None:
    """Remove notes by id, in the order of the index, as every other process does."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _DELETED_AT_ONCE):
        chunk = ordered[start : start + _DELETED_AT_ONCE]
        await connection.execute(delete(Outbox).where(Outbox.id.in_(chunk)))


async def replace_outbox(connection: AsyncConnection, ids: Collection[int]) -> None:
    """Let one note that everything changed stand for all of ``ids``."""
    await connection.execute(insert(Outbox).values(changed=None))
    await delete_outbox(connection, ids)


async def list_board_periods(connection: AsyncConnection) -> list[BoardPeriod]:
    """Everywhere that players are or could be ranked."""
    boards = select(Board.id, literal(0, Integer))
    standings = select(Standing.board_id, Standing.period_id).group_by(Standing.board_id, Standing.period_id)
    # MariaDB gives a union of two integer types as a decimal.
    return [BoardPeriod(*map(int, row)) for row in await connection.execute(union(boards, standings))]
