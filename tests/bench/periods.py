"""What time costs: the first read of a day that is over, and the moment at which windows start anew."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path

from services.leaderboard.rules.places import ALL_TIME, MAIN_BOARD_ID, Place
from tests.bench.figures import PERIODS, Verdict, judge
from tests.bench.generator import GeneratorFailed, Load, ask
from tests.bench.index import NoIndex
from tests.bench.loads import rank_in, submission
from tests.bench.report import Report
from tests.bench.rounds import WRITES_A_SECOND, paced
from tests.bench.system import MIDNIGHT, System

Tell = Callable[[str], None]

_COLD_READS = 5
# A process knows for a second what the period of an id is: whoever asks after that is the first again.
_FORGOTTEN_SECONDS = 1.1
# Whoever plays in a new period makes a standing there: so many, that nobody plays twice around a midnight.
_MIDNIGHT_PLAYERS = 5_000
_MINUTE = 60
_FAILURES = GeneratorFailed, NoIndex, OSError, HTTPException
_BEFORE_SECONDS, _AFTER_SECONDS = 5, 10


def past_rank(system: System) -> Load:
    """A rank in the last day that is over."""
    day, *_ = system.past_days()
    return rank_in("past-rank", day, system.player_ids(day))


def warm_past_day(system: System) -> None:
    """Have that day's index built, as whoever reads it first does. Raises NoIndex."""
    day, *_ = system.past_days()
    ask(system.url, past_rank(system))
    system.index.wait(Place(MAIN_BOARD_ID, day), len(system.player_ids(day)))


def add_periods(report: Report, system: System, folder: Path, tell: Tell) -> None:
    """Measure the figures of periods and add them to the report."""
    values: dict[str, list[float]] = {}
    _, crowded, *_ = system.past_days()
    past, running = Place(MAIN_BOARD_ID, crowded), Place(system.board_id(MIDNIGHT), ALL_TIME)
    # Both at first: so the disk has time for what was written, before it is what a midnight waits for.
    for at in (running, past):
        tell(f"Filling {'a past day' if at is past else 'a board whose windows start anew each minute'}")
        system.crowd(at)
    try:
        values["past-cold"] = _time_cold_reads(system, past, tell)
    except _FAILURES as failure:
        report.faults.append(f"a past day: {failure}")
    try:
        slowest = _time_midnights(system, running, 1 if report.smoke else 2, folder, tell)
        values["midnight"] = [max(slowest)]
        report.notes.append(f"Slowest submission of each midnight: {', '.join(f'{each:.0f} ms' for each in slowest)}.")
    except _FAILURES as failure:
        report.faults.append(f"midnight: {failure}")
    report.outcomes += [judge(figure, values.get(figure.name, []), Verdict.FAILED) for figure in PERIODS]


def _time_cold_reads(system: System, at: Place, tell: Tell) -> list[float]:
    """Milliseconds to the first answer of a place that has no index: of players all over it, one after the other."""
    ids = system.player_ids(at.period_id)
    taken = []
    for number in range(_COLD_READS):
        tell(f"First read of a past day, {number + 1}/{_COLD_READS}")
        system.index.forget(at)
        time.sleep(_FORGOTTEN_SECONDS)
        load = rank_in("past-cold", at.period_id, [ids[number * len(ids) // _COLD_READS]])
        began = time.perf_counter()
        answer = ask(system.url, load)
        taken.append((time.perf_counter() - began) * 1000)
        if answer.status != load.status:
            raise GeneratorFailed(f"{load.path} is answered {answer.status}")
        system.index.wait(at, len(ids))
    system.index.forget(at)
    return taken


def _time_midnights(system: System, at: Place, count: int, folder: Path, tell: Tell) -> list[float]:
    """Milliseconds of the slowest submission around each of ``count`` midnights: full minutes, at which windows start anew."""
    ids = system.player_ids()
    ask(system.url, rank_in("midnight-rank", ALL_TIME, ids, MIDNIGHT))  # whoever asks has the index built
    system.index.wait(at, len(ids))
    load = submission("midnight", system.tokens(_MIDNIGHT_PLAYERS), board=MIDNIGHT)
    slowest = []
    for number in range(count):
        tell(f"Windows start anew, {number + 1}/{count}")
        midnight = _next_minute(time.time() + _BEFORE_SECONDS)
        time.sleep(midnight - _BEFORE_SECONDS - time.time())
        with paced(load, system.url, WRITES_A_SECOND, folder) as result:
            time.sleep(midnight + _AFTER_SECONDS - time.time())
        if (begun := system.count_begun(at.board_id, datetime.fromtimestamp(midnight, UTC))) != 2:
            raise GeneratorFailed(f"{begun} windows started anew, not 2")
        slowest.append(result["slowest"])
    return slowest


def _next_minute(time: float) -> int:
    """The first full minute after a time, in seconds since 1970."""
    return (int(time) // _MINUTE + 1) * _MINUTE
