"""The live streams of a process: who watches what, and the one loop that tells all of them."""

import asyncio
from collections.abc import Container, Iterator
from contextlib import suppress
from random import uniform
from time import monotonic, perf_counter

import structlog

from services.common.http.problems import Problem, ServiceUnavailable
from services.common.tokens import Caller, Principal
from services.common.turns import Turns
from services.leaderboard.board_reads import Asked
from services.leaderboard.index.builds import Builds
from services.leaderboard.live import events
from services.leaderboard.live.limits import StreamLimits, Subject
from services.leaderboard.live.looks import Looks, fail
from services.leaderboard.live.own_ranks import PLAYERS_A_CALL, OwnRanks
from services.leaderboard.live.watchers import Sink, State, Watched, Watcher

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 0.25
"""From one look at all watched places to the next."""
# How long a stream lives. At the gateway an answer lasts ten minutes at most (gateway/traefik.yaml).
_LIFE_FROM, _LIFE_TO = 540.0, 590.0
_TEND_SECONDS = 1.0
# What looking up all own ranks is spread over. Beside 2,000 streams, half of them signed in, /submit took 2.1 times as long at
# its slowest (p99) as without them when that was 0.4 s, and 1.7 times with this.
_RANKING_SECONDS = 0.7
# A submission comes back to the loop some six times, and waits for a turn each time. Without rests between turns that was 3.3
# times as long instead of 2.1. What is not written within a part of the interval is written without rests.
_TURN_SECONDS = 0.000_25
_REST_SECONDS, _RESTS_WITHIN_SECONDS = 0.001, 0.2


class Hub:
    """One process's. ``ended`` as `TokenVerifier` has it. ``looks`` are its own: it is their audience."""

    looks: Looks
    comment_seconds = 15.0
    """From one comment to the next, which tell a reader that the stream goes on."""
    stalled_seconds = 30.0
    """For so long a reader may not keep up before it is cut off."""

    def __init__(self, limits: StreamLimits, builds: Builds, ended: Container[Subject], own_ranks: OwnRanks) -> None:
        self.limits = limits
        self._builds = builds
        self._ended = ended
        self._own_ranks = own_ranks
        self._places: dict[tuple[Asked, int], Watched] = {}
        self._stalled: set[Watcher] = set()
        self._turns = Turns(_TURN_SECONDS, rest=_REST_SECONDS)
        self._wanted = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._ranking: asyncio.Task[None] | None = None
        self._tended_at = 0.0
        self._leaving = False
        self._stopping = False
        self.looked = 0
        self.looked_seconds = 0.0
        """How long looks took, all together."""
        self.cut = 0
        """How many readers were cut off because they did not keep up."""

    async def start(self) -> None:
        """Begin to look at whatever is watched."""
        self._loop = asyncio.create_task(self._go_round(), name="live")

    async def stop(self) -> None:
        """End the loop, and what is under way."""
        self._stopping = True  # a library on the way may make an error of its own of a cancellation
        for task in filter(None, (self._loop, self._ranking)):
            task.cancel()
            await asyncio.wait([task])
        await self.looks.stop()

    def leave(self) -> None:
        """End every stream, politely, and begin none: the process is about to end."""
        self._leaving = True
        for watched in [*self._places.values()]:
            self.drop(watched, _Leaving())

    async def open(self, asked: Asked, limit: int, who: tuple[Caller, float] | None, address: str) -> "Stream":
        """A stream of a page, once it is known what that shows. ``who``: the caller, and until when, by the monotonic clock.

        Raises StreamsFull, TooManyStreams, ServiceUnavailable, and what `BoardReads` raises.
        """
        subject = None if who is None else who[0].user_id if isinstance(who[0], Principal) else who[0].client_id
        self.limits.take(subject, address)
        try:
            watched = await self._find(asked, limit)
            try:
                state = await self._look_up(watched)
            except BaseException:
                self._let_go(watched)
                raise
        except BaseException:
            self.limits.give_back(subject, address)
            raise
        return Stream(self, watched, state, who, subject, address)

    def add(self, watcher: Watcher) -> None:
        """From now on the watcher is told. It was told a state that may be an older one by now."""
        watcher.comment_at = monotonic() + self.comment_seconds
        watcher.watched.watchers.add(watcher)
        if watcher.caller is not None:
            watcher.watched.players.add(watcher)
        if self._leaving or self._places.get(_name(watcher.watched)) is not watcher.watched:  # it was dropped meanwhile
            self._end(watcher)
        else:
            self._tell(watcher)

    def remove(self, watched: Watched, watcher: Watcher | None, subject: Subject | None, address: str) -> None:
        """The stream has ended."""
        if watcher is not None:
            self._forget(watcher)
        self._let_go(watched)
        self.limits.give_back(subject, address)

    async def tell_all(self, watched: Watched) -> None:
        """Tell all who watch what has changed. A thousand writes take a while, in which others are served too."""
        await self._turns.run(self._tell(watcher) for watcher in [*watched.watchers])

    def turn(self, watched: Watched, period: bytes) -> None:
        """Another period is shown: those who watch are told with what it shows."""
        for watcher in watched.watchers:
            watcher.turn(period)

    def drop(self, watched: Watched, error: Problem) -> None:
        """End every stream of a place that is not to be watched any more."""
        if self._places.get(_name(watched)) is watched:
            del self._places[_name(watched)]
        fail(watched.waiting, error)
        for watcher in [*watched.watchers]:
            self._end(watcher)

    async def _find(self, asked: Asked, limit: int) -> Watched:
        """What is asked for, with one stream more."""
        found = await self.looks.find(asked, limit)
        watched = self._places.setdefault(_name(found), found)
        watched.streams += 1
        return watched

    async def _look_up(self, watched: Watched) -> State:
        """What that shows from now on."""
        if self._leaving:
            raise _Leaving
        waiting: asyncio.Future[State] = asyncio.get_running_loop().create_future()
        watched.waiting.append(waiting)
        self._wanted.set()
        return await waiting

    def _let_go(self, watched: Watched) -> None:
        watched.streams -= 1
        if not watched.streams and self._places.get(_name(watched)) is watched:
            del self._places[_name(watched)]

    def _tell(self, watcher: Watcher) -> bool:
        """Whether its reader keeps up."""
        return watcher not in watcher.watched.watchers or self._keep(watcher, keeps_up=watcher.tell())

    def _keep(self, watcher: Watcher, *, keeps_up: bool) -> bool:
        (self._stalled.discard if keeps_up else self._stalled.add)(watcher)
        return keeps_up

    def _end(self, watcher: Watcher) -> None:
        """End a stream. Its reader hears of it, unless it does not keep up."""
        self._forget(watcher)
        if not watcher.sink.close(events.END):
            watcher.sink.abort()

    def _forget(self, watcher: Watcher) -> None:
        watcher.watched.watchers.discard(watcher)
        watcher.watched.players.discard(watcher)
        self._stalled.discard(watcher)

    async def _go_round(self) -> None:
        next_at = 0.0
        while not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, next_at - monotonic()) if self._places else None):
                    await self._wanted.wait()
            self._wanted.clear()
            began = monotonic()
            whole = began >= next_at
            if whole:
                self._turns.rests_until = perf_counter() + _RESTS_WITHIN_SECONDS
            try:
                await self._round(whole=whole)
            except Exception:  # a defect must not end the rounds: without them nobody is told of anything
                log.exception("a look at what is watched failed")
            if whole:
                next_at = began + INTERVAL_SECONDS

    async def _round(self, *, whole: bool) -> None:
        """Look at all that is watched; else at what somebody waits for, who has come since."""
        began = monotonic()
        self._builds.watched = {each.place.at for each in self._places.values() if each.place is not None}
        await self.looks.look([each for each in self._places.values() if whole or each.waiting])
        if not whole:
            return
        self.looked += 1
        self.looked_seconds += monotonic() - began
        for watcher in [*self._stalled]:
            self._tell(watcher)
        if self._ranking is None and any(self._due(began)):
            self._ranking = asyncio.create_task(self._rank())
        if began - self._tended_at >= _TEND_SECONDS:
            self._tended_at = began
            await self._turns.run(self._tend(watcher, began) for watcher in [*self._watchers()])

    def _watchers(self) -> Iterator[Watcher]:
        for watched in self._places.values():
            yield from watched.watchers

    def _due(self, now: float) -> Iterator[Watcher]:
        """Whose own rank is to be looked up."""
        for watched in self._places.values():
            for watcher in watched.players:
                if OwnRanks.is_due(watcher, now):
                    yield watcher

    async def _rank(self) -> None:
        """Look up the own ranks that are due, a few at a time all over the second."""
        try:
            due = [*self._due(monotonic())]
            starts = range(0, len(due), PLAYERS_A_CALL)
            for start in starts:
                told = await self._own_ranks.look(due[start : start + PLAYERS_A_CALL])
                await self._turns.run(self._tell(watcher) for watcher in told)
                await asyncio.sleep(_RANKING_SECONDS / len(starts) if len(starts) > 1 else 0)
        except Exception:
            log.exception("looking up own ranks failed")
        finally:
            self._ranking = None

    def _tend(self, watcher: Watcher, now: float) -> bool:
        """End a stream whose time is over, cut off a reader that does not keep up, and tell others that the stream goes on.

        Whether the stream goes on.
        """
        watched = watcher.watched
        if watcher not in watched.watchers:
            return False
        if now >= watcher.until or watcher.subject in self._ended or (watched.over and watcher.knows):
            self._end(watcher)
            return False
        if watcher.stalled_at is not None and now - watcher.stalled_at >= self.stalled_seconds:
            self.cut += 1
            self._forget(watcher)
            watcher.sink.abort()
            return False
        if now >= watcher.comment_at:
            watcher.comment_at = now + self.comment_seconds
            self._keep(watcher, keeps_up=watcher.write(events.COMMENT))
        return True


class Stream:
    """A stream that is open: its first events, and then whatever changes, until it is closed."""

    def __init__(
        self, hub: Hub, watched: Watched, state: State, who: tuple[Caller, float] | None, subject: Subject | None, address: str
    ) -> None:
        self._hub = hub
        self._watched = watched
        self._state = state
        self._who = who
        self._subject = subject
        self._address = address
        self._watcher: Watcher | None = None

    def has_all(self, last_seen: str | None) -> bool:
        """Whether there is nothing to be sent any more to a reader who has seen that: the period is over."""
        return self._watched.over and self._who is None and last_seen == self._state.name

    def first(self, last_seen: str | None) -> bytes:
        """What is sent at once: what the place shows, unless the reader has seen that."""
        return events.retry() + (events.UNCHANGED if last_seen == self._state.name else self._state.event)

    def begin(self, sink: Sink) -> None:
        """Have the rest written there."""
        until = monotonic() + uniform(_LIFE_FROM, _LIFE_TO)  # noqa: S311 - only spreads load
        caller = None
        if self._who is not None:
            caller = self._who[0] if isinstance(self._who[0], Principal) else None
            until = min(until, self._who[1])
        watcher = self._watcher = Watcher(self._watched, sink, caller, self._subject, until)
        watcher.shown = self._state
        self._hub.add(watcher)

    def close(self) -> None:
        """The reader has gone, or the stream has ended."""
        self._hub.remove(self._watched, self._watcher, self._subject, self._address)


def _name(watched: Watched) -> tuple[Asked, int]:
    return watched.asked, watched.span.limit


class _Leaving(ServiceUnavailable):
    def __init__(self) -> None:
        super().__init__("This process is about to end. Open the stream again.")
