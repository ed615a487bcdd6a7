"""What game servers submit at once: how many scores a second, and what a player who submits meanwhile waits for."""

import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from services.common.tokens import Scope
from tests.bench.figures import BATCHES, Verdict, judge
from tests.bench.generator import GeneratorFailed, Load, run
from tests.bench.loads import batch, submission
from tests.bench.machine import Meter
from tests.bench.report import Report
from tests.bench.rounds import WRITES_A_SECOND, Case, Plan, measure, paced
from tests.bench.system import ONLY, SUBMITTERS, System

Tell = Callable[[str], None]

_ITEMS = 1_000
# What is submitted at an even pace comes in calls of so many, and in all so many scores a second.
_PACED_ITEMS, _PACED_SCORES = 100, 2_000
# A p99 of 200 a second needs some seconds.
_SECONDS_A_ROUND = 3


def add_batches(report: Report, system: System, plan: Plan, folder: Path, meter: Meter, tell: Tell) -> None:
    """Measure the figures of game servers' calls and add them to the report."""
    key, ids = system.key_token(Scope.SCORES), _of_one_length(system.player_ids())
    full = [batch("batches", key, ids, _ITEMS, board=ONLY), batch("batches-three", key, ids, _ITEMS)]
    beside = batch("batches-paced", key, ids, _PACED_ITEMS, board=ONLY)
    own = submission("submit-paced", system.tokens(SUBMITTERS), board=ONLY)
    measured, faults = measure([Case(load.name, load, (system.url,)) for load in full], plan, folder, meter, tell)
    report.add(measured, faults)
    values = {load.name: [one.rate * _ITEMS for one in measured.get(load.name, [])] for load in full}
    try:
        alone, paced_beside, full_beside = _time_players(system, own, beside, full[0], plan, folder, meter, tell)
    except GeneratorFailed as failure:
        report.faults.append(f"submissions beside those of game servers: {failure}")
    else:
        values["submit-alone"], values["submit-full"] = alone, full_beside
        values["submit-beside"] = [one / other for one, other in zip(paced_beside, alone, strict=True)]
    report.outcomes += [judge(figure, values.get(figure.name, []), Verdict.FAILED) for figure in BATCHES]


def _of_one_length(ids: Sequence[str]) -> list[str]:
    """The most of them that have as many digits."""
    return max((list(each) for _, each in groupby(sorted(ids, key=len), key=len)), key=len)


def _time_players(
    system: System, own: Load, beside: Load, full: Load, plan: Plan, folder: Path, meter: Meter, tell: Tell
) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds to the p99 of what players submit, by round: alone, beside the pace, and beside the full load."""
    alone: list[float] = []
    paced_beside: list[float] = []
    full_beside: list[float] = []
    seconds = max(plan.seconds, _SECONDS_A_ROUND)
    for number in range(1, plan.rounds + 1):
        tell(f"Players' submissions beside those of game servers, round {number} of {plan.rounds}")
        with paced(own, system.url, WRITES_A_SECOND, folder) as result:
            time.sleep(seconds)
        alone.append(result["p99"])
        with (
            paced(beside, system.url, _PACED_SCORES // _PACED_ITEMS, folder),
            paced(own, system.url, WRITES_A_SECOND, folder) as result,
        ):
            time.sleep(seconds)
        paced_beside.append(result["p99"])
        with paced(own, system.url, WRITES_A_SECOND, folder) as result:
            run(full, (system.url,), seconds, folder, meter)
        full_beside.append(result["p99"])
    return alone, paced_beside, full_beside
