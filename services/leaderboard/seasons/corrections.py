"""SQL of corrections: whose rewards change when staff change what a player did in periods that are settled.

The results of these stay what they are. An event tells of the change, in the transaction that makes it.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard import events
from services.leaderboard.events import Kind
from services.leaderboard.models import Board, Period, Standing, Window
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.rewards import Move, Reward, find_reward, list_edges
from services.leaderboard.seasons.outcome import find_at, parse_cutoffs
from services.leaderboard.standings.queries import at_place, count_ahead, count_players

MOST_TOLD = 50
"""Players whom one event tells of, at most: it is short, whoever shares a rank."""

# Of two who change a period at once the second sees what the first has done. The period itself both share, and nobody else
# locks results of a board that is there.
_LOCK = (
    "SELECT period_id FROM results FORCE INDEX (PRIMARY) WHERE period_id IN ({ids}) AND position = 1"
    " ORDER BY period_id FOR UPDATE"
)


class Correction(NamedTuple):
    """A player's reward before a change, and after it. None: they had none, or have none."""

    user_id: int
    was: str | None
    became: str | None


async def tell(connection: AsyncConnection, user_id: int, changed: Iterable[tuple[Place, int | None, int | None]]) -> None:
    """Write an event for each settled period in which rewards are others now.

    ``changed``: the places where the player's score has just been changed, in this transaction, which has a share of their
    periods; and the scores before and after, None where the player was not ranked, or is not.
    """
    scores = {at: (before, after) for at, before, after in changed}
    if not scores:
        return
    settled = (
        select(Period.id, Period.rewards, Board.id, Board.name, Board.direction, Window.name)
        .join(Board, Board.id == Period.board_id)
        .join(Window, Window.id == Period.window_id)
        .where(Period.id.in_([at.period_id for at in scores]), Period.state == "settled")
        .order_by(Period.id)
    )
    rewarding = [row for row in await connection.execute(settled) if row[1]]
    if not rewarding:
        return
    await connection.execute(text(_LOCK.format(ids=",".join(f"{row[0]:d}" for row in rewarding))))
    for period_id, written, board_id, board, goes, window in rewarding:
        at, direction = Place(board_id, period_id), Direction(goes)
        before, after = (None if score is None else direction.sort(score) for score in scores[at])
        move = Move(before, after, await count_players(connection, at))
        rewards = [cutoff.reward for cutoff in parse_cutoffs(written)]
        found = [each async for each in _compare(connection, at, user_id, move, rewards)]
        if found:
            told = [each._asdict() for each in found[:MOST_TOLD]]
            data = {"board": board, "window": window, "period_id": period_id, "changed": told, "more": len(found) > MOST_TOLD}
            await events.add(connection, Kind.PERIOD_CORRECTED, data)


async def _compare(
    connection: AsyncConnection, at: Place, user_id: int, move: Move, rewards: Collection[Reward]
) -> AsyncIterator[Correction]:
    """Whose rewards are others now: the player's, and then those of others, of whom more are given than are told."""
    was = became = None
    if move.before is not None:
        rank = move.rank_before(1 + await count_ahead(connection, at, move.before), move.before)
        was = find_reward(rewards, move.players_before, rank)
    if move.after is not None:
        became = find_reward(rewards, move.players, 1 + await count_ahead(connection, at, move.after))
    if was != became:
        yield Correction(user_id, was, became)
    seen: set[int] = set()
    for first, last in list_edges(rewards, move):
        (_, best), (_, worst) = [await find_at(connection, at, rank, move.players) for rank in (first, last)]
        ahead = await count_ahead(connection, at, best)
        for sort, players in await _list_scores(connection, at, best, worst):
            rank, ahead = 1 + ahead, ahead + players
            was = find_reward(rewards, move.players_before, move.rank_before(rank, sort))
            became = find_reward(rewards, move.players, rank)
            if was != became and sort not in seen:
                seen.add(sort)
                for other in await _list_others(connection, at, sort, user_id):
                    yield Correction(other, was, became)


async def _list_scores(connection: AsyncConnection, at: Place, best: int, worst: int) -> list[tuple[int, int]]:
    """What players from one to another have, as it is ordered, and how many have it."""
    same = select(Standing.sort, func.count()).where(*at_place(at), Standing.sort.between(best, worst)).group_by(Standing.sort)
    return [(sort, players) for sort, players in await connection.execute(same.order_by(Standing.sort)) if sort is not None]


async def _list_others(connection: AsyncConnection, at: Place, sort: int, user_id: int) -> Collection[int]:
    """Who else has this, one more than are told at most."""
    others = select(Standing.user_id).where(*at_place(at), Standing.sort == sort, Standing.user_id != user_id)
    return (await connection.scalars(others.order_by(Standing.reached_session_id).limit(MOST_TOLD + 1))).all()
