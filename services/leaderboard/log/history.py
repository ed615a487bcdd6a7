"""SQL that reads the log: a player's sessions, and what they fold to."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Erasure, GameSession
from services.leaderboard.rules.ranking import Tally


class LoggedSession(NamedTuple):
    """A session as the log has it."""

    session_id: int
    score: int
    submitted_at: datetime


async def fold_sessions(connection: AsyncConnection, after: int, upto: int) -> dict[int, Tally]:
    """What `ranking.fold` makes of the sessions of every player after one and up to another, but for those being erased."""
    session = GameSession
    statement = (
        _FOLD.outerjoin(Erasure, Erasure.user_id == session.user_id)
        .where(session.user_id > after, session.user_id <= upto)
        .where(Erasure.user_id.is_(None) | (session.id > Erasure.upto_session_id))
    )
    return _tallies(await connection.execute(statement))


async def fold_later_sessions(connection: AsyncConnection, user_id: int, after_session_id: int) -> Tally | None:
    """What `ranking.fold` makes of a player's sessions after one, reading no others."""
    statement = _FOLD.where(GameSession.user_id == user_id, GameSession.id > after_session_id)
    return _tallies(await connection.execute(statement)).get(user_id)


async def count_erasures(connection: AsyncConnection, after: int, upto: int) -> int:
    """How many players after one and up to another have sessions that are being erased."""
    pending = select(func.count()).select_from(Erasure).where(Erasure.user_id > after, Erasure.user_id <= upto)
    return (await connection.execute(pending)).scalar_one()


async def list_stored(connection: AsyncConnection, identities: Collection[tuple[int, bytes]]) -> set[tuple[int, bytes]]:
    """Those of these submissions, each a player and a key, whose sessions are in the log."""
    session, keys = GameSession, dict[int, list[bytes]]()
    for user_id, key in identities:
        keys.setdefault(user_id, []).append(key)
    # Not a list of pairs, of which MariaDB makes a join when it is long.
    wanted = (and_(session.user_id == user_id, session.submission_key.in_(each)) for user_id, each in keys.items())
    rows = await connection.execute(select(session.user_id, session.submission_key).where(or_(*wanted)))
    return {(user_id, bytes(key)) for user_id, key in rows}


async def list_own_sessions(connection: AsyncConnection, user_id: int, before: int | None, limit: int) -> list[LoggedSession]:
    """A player's sessions, newest first, from before a session on."""
    statement = select(GameSession.id, GameSession.score, GameSession.submitted_at).where(GameSession.user_id == user_id)
    if before is not None:
        statement = statement.where(GameSession.id < before)
    rows = await connection.execute(statement.order_by(GameSession.id.desc()).limit(limit))
    return [LoggedSession(*row) for row in rows]


def _tallies(rows: "Iterable[Row[int, Any, int, int]]") -> dict[int, Tally]:
    return {user_id: Tally(int(score), sessions, reached) for user_id, score, sessions, reached in rows}


_FOLD = select(
    GameSession.user_id,
    func.sum(GameSession.score),
    func.count(),
    func.coalesce(func.max(case((GameSession.score != 0, GameSession.id))), func.min(GameSession.id)),
).group_by(GameSession.user_id)
