"""SQL that counts how many are ahead of each of several scores: in one pass over those who are ahead of the worst of them."""

from collections.abc import Collection
from itertools import accumulate
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.rules.places import Place


async def count_aheads(connection: AsyncConnection, at: Place, sorts: Collection[int]) -> dict[int, int]:
    """How many players are strictly ahead of scores that are ordered by these."""
    ordered = sorted(set(sorts))
    statements: list[str] = []
    values: list[int] = []
    for number, sort in enumerate(ordered):
        statements.append(_COUNT + (" AND sort >= %s" if number else ""))
        values += [number, *at, sort, *ordered[number - 1 : number]]
    if not ordered:
        return {}
    rows: Any = await connection.exec_driver_sql(" UNION ALL ".join(statements), tuple(values))
    between: dict[int, int] = dict(rows.all())
    return dict(zip(ordered, accumulate(between[number] for number in range(len(ordered))), strict=True))


_COUNT = "SELECT %s, COUNT(*) FROM standings WHERE board_id = %s AND period_id = %s AND sort < %s"
