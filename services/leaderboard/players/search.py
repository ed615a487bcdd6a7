"""SQL that finds players by what their names begin with."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.rules.places import Place

MOST_NAMES = 200
"""Names that are looked at, in their order: the work of a search is bounded, however many begin alike."""
MOST_FOUND = 20
"""Players that are found, at most."""


class FoundPlayer(NamedTuple):
    """A player by the name of their account, and their score. None: they are not ranked."""

    user_id: int
    username: str
    score: int | None


async def list_beginning(connection: AsyncConnection, beginnings: Sequence[str], at: Place | None) -> list[FoundPlayer]:
    """The best players of a place whose names' unique forms have one of these beginnings (`names.beginnings`). Those who are
    not ranked there come last, by name.

    Found are those who have played and are not banned, of the first `MOST_NAMES` accounts by name.
    """
    values: list[str | int] = []
    for beginning in beginnings:
        # To the server, trailing blanks make no difference: it takes "ada" for "ada ".
        values += [beginning, f"{beginning}{_LAST}", len(beginning)]
    board_id, period_id = at or _NOWHERE
    statement = _BEGINNING.format(ranges=" OR ".join([_RANGE] * len(beginnings)))
    rows: Any = await connection.exec_driver_sql(statement, (*values, MOST_NAMES, board_id, period_id, MOST_FOUND))
    return [FoundPlayer(*row) for row in rows]


# No name has it (it is no character), and none is greater: the forms are compared by code points.
_LAST = "\U0010ffff"
_NOWHERE = Place(0, 0)
_RANGE = "username_canonical >= %s AND username_canonical < %s AND CHAR_LENGTH(username_canonical) >= %s"
# An account that has ended has no name, and one that was renamed has the new one alone. Names are read from their index, and
# accounts' rows for those alone who are found.
_BEGINNING = """
SELECT best.id, n.username, best.score FROM (
  SELECT a.id, a.username_canonical, s.score, s.sort, s.reached_session_id FROM (
    SELECT id, username_canonical FROM account_changes FORCE INDEX (ix_account_changes_username_canonical)
    WHERE {ranges} ORDER BY username_canonical LIMIT %s
  ) AS a
  JOIN players AS p ON p.user_id = a.id AND p.banned_at IS NULL AND p.username <> ''
  LEFT JOIN standings AS s ON s.board_id = %s AND s.period_id = %s AND s.user_id = a.id
  ORDER BY s.sort IS NULL, s.sort, s.reached_session_id, a.username_canonical LIMIT %s
) AS best
JOIN account_changes AS n ON n.id = best.id AND n.ended_at IS NULL
ORDER BY best.sort IS NULL, best.sort, best.reached_session_id, best.username_canonical"""
