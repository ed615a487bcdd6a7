"""Where seeded sessions count: `main` and the board beside it, in each of their windows, past periods included."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import insert, select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.leaderboard import models
from services.leaderboard.boards import administration, periods, table
from services.leaderboard.boards.administration import BoardsConflict
from services.leaderboard.boards.board import MAIN_NAME, Board, Window
from services.leaderboard.boards.document import parse_toml
from services.leaderboard.rules.periods import Period
from services.leaderboard.rules.places import ALL_TIME, Place, pack
from services.local.errors import LocalError

BOARDS_FILE = Path(__file__).with_name("boards.toml")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Longer than a seeding takes. Of one that is never completed, past periods end then.
_OPEN = timedelta(days=1)
_CLOSE_PAST = text("""
UPDATE periods AS p JOIN windows AS w ON w.id = p.window_id
SET p.state = IF(p.ends_at + INTERVAL w.grace_seconds SECOND <= NOW(6), 'closed', 'open'),
  p.closes_at = p.ends_at + INTERVAL w.grace_seconds SECOND
WHERE p.board_id IN (:main, :races) AND p.state = 'open' AND p.closes_at > p.ends_at + INTERVAL w.grace_seconds SECOND""")
_start_of = attrgetter("starts_at")


class Stretch(NamedTuple):
    """A time in which sessions count in the same places: from ``begin``, in microseconds since 1970, to the next one's."""

    begin: int
    of_races: bytes
    """As the log keeps them."""
    of_others: bytes


@dataclass(frozen=True)
class Grounds:
    """What is played for: the boards as MySQL has them."""

    main: Board
    races: Board

    @property
    def max_score(self) -> int:
        """The greatest score of one session."""
        return self.main.definition.max_score

    @property
    def lap_metric(self) -> str:
        """What a race's time is called."""
        return self.races.definition.metric

    @property
    def race_tags(self) -> dict[str, str]:
        """What a race is tagged with, so that it counts."""
        rule = self.races.definition.rule
        return dict([rule.tag]) if rule is not None and rule.tag is not None else {}


async def prepare(database: Database) -> tuple[Grounds, int]:
    """Make the board beside `main`, where it is not there yet. Gives the boards, and what time it is for MySQL (microseconds).

    Raises LocalError when there are no tables yet, and when another board has the name.
    """
    definitions = parse_toml(BOARDS_FILE.read_bytes())
    try:
        await administration.put_all(database, definitions)
        async with database.reading() as connection:
            names = [MAIN_NAME, *(each.name for each in definitions)]
            boards = {board.name: board for board in await table.list_named(connection, names)}
            _, now = await table.get_version(connection)
    except ProgrammingError:
        raise LocalError("The database has no tables yet: start the system first, which makes them") from None
    except BoardsConflict as conflict:
        raise LocalError(f"{BOARDS_FILE} cannot be applied: {conflict}") from None
    main, races = (boards[name] for name in names)
    return Grounds(main, races), _microseconds(now)


async def lay_out(database: Database, grounds: Grounds, times: Sequence[int]) -> list[Stretch]:
    """Where sessions of these ``times`` count, which are in order. The periods that they need are made where they are missing.

    Nothing is added to a period whose results are known, or gone. Past ones that are made stay open until `close_past`: a
    service that runs meanwhile would settle them before anybody has a standing there.
    """
    stretches: dict[int, list[tuple[int, bytes]]] = {}
    for board in (grounds.main, grounds.races):
        counted = await database.transaction(lambda connection: _find_or_make(connection, board, times))  # noqa: B023 - run here
        stretches[board.board_id] = _stretches(board, counted)
    main, races = (stretches[board.board_id] for board in (grounds.main, grounds.races))
    begins = sorted({begin for begin, _ in (*main, *races)})
    # In the order of the boards' names, as the service has it.
    in_order = (races, main) if grounds.races.name < grounds.main.name else (main, races)
    return [Stretch(begin, b"".join(_at(each, begin) for each in in_order), _at(main, begin)) for begin in begins]


async def close_past(database: Database, grounds: Grounds) -> None:
    """Close the past periods of which all standings are there."""
    boards = {"main": grounds.main.board_id, "races": grounds.races.board_id}
    await database.transaction(lambda connection: connection.execute(_CLOSE_PAST, boards))


async def _find_or_make(connection: AsyncConnection, board: Board, times: Sequence[int]) -> dict[int, list[Period]]:
    """By window, the periods in which something is played, in order."""
    await administration.lock_boards(connection, [board.board_id])
    _, now = await table.get_version(connection)
    found = {}
    for window in board.windows:
        rows = await _list(connection, board, window)
        made = [_values(each, now) for each in _missing(board, window, rows, times)]
        if made:
            await connection.execute(insert(models.Period), made)
            rows = await _list(connection, board, window)
        found[window.window_id] = [each for each in rows if each.state in {"open", "closed"}]
    return found


async def _list(connection: AsyncConnection, board: Board, window: Window) -> list[Period]:
    period = models.Period
    ids = select(period.id).where(period.board_id == board.board_id, period.window_id == window.window_id)
    rows = await periods.list_by_id(connection, (await connection.scalars(ids)).all())
    return sorted(rows, key=_start_of)


def _missing(board: Board, window: Window, rows: Sequence[Period], times: Sequence[int]) -> Iterator[Period]:
    """The periods that sessions of these times need and that are not there, as the service would have made them then."""
    scheduled = board.scheduled(window)
    if scheduled is None:
        return
    first = max(filter(None, (scheduled.schedule.occurrence(0), scheduled.counts_from)))
    position = bisect_left(times, _microseconds(first))
    ended = first
    while position < len(times):
        time = _EPOCH + timedelta(microseconds=times[position])
        number = bisect_right(rows, time, key=_start_of)
        if number and rows[number - 1].has(time):
            ended = rows[number - 1].ends_at
        else:
            before = max(ended, rows[number - 1].ends_at) if number else ended
            cut = scheduled.cut(time, before, rows[number].starts_at if number < len(rows) else None)
            assert cut is not None  # the first period has begun
            ended = cut.ends_at
            closes_at = ended + scheduled.grace
            yield Period(0, board.board_id, window.window_id, cut.number, None, cut.starts_at, ended, closes_at, "open", None)
        position = bisect_left(times, _microseconds(ended))


def _values(period: Period, now: datetime) -> dict[str, object]:
    values = period._asdict()
    del values["period_id"]  # the server gives it one
    if period.closes_at <= now:
        values["closes_at"] = now + _OPEN
    return {**values, "opened_at": now}  # nobody is told that it has begun


def _stretches(board: Board, counted: Mapping[int, Sequence[Period]]) -> list[tuple[int, bytes]]:
    """From when on what places sessions count in, on one board."""
    changes = {time for each in counted.values() for period in each for time in (period.starts_at, period.ends_at)}
    stretches = []
    for begin in [_EPOCH, *sorted(changes)]:
        places = []
        for window in board.windows:
            number = bisect_right(counted[window.window_id], begin, key=_start_of)
            last = counted[window.window_id][number - 1] if number else None
            if window.definition.kind == "all":
                places.append(Place(board.board_id, ALL_TIME))
            elif last is not None and last.has(begin):
                places.append(Place(board.board_id, last.period_id))
        stretches.append((_microseconds(begin), pack(places)))
    return stretches


def _at(stretches: Sequence[tuple[int, bytes]], time: int) -> bytes:
    return stretches[bisect_right(stretches, time, key=itemgetter(0)) - 1][1]


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)
