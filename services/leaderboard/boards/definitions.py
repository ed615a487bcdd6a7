"""SQL of boards: what they take, and where players are ranked."""

from sqlalchemy import Integer, literal, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Board, Standing
from services.leaderboard.rules.places import Place


async def get_max_score(connection: AsyncConnection, board_id: int) -> int:
    """The greatest score that the board takes of one session."""
    max_score: int = (await connection.execute(select(Board.max_score).where(Board.id == board_id))).scalar_one()
    return max_score


async def list_places(connection: AsyncConnection) -> list[Place]:
    """Everywhere that players are or could be ranked."""
    boards = select(Board.id, literal(0, Integer))
    standings = select(Standing.board_id, Standing.period_id).group_by(Standing.board_id, Standing.period_id)
    # MariaDB gives a union of two integer types as a decimal.
    return [Place(*map(int, row)) for row in await connection.execute(union(boards, standings))]
