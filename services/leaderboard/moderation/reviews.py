"""SQL of the queue: sessions that somebody is to look at, the most reported first, and the oldest first of those."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.log.holds import EVERY_BOARD
from services.leaderboard.models import Erasure, GameSession, Player, Report, Review
from services.leaderboard.rules.places import Place, unpack_kept
from services.leaderboard.rules.played import SessionState

MOST_REASONS = 5
"""Reasons of reporters that are told of a session: the newest."""


class QueuedSession(NamedTuple):
    """A session in the queue. ``reason``: by what it is held, None if it is not: then players have reported it."""

    session_id: int
    user_id: int
    username: str
    score: int
    submitted_at: datetime
    played_at: datetime | None
    held: bool
    reason: Mapping[str, Any] | None
    reports: int
    places: Sequence[Place]

    @property
    def position(self) -> tuple[int, int]:
        """Where it is in the queue: how many reported it, and its id."""
        return self.reports, self.session_id


async def list_queued(
    connection: AsyncConnection, board_id: int, after: tuple[int, int] | None, limit: int
) -> list[QueuedSession]:
    """The queue of a board, or of all (`EVERY_BOARD`), from after a position on."""
    place, whole, session = Review.__table__.alias("place"), Review.__table__.alias("whole"), GameSession
    page = (
        select(
            session.id,
            session.user_id,
            func.coalesce(Player.username, ""),
            session.score,
            session.submitted_at,
            session.played_at,
            session.state,
            whole.c.reason,
            place.c.sort,
            session.places,
        )
        .select_from(place)
        .join(session, session.id == place.c.session_id)
        .join(whole, and_(whole.c.session_id == place.c.session_id, whole.c.board_id == EVERY_BOARD))
        .outerjoin(Player, Player.user_id == session.user_id)
        .outerjoin(Erasure, and_(Erasure.user_id == session.user_id, Erasure.upto_session_id >= session.id))
        .where(place.c.board_id == board_id, session.state != SessionState.VOIDED, Erasure.user_id.is_(None))
    )
    if after is not None:
        reports, session_id = after
        behind = and_(place.c.sort == -reports, place.c.session_id > session_id)
        page = page.where(or_(place.c.sort > -reports, behind))
    rows = await connection.execute(page.order_by(place.c.sort, place.c.session_id).limit(limit))
    return [
        QueuedSession(
            session_id,
            user_id,
            username,
            score,
            submitted_at,
            played_at,
            state == SessionState.HELD,
            reason if state == SessionState.HELD else None,
            -sort,
            unpack_kept(packed),
        )
        for session_id, user_id, username, score, submitted_at, played_at, state, reason, sort, packed in rows
    ]


async def list_reasons(connection: AsyncConnection, session_ids: Collection[int]) -> dict[int, list[str]]:
    """What those say who have reported these sessions, the newest first."""
    newest = func.row_number().over(partition_by=Report.session_id, order_by=(Report.reported_at.desc(), Report.user_id))
    said = (
        select(Report.session_id, Report.reason, newest.label("number"))
        .where(Report.session_id.in_(session_ids), Report.reason.is_not(None))
        .subquery()
    )
    rows = select(said.c.session_id, said.c.reason).where(said.c.number <= MOST_REASONS).order_by(said.c.number)
    reasons: dict[int, list[str]] = {}
    for session_id, reason in await connection.execute(rows) if session_ids else ():
        reasons.setdefault(session_id, []).append(reason)
    return reasons


async def add_report(connection: AsyncConnection, session_id: int, places: Collection[Place]) -> None:
    """One more player has reported a session, whose player is locked: it moves up in the queue, or is in it from now on."""
    boards = sorted({EVERY_BOARD, *(at.board_id for at in places)})
    rows = mysql.insert(Review).values([{"session_id": session_id, "board_id": each, "sort": -1} for each in boards])
    await connection.execute(rows.on_duplicate_key_update(sort=Review.sort - 1))


async def remove(connection: AsyncConnection, session_id: int) -> int | None:
    """Somebody has looked at a session, whose player is locked. Gives how many had reported it, None if it was not queued."""
    queued = select(Review.sort).where(Review.session_id == session_id, Review.board_id == EVERY_BOARD)
    sort: int | None = await connection.scalar(queued)
    await connection.execute(delete(Review).where(Review.session_id == session_id))
    return None if sort is None else -sort
