"""The use cases of voiding many sessions at once: looking first, having a job do it, and cancelling or undoing that."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from services.common.http.problems import FieldError, InvalidRequest
from services.common.mysql.database import Database
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.cursors import ID, Listing
from services.leaderboard.moderation.entries import Order
from services.leaderboard.players.writer import PlayerWriter
from services.leaderboard.voids import jobs, previews
from services.leaderboard.voids.filters import Filter, Search
from services.leaderboard.voids.jobs import Job, JobSession
from services.leaderboard.voids.previews import Preview
from services.leaderboard.voids.worker import VoidWorker


class JobsPage(NamedTuple):
    """Jobs, newest first, and the cursor of the next page."""

    jobs: Sequence[Job]
    next_cursor: str | None


class JobSessionsPage(NamedTuple):
    """What a job has found, by players, and the cursor of the next page."""

    sessions: Sequence[JobSession]
    next_cursor: str | None


class VoidJobs:
    """Jobs that void many sessions. They are gone on with here, and in every other process."""

    def __init__(self, catalogue: Catalogue, database: Database, players: PlayerWriter) -> None:
        self._catalogue = catalogue
        self._database = database
        self._worker = VoidWorker(database, players)
        # A process goes through the log for one who looks at a time.
        self._looking = asyncio.Lock()

    async def start(self) -> None:
        """Begin to go on with jobs."""
        await self._worker.start()

    async def stop(self) -> None:
        """End that. A step under way is rolled back, and done by whoever comes next."""
        await self._worker.stop()

    async def preview(self, wanted: Filter) -> Preview:
        """What a job would void, were it begun now. Raises InvalidRequest when there is no such board."""
        search = Search(wanted, await self._find_board(wanted))
        async with self._looking:
            return await previews.preview(self._database, search)

    async def begin(self, wanted: Filter, order: Order) -> Job:
        """Have a job void what fits. Raises InvalidRequest when there is no such board."""
        begin = partial(jobs.begin, wanted=wanted, board_id=await self._find_board(wanted), order=order)
        job_id = await self._database.transaction(begin)
        self._worker.wake()
        return await self.get(job_id)

    async def get(self, job_id: int) -> Job:
        """A job as it is now. Raises VoidJobNotFound."""
        async with self._database.reading() as connection:
            return await jobs.get(connection, job_id)

    async def page(self, limit: int, cursor: str | None) -> JobsPage:
        """A page of jobs. Raises InvalidRequest when the cursor is not one of this list."""
        listing = Listing("v1", ID)
        before = listing.decode_id(cursor)
        async with self._database.reading() as connection:
            rows = await jobs.list_jobs(connection, before, limit + 1)
        return JobsPage(*listing.cut(rows, limit, lambda each: each.job_id))

    async def sessions(self, job_id: int, limit: int, cursor: str | None) -> JobSessionsPage:
        """A page of what a job has found. Raises VoidJobNotFound and InvalidRequest, as above."""
        listing = Listing("vs1", f"{ID}-{ID}", (job_id,))
        user_id, session_id = (0, 0) if cursor is None else map(int, listing.decode(cursor).split("-"))
        async with self._database.reading() as connection:
            await jobs.get(connection, job_id)
            rows = await jobs.list_sessions(connection, job_id, (user_id, session_id), limit + 1)
        return JobSessionsPage(*listing.cut(rows, limit, lambda each: f"{each.user_id}-{each.session_id}"))

    async def cancel(self, job_id: int, order: Order) -> Job:
        """End a job where it is. One that is at its end stays what it is. Raises VoidJobNotFound."""
        await self._database.transaction(partial(jobs.cancel, job_id=job_id, order=order))
        return await self.get(job_id)

    async def undo(self, job_id: int, order: Order) -> Job:
        """Have a job restore what it has voided. Raises VoidJobNotFound, and VoidJobConflict for one that still voids."""
        await self._database.transaction(partial(jobs.undo, job_id=job_id, order=order))
        self._worker.wake()
        return await self.get(job_id)

    async def _find_board(self, wanted: Filter) -> int | None:
        if wanted.board is None:
            return None
        board = await self._catalogue.find(wanted.board)
        if board is None:
            detail = f"There is no board of the name {wanted.board}."
            raise InvalidRequest(detail, errors=[FieldError(detail=detail, pointer="#/filter/board")])
        return board.board_id
