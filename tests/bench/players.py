"""What a screen about players waits for: finding them by name, one as a whole, and their best session, at an even pace."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.generator import GeneratorFailed, Load
from tests.bench.loads import API
from tests.bench.rounds import Plan, paced
from tests.bench.system import System

READS_A_SECOND = 200
_PACE_KEPT = 0.95
_ASKED = 2_000


def player_reads(ids: Sequence[str], names: Sequence[str]) -> list[Load]:
    """What is asked about players who have played: by what these names begin with, whose first letters thousands share."""
    beginnings = [name[: 2 + number % 4] for number, name in enumerate(names)]
    return [
        Load("player-search", "GET", f"{API}/players?name={{value}}", values=beginnings),
        Load("player-profile", "GET", f"{API}/players/{{value}}", values=list(ids)),
        Load("player-best", "GET", f"{API}/players/{{value}}/best", values=list(ids)),
    ]


def time_players(system: System, plan: Plan, folder: Path, tell: Callable[[str], None]) -> dict[str, list[float]]:
    """Milliseconds within which 99 of 100 answers come, by round and the name of the figure. Raises GeneratorFailed."""
    found: dict[str, list[float]] = {}
    loads = player_reads(system.player_ids()[:_ASKED], system.usernames(_ASKED))
    for number in range(plan.rounds + 1):
        for load in loads:
            tell(f"{f'Round {number} of {plan.rounds}' if number else 'Warming up'}: {load.name}")
            with paced(load, system.url, READS_A_SECOND, folder) as result:
                time.sleep(plan.seconds if number else plan.warm_up)
            if number and result["rate"] < READS_A_SECOND * _PACE_KEPT:
                raise GeneratorFailed(f"{load.name}: {result['rate']:.0f} a second were answered, not {READS_A_SECOND}")
            if number:
                found.setdefault(load.name, []).append(result["p99"])
    return found
