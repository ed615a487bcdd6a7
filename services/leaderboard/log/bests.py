"""SQL of single sessions that are shown beside a standing: the one that made it."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.log.places import in_place
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.names import SCORE, SESSIONS
from services.leaderboard.rules.places import Ranked
from services.leaderboard.rules.played import SessionState

LOOKED_THROUGH = 10_000
"""A player's newest sessions among which the best one of a total is looked for: the work is bounded, however many there are."""


class ShownSession(NamedTuple):
    """A session that counts, and what it said of itself: ``metrics``, ``tags`` and ``extra`` as JSON, None where it did not."""

    session_id: int
    score: int
    submitted_at: datetime
    metrics: str | None
    tags: str | None
    extra: str | None


async def find_shown(connection: AsyncConnection, user_id: int, session_id: int) -> ShownSession | None:
    """A player's session. None if it does not count: it was voided, is held, or is not there any more."""
    row: Any = (await connection.exec_driver_sql(_SHOWN, (session_id, user_id))).one_or_none()
    if row is None:
        return None
    found, score, submitted_at, *said = row
    return ShownSession(found, score, submitted_at.replace(tzinfo=UTC), *said)


class BestSession(NamedTuple):
    """A session, and what it counts for."""

    session_id: int
    value: int


async def find_best(connection: AsyncConnection, place: Ranked, metric: str, user_id: int) -> BestSession | None:
    """The best of a player's sessions in a place, by a metric, among their newest `LOOKED_THROUGH`; of equal ones the first.

    None if none of these counts there.
    """
    first: int | None = (await connection.exec_driver_sql(_FIRST, (user_id, LOOKED_THROUGH - 1))).scalar_one_or_none()
    order = "ASC" if place.direction is Direction.ASCENDING else "DESC"
    statement = _BEST.format(value=_value(metric), in_place=in_place(place.at), order=order)
    row: Any = (await connection.exec_driver_sql(statement, (user_id, first or 0, user_id))).one_or_none()
    return None if row is None else BestSession(*row)


def _value(metric: str) -> str:
    if metric == SCORE:
        return "s.score"
    # A metric's name needs no escape.
    return "1" if metric == SESSIONS else f"""CAST(JSON_UNQUOTE(JSON_EXTRACT(s.metrics, '$."{metric}"')) AS SIGNED)"""


_SHOWN = f"""
SELECT s.id, s.score, s.submitted_at, s.metrics, s.tags, x.extra
FROM game_sessions AS s LEFT JOIN session_extras AS x ON x.session_id = s.id
WHERE s.id = %s AND s.user_id = %s AND s.state = {SessionState.COUNTED:d}"""
_FIRST = """
SELECT id FROM game_sessions FORCE INDEX (ix_game_sessions_user_id_id) WHERE user_id = %s ORDER BY id DESC LIMIT 1 OFFSET %s"""
_BEST = f"""
SELECT s.id, {{value}} AS worth FROM game_sessions AS s FORCE INDEX (ix_game_sessions_user_id_id)
WHERE s.user_id = %s AND s.id >= %s AND s.state = {SessionState.COUNTED:d} AND {{in_place}}
  AND s.id > COALESCE((SELECT upto_session_id FROM erasures WHERE user_id = %s), 0)
ORDER BY worth {{order}}, s.id LIMIT 1"""
