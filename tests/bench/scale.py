"""SCALE=1: what a hundred times the players cost. Two stacks run side by side, so that both sizes share every round."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench.figures import SCALE, SCALE_LOADS, Outcome, judge, judge_ratio
from tests.bench.machine import Meter
from tests.bench.report import Report
from tests.bench.rounds import Case, Plan, measure
from tests.bench.system import SUBMITTERS, NoIndex, System, reads, submission

FEW, MANY = 10_000, 1_000_000
_MANY_REDIS_MEMORY = "1gb"


def add_scale(report: Report, plan: Plan, folder: Path, tell: Callable[[str], None], many: int = MANY) -> None:
    """Measure the figures of scale and add them to the report."""
    systems = {"few": System(folder / "few"), "many": System(folder / "many", redis_memory=_MANY_REDIS_MEMORY)}
    with ExitStack() as stacks:
        cases: list[Case] = []
        for size, system in systems.items():
            tell(f"Starting the system with {size} players")
            stacks.enter_context(system.running())
            players = FEW if size == "few" else many
            try:
                system.fill(players, players + players // 5)
            except NoIndex as missing:
                report.faults.append(f"with {players:,} players {missing}")
            loads = {load.name: load for load in reads(system.player_ids())}
            loads["submit"] = submission(f"submit-{size}", system.tokens(SUBMITTERS))
            cases += [Case(f"{name}-{size}", loads[name], (system.url,)) for name in SCALE_LOADS]
        meter = Meter({part: [*processes, *systems["few"].parts[part]] for part, processes in systems["many"].parts.items()})
        report.add(*measure(cases, plan, folder, meter, tell))
        tell("Rebuilding the index")
        report.outcomes += _outcomes(report, _rebuild(systems["many"], report))


def _rebuild(system: System, report: Report) -> dict[str, list[float]]:
    try:
        seconds, size = system.time_rebuild()
    except (NoIndex, TimeoutError) as error:
        report.faults.append(f"rebuild: {error}")
        return {}
    return {"rebuild": [seconds], "index-bytes": [size]}


def _outcomes(report: Report, single: dict[str, list[float]]) -> list[Outcome]:
    return [judge_ratio(figure, report.rates) if figure.of else judge(figure, single.get(figure.name, [])) for figure in SCALE]
