"""What the numbers of a screen cost: what a player waits for at an even pace, and what Redis does for the ranks of many."""

import json
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from random import Random

import httpx

from tests.bench.figures import NUMBERS
from tests.bench.generator import Load
from tests.bench.loads import BOARDS
from tests.bench.rounds import paced
from tests.bench.system import ONLY, System

_READS_A_SECOND = 200
# A p99 of 200 a second needs some seconds.
_SECONDS = 5
_ASKED_FOR = 200
_CALLS = 200
_SCORES = 5_000


def time_numbers(system: System, rounds: int, folder: Path, tell: Callable[[str], None]) -> dict[str, list[float]]:
    """Milliseconds to the p99 of each, by round, and those that Redis works for the ranks of many players: by their figures.

    Of a board that everybody is on, and whose index is whole. Raises GeneratorFailed and httpx.HTTPError.
    """
    ids = system.player_ids()
    loads = _loads(ids)
    values: dict[str, list[float]] = {load.name: [] for load in loads}
    for number in range(1, rounds + 1):
        for load in loads:
            tell(f"{NUMBERS[load.name]} at an even pace, round {number} of {rounds}")
            with paced(load, system.url, _READS_A_SECOND, folder) as result:
                time.sleep(_SECONDS)
            values[load.name].append(result["p99"])
    tell(f"Ranks of {_ASKED_FOR} players, one call after the other")
    return values | {"ranks-redis": [_work_of_redis(system, ids)]}


def _loads(ids: list[str]) -> list[Load]:
    board, random = f"{BOARDS}/{ONLY}", Random(1)
    scores = [str(int(random.lognormvariate(10, 2))) for _ in range(_SCORES)]
    # The bodies of a load are all of one length.
    of_one_length = max((list(each) for _, each in groupby(sorted(ids, key=len), key=len)), key=len)
    asked = f'{{"user_ids": [{", ".join(["{other}"] * _ASKED_FOR)}]}}'
    sent = {"Content-Type": "application/json"}
    return [
        Load("number-rank", "GET", f"{board}/rank/{{value}}", values=ids),
        Load("number-score", "GET", f"{board}/rank/score/{{value}}", values=scores),
        Load("number-ranks", "POST", f"{board}/ranks", headers=sent, body=asked, others=of_one_length),
        Load("number-distribution", "GET", f"{board}/distribution?bins=20"),
    ]


def _work_of_redis(system: System, ids: list[str]) -> float:
    """Milliseconds of processor time that Redis takes for a call about players from all over the board."""
    random = Random(2)
    bodies = [json.dumps({"user_ids": [int(each) for each in random.sample(ids, _ASKED_FOR)]}) for _ in range(_CALLS)]
    sent = {"Content-Type": "application/json"}
    with httpx.Client(base_url=system.url, headers=sent, timeout=30) as client, system.stack.redis.client(timeout=30) as redis:

        def spent() -> float:
            used = redis.info("cpu")
            return float(used["used_cpu_user"] + used["used_cpu_sys"])

        before = spent()
        for body in bodies:
            client.post(f"{BOARDS}/{ONLY}/ranks", content=body).raise_for_status()
        return (spent() - before) * 1000 / _CALLS
