"""All SQL of the leaderboard service."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Integer, delete, func, insert, literal, select, text, union
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Board, Outbox, Player, Standing

_DELETED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class BoardPeriod:
    """Where players are ranked: one board in one of its periods."""

    board_id: int
    period_id: int


@dataclass(frozen=True, slots=True)
class PlayerScore:
    user_id: int
    username: str
    score: int


async def get_max_score(connection: AsyncConnection, board_id: int) -> int:
    """The greatest score that the board takes of one session."""
    max_score: int = (await connection.execute(select(Board.max_score).where(Board.id == board_id))).scalar_one()
    return max_score


async def find_score(connection: AsyncConnection, at: BoardPeriod, user_id: int) -> PlayerScore | None:
    """A player's name and score, unless they never played or were removed."""
    statement = (
        select(Standing.user_id, Player.username, Standing.score)
        .join(Player, Player.user_id == Standing.user_id)
        .where(*_standing(at, user_id), Standing.score.is_not(None))
    )
    row = (await connection.execute(statement)).one_or_none()
    return _player(*row) if row else None


async def count_ahead(connection: AsyncConnection, at: BoardPeriod, score: int) -> int:
    """How many players are strictly ahead of ``score``."""
    statement = select(func.count()).select_from(Standing).where(*_at(at), Standing.score > score)
    ahead: int = (await connection.execute(statement)).scalar_one()
    return ahead


async def count_players(connection: AsyncConnection, at: BoardPeriod) -> int:
    """How many players are ranked."""
    statement = select(func.count()).select_from(Standing).where(*_at(at), Standing.score.is_not(None))
    players: int = (await connection.execute(statement)).scalar_one()
    return players


async def list_page(connection: AsyncConnection, at: BoardPeriod, limit: int, offset: int) -> list[PlayerScore]:
    """Players in board order. The order's index alone finds them; only their names are looked up in `players`."""
    page = (
        select(Standing.user_id, Standing.score, Standing.reached_session_id)
        .where(*_at(at), Standing.score.is_not(None))
        .order_by(Standing.score.desc(), Standing.reached_session_id)
        .limit(limit)
        .offset(offset)
        .subquery()
    )
    statement = (
        select(page.c.user_id, Player.username, page.c.score)
        .join(Player, Player.user_id == page.c.user_id)
        .order_by(page.c.score.desc(), page.c.reached_session_id)
    )
    return [_player(*row) for row in await connection.execute(statement)]


async def list_outbox(
    connection: AsyncConnection, older_than_ms: int, limit: int
) -> Sequence[tuple[int, list[BoardPeriod] | None]]:
    """Notes older than that by the database's clock: their ids, and where something changed, None for everywhere."""
    age = text(f"NOW(6) - INTERVAL {older_than_ms * 1000:d} MICROSECOND")
    statement = select(Outbox.id, Outbox.changed).where(Outbox.created_at <= age).order_by(Outbox.id).limit(limit)
    return [
        (row.id, None if row.changed is None else [BoardPeriod(board, period) for board, period, _ in row.changed])
        for row in await connection.execute(statement)
    ]


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
    return [BoardPeriod(*row) for row in await connection.execute(union(boards, standings))]


def _player(user_id: int, username: str, score: int | None) -> PlayerScore:
    assert score is not None  # every query here leaves removed players out
    return PlayerScore(user_id, username, score)


def _at(at: BoardPeriod) -> tuple[ColumnElement[bool], ...]:
    return Standing.board_id == at.board_id, Standing.period_id == at.period_id


def _standing(at: BoardPeriod, user_id: int) -> tuple[ColumnElement[bool], ...]:
    return *_at(at), Standing.user_id == user_id
