"""Rounds: each load in turn, then all of them again, so that what happens to the machine happens to all alike."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from secrets import token_hex

from services.local import ROOT
from services.local.processes import without_secrets
from tests.bench.generator import GeneratorFailed, Load, Measurement, ask, run
from tests.bench.machine import Meter
from tests.bench.writer import STARTED

WRITES_A_SECOND = 200
# A writer that gets less done than this of what it should was kept waiting: the round is not what it says it is.
_PACE_KEPT = 0.95
# What was under way when a generator left is answered meanwhile.
_SETTLE_SECONDS = 0.2

Rounds = dict[str, list[Measurement]]
"""What was measured, by case and round."""


@dataclass(frozen=True)
class Case:
    """A load, where it goes, and whether somebody submits sessions meanwhile."""

    name: str
    load: Load
    urls: tuple[str, ...]
    beside: Load | None = None


@dataclass(frozen=True)
class Plan:
    """How long is measured, and how often."""

    rounds: int
    seconds: int
    warm_up: int


def find_fault(case: Case) -> str | None:
    """Why a case cannot be measured: what it asks for is not there. None if it is.

    A key that is not looked at gets the same 201, so a submission with one is asked twice.
    """
    key = token_hex(8)
    for url in case.urls:
        try:
            answers = [ask(url, case.load, key) for _ in range(2)]
        except (OSError, HTTPException) as error:
            return f"{case.load.method} {case.load.path} is not answered: {error or type(error).__name__}"
        wrong = next((answer.status for answer in answers if answer.status != case.load.status), None)
        if wrong is not None:
            return f"{case.load.method} {case.load.path} answers {wrong}, not {case.load.status}"
        if "Idempotency-Key" in case.load.headers and answers[1].headers.get("idempotent-replayed") != "true":
            return f"{case.load.method} {case.load.path} takes no Idempotency-Key"
    return None


def measure(
    cases: Sequence[Case], plan: Plan, folder: Path, meter: Meter, tell: Callable[[str], None]
) -> tuple[Rounds, list[str]]:
    """Warm up, then measure every case once a round, in turn; every other round backwards, against drift.

    What is not there is left out; what fails has no rounds. The second value says why, a line each.
    """
    faults = {case.name: f"not there: {fault}" for case in cases if (fault := find_fault(case))}
    measured: Rounds = {case.name: [] for case in cases if case.name not in faults}
    cases = [case for case in cases if case.name in measured]
    for number in range(plan.rounds + 1):
        for place, case in enumerate(cases if number % 2 else reversed(cases)):
            if case.name in faults:
                continue
            tell(f"{f'Round {number} of {plan.rounds}' if number else 'Warming up'}, {place + 1}/{len(cases)}: {case.name}")
            try:
                measurement = _measure_one(case, plan.seconds if number else plan.warm_up, folder, meter)
            except GeneratorFailed as failure:
                faults[case.name] = str(failure)
                measured[case.name].clear()
                continue
            if number:
                measured[case.name].append(measurement)
    return measured, [f"{name}: {fault}" for name, fault in faults.items()]


def _measure_one(case: Case, seconds: int, folder: Path, meter: Meter) -> Measurement:
    with _writing(case.beside, case.urls[0], folder) if case.beside else nullcontext():
        measurement = run(case.load, case.urls, seconds, folder, meter)
    time.sleep(_SETTLE_SECONDS)
    return measurement


@contextmanager
def _writing(load: Load, url: str, folder: Path) -> Iterator[None]:
    """Sessions are submitted at an even pace until the end of the block. Raises GeneratorFailed if they were not."""
    with paced(load, url, WRITES_A_SECOND, folder) as result:
        yield
    if result["rate"] < WRITES_A_SECOND * _PACE_KEPT:
        raise GeneratorFailed(
            f"the background writer got {result['rate']:.0f} sessions a second done, not {WRITES_A_SECOND}"
            f" (p99 {result['p99']:.0f} ms)"
        )


@contextmanager
def paced(load: Load, url: str, rate: int, folder: Path, answers: Path | None = None) -> Iterator[dict[str, float]]:
    """The load's request is sent ``rate`` times a second until the end of the block; what came of it is there after that.

    ``answers``: a file for when each answer came, and what it says. Raises GeneratorFailed when it did not run to its end, or
    an answer was not a success.
    """
    files = map(str, load.write(folder))
    command = [sys.executable, "-m", "tests.bench.writer", url, *files, str(rate), *([str(answers)] if answers else [])]
    writer = subprocess.Popen(  # our own module
        command, cwd=ROOT, env=without_secrets(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    result: dict[str, float] = {}
    try:
        assert writer.stdout is not None
        if writer.stdout.readline().strip() != STARTED:
            raise GeneratorFailed(f"the background writer did not start: {writer.communicate()[1].strip()[-300:]}")
        yield result
        writer.terminate()
        output, errors = writer.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        raise GeneratorFailed("the background writer still waited for answers after 30 s") from None
    finally:
        writer.kill()
        writer.wait()
    if writer.returncode != 0:
        raise GeneratorFailed(f"the background writer failed: {errors.strip()[-300:]}")
    result |= json.loads(output)
    if result["refused"]:
        raise GeneratorFailed(f"{result['refused']:.0f} requests of the background writer were refused")
