"""The steps of a job that voids many sessions, each a transaction: a stretch of the log is looked through, or one player's
sessions are voided, or restored.

A step locks the job's row, then the player's, and then what folding the player anew takes, as a single void does. The player
is folded once, however many sessions it is about. Run twice, since nobody heard that it was committed, it goes on with what
is next.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Erasure, VoidJobSession
from services.leaderboard.moderation import entries
from services.leaderboard.moderation.entries import Act
from services.leaderboard.players import changes, folding
from services.leaderboard.players.changes import Locked, PlayerChange
from services.leaderboard.players.folding import Folded
from services.leaderboard.rules.played import SessionState
from services.leaderboard.rules.voided import Became
from services.leaderboard.seasons import corrections
from services.leaderboard.voids import jobs
from services.leaderboard.voids.filters import Search
from services.leaderboard.voids.jobs import Job, State

LOOKED_AT_ONCE = 5_000
"""Sessions that are held against the filter in one step."""
CHANGED_AT_ONCE = 2_000
"""Sessions of one player that are changed in one step, which the player's own submissions wait for."""

# Of the sessions that a step finds; the others are left alone, or could not be restored.
_OPEN = {
    State.VOIDING: (Became.FOUND,),
    State.UNDOING: (Became.VOIDED, Became.NOT_RESTORED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(PlayerChange):
    """What a step came to. ``state``: the job's after it, None where another process is at it. ``user_id``: whom it changed."""

    state: State | None
    user_id: int | None = None


async def look(connection: AsyncConnection, job_id: int, holder: bytes) -> State | None:
    """Hold the next sessions against the filter, and write down those that fit. Gives the job's state after it."""
    job = await jobs.hold(connection, job_id, holder)
    if job is None or job.state is not State.FINDING:
        return None if job is None else job.state
    search = Search(job.filter, job.board_id)
    stretch = await search.find_stretch(connection, job.looked_at_session_id, job.upto_session_id, LOOKED_AT_ONCE)
    if stretch is None:
        state = State.VOIDING if job.found else State.DONE
        job = job._replace(looked_at_session_id=job.upto_session_id, state=state)
    else:
        found = job.found + await search.keep(connection, job_id, stretch)
        job = job._replace(looked_at_session_id=stretch.last, found=found)
    await jobs.advance(connection, job, holder)
    return job.state


async def change(connection: AsyncConnection, job_id: int, holder: bytes, state: State, *, fails: bool = False) -> Step:
    """Void, or restore, the next player's sessions. ``fails``: they are written down as those with which that cannot be done.

    Raises TotalTooLarge, of restored ones.
    """
    job = await jobs.hold(connection, job_id, holder)
    if job is None or job.state is not state:
        return Step(standings=[], note=None, state=None if job is None else job.state)
    user_id = await _find_player(connection, job)
    if user_id is None:
        job = job._replace(state=State.DONE if state is State.VOIDING else State.UNDONE)
        await jobs.advance(connection, job, holder)
        return Step(standings=[], note=None, state=job.state)
    player = await changes.lock(connection, user_id)
    listed = await _list_sessions(connection, job, user_id)
    whole = fails or len(listed) <= CHANGED_AT_ONCE
    if not whole:
        listed = listed[:CHANGED_AT_ONCE]
    if fails:
        await _mark(connection, job, user_id, listed, Became.LEFT if state is State.VOIDING else Became.NOT_RESTORED)
        step, changed = Step(standings=[], note=None, state=state), 0
    else:
        step, changed = await (_void if state is State.VOIDING else _restore)(connection, job, user_id, player, listed)
    await jobs.advance(connection, _moved(job, user_id, len(listed), changed, whole=whole, fails=fails), holder)
    return replace(step, state=state, user_id=user_id)


def _moved(job: Job, user_id: int, listed: int, changed: int, *, whole: bool, fails: bool) -> Job:
    """The job after a step. ``whole``: all of the player's sessions are gone through."""
    failed = job.failed + (listed if fails else 0)
    moved = job._replace(next_user_id=user_id + whole, failed=failed)
    if job.state is State.UNDOING:
        return moved._replace(restored=job.restored + changed)
    return moved._replace(done=job.done + listed, voided=job.voided + changed, players=job.players + whole)


async def _void(
    connection: AsyncConnection, job: Job, user_id: int, player: Locked | None, listed: Sequence[int]
) -> tuple[Step, int]:
    """Void those of the player's sessions that nobody has voided before, and that are not being erased."""
    states = {} if player is None else await _read_states(connection, user_id, listed)
    ours = {session_id: state for session_id, state in states.items() if state != SessionState.VOIDED}
    await _mark(connection, job, user_id, [each for each in listed if each not in ours], Became.LEFT)
    if player is None or not ours:
        return Step(standings=[], note=None, state=job.state), 0
    await connection.exec_driver_sql(_SET_STATE.format(state=SessionState.VOIDED, ids=_ids(ours)))
    for was in sorted(set(ours.values())):
        voided = [each for each, state in ours.items() if state == was]
        await _mark(connection, job, user_id, voided, Became.VOIDED, was)
    return await _fold(connection, job, player, Act.SESSIONS_VOIDED, len(ours)), len(ours)


async def _restore(
    connection: AsyncConnection, job: Job, user_id: int, player: Locked | None, listed: Sequence[int]
) -> tuple[Step, int]:
    """Have those of the player's sessions that are voided still be what they were. Those that were erased since are gone."""
    states = {} if player is None else await _read_states(connection, user_id, listed)
    ours = {session_id for session_id, state in states.items() if state == SessionState.VOIDED}
    await _mark(connection, job, user_id, [each for each in listed if each not in ours], Became.LEFT)
    if player is None or not ours:
        return Step(standings=[], note=None, state=job.state), 0
    await connection.exec_driver_sql(_RESTORE.format(ids=_ids(ours)), (job.job_id, user_id))
    await _mark(connection, job, user_id, ours, Became.RESTORED)
    return await _fold(connection, job, player, Act.SESSIONS_RESTORED, len(ours)), len(ours)


async def _fold(connection: AsyncConnection, job: Job, player: Locked, act: Act, sessions: int) -> Step:
    """Fold the player anew, and write down what that came to, as of one session."""
    folded = await folding.fold_anew(connection, player.user_id, player.username)
    await corrections.tell(connection, player.user_id, folded.changed)
    was, became = _said(job, act, sessions, folded)
    await entries.add(connection, act, job.order, user_id=player.user_id, was=was, became=became)
    return Step(standings=folded.standings, note=folded.note, pending=folded.pending, state=job.state)


def _said(job: Job, act: Act, sessions: int, folded: Folded) -> tuple[dict[str, Any], dict[str, Any]]:
    voided = act is Act.SESSIONS_VOIDED
    before, after = (
        [{"board_id": each.at.board_id, "period_id": each.at.period_id, "score": score} for each, score in scores]
        for scores in (
            [(each, each.before) for each in folded.changed],
            [(each, each.after) for each in folded.changed],
        )
    )
    of_job = {"job_id": job.job_id, "sessions": sessions}
    return {"voided": not voided, "scores": before, **of_job}, {"voided": voided, "scores": after, **of_job}


async def _find_player(connection: AsyncConnection, job: Job) -> int | None:
    """Whose sessions are next."""
    found = VoidJobSession
    first = select(found.user_id).where(found.job_id == job.job_id, found.user_id >= job.next_user_id)
    first = first.where(found.state.in_(_OPEN[job.state])).order_by(found.user_id, found.session_id).limit(1)
    user_id: int | None = await connection.scalar(first)
    return user_id


async def _list_sessions(connection: AsyncConnection, job: Job, user_id: int) -> Sequence[int]:
    """The player's, as the job has them: all of them, read from one short index."""
    found = VoidJobSession
    listed = select(found.session_id).where(found.job_id == job.job_id, found.user_id == user_id)
    listed = listed.where(found.state.in_(_OPEN[job.state])).order_by(found.session_id)
    return (await connection.scalars(listed)).all()


async def _read_states(connection: AsyncConnection, user_id: int, session_ids: Collection[int]) -> dict[int, int]:
    """What these sessions of the player are now. Of those that are erased, or are being, nothing."""
    if not session_ids:
        return {}
    erased: int = await connection.scalar(select(Erasure.upto_session_id).where(Erasure.user_id == user_id)) or 0
    rows: Sequence[Any] = (await connection.exec_driver_sql(_STATES.format(ids=_ids(session_ids)), (user_id, erased))).all()
    return {session_id: state for session_id, state in rows}  # noqa: C416 - rows, of which mypy knows no pairs


async def _mark(
    connection: AsyncConnection, job: Job, user_id: int, session_ids: Collection[int], became: Became, was: int | None = None
) -> None:
    """Write down what became of these sessions, and what they were."""
    if session_ids:
        also = "" if was is None else f", was = {was:d}"
        statement = _MARK.format(became=became, also=also, ids=_ids(session_ids))
        await connection.exec_driver_sql(statement, (job.job_id, user_id))


def _ids(session_ids: Iterable[int]) -> str:
    """As text: SQLAlchemy takes longer to bind a thousand ids than MySQL to change their rows."""
    return ",".join([f"{session_id:d}" for session_id in sorted(session_ids)])


_STATES = "SELECT id, state FROM game_sessions FORCE INDEX (PRIMARY) WHERE id IN ({ids}) AND user_id = %s AND id > %s"
_SET_STATE = "UPDATE game_sessions FORCE INDEX (PRIMARY) SET state = {state:d} WHERE id IN ({ids})"
_RESTORE = """
UPDATE game_sessions AS s FORCE INDEX (PRIMARY) JOIN void_job_sessions AS v FORCE INDEX (PRIMARY) ON v.session_id = s.id
SET s.state = v.was WHERE s.id IN ({ids}) AND v.job_id = %s AND v.user_id = %s"""
_MARK = """
UPDATE void_job_sessions FORCE INDEX (PRIMARY) SET state = {became:d}{also}
WHERE job_id = %s AND user_id = %s AND session_id IN ({ids})"""
