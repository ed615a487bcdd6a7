"""SQL of the jobs that void many sessions: what each is to do, how far it has come, and which process is at it.

A process holds a job for a few seconds at a time, by its own number, and pushes that on with each step. So one whose process
was killed is gone on with by another, from the step that was committed last. Jobs go on one after the other, by their ids.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import func, insert, literal_column, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database, UTCDateTime
from services.leaderboard.errors import VoidJobConflict, VoidJobNotFound
from services.leaderboard.models import GameSession, VoidJob, VoidJobSession
from services.leaderboard.moderation import entries
from services.leaderboard.moderation.entries import Act, Doer, Order
from services.leaderboard.rules.voided import Became
from services.leaderboard.voids.filters import Filter

HELD_SECONDS = 3
"""For so long a process holds a job after its last step."""
_NOW = literal_column("NOW(6)", UTCDateTime())
_HELD_UNTIL = text(f"NOW(6) + INTERVAL {HELD_SECONDS} SECOND")


class State(StrEnum):
    """How far a job has come."""

    FINDING = "finding"
    VOIDING = "voiding"
    DONE = "done"
    CANCELLED = "cancelled"
    UNDOING = "undoing"
    UNDONE = "undone"


GOING_ON = State.FINDING, State.VOIDING, State.UNDOING
_NEXT = f"""
SELECT id, state, (held_until IS NULL OR held_until <= NOW(6) OR held_by = %s) AS is_free FROM void_jobs
WHERE state IN ({", ".join(f"'{state}'" for state in GOING_ON)}) ORDER BY id LIMIT 1"""


class Job(NamedTuple):
    """A job, as it is told."""

    job_id: int
    state: State
    filter: Filter
    board_id: int | None
    reason: str
    by: Doer
    undo_reason: str | None
    undo_by: Doer
    upto_session_id: int
    looked_at_session_id: int
    next_user_id: int
    found: int
    done: int
    voided: int
    restored: int
    failed: int
    players: int
    started_at: datetime
    finished_at: datetime | None

    @property
    def order(self) -> Order:
        """Who wants done what it does now, and why."""
        undoing = self.state in {State.UNDOING, State.UNDONE}
        return Order(self.undo_by, self.undo_reason) if undoing else Order(self.by, self.reason)

    def counts(self) -> dict[str, Any]:
        """What the log of moderation says of it."""
        counted = {name: getattr(self, name) for name in ("found", "voided", "restored", "failed", "players")}
        return {"job_id": self.job_id, "state": self.state, **counted}


class JobSession(NamedTuple):
    """A session that a job has found."""

    user_id: int
    session_id: int
    became: Became


async def begin(connection: AsyncConnection, wanted: Filter, board_id: int | None, order: Order) -> int:
    """Write down a job. Gives its id."""
    # Whatever was acknowledged before has no greater id.
    last: int | None = await connection.scalar(select(func.max(GameSession.id)))
    doer = entries.doer(order)
    document = wanted.to_json()
    job = insert(VoidJob).values(
        filter=document,
        board_id=board_id,
        reason=order.reason,
        by_user_id=doer.user_id,
        by_client_id=doer.client_id,
        state=State.FINDING,
        upto_session_id=last or 0,
        looked_at_session_id=0,
    )
    job_id: int = (await connection.execute(job)).lastrowid
    begun = {"job_id": job_id, "filter": document, "upto_session_id": last or 0}
    await entries.add(connection, Act.VOID_JOB_BEGUN, order, user_id=None, was={}, became=begun)
    return job_id


async def cancel(connection: AsyncConnection, job_id: int, order: Order) -> None:
    """End a job where it is, whether it voids or restores. One that does not go on stays what it is.

    A step that is under way is waited for. Raises VoidJobNotFound.
    """
    job = await _get_locked(connection, job_id)
    if job.state in GOING_ON:
        await _set(connection, job_id, state=State.CANCELLED, finished_at=_NOW)
        became = {**job.counts(), "state": State.CANCELLED}
        await entries.add(connection, Act.VOID_JOB_CANCELLED, order, user_id=None, was=job.counts(), became=became)


async def undo(connection: AsyncConnection, job_id: int, order: Order) -> None:
    """Have a job restore what it has voided. One that does so, or has done it for every session, stays what it is.

    Raises VoidJobNotFound, and VoidJobConflict for one that still voids.
    """
    job = await _get_locked(connection, job_id)
    if job.state in {State.FINDING, State.VOIDING}:
        raise VoidJobConflict(f"The job {job_id} goes on: cancel it first.")
    if job.state is State.UNDOING or (job.state is State.UNDONE and not job.failed):
        return
    doer = entries.doer(order)
    await _set(
        connection,
        job_id,
        state=State.UNDOING,
        undo_reason=order.reason,
        undo_by_user_id=doer.user_id,
        undo_by_client_id=doer.client_id,
        next_user_id=0,
        failed=0,
        finished_at=None,
    )
    became = {**job.counts(), "state": State.UNDOING}
    await entries.add(connection, Act.VOID_JOB_UNDONE, order, user_id=None, was=job.counts(), became=became)


async def get(connection: AsyncConnection, job_id: int) -> Job:
    """A job. Raises VoidJobNotFound."""
    row = (await connection.execute(select(*_COLUMNS).where(VoidJob.id == job_id))).one_or_none()
    if row is None:
        raise _not_found(job_id)
    return _job(row)


async def list_jobs(connection: AsyncConnection, before: int | None, limit: int) -> list[Job]:
    """Jobs, newest first, from before one on."""
    page = select(*_COLUMNS).order_by(VoidJob.id.desc()).limit(limit)
    if before is not None:
        page = page.where(VoidJob.id < before)
    return [_job(row) for row in await connection.execute(page)]


async def list_sessions(connection: AsyncConnection, job_id: int, after: tuple[int, int], limit: int) -> list[JobSession]:
    """What a job has found, by players and then by sessions, after one of these."""
    found = VoidJobSession
    user_id, session_id = after
    rest = or_(found.user_id > user_id, (found.user_id == user_id) & (found.session_id > session_id))
    page = select(found.user_id, found.session_id, found.state).where(found.job_id == job_id, found.user_id >= user_id, rest)
    rows = await connection.execute(page.order_by(found.user_id, found.session_id).limit(limit))
    return [JobSession(user_id, session_id, Became(became)) for user_id, session_id, became in rows]


async def count_going_on(connection: AsyncConnection) -> int:
    """How many jobs are not at their end."""
    going_on = select(func.count()).select_from(VoidJob).where(VoidJob.state.in_(GOING_ON))
    count: int = (await connection.execute(going_on)).scalar_one()
    return count


async def find_next(database: Database, holder: bytes) -> tuple[int, State] | None:
    """The job that is to go on, unless another process is at it."""
    for job_id, state, is_free in await database.look(_NEXT, holder):
        if is_free:
            return job_id, State(state)
    return None


async def hold(connection: AsyncConnection, job_id: int, holder: bytes) -> Job | None:
    """Lock a job for a step of it. None: another process is at it."""
    job = select(*_COLUMNS).where(VoidJob.id == job_id, _is_free(holder)).with_for_update(skip_locked=True)
    row = (await connection.execute(job)).one_or_none()
    return None if row is None else _job(row)


async def advance(connection: AsyncConnection, job: Job, holder: bytes) -> None:
    """Write down how far a job has come, which is locked. At its end it is told in the log of moderation."""
    ended = job.state not in GOING_ON
    await _set(
        connection,
        job.job_id,
        state=job.state,
        looked_at_session_id=job.looked_at_session_id,
        next_user_id=job.next_user_id,
        found=job.found,
        done=job.done,
        voided=job.voided,
        restored=job.restored,
        failed=job.failed,
        players=job.players,
        held_by=holder,
        held_until=_NOW if ended else _HELD_UNTIL,
        finished_at=_NOW if ended else None,
    )
    if ended:
        await entries.add(connection, Act.VOID_JOB_FINISHED, job.order, user_id=None, was={}, became=job.counts())


async def _get_locked(connection: AsyncConnection, job_id: int) -> Job:
    row = (await connection.execute(select(*_COLUMNS).where(VoidJob.id == job_id).with_for_update())).one_or_none()
    if row is None:
        raise _not_found(job_id)
    return _job(row)


async def _set(connection: AsyncConnection, job_id: int, **values: Any) -> None:
    await connection.execute(update(VoidJob).where(VoidJob.id == job_id).values(**values))


def _is_free(holder: bytes) -> Any:
    """Whether a process may be at a job: no other is, or has been just now."""
    return or_(VoidJob.held_until.is_(None), VoidJob.held_until <= _NOW, VoidJob.held_by == holder)


_COLUMNS = (
    VoidJob.id,
    VoidJob.state,
    VoidJob.filter,
    VoidJob.board_id,
    VoidJob.reason,
    VoidJob.by_user_id,
    VoidJob.by_client_id,
    VoidJob.undo_reason,
    VoidJob.undo_by_user_id,
    VoidJob.undo_by_client_id,
    VoidJob.upto_session_id,
    VoidJob.looked_at_session_id,
    VoidJob.next_user_id,
    VoidJob.found,
    VoidJob.done,
    VoidJob.voided,
    VoidJob.restored,
    VoidJob.failed,
    VoidJob.players,
    VoidJob.started_at,
    VoidJob.finished_at,
)


def _job(row: Any) -> Job:
    job_id, state, document, board_id, reason, user, client, undo_reason, undo_user, undo_client, *rest = row
    by, undo_by = Doer(user, client), Doer(undo_user, undo_client)
    return Job(job_id, State(state), Filter.parse(document), board_id, reason, by, undo_reason, undo_by, *rest)


def _not_found(job_id: int) -> VoidJobNotFound:
    return VoidJobNotFound(f"There is no job {job_id}.")
