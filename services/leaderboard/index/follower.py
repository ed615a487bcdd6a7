"""The follower: tells the index of changes whose own process could not, and has it built when there is none.

Every process runs one. The outbox holds what the index may not have heard of; a change is noted there in its own
transaction, so nothing committed is ever missing from it. No lock is held across a call to Redis, and the same change may
be told twice, or late, by anyone: the index keeps the newest version.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.common.mysql.database import Database, is_unreachable, reason
from services.leaderboard.boards import definitions
from services.leaderboard.index import outbox
from services.leaderboard.index.breaker import Breaker, State
from services.leaderboard.index.build import Lost, build
from services.leaderboard.index.connection import UNAVAILABLE, RedisConnection
from services.leaderboard.index.outbox import Note
from services.leaderboard.index.writer import IndexWriter
from services.leaderboard.rules.places import Place
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.standings import table

T = TypeVar("T")

log = structlog.get_logger(__name__)

# A writer tells the index itself at once; a note this old has a writer that could not.
NOTE_AGE_MS = 250
NOTES_A_ROUND = 1000
# Past this many notes, one that says that everything changed is shorter, and as true.
MAX_NOTES = 100_000
ROUNDS_BETWEEN_COUNTS = 40
# How long a process that starts waits for the index before it answers from MySQL.
_START_SECONDS = 1.0


class _RedisAway(Exception):
    """Redis could not do it; the breaker has been opened."""


class Follower:
    """One process's follower. ``database`` is its own, and ``builds`` that of what it builds: whatever else a process asks
    MySQL for, its rounds do not wait behind it.
    """

    def __init__(
        self, database: Database, builds: Database, redis: RedisConnection, breaker: Breaker, settings: LeaderboardSettings
    ) -> None:
        self._database = database
        self._builds_database = builds
        self._connection = redis
        self._index = IndexWriter(redis)
        self._breaker = breaker
        self._settings = settings
        self._interval = settings.follower_interval
        self._told: deque[int] = deque()
        self._builds: dict[Place, asyncio.Task[None]] = {}
        self._rounds: asyncio.Task[None] | None = None
        self._stopping = False
        self._build_failed = False
        self._rounds_away = 0
        self._database_failed = False
        self._left_nothing = False
        self._complete = False

    def told(self, note: int) -> None:
        """Redis has heard of the change that ``note`` is about: the note can go, off the answer's path."""
        self._told.append(note)

    @property
    def in_use(self) -> bool:
        """Whether the index is read."""
        return self._breaker.readable and self._complete

    async def require_in_use(self) -> None:
        """Return when the index is read. Raises ConnectionError when it is not."""
        if not self.in_use:
            raise ConnectionError("the ranking index is not in use")

    async def start(self) -> None:
        """Begin to go round. The first request finds the index in use if there is one, or if it is built in no time."""
        await self.round()
        if self._builds:
            await asyncio.wait(self._builds.values(), timeout=_START_SECONDS)
            await self.round()
        self._rounds = asyncio.create_task(self._go_round())

    async def stop(self) -> None:
        """End the rounds, and what they have begun."""
        self._stopping = True  # a library on the way may make an error of its own of a cancellation
        tasks = [task for task in (self._rounds, *self._builds.values()) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _go_round(self) -> None:
        while not self._stopping:
            try:
                await self.round()
            except Exception:  # a defect must not end the rounds: without them the index is never used again
                log.exception("follower round failed")
            if not self._stopping:
                await asyncio.sleep(self._interval)

    async def round(self) -> None:
        """Remove notes that are done, tell the index of those that are not, and have it built where there is none.

        While MySQL is away nothing can have been acknowledged since the round before, so what was right then still is. An
        error that it answers with is another thing: others may be served, and the index is read for a moment only.
        """
        began = monotonic()
        try:
            await self._forget_told()
            await self._follow()
        except _RedisAway:
            self._left_nothing = False
            await self._bound_outbox()
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            self._note_database_failed(error)
            if not is_unreachable(error):
                return
        else:
            self._rounds_away = 0
            self._database_failed = False
        if self._left_nothing:
            self._breaker.followed(began)

    def _note_database_failed(self, error: BaseException) -> None:
        if not self._database_failed:
            log.warning("follower cannot read mysql", error=reason(error))
        self._database_failed = True

    async def _forget_told(self) -> None:
        done = [self._told.popleft() for _ in range(len(self._told))]
        if not done:
            return
        try:
            await self._delete(done)
        except BaseException:
            self._told.extendleft(done)
            raise

    async def _follow(self) -> None:
        """One look at the outbox, and at whether the index is whole."""
        async with self._database.reading() as connection:
            places = await definitions.list_places(connection)
        if not self._breaker.writable:
            await self._connection.drop_idle()
            for at in places:
                await self._redis(self._index.probe(at))
            # From here on every change is told by its writer. What was committed before knew only that Redis is left
            # alone: it is in the outbox, so that is read after this, and whatever its age.
            self._breaker.recover()
        rebuild = await self._tell(0 if self._breaker.state is State.RECOVERING else NOTE_AGE_MS)
        # What makes even a complete index worth building again; the same for every process that reads the same notes.
        cause = f"{rebuild[-1].id} {rebuild[-1].created_at:%Y%m%d%H%M%S%f}" if rebuild else ""
        complete = [await self._ensure_built(at, cause) for at in places]
        self._complete = all(complete)
        if rebuild and self._complete:
            await self._delete(note.id for note in rebuild)
            rebuild = []
        self._left_nothing = not rebuild
        if self._left_nothing:
            self._breaker.close()

    async def _tell(self, older_than_ms: int) -> list[Note]:
        """Tell the index how the standings are now that notes are about, and remove those. Gives notes of everything."""
        rebuild: list[Note] = []
        while True:
            async with self._database.reading() as connection:
                notes = await outbox.list_notes(connection, older_than_ms, NOTES_A_ROUND)
            rebuild = [note for note in notes if note.changed is None]
            changed: dict[Place, set[int]] = {}
            for note in notes:
                for at, user_id in note.changed or ():
                    changed.setdefault(at, set()).add(user_id)
            for at, user_ids in changed.items():
                async with self._database.reading() as connection:
                    rows = await table.list_rows(connection, at, user_ids)
                # Whatever it answers: without an index, whoever builds one reads these standings after this.
                await self._redis(self._index.apply(at, rows))
            told = [note.id for note in notes if note.changed is not None]
            await self._delete(told)
            if len(notes) < NOTES_A_ROUND or not told:
                return rebuild

    async def _ensure_built(self, at: Place, cause: str) -> bool:
        """Whether the index is complete; if it is not, it is built, by this process unless another does."""
        if await self._redis(self._index.complete(at, cause)):
            return True
        if at not in self._builds:
            task = self._builds[at] = asyncio.create_task(self._build(at, cause))
            task.add_done_callback(lambda _: self._builds.pop(at))
        return False

    async def _build(self, at: Place, cause: str) -> None:
        try:
            await build(self._builds_database, self._settings, at, cause)
            self._build_failed = False
        except (*UNAVAILABLE, SQLAlchemyError, Lost) as error:  # the next round begins again, and that is not said each time
            if not self._build_failed:
                log.warning("building the index failed, trying again", error=reason(error))
            self._build_failed = True
        except Exception:
            log.exception("building the index failed")

    async def _bound_outbox(self) -> None:
        """While Redis is away, keep the outbox short."""
        self._rounds_away += 1
        if self._rounds_away % ROUNDS_BETWEEN_COUNTS:
            return
        with suppress(SQLAlchemyError, TimeoutError, OSError):
            async with self._database.reading() as connection:
                notes = await outbox.list_ids(connection)
            if len(notes) > MAX_NOTES:
                await self._database.transaction(partial(outbox.replace_notes, ids=notes))

    async def _delete(self, notes: Iterable[int]) -> None:
        ids = list(notes)
        if ids:
            await self._database.transaction(partial(outbox.delete_notes, ids=ids))

    async def _redis(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except UNAVAILABLE as error:
            self._breaker.open(error)
            raise _RedisAway from error
