"""SQL that reads what periods came to."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Period, Player, Result
from services.leaderboard.rules.periods import PeriodState
from services.leaderboard.rules.rewards import Cutoff
from services.leaderboard.seasons.outcome import parse_cutoffs


class PeriodEnd(NamedTuple):
    """A period as it ended. What it came to is None until it is settled."""

    period_id: int
    window_id: int
    state: PeriodState
    players: int | None
    settled_at: datetime | None
    digest: bytes | None
    cutoffs: Sequence[Cutoff]


class ResultRow(NamedTuple):
    """How a player stood. Of one who has left, the name is None."""

    rank: int
    user_id: int
    username: str | None
    score: int
    reward: str | None


class PlacedResult(NamedTuple):
    """A result, and its place in the order of the board, from 1 on."""

    position: int
    row: ResultRow


async def find_end(connection: AsyncConnection, board_id: int, period_id: int) -> PeriodEnd | None:
    """A period of this board, None if it has no such."""
    row = Period
    columns = row.id, row.window_id, row.state, row.players, row.settled_at, row.digest, row.rewards
    found = (await connection.execute(select(*columns).where(row.id == period_id, row.board_id == board_id))).one_or_none()
    if found is None:
        return None
    cutoffs = parse_cutoffs(found.rewards or ())
    return PeriodEnd(found.id, found.window_id, found.state, found.players, found.settled_at, found.digest, cutoffs)


async def list_results(connection: AsyncConnection, period_id: int, after: int, limit: int) -> list[PlacedResult]:
    """Up to ``limit`` results in the order of the board, after a place in it."""
    page = _RESULTS.where(Result.period_id == period_id, Result.position > after).order_by(Result.position).limit(limit)
    return [PlacedResult(row[0], ResultRow(*row[1:])) for row in await connection.execute(page)]


async def find_result(connection: AsyncConnection, period_id: int, user_id: int) -> ResultRow | None:
    """A player's result, if one was kept."""
    own = _RESULTS.where(Result.period_id == period_id, Result.user_id == user_id)
    found = (await connection.execute(own)).one_or_none()
    return None if found is None else ResultRow(*found[1:])


async def count_results(connection: AsyncConnection, period_id: int) -> int:
    """Of how many players the results were kept."""
    last = select(func.coalesce(func.max(Result.position), 0)).where(Result.period_id == period_id)
    count: int = (await connection.execute(last)).scalar_one()
    return count


async def list_names(connection: AsyncConnection, user_ids: Sequence[int]) -> Mapping[int, str]:
    """What these players are called, of those that there are."""
    names = select(Player.user_id, Player.username).where(Player.user_id.in_(user_ids), Player.username != "")
    return {row.user_id: row.username for row in await connection.execute(names)} if user_ids else {}


# Of one who has left and is banned a row is kept, without a name.
_RESULTS: Any = select(
    Result.position, Result.rank, Result.user_id, func.nullif(Player.username, ""), Result.score, Result.reward
).outerjoin(Player, Player.user_id == Result.user_id)
