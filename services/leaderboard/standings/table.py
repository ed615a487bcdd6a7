"""SQL of standings as rows, which the ranking index is made of and the check compares."""

from collections.abc import Collection
from operator import attrgetter

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Player, Standing
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.ranking import Tally
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.standings.queries import at_place, count

# A line a session, all in one value: the driver takes longer for a row than MySQL does. No part has a blank but perhaps a name,
# which comes last; nobody's is empty: a player without a row has none.
STANDING_TEXT = "COALESCE(t.score, '-'), t.reached_session_id, t.version, COALESCE(p.username, '')"
"""A standing ``t`` and its player ``p``, as CONCAT_WS writes them with blanks between."""


async def list_rows(connection: AsyncConnection, at: Place, user_ids: Collection[int]) -> list[StandingRow]:
    """The standings of these players, removed ones too."""
    return await _rows(connection, _ROW.where(*at_place(at), Standing.user_id.in_(sorted(user_ids))))


async def scan_rows(connection: AsyncConnection, at: Place, after: int, limit: int) -> list[StandingRow]:
    """The next standings by primary key after a player, removed ones too: a page of a pass over all of them.

    In one value, a line each: the driver takes longer for a row than MySQL does.
    """
    rows = await connection.exec_driver_sql(_SCAN, (at.board_id, at.period_id, after, limit))
    row: tuple[str | None, int] = tuple(rows.one())
    text, count = row
    changes = []
    for line in text.split("\n") if text else []:
        user, standing = line.split(" ", 1)
        changes.append(StandingRow.parse(int(user), standing))
    if len(changes) != count:
        raise RuntimeError(f"{len(changes)} standings of {count}")  # a server may cut short what is longer than it allows
    changes.sort(key=attrgetter("user_id"))
    return changes


async def scan_tallies(
    connection: AsyncConnection, at: Place, after: int, limit: int
) -> list[tuple[StandingRow, Tally | None]]:
    """As ``scan_rows``, each with what it says of its sessions; nothing if the player was removed."""
    statement = _ROW.add_columns(Standing.sessions).where(*at_place(at), Standing.user_id > after)
    found = []
    for *values, sessions in await connection.execute(statement.order_by(Standing.user_id).limit(limit)):
        row = StandingRow(*values)
        found.append((row, None if row.score is None else Tally(row.score, sessions, row.reached_session_id)))
    return found


async def count_rows(connection: AsyncConnection, at: Place) -> int:
    """How many standings there are, removed players' too."""
    return await count(connection, *at_place(at))


async def _rows(connection: AsyncConnection, statement: "Select[int, str, int | None, int, int]") -> list[StandingRow]:
    return [StandingRow(*row) for row in await connection.execute(statement)]


# A player whose account is gone has no name, and stays in the table all the same.
_ROW = select(
    Standing.user_id,
    func.coalesce(Player.username, ""),
    Standing.score,
    Standing.reached_session_id,
    Standing.version,
).outerjoin(Player, Player.user_id == Standing.user_id)
_SCAN = f"""
SELECT GROUP_CONCAT(CONCAT_WS(' ', t.user_id, {STANDING_TEXT}) SEPARATOR '\\n'), COUNT(*) FROM (
  SELECT user_id, score, reached_session_id, version FROM standings
  WHERE board_id = %s AND period_id = %s AND user_id > %s ORDER BY user_id LIMIT %s
) AS t LEFT JOIN players AS p ON p.user_id = t.user_id"""
