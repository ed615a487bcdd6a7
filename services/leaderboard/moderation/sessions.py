"""SQL of sessions as staff have them: everything about each, and whether it counts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.errors import SessionNotFound, SessionVoided
from services.leaderboard.models import Erasure, GameSession, SessionExtra
from services.leaderboard.moderation import entries, reviews
from services.leaderboard.moderation.entries import Act, Order
from services.leaderboard.players import changes, folding
from services.leaderboard.players.changes import Locked, PlayerChange
from services.leaderboard.rules.places import Place, unpack_kept
from services.leaderboard.rules.played import SessionState
from services.leaderboard.rules.voided import Became
from services.leaderboard.seasons import corrections

_ACTS = {SessionState.VOIDED: Act.SESSION_VOIDED, SessionState.COUNTED: Act.SESSION_RESTORED}


_LEAVE_ALONE = (
    f"UPDATE void_job_sessions FORCE INDEX (ix_void_job_sessions_session_id) SET state = {Became.LEFT:d}"
    f" WHERE session_id = %s AND state IN ({Became.VOIDED:d}, {Became.NOT_RESTORED:d})"
)


class StoredSession(NamedTuple):
    """A session, with everything that came with it. ``extra`` is JSON as the client sent it."""

    session_id: int
    score: int
    submitted_at: datetime
    played_at: datetime | None
    submission_key: bytes
    metrics: Mapping[str, int] | None
    tags: Mapping[str, str] | None
    extra: str | None
    places: Sequence[Place]
    voided: bool
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChange(PlayerChange):
    """Whose session it is, where it counts, or would, and whether it does."""

    user_id: int
    username: str
    places: Sequence[Place]
    state: SessionState


async def set_state(connection: AsyncConnection, session_id: int, state: SessionState, order: Order) -> SessionChange:
    """Void a session, or restore one that was voided. Done again, nothing is changed. Who voids a session has looked at it.

    Raises SessionNotFound, also for one that is being erased, and TotalTooLarge.
    """
    session = await lock(connection, session_id)
    if state is SessionState.VOIDED:
        await reviews.remove(connection, session_id)
    elif session.state is SessionState.HELD:  # it was not voided
        state = session.state
    return await _change(connection, session, state, _ACTS.get(state), order)


async def approve(connection: AsyncConnection, session_id: int, order: Order) -> SessionChange:
    """Have a session that is held count, and dismiss what players have reported of it. Done again, nothing is changed.

    Raises SessionNotFound, as above, SessionVoided and TotalTooLarge.
    """
    session = await lock(connection, session_id)
    if session.state is SessionState.VOIDED:
        raise SessionVoided("The session was voided. Restore it, if it is to count.")
    reports = await reviews.remove(connection, session_id)
    if session.state is SessionState.COUNTED and reports is not None:
        about = {"user_id": session.player.user_id, "session_id": session_id}
        await entries.add(connection, Act.REPORTS_DISMISSED, order, **about, was={"reports": reports}, became={"reports": 0})
    return await _change(connection, session, SessionState.COUNTED, Act.SESSION_APPROVED, order)


class LockedSession(NamedTuple):
    """A session whose player is locked, whether it counts, and where it does or would."""

    session_id: int
    player: Locked
    state: SessionState
    places: Sequence[Place]


async def lock(connection: AsyncConnection, session_id: int) -> LockedSession:
    """Lock a session's player. Raises SessionNotFound, also for one that is being erased."""
    user_id: int | None = await connection.scalar(select(GameSession.user_id).where(GameSession.id == session_id))
    player = None if user_id is None else await changes.lock(connection, user_id)
    if player is None:
        raise _not_found(session_id)
    columns = select(GameSession.state, GameSession.places)
    row = (await connection.execute(columns.where(GameSession.id == session_id, _is_kept(player.user_id)))).one_or_none()
    if row is None:
        raise _not_found(session_id)
    return LockedSession(session_id, player, SessionState(row.state), unpack_kept(row.places))


async def _change(
    connection: AsyncConnection, session: LockedSession, state: SessionState, act: Act | None, order: Order
) -> SessionChange:
    session_id, player, before, places = session
    if before is not state:
        await connection.execute(update(GameSession).where(GameSession.id == session_id).values(state=state))
        # Undoing a job that has voided it leaves it alone from here on.
        await connection.exec_driver_sql(_LEAVE_ALONE, (session_id,))
    folded = await folding.fold_anew(connection, player.user_id, player.username)
    await corrections.tell(connection, player.user_id, folded.changed)
    if before is not state:
        assert act is not None
        changed = [each for each in folded.changed if each.at in places]
        await entries.add(
            connection,
            act,
            order,
            user_id=player.user_id,
            session_id=session_id,
            was=_said(before, [(each.at, each.before) for each in changed]),
            became=_said(state, [(each.at, each.after) for each in changed]),
        )
    return SessionChange(
        standings=folded.standings,
        note=folded.note,
        pending=folded.pending,
        user_id=player.user_id,
        username=player.username,
        places=places,
        state=state,
    )


async def list_sessions(connection: AsyncConnection, user_id: int, before: int | None, limit: int) -> list[StoredSession]:
    """A player's sessions, newest first, from before one on. Those that are being erased are not shown."""
    session = GameSession
    page = (
        select(
            session.id,
            session.score,
            session.submitted_at,
            session.played_at,
            session.submission_key,
            session.metrics,
            session.tags,
            SessionExtra.extra,
            session.places,
            session.state,
        )
        .outerjoin(SessionExtra, SessionExtra.session_id == session.id)
        .where(session.user_id == user_id, _is_kept(user_id))
    )
    if before is not None:
        page = page.where(session.id < before)
    rows = await connection.execute(page.order_by(session.id.desc()).limit(limit))
    return [
        StoredSession(
            session_id,
            score,
            time,
            played,
            key,
            metrics,
            tags,
            extra,
            unpack_kept(packed),
            state == SessionState.VOIDED,
            state == SessionState.HELD,
        )
        for session_id, score, time, played, key, metrics, tags, extra, packed, state in rows
    ]


def _is_kept(user_id: int) -> Any:
    """Whether a session is not one of those of the player that are being erased."""
    erased = select(Erasure.upto_session_id).where(Erasure.user_id == user_id).scalar_subquery()
    return GameSession.id > func.coalesce(erased, 0)


def _said(state: SessionState, scores: Collection[tuple[Place, int | None]]) -> Mapping[str, Any]:
    """What the log says of a session, and of its player's scores where they have changed."""
    listed = [{"board_id": at.board_id, "period_id": at.period_id, "score": score} for at, score in scores]
    held = {"held": True} if state is SessionState.HELD else {}
    return {"voided": state is SessionState.VOIDED, **held, "scores": listed}


def _not_found(session_id: int) -> SessionNotFound:
    return SessionNotFound(f"There is no game session {session_id}, or its player has had it erased.")
