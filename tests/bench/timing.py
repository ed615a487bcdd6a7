"""Whether the time of an answer tells a name that somebody has from one that nobody has: `python -m tests.bench.timing`.

Tries of both kinds are interleaved, one at a time, each with a name of its own, and the area under the ROC curve is told: the
chance that a known name takes longer than an unknown one. 0.5 tells nothing, 0 and 1 tell everything.
"""

import http.client
import json
import sys
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from random import Random
from secrets import token_hex
from urllib.parse import urlsplit

from services.local.terminal import say
from tests.bench.generator import GeneratorFailed
from tests.bench.system import System

# Of so many of each kind the area is right within 0.013 (its standard deviation where there is nothing to tell).
TRIES = 1000
LIMIT = 0.05
_WRONG = json.dumps("wrong horse battery")


def area(known: Sequence[float], unknown: Sequence[float]) -> float:
    """The area under the ROC curve, which is how often a known one is greater than an unknown one; equal ones count half."""
    ordered = sorted(unknown)
    below = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in known)
    return below / 2 / len(known) / len(unknown)


def measure_refusals(system: System, tries: int) -> tuple[float, float]:
    """The areas for wrong passwords and for tries during a delay, ``tries`` of each kind of name."""
    known = system.usernames(tries)
    unknown = [token_hex(8) for _ in range(tries)]
    url = system.stack.auth.url
    first = _areas(url, known, unknown, status=401)
    system.delay_everybody()
    return first, _areas(url, known, unknown, status=429)


def _areas(url: str, known: Sequence[str], unknown: Sequence[str], *, status: int) -> float:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    random = Random(len(known))
    for _ in range(10):  # the first ones open connections and warm caches
        _time(connection, token_hex(8), None)
    for pair in zip(known, unknown, strict=True):
        order = [True, False]
        random.shuffle(order)
        for is_known in order:
            seconds[is_known].append(_time(connection, pair[not is_known], status))
    connection.close()
    return area(seconds[True], seconds[False])


def _time(connection: http.client.HTTPConnection, username: str, status: int | None) -> float:
    body = f'{{"username": {json.dumps(username)}, "password": {_WRONG}}}'
    began = time.perf_counter()
    connection.request("POST", "/auth/login", body.encode(), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    taken = time.perf_counter() - began
    if status is not None and answer.status != status:
        raise GeneratorFailed(f"a login was answered {answer.status}, not {status}")
    return taken


def main() -> int:
    """Measure it on a system of its own. 0 when neither time tells anything."""
    with tempfile.TemporaryDirectory(prefix="timing-") as folder:
        system = System(Path(folder) / "stack")
        with system.running():
            system.fill(TRIES * 2, TRIES * 2)
            areas = measure_refusals(system, TRIES)
    for what, found in zip(("wrong password", "during a delay"), areas, strict=True):
        say(f"{what}: area under the ROC curve {found:.3f} over {TRIES} tries of each kind")
    return 0 if all(abs(found - 0.5) <= LIMIT for found in areas) else 1


if __name__ == "__main__":
    sys.exit(main())
