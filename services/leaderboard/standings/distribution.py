"""SQL of how scores are distributed. The order's index alone tells it: its rows are counted once, and gone through once."""

from sqlalchemy import ScalarSelect, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Standing
from services.leaderboard.rules import distribution
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.distribution import QUANTILES, Bin, Distribution
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.standings.queries import at_place

_COUNT = "SELECT %s, COUNT(*) FROM standings WHERE board_id = %s AND period_id = %s AND sort BETWEEN %s AND %s"


async def find(connection: AsyncConnection, place: Ranked, bins: int) -> Distribution:
    """The distribution of a place in at most so many bins, as of the connection's snapshot."""
    # MariaDB would look at every row for a MIN and a MAX in one statement.
    first, last = (await connection.execute(select(_end(place.at, last=False), _end(place.at, last=True)))).one()
    if first is None or last is None:
        return Distribution(0, [], [])
    least, greatest = sorted((place.direction.score(first), place.direction.score(last)))
    edges = distribution.edges(least, greatest, bins)
    values: list[int] = []
    for number, edge in enumerate(edges):
        values += [number, *place.at, *sorted(map(place.direction.sort, edge))]
    rows = await connection.exec_driver_sql(" UNION ALL ".join([_COUNT] * len(edges)), tuple(values))
    counts: dict[int, int] = dict(rows.all())  # type: ignore[arg-type]  # a row is a tuple
    total_players = sum(counts.values())
    quantiles = await _find_quantiles(connection, place, total_players)
    return Distribution(total_players, [Bin(*edge, counts[number]) for number, edge in enumerate(edges)], quantiles)


def _end(at: Place, *, last: bool) -> ScalarSelect[int | None]:
    order = Standing.sort.desc() if last else Standing.sort
    return select(Standing.sort).where(*at_place(at), Standing.sort.is_not(None)).order_by(order).limit(1).scalar_subquery()


async def _find_quantiles(connection: AsyncConnection, place: Ranked, players: int) -> list[int]:
    """From one to the next, the least score first: each is looked for behind the row that the one before was found in."""
    sort, reached = Standing.sort, Standing.reached_session_id
    upwards = place.direction is Direction.ASCENDING
    rows = select(sort, reached).where(*at_place(place.at), sort.is_not(None)).limit(1)
    rows = rows.order_by(sort, reached) if upwards else rows.order_by(sort.desc(), reached.desc())
    found: list[int] = []
    behind, passed = rows, 0
    for percent in QUANTILES:
        nth = distribution.nearest_rank(percent, players)
        if nth > passed:
            at_sort, at_reached = (await connection.execute(behind.offset(nth - passed - 1))).one()
            better_or_worse = sort > at_sort if upwards else sort < at_sort
            same = (sort == at_sort) & (reached > at_reached if upwards else reached < at_reached)
            behind, passed = rows.where(better_or_worse | same), nth
            score = place.direction.score(at_sort)  # type: ignore[arg-type]  # NULL is not among them
        found.append(score)
    return found
