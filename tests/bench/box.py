"""The whole machine: as many service processes as serve it best, beside one process of the ceiling."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.bench.figures import BOX_LOADS, at, best_count, box_figures, judge_ratio
from tests.bench.generator import Load
from tests.bench.machine import Meter
from tests.bench.report import Report
from tests.bench.rounds import Case, Plan, measure
from tests.bench.system import System

_MOST_PROCESSES = 8


def process_counts() -> list[int]:
    """How many service processes are tried: 1, 2, 4 … as far as there are cores, and two at least."""
    cores = min(os.cpu_count() or 1, _MOST_PROCESSES)
    return [1, 2, *(count for count in (4, 8) if count <= cores)]


def add_box(
    report: Report,
    system: System,
    loads: Mapping[str, Load],
    plan: Plan,
    folder: Path,
    meter: Meter,
    tell: Callable[[str], None],
) -> None:
    """Measure the figures of several processes and add them to the report.

    Apart from the rounds of one process: each that there is costs the others a little, even while it waits.
    """
    counts, spares = process_counts(), system.stack.leaderboards[1:]
    for spare in spares:
        spare.start()
    box = Report(report.began, {}, {})
    box.add(*measure(_cases(system, loads, counts), plan, folder, meter, tell))
    for spare in spares:
        spare.stop()
    figures = box_figures(best_count(box.rates, counts), counts)
    report.outcomes += [judge_ratio(figure, box.rates) for figure in figures]
    again = {f"{name} (box)" if name in report.measured else name: each for name, each in box.measured.items()}
    report.add(again, box.faults)


def _cases(system: System, loads: Mapping[str, Load], counts: Sequence[int]) -> list[Case]:
    urls = tuple(service.url for service in system.stack.leaderboards)
    bytes_ceiling, checked_ceiling = (Case(name, loads[name], (system.ceiling.url,)) for name in ("bytes", "checked"))
    boxes = {name: [Case(at(name, count), loads[name], urls[:count]) for count in counts] for name in BOX_LOADS}
    # Each beside its own ceiling: what happens to the machine changes within seconds.
    return [bytes_ceiling, *boxes["top"], *boxes["rank"], checked_ceiling, *boxes["submit-only"], *boxes["submit-one"]]
