"""Looks at what watched places show: one round trip for all of them, whoever and however many watch.

What needs MySQL (a place without an index, what the game kept with sessions, which period goes on) is done beside the looks,
which never wait for it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import datetime
from hashlib import blake2b
from itertools import chain
from time import monotonic
from typing import Any, Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.http.problems import Problem
from services.common.mysql.database import Database, reason
from services.leaderboard.board_reads import Asked, BoardReads
from services.leaderboard.boards import periods, running
from services.leaderboard.boards.places import PREVIOUS, Shown
from services.leaderboard.index.pages import PageCache, RenderedPage, Style
from services.leaderboard.index.questions import PAGES, Page
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.live import events
from services.leaderboard.live.watchers import NEVER, State, Watched
from services.leaderboard.reads import Reads
from services.leaderboard.rules.periods import Period
from services.leaderboard.rules.places import ALL_TIME, Place, Ranked
from services.leaderboard.rules.standings import Span

log = structlog.get_logger(__name__)

MYSQL_SECONDS = 5.0
"""From one page of a place that MySQL is asked for to the next."""
# For so long it is taken for known what is shown, and that nobody has played yet.
_KNOWN_SECONDS = 1.0
_UNPLAYED_SECONDS = 0.5
# What was counted at the last moment of a period has reached the index by then.
_LAST_MS = 1_000
_AWAY = SQLAlchemyError, TimeoutError, OSError

Waiting = list[asyncio.Future[State]]
Question = tuple[str, Span, bytes]


class Audience(Protocol):
    """Those who watch."""

    async def tell_all(self, watched: Watched) -> None:
        """A place shows something else."""

    def turn(self, watched: Watched, period: bytes) -> None:
        """Another period of it is shown, or it is over, as the data of an event tell."""

    def drop(self, watched: Watched, error: Problem) -> None:
        """There is no such place any more."""


class Looks:
    """One process's. ``snapshots`` as `Reads` has it; ``clock`` is MySQL's, as this process knows it."""

    def __init__(
        self,
        boards: BoardReads,
        reads: Reads,
        index: RankingIndex,
        pages: PageCache,
        snapshots: Database,
        clock: Callable[[], datetime],
        *,
        audience: Audience,
    ) -> None:
        self._boards = boards
        self._reads = reads
        self._index = index
        self._pages = pages
        self._snapshots = snapshots
        self._clock = clock
        self._audience = audience
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = False

    async def find(self, asked: Asked, limit: int) -> Watched:
        """What is to be watched: by the window's name, and of a period that was named, or is over, by its id.

        Raises what `BoardReads` raises.
        """
        shown, style = await self._boards.shown(asked)
        window, period = shown.window.definition, asked.period
        if period == PREVIOUS and shown.place is not None:
            period = str(shown.place.at.period_id)
        if period == "current" or window.kind == "all":
            period = None
        watched = Watched(Asked(shown.board.name, window.name, period), Span(limit, 0), shown, style)
        watched.over = period is not None and self._is_over(shown)
        watched.known_until = monotonic() + self._known_seconds(shown)
        return watched

    async def look(self, places: Iterable[Watched]) -> None:
        """Find out what these show now, in one round trip."""
        now = monotonic()
        asked: dict[Ranked, list[tuple[Watched, Style, Waiting]]] = {}
        questions: dict[Ranked, list[Question]] = {}
        for watched in places:
            if now >= watched.known_until and watched.finding is None:
                watched.finding = self._begin(self._find(watched))
            if watched.reading is not None:
                continue
            place, style, waiting = watched.place, watched.style, watched.waiting
            watched.waiting = []
            if place is None or style is None:
                if watched.state is None:
                    watched.reading = self._begin(self._read_unplayed(watched, waiting))
                else:
                    _answer(watched, waiting)
                continue
            known = b"" if watched.state is None else watched.state.generation
            asked.setdefault(place, []).append((watched, style, waiting))
            questions.setdefault(place, []).append((style.name, watched.span, known))
        try:
            answers = await self._index.look_up_each(PAGES, questions)
        except Exception:
            for watched, _, waiting in chain.from_iterable(asked.values()):
                watched.waiting += waiting
            raise
        for place, of_place in asked.items():
            found = answers[place]
            for number, (watched, style, waiting) in enumerate(of_place):
                self._take(watched, place, style, None if found is None else found[number], waiting)

    async def stop(self) -> None:
        """End what is under way."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _take(self, watched: Watched, place: Ranked, style: Style, page: Page | None, waiting: Waiting) -> None:
        """What the index says of a page, None if it is not to be read."""
        watched.indexed = page is not None
        if page is None:
            if watched.state is None or monotonic() - watched.read_at >= MYSQL_SECONDS:
                watched.reading = self._begin(self._read(watched, place, style, waiting))
            else:
                _answer(watched, waiting)
        elif page.body is None and page.neighbours is None:  # it is as it was
            _answer(watched, waiting)
        else:
            watched.reading = self._begin(self._render(watched, place, style, page, waiting))

    async def _render(self, watched: Watched, place: Ranked, style: Style, page: Page, waiting: Waiting) -> None:
        async def render() -> tuple[RenderedPage, bytes]:
            return await self._pages.take(place, style, watched.span, page), page.generation

        await self._show(watched, place, render, waiting)

    async def _read(self, watched: Watched, place: Ranked, style: Style, waiting: Waiting) -> None:
        async def read() -> tuple[RenderedPage, bytes]:
            return await self._reads.stored_page(place, style, watched.span), b""

        watched.read_at = monotonic()
        await self._show(watched, place, read, waiting)

    async def _read_unplayed(self, watched: Watched, waiting: Waiting) -> None:
        async def read() -> tuple[RenderedPage, bytes]:
            return await self._boards.top(watched.asked, watched.span.limit, 0, None), b""

        await self._show(watched, None, read, waiting)

    async def _show(
        self,
        watched: Watched,
        place: Ranked | None,
        load: Callable[[], Awaitable[tuple[RenderedPage, bytes]]],
        waiting: Waiting,
    ) -> None:
        """Have a page that is loaded be what the place shows."""
        try:
            page, generation = await load()
        except Exception as error:
            fail(waiting, error)
            if isinstance(error, _AWAY):
                self._note_failed(error)
            elif not isinstance(error, Problem):
                log.exception("a watched place could not be shown")
            return
        finally:
            watched.reading = None
        self._failed = False
        if _at(watched.place) != _at(place):  # another period is shown by now
            watched.waiting += waiting
            return
        name = generation.decode() or blake2b(page.body, digest_size=12).hexdigest()
        if watched.state is None or watched.state.name != name:
            watched.state = State(name, generation, events.event("top", name, page.body))
        _answer(watched, waiting)
        await self._audience.tell_all(watched)

    async def _find(self, watched: Watched) -> None:
        """Find out which place it is that is watched: another period may have begun, somebody may have played."""
        try:
            shown, style = await self._boards.shown(watched.asked)
            period = await self._turn(watched, shown)
        except _AWAY as error:
            self._note_failed(error)
            watched.known_until = monotonic() + _KNOWN_SECONDS
            return
        except Problem as error:  # the board was deleted, or the period has expired
            self._audience.drop(watched, error)
            return
        finally:
            watched.finding = None
        if _what(shown, style) != _what(watched.shown, watched.style):
            watched.state, watched.read_at = None, NEVER
        watched.shown, watched.style = shown, style
        watched.known_until = monotonic() + self._known_seconds(shown)
        if period is not None:
            watched.over = watched.asked.period is not None
            self._audience.turn(watched, period)
            await self._audience.tell_all(watched)

    def _known_seconds(self, shown: Shown) -> float:
        if shown.place is None:
            return _UNPLAYED_SECONDS
        if shown.ends_at is None:
            return _KNOWN_SECONDS
        return min(_KNOWN_SECONDS, max(0.0, (shown.ends_at - self._clock()).total_seconds()))

    async def _turn(self, watched: Watched, shown: Shown) -> bytes | None:
        """The event that tells that the period which was shown is so no more, or that it is over; None if nothing turned."""
        before, after = _period_id(watched.shown), _period_id(shown)
        if watched.asked.period is not None:
            if watched.over or not self._is_over(shown):
                return None
            after = None
        elif before == after:
            return None
        async with self._snapshots.reading() as connection:
            ended = await _find_period(connection, before)
            current = await _find_period(connection, after) or await _find_current(connection, shown)
        return events.turned(shown.board.name, shown.window.definition.name, ended, current)

    def _is_over(self, shown: Shown) -> bool:
        """Whether nothing is counted any more in what is shown."""
        if shown.place is None:
            return True
        closes_at = shown.place.closes_at_ms
        return closes_at is not None and closes_at + _LAST_MS <= self._clock().timestamp() * 1000

    def _note_failed(self, error: BaseException) -> None:
        if not self._failed:
            log.warning("live streams cannot be told from mysql, trying again", error=reason(error))
        self._failed = True

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a look at a watched place failed", exc_info=error)


def fail(waiting: Waiting, error: Exception) -> None:
    """Tell those who wait for a state that there is none."""
    for each in waiting:
        if not each.done():
            each.set_exception(error)


def _answer(watched: Watched, waiting: Waiting) -> None:
    """Tell them what the place shows. If another period has begun since it was asked for, they wait for what that shows."""
    if watched.state is None:
        watched.waiting += waiting
        return
    for each in waiting:
        if not each.done():
            each.set_result(watched.state)


def _what(shown: Shown, style: Style | None) -> tuple[Place | None, str | None]:
    """Which place is shown, and how."""
    return _at(shown.place), style.name if style else None


def _at(place: Ranked | None) -> Place | None:
    return None if place is None else place.at


def _period_id(shown: Shown) -> int | None:
    """Of a window that starts anew; None while nobody has played in its period."""
    return None if shown.place is None or shown.place.at.period_id == ALL_TIME else shown.place.at.period_id


async def _find_period(connection: AsyncConnection, period_id: int | None) -> Period | None:
    found = [] if period_id is None else await periods.list_by_id(connection, [period_id])
    return found[0] if found else None


async def _find_current(connection: AsyncConnection, shown: Shown) -> Period | None:
    """The period that goes on in a window, also if nobody has played in it."""
    for each in await running.list_now(connection, shown.board):
        if each.window.window_id == shown.window.window_id:
            return each.period
    return None
