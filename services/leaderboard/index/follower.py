"""The follower: tells the index of changes whose own process could not, and keeps the epoch that the process knows.

Every process runs one. The outbox holds what the index may not have heard of; a change is noted there in its own
transaction, so nothing committed is ever missing from it. No lock is held across a call to Redis, and the same change may
be told twice, or late, by anyone: the index keeps the newest version.

What a round does grows with what could not be told, never with how many places there are. Of all of them it looks at the main
one: so a Redis that does not answer is noticed also while nobody asks, and that index is there before somebody does.
"""

from collections import deque
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from functools import partial
from itertools import islice
from time import monotonic
from typing import TypeVar

import structlog

from services.common.mysql.database import Database, is_unreachable, reason
from services.common.mysql.rounds import FAILURES, Rounds
from services.leaderboard.index import outbox
from services.leaderboard.index.breaker import Breaker, State
from services.leaderboard.index.builds import Builds
from services.leaderboard.index.connection import UNAVAILABLE, RedisConnection
from services.leaderboard.index.epoch import Epoch
from services.leaderboard.index.writer import IndexWriter
from services.leaderboard.index.writer import State as Found
from services.leaderboard.rules.places import MAIN, MAIN_RANKED, Place
from services.leaderboard.settings import LeaderboardSettings

T = TypeVar("T")

log = structlog.get_logger(__name__)

# A writer tells the index itself at once; a note this old has a writer that could not.
NOTE_AGE_MS = 250
# Each may name thousands of players: 200 sessions in 24 places each.
NOTES_A_ROUND = 200
STANDINGS_AT_ONCE = 900
# Past this many notes, or bytes in them, a new epoch is shorter, and as true.
MAX_NOTES = 100_000
MAX_BYTES = 64 * 2**20
ROUNDS_BETWEEN_COUNTS = 40
# How long a process that starts waits for the index before it answers from MySQL.
_START_SECONDS = 1.0


class _RedisAway(Exception):
    """Redis could not do it; the breaker has been opened."""


class Follower:
    """One process's follower. ``database`` is its own: whatever else a process asks MySQL for, its rounds do not wait for it.

    ``epoch`` is set by it, and by nobody else.
    """

    def __init__(
        self,
        database: Database,
        builds: Builds,
        redis: RedisConnection,
        breaker: Breaker,
        epoch: Epoch,
        settings: LeaderboardSettings,
    ) -> None:
        self._database = database
        self._builds = builds
        self._connection = redis
        self._index = IndexWriter(redis)
        self._breaker = breaker
        self._epoch = epoch
        self._told: deque[int] = deque()
        self._going_round = Rounds(self._time_round, settings.follower_interval, name="following changes")
        self._rounds_away = 0
        self._database_failed = False
        self._left_nothing = False
        self._main_is_complete = False
        self.rounds = 0
        self.rounds_seconds = 0.0
        """How long they took, all together."""

    def told(self, note: int) -> None:
        """Redis has heard of the change that ``note`` is about: the note can go, off the answer's path."""
        self._told.append(note)

    @property
    def in_use(self) -> bool:
        """Whether ranks are read from Redis: those of the main board, unless it is too small to have an index."""
        return self._breaker.readable and (self._main_is_complete or self._builds.is_small(MAIN))

    async def require_in_use(self) -> None:
        """Return when the index is read. Raises ConnectionError when it is not."""
        if not self.in_use:
            raise ConnectionError("the ranking index is not in use")

    async def start(self) -> None:
        """Begin to go round. The first request finds the index in use if there is one, or if it is built in no time."""
        await self.round()
        if not self._main_is_complete:
            await self._builds.settle(_START_SECONDS)
            await self.round()
        self._going_round.start(later=True)

    async def stop(self) -> None:
        """End the rounds."""
        await self._going_round.stop()

    async def _time_round(self) -> None:
        began = monotonic()
        try:
            await self.round()
        finally:
            self.rounds += 1
            self.rounds_seconds += monotonic() - began

    async def round(self) -> None:
        """Remove notes that are done, and tell the index of those that are not.

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
        except FAILURES as error:
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
        """One look at the outbox, and at whether Redis answers."""
        if not self._breaker.writable:
            await self._connection.drop_idle()
            await self._redis(self._index.probe(MAIN))
            # From here on every change is told by its writer. What was committed before knew only that Redis is left
            # alone: it is in the outbox, so that is read after this, and whatever its age.
            self._breaker.recover()
        await self._tell(0 if self._breaker.state is State.RECOVERING else NOTE_AGE_MS)
        status = await self._redis(self._index.status(MAIN, self._epoch.value))
        self._main_is_complete = status.state is Found.COMPLETE
        if not self._main_is_complete:
            self._builds.want(MAIN_RANKED)
        self._left_nothing = True
        self._breaker.close()

    async def _tell(self, older_than_ms: int) -> None:
        """Tell the indexes how the standings are now that notes are about, and remove those."""
        while True:
            self._epoch.value, notes = await outbox.list_notes(self._database, older_than_ms, NOTES_A_ROUND)
            changed = iter({each: None for note in notes for each in note.changed})
            while some := list(islice(changed, STANDINGS_AT_ONCE)):
                await self._tell_some(some)
            await self._delete(note.id for note in notes)
            if len(notes) < NOTES_A_ROUND:
                return

    async def _tell_some(self, changed: Iterable[tuple[Place, int]]) -> None:
        """Whatever the indexes answer: without one, whoever builds it reads these standings after this. So does whoever builds
        one of another epoch, since these were committed before the epoch was read that we know.
        """
        places: dict[Place, list[int]] = {}
        for at, user_id in changed:
            places.setdefault(at, []).append(user_id)
        async with self._database.reading() as connection:
            standings = await outbox.list_changed(connection, places)
        for outcome in await self._redis(self._index.tell(standings, self._epoch.value)):
            if isinstance(outcome, Exception):
                self._breaker.open(outcome)
                raise _RedisAway from outcome

    async def _bound_outbox(self) -> None:
        """While Redis is away, keep the outbox short."""
        self._rounds_away += 1
        if self._rounds_away % ROUNDS_BETWEEN_COUNTS:
            return
        with suppress(*FAILURES):
            async with self._database.reading() as connection:
                size = await outbox.measure(connection)
                if size.notes <= MAX_NOTES and size.bytes <= MAX_BYTES:
                    return
                notes = await outbox.list_ids(connection)
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
