"""Where sessions count, and what the index must know of places: from what a process knows of boards and their periods."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import NamedTuple

from services.common.gather import Gather, SharedWork
from services.common.http.problems import FieldError, InvalidRequest
from services.common.mysql.database import Database
from services.leaderboard.boards import periods, running
from services.leaderboard.boards.board import ALL, Board, Submitters, Window
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.errors import NotForPlayers, PeriodExpired, PeriodNotFound, WindowNotFound
from services.leaderboard.rules.names import SCORE
from services.leaderboard.rules.periods import Period
from services.leaderboard.rules.places import ALL_TIME, MOST_PLACES, Place, Ranked
from services.leaderboard.rules.played import Played
from services.leaderboard.rules.ranking import Aggregate, Count

_GATHERED = 100
_MOST_REMEMBERED = 100_000
# A listed period may be written down at any time, and a closed board may be opened again.
_KNOWN_SECONDS = 1.0
_MOST_ID = 2**32 - 1
_BEGIN, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
PREVIOUS = "previous"


class Shown(NamedTuple):
    """A place that is asked for. None where nobody has played in the period yet, or where there is no previous one.

    ``ends_at``: until when it is what was asked for, None if time does not change that.
    """

    board: Board
    window: Window
    place: Ranked | None
    ends_at: datetime | None = None


class _Windows(NamedTuple):
    """Where a session of these times counts on a board, as long as the board is the same."""

    board: Board
    aggregate: Aggregate
    places: Sequence[Ranked]
    starts_at: datetime
    ends_at: datetime


class _Gap(NamedTuple):
    """Times of a window at which nothing counts, from one moment to another that is not among them; None: there is no end."""

    starts_at: datetime
    ends_at: datetime | None
    known_until: float
    """By this process's monotonic clock."""

    def has(self, time: datetime) -> bool:
        return self.starts_at <= time and (self.ends_at is None or time < self.ends_at)


class Places:
    """One process's. ``database`` makes the rows of periods that are needed and not there."""

    def __init__(self, catalogue: Catalogue, database: Database) -> None:
        self._catalogue = catalogue
        self._database = database
        # Of each window the period that was running last, and of periods that are asked for by their ids.
        self._running: dict[int, Period] = {}
        self._periods: OrderedDict[int, Period] = OrderedDict()
        # By windows, a running period and the one that ended where it begins, by their ids.
        self._before: dict[int, tuple[int, int]] = {}
        self._windows: dict[int, _Windows] = {}
        self._names: dict[Place, tuple[str, str]] = {}
        # Of windows where nothing counts just now.
        self._gaps: dict[int, _Gap] = {}
        self._closed: OrderedDict[Place, float] = OrderedDict()
        self._making: SharedWork[Period | _Gap] = SharedWork()
        self._reading: SharedWork[periods.Running] = SharedWork()
        self._read: OrderedDict[int, tuple[Period | None, float]] = OrderedDict()
        self._lookups: Gather[int, Period | None] = Gather(self._look_up, most=_GATHERED)

    async def counts(self, played: Played, received_at: datetime, by: Submitters = "players") -> list[Count]:
        """Where a session counts that comes at a time: on the boards that it names, or else on those whose rule takes it.

        Raises NotForPlayers when it names a board that only game servers submit to, and is not ``by`` one; InvalidRequest when
        a board that it names does not take it; when no board takes its score that would else; and when it would count in more
        than `MOST_PLACES` places by the boards that it names. Raises what the database raises when a period has to be made and
        cannot be.
        """
        time = played.played_at or received_at
        boards = await self.takers(played, by)
        counts: list[Count] = []
        for board, value in boards:
            windows = self._windows.get(board.board_id)
            if windows is None or windows.board is not board or not windows.starts_at <= time < windows.ends_at:
                windows = await self._find_places(board, time)
            aggregate, version, hold = windows.aggregate, board.version, board.definition.hold
            counts += [
                Count(place, aggregate, value, version, hold) for place in windows.places if not self._is_closed(place.at)
            ]
        if len(counts) > MOST_PLACES and played.boards is not None:
            detail = f"A session counts in {MOST_PLACES} places at most. On these boards it would count in {len(counts)}."
            raise InvalidRequest(detail, errors=[FieldError(detail=detail, pointer="#/boards")])
        return counts[:MOST_PLACES]

    async def takers(self, played: Played, by: Submitters) -> list[tuple[Board, int]]:
        """The boards that a session counts for, and with which value. Raises what `counts` raises for what no board takes."""
        return await self._named(played, by) if played.boards is not None else self._ruled(played, by)

    async def changed(self, closed: Collection[Place]) -> None:
        """MySQL says that boards have changed since they were read here, and that nothing counts in these places any more.

        A period never opens again, but a board may. Raises what the database raises.
        """
        await self._catalogue.refresh()
        for at in closed:
            self._closed[at] = monotonic() + _KNOWN_SECONDS
            self._closed.move_to_end(at)
            if len(self._closed) > _MOST_REMEMBERED:
                self._closed.popitem(last=False)

    async def ranked(self, places: Collection[Place]) -> dict[Place, Ranked]:
        """What the index must know of these places. Of one that is gone, nothing. Raises what the database raises."""
        found: dict[Place, Ranked] = {}
        if any(self._catalogue.by_id(at.board_id) is None for at in places):
            await self._catalogue.refresh()  # one that is new, or gone
        ending = {at.period_id for at in places} - {ALL_TIME}
        known = {period_id: self._periods.get(period_id) for period_id in ending}
        missing = [period_id for period_id, period in known.items() if period is None]
        # All at once, so that they share round trips.
        known |= dict(zip(missing, await asyncio.gather(*map(self._lookups.ask, missing)), strict=True))
        for at in places:
            board = self._catalogue.by_id(at.board_id)
            if board is None:
                continue
            if at.period_id == ALL_TIME:
                found[at] = Ranked(at, board.direction, None)
            elif (period := known[at.period_id]) is not None:
                found[at] = _ranked(board, period)
        return found

    async def shown(self, name: str, window: str | None, period: str | None, now: Callable[[], datetime]) -> Shown:
        """Where a board's players are ranked that are asked for: in the period of this id, in the one that goes on ``now``
        (``current``, or none said), or in the one before (``previous``); of the window of this name, or of the first.

        Raises BoardNotFound, WindowNotFound, PeriodNotFound, PeriodExpired, and what the database raises.
        """
        board = await self._catalogue.get(name)
        if period is not None and period.isdecimal() and int(period) != ALL_TIME:
            return await self._shown_by_id(board, window, int(period))
        found = board.windows[0] if window is None else board.window(window)
        if period is not None and period.isdecimal():
            found = board.window(ALL)
            if found is None or window not in (None, ALL):
                raise _no_period(name, ALL_TIME, window)
        if found is None:
            raise WindowNotFound(f"The board {name} has no window of the name {window}.")
        if found.definition.kind == "all":
            if period == PREVIOUS:
                raise PeriodNotFound(f"The window {found.definition.name} never ends: it has no previous period.")
            return Shown(board, found, Ranked(Place(board.board_id, ALL_TIME), board.direction, None))
        running = self._running.get(found.window_id)
        if running is not None and running.has(now()):
            if period != PREVIOUS:
                return Shown(board, found, _ranked(board, running), running.ends_at)
            before = self._before.get(found.window_id)
            if before is not None and before[0] == running.period_id:
                return (await self._shown_by_id(board, None, before[1]))._replace(ends_at=running.ends_at)

        async def work() -> periods.Running:
            async with self._database.reading() as connection:
                # The time is that of now, when everybody has asked whom this answers: a period may have begun since the first.
                return await periods.find_running(connection, board.board_id, found.window_id, now())

        current, previous = await self._reading.ask(found.window_id, work)
        if current is not None:
            self._running[found.window_id] = current
            if previous is not None and previous.ends_at == current.starts_at:  # else one may still be made between them
                self._before[found.window_id] = current.period_id, previous.period_id
        shown = previous if period == PREVIOUS else current
        if shown is not None and shown.state == "expired":
            raise PeriodExpired("What was ranked in this period is not kept any more.")
        # Without a current one, any session may make one, and what was the previous one is so no more.
        ends_at = now() if current is None else current.ends_at
        return Shown(board, found, None if shown is None else _ranked(board, shown), ends_at)

    async def _shown_by_id(self, board: Board, window: str | None, period_id: int) -> Shown:
        period = None
        if period_id <= _MOST_ID:
            period, read_at = self._read.get(period_id, (None, 0.0))
            if monotonic() - read_at > _KNOWN_SECONDS:  # it may have expired since
                period = await self._lookups.ask(period_id)
        found = next((each for each in board.windows if period and each.window_id == period.window_id), None)
        if period is None or found is None or window not in (None, found.definition.name):
            raise _no_period(board.name, period_id, window)
        if period.state == "expired":
            raise PeriodExpired("What was ranked in this period is not kept any more.")
        return Shown(board, found, _ranked(board, period))

    def find_board(self, name: str) -> Board | None:
        """The board of this name as it is known now."""
        return self._catalogue.by_name(name)

    async def board(self, name: str) -> Board:
        """The board of this name. Raises BoardNotFound, and what the database raises."""
        return await self._catalogue.get(name)

    async def names(self, at: Place) -> tuple[str, str]:
        """The names of a place's board and window; empty of what is gone. Raises what the database raises."""
        names = self._names.get(at)
        if names is None:
            names = await self._find_names(at)
            if all(names):
                if len(self._names) >= _MOST_REMEMBERED:
                    self._names.clear()
                self._names[at] = names
        return names

    async def _find_names(self, at: Place) -> tuple[str, str]:
        board = self._catalogue.by_id(at.board_id)
        if board is None:
            return "", ""
        if at.period_id == ALL_TIME:
            return board.name, ALL
        period = self._periods.get(at.period_id) or await self._lookups.ask(at.period_id)
        window = next((each for each in board.windows if period and each.window_id == period.window_id), None)
        return board.name, window.definition.name if window else ""

    async def _named(self, played: Played, by: Submitters) -> list[tuple[Board, int]]:
        boards: list[tuple[Board, int]] = []
        errors: list[FieldError] = []
        refused: list[FieldError] = []
        for number, name in enumerate(played.boards or ()):
            board = await self._catalogue.find(name)
            if board is None or board.definition.state == "closed":
                detail = f"There is no board {name}." if board is None else f"The board {name} is closed."
                errors.append(FieldError(detail=detail, pointer=f"#/boards/{number}"))
                continue
            if not board.is_open_to(by):
                detail = f"Only game servers submit to the board {name}."
                refused.append(FieldError(detail=detail, pointer=f"#/boards/{number}"))
                continue
            metric = board.definition.metric
            value = played.value(metric)
            if value is None:
                detail = f"The board {name} ranks by the metric {metric}, which the session does not have."
                errors.append(FieldError(detail=detail, pointer="#/metrics"))
            elif not board.takes(value):
                errors.append(_beyond([board], played))
            else:
                boards.append((board, value))
        if refused:
            raise NotForPlayers("A board that the session names does not take it from players.", errors=refused)
        if errors:
            raise InvalidRequest("A board that the session names does not take it.", errors=errors)
        return boards

    def _ruled(self, played: Played, by: Submitters) -> list[tuple[Board, int]]:
        matching = [board for board in self._catalogue.matching(played.tags) if board.is_open_to(by)]
        having = [(board, played.value(board.definition.metric)) for board in matching]
        boards = [(board, value) for board, value in having if value is not None and board.takes(value)]
        refusing = [board for board, value in having if value is not None]
        if refusing and not boards:
            error = _beyond(refusing, played)
            raise InvalidRequest(error.detail, errors=[error])
        return boards

    async def _find_places(self, board: Board, time: datetime) -> _Windows:
        """Where a session of ``time`` counts on a board. Remembered if it is of now, unless something may begin to count at any
        moment.
        """
        places: list[Ranked] = []
        starts_at, ends_at, whole = _BEGIN, _END, True
        for window in board.windows:
            if window.definition.kind == "all":
                places.append(Ranked(Place(board.board_id, ALL_TIME), board.direction, None))
                continue
            period = self._running.get(window.window_id)
            if period is None or not period.has(time):
                period = await self._find(board, window, time)
            if period is None:
                whole = False
            else:
                starts_at, ends_at = max(starts_at, period.starts_at), min(ends_at, period.ends_at)
                if period.state == "open":
                    places.append(_ranked(board, period))
        found = _Windows(board, board.counting.aggregate, places, starts_at, ends_at)
        if whole and starts_at <= self._catalogue.clock.now() < ends_at:
            self._windows[board.board_id] = found
        return found

    async def _find(self, board: Board, window: Window, time: datetime) -> Period | None:
        """The period of a window that has this time, made if it has to be."""
        gap = self._gaps.get(window.window_id)
        if gap is not None and monotonic() < gap.known_until and gap.has(time):
            return None
        scheduled = board.scheduled(window)

        async def work() -> Period | _Gap:
            if scheduled is not None:
                found = await periods.find_or_make(self._database, scheduled, time)
                return found or _Gap(time, scheduled.next_start(time), monotonic() + _KNOWN_SECONDS)
            async with self._database.reading() as connection:
                found = await periods.find(connection, board.board_id, window.window_id, time)
                starts = await running.list_next_starts(connection, board.board_id, [window.window_id], time)
            return found or _Gap(time, starts.get(window.window_id), monotonic() + _KNOWN_SECONDS)

        number = scheduled.schedule.number_at(time) if scheduled is not None else None
        while True:
            found = await self._making.ask((window.window_id, number), work)
            if isinstance(found, Period):
                if found.has(self._catalogue.clock.now()):
                    self._running[window.window_id] = found
                self._remember(found)
            else:
                self._gaps[window.window_id] = found
            # Who asks together with others is answered for the time of one of them, which another row may have, or none.
            if found.has(time):
                return found if isinstance(found, Period) else None

    def _is_closed(self, at: Place) -> bool:
        until = self._closed.get(at)
        return until is not None and (at.period_id != ALL_TIME or monotonic() < until)

    def _remember(self, period: Period) -> None:
        self._periods[period.period_id] = period
        if len(self._periods) > _MOST_REMEMBERED:
            self._periods.popitem(last=False)

    async def _look_up(self, period_ids: list[int]) -> list[Period | None]:
        async with self._database.reading() as connection:
            found = {period.period_id: period for period in await periods.list_by_id(connection, set(period_ids))}
        now = monotonic()
        for period in found.values():
            self._remember(period)
            self._read[period.period_id] = period, now
            if len(self._read) > _MOST_REMEMBERED:
                self._read.popitem(last=False)
        return [found.get(period_id) for period_id in period_ids]


def _ranked(board: Board, period: Period) -> Ranked:
    return Ranked(Place(board.board_id, period.period_id), board.direction, _milliseconds(period.closes_at))


def _no_period(board: str, period_id: int, window: str | None) -> PeriodNotFound:
    return PeriodNotFound(f"The board {board} has no period {period_id}" + (f" of the window {window}." if window else "."))


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _beyond(boards: Sequence[Board], played: Played) -> FieldError:
    """What is told of a value that these boards do not take."""
    board = boards[0]
    least, most, metric = board.definition.min_score, board.definition.max_score, board.definition.metric
    detail = f"The board {board.name} takes values from {least} to {most}."
    return FieldError(detail=detail, pointer="#/score" if metric == SCORE else f"#/metrics/{metric}")
