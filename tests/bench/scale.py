"""SCALE=1: what a hundred times the players cost. Two stacks run side by side, so that both sizes share every round."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx

from services.leaderboard.rules.places import ALL_TIME, MAIN, Place
from tests.bench.figures import SCALE_LOADS, judge, judge_ratio, player_figures, scale_figures
from tests.bench.generator import GeneratorFailed, Load
from tests.bench.index import NoIndex
from tests.bench.loads import BOARDS, reads, submission
from tests.bench.machine import Meter
from tests.bench.numbers import time_numbers
from tests.bench.players import time_players
from tests.bench.report import Report
from tests.bench.rounds import Case, Plan, measure
from tests.bench.seasons import time_season
from tests.bench.system import ONLY, SUBMITTERS, System, define

FEW, MANY, MANY_IN_A_SMOKE_RUN = 10_000, 1_000_000, 50_000
_MANY_REDIS_MEMORY = "1gb"
# Near to 1, a ratio needs more of them to be told from its floor.
_TIMES_THE_ROUNDS = 3


def add_scale(report: Report, plan: Plan, folder: Path, tell: Callable[[str], None]) -> None:
    """Measure the figures of scale and add them to the report."""
    counts = {"few": FEW, "many": MANY_IN_A_SMOKE_RUN if report.smoke else MANY}
    systems = {"few": System(folder / "few"), "many": System(folder / "many", redis_memory=_MANY_REDIS_MEMORY)}
    with ExitStack() as stacks:
        loads: dict[str, dict[str, Load]] = {}
        for size, system in systems.items():
            players = counts[size]
            tell(f"Starting a system with {players:,} players")
            stacks.enter_context(system.running())
            system.put_boards([define(ONLY)])
            only = Place(system.board_id(ONLY), ALL_TIME)
            try:
                system.fill(players, players + players // 5)
                system.crowd(only)
                _have_built(system, only)
            except NoIndex as missing:
                report.faults.append(f"with {players:,} players {missing}")
            loads[size] = {load.name: load for load in reads(system.player_ids())}
            tokens = system.tokens(SUBMITTERS)
            loads[size]["submit"] = submission(f"submit-{size}", tokens)
            loads[size]["submit-only"] = submission(f"submit-only-{size}", tokens, board=ONLY)
        # The two that a figure compares come one after the other: what happens to the machine changes within seconds.
        cases = [Case(f"{name}-{size}", loads[size][name], (systems[size].url,)) for name in SCALE_LOADS for size in counts]
        meter = Meter({part: [*processes, *systems["few"].parts[part]] for part, processes in systems["many"].parts.items()})
        plan = replace(plan, rounds=_TIMES_THE_ROUNDS * plan.rounds)
        report.add(*measure(cases, plan, folder, meter, tell))
        report.notes.append(f"{counts['many']:,} players beside {counts['few']:,} were measured in {plan.rounds} rounds.")
        plan = replace(plan, rounds=plan.rounds // _TIMES_THE_ROUNDS)
        many = systems["many"]
        single = _attempt(report, "numbers of a screen", lambda: time_numbers(many, plan.rounds, folder, tell))
        single |= _attempt(report, "players", lambda: time_players(many, plan, folder, tell))
        tell("Rebuilding the index")
        single |= _rebuild(many, report)
        single |= _attempt(report, "a season", lambda: time_season(many, tell))
    report.outcomes += [
        judge_ratio(figure, report.rates) if figure.of else judge(figure, single.get(figure.name, []))
        for figure in (*scale_figures(**counts), *player_figures(counts["many"]))
    ]


def _have_built(system: System, at: Place) -> None:
    """Ask for a place, so that its index is built, and wait until everybody is there. Raises NoIndex."""
    httpx.get(f"{system.url}{BOARDS}/{ONLY}/top", timeout=60).raise_for_status()
    system.index.wait(at, len(system.player_ids()))


def _attempt(report: Report, what: str, time: Callable[[], dict[str, list[float]]]) -> dict[str, list[float]]:
    try:
        return time()
    except (GeneratorFailed, OSError, httpx.HTTPError) as failure:
        report.faults.append(f"{what}: {failure}")
        return {}


def _rebuild(system: System, report: Report) -> dict[str, list[float]]:
    try:
        seconds, size = system.index.time_rebuild(MAIN)
    except NoIndex as error:
        report.faults.append(f"rebuild: {error}")
        return {}
    return {"rebuild": [seconds], "index-bytes": [size]}
