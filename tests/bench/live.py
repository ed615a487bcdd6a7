"""What it costs a process that thousands watch a board, and when they see what was acknowledged."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.leaderboard.rules.places import ALL_TIME, Place
from services.leaderboard.rules.ranking import MAX_SESSION_SCORE
from services.local import ROOT
from services.local.processes import without_secrets
from tests.bench.figures import LIVE, Verdict, judge
from tests.bench.generator import GeneratorFailed, Load, Measurement, ask
from tests.bench.index import NoIndex
from tests.bench.loads import API, rank_in, submission
from tests.bench.machine import Meter, memory, process_seconds
from tests.bench.report import Report
from tests.bench.rounds import WRITES_A_SECOND, Plan, paced
from tests.bench.system import SUBMITTERS, System, define
from tests.bench.watchers import Watched
from tests.bench.writer import STARTED
from tests.system import bearer
from tests.watching import live_path

Tell = Callable[[str], None]
Acknowledged = tuple[float, int, int]
"""When a session was answered, whose it was, and the score that the player had then."""

STREAMS, SMOKE_STREAMS = 2_000, 200
WATCHED = "watched"
# They are all on the page that is watched, so every session changes it.
LEADERS = 10
_SECONDS_A_ROUND = 5
_SETTLE_SECONDS = 2
_OPEN_SECONDS = 120
_FAILURES = GeneratorFailed, NoIndex, OSError, httpx.HTTPError


@dataclass
class _Crowd:
    """A process of watchers, and what they were told, which is there when they have gone."""

    pid: int
    watched: Watched = field(default_factory=Watched)


def add_live(report: Report, system: System, plan: Plan, folder: Path, meter: Meter, tell: Tell) -> None:
    """Measure the figures of live standings and add them to the report."""
    values: dict[str, list[float]] = {}
    count = SMOKE_STREAMS if report.smoke else STREAMS
    try:
        load, tokens = _prepare(system, tell)
        for number in range(1, plan.rounds + 1):
            tell(f"{count:,} watch, round {number} of {plan.rounds}")
            _measure_round(report, system, load, tokens, count, folder, meter, values)
    except _FAILURES as failure:
        report.faults.append(f"live standings: {failure}")
    report.outcomes += [judge(figure, values.get(figure.name, []), Verdict.FAILED) for figure in LIVE]


def _prepare(system: System, tell: Tell) -> tuple[Load, list[str]]:
    """A board with everybody on it, and what its leaders submit; and the tokens of those who watch."""
    tell("Filling a board that is watched")
    system.put_boards([define(WATCHED)])
    at = Place(system.board_id(WATCHED), ALL_TIME)
    system.crowd(at)
    tokens = system.tokens(SUBMITTERS)
    load = submission("watched", tokens[:LEADERS], board=WATCHED)
    ids = system.player_ids()
    ask(system.url, rank_in("watched-rank", ALL_TIME, ids, WATCHED))  # whoever asks has the index built
    system.index.wait(at, len(ids))
    for token in tokens[:LEADERS]:
        session = {"score": MAX_SESSION_SCORE, "boards": [WATCHED]}
        httpx.post(f"{system.url}{API}/submit", json=session, headers=bearer(token)).raise_for_status()
    return load, tokens


def _measure_round(
    report: Report,
    system: System,
    load: Load,
    tokens: Sequence[str],
    count: int,
    folder: Path,
    meter: Meter,
    values: dict[str, list[float]],
) -> None:
    """Without streams and then with them, in a process that is new: the memory that it had for streams it would keep."""
    system.stack.leaderboard.restart()
    answers = folder / "watched.answers"
    with paced(load, system.url, WRITES_A_SECOND, folder):  # what comes first warms it up
        time.sleep(_SETTLE_SECONDS)
    with paced(load, system.url, WRITES_A_SECOND, folder) as alone:
        time.sleep(_SECONDS_A_ROUND)
    before = memory(system.stack.leaderboard.pid)
    with _crowd(system.url, count, tokens, folder) as crowd:
        time.sleep(_SETTLE_SECONDS)
        with meter.watching() as meanwhile, paced(load, system.url, WRITES_A_SECOND, folder, answers) as beside:
            spent = process_seconds(crowd.pid)
            time.sleep(_SECONDS_A_ROUND)
            meanwhile.add("generator", process_seconds(crowd.pid) - spent)
        after = memory(system.stack.leaderboard.pid)
        time.sleep(_SETTLE_SECONDS)  # what was acknowledged last is shown by then
    acknowledged = _read_answers(answers)
    shown = milliseconds_to_shown(acknowledged, crowd.watched)
    own = milliseconds_to_own(acknowledged, crowd.watched)
    values.setdefault("live-shown", []).append(percentile(shown, 0.99))
    values.setdefault("live-own", []).append(percentile(own, 0.99))
    values.setdefault("live-submit", []).append(beside["p99"] / alone["p99"])
    values.setdefault("live-memory", []).append((after - before) / count)
    events = sum(acknowledged[0][0] <= at <= acknowledged[-1][0] for stream in crowd.watched.shown for at, _ in stream)
    rate, p50, p99 = events / _SECONDS_A_ROUND, percentile(shown, 0.5), percentile(shown, 0.99)
    report.measured.setdefault(f"live, {count:,}", []).append(Measurement(rate, p50, p99, meanwhile.cores()))


@contextmanager
def _crowd(url: str, count: int, tokens: Sequence[str], folder: Path) -> Iterator[_Crowd]:
    """So many watch until the end of the block. What they were told is there after that.

    Raises GeneratorFailed when one was not answered, or had to ask again.
    """
    tokens_file, results = folder / "watchers.tokens", folder / "watchers.results"
    tokens_file.touch(mode=0o600)
    tokens_file.write_text("\n".join(tokens), encoding="ascii")
    path = live_path(WATCHED, window="all", limit=LEADERS)
    command = [sys.executable, "-m", "tests.bench.watchers", url, path, str(count), str(tokens_file), str(results)]
    process = subprocess.Popen(  # our own module
        command, cwd=ROOT, env=without_secrets(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    crowd = _Crowd(process.pid)
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != STARTED:
            raise GeneratorFailed(f"the watchers did not start: {process.communicate()[1].strip()[-300:]}")
        yield crowd
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=_OPEN_SECONDS)[1]
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise GeneratorFailed(f"the watchers failed: {errors.strip()[-300:]}")
    crowd.watched = Watched(**json.loads(results.read_text(encoding="utf-8")))
    if crowd.watched.broken:
        raise GeneratorFailed(f"{crowd.watched.broken:,} of {count:,} streams did not last")


def _read_answers(path: Path) -> list[Acknowledged]:
    answers: list[tuple[float, Mapping[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
    found = [(at, said["user_id"], standing["score"]) for at, said in answers for standing in said["standings"]]
    return sorted(found)


def milliseconds_to_shown(acknowledged: Sequence[Acknowledged], watched: Watched) -> list[float]:
    """Of each session and stream how long it took until the stream had a page with the session on it.

    Pages come in the order of what they show. Raises GeneratorFailed when a stream never had one.
    """
    pages = [{row["user_id"]: row["score"] for row in json.loads(page)["top"]} for page in watched.pages]
    first_on: list[list[float]] = [[] for _ in pages]
    for at, user, score in acknowledged:
        number = next((number for number, page in enumerate(pages) if page.get(user, 0) >= score), None)
        if number is None:
            raise GeneratorFailed("a session was acknowledged, and never shown")
        first_on[number].append(at)
    taken = []
    for stream in watched.shown:
        known = 0
        for at, number in stream:
            taken += [max(0.0, at - acknowledged_at) for page in first_on[known : number + 1] for acknowledged_at in page]
            known = max(known, number + 1)
    if len(taken) != len(acknowledged) * len(watched.shown):
        raise GeneratorFailed(f"{len(acknowledged) * len(watched.shown) - len(taken):,} sessions were not shown to a stream")
    return [seconds * 1000 for seconds in taken]


def milliseconds_to_own(acknowledged: Sequence[Acknowledged], watched: Watched) -> list[float]:
    """Of each session and stream of its player how long it took until the player was told of the score."""
    taken = []
    for stream in watched.own:
        told = [(at, json.loads(data)) for at, data in stream]
        user = told[0][1]["user_id"] if told else None
        for acknowledged_at, whose, score in acknowledged:
            if whose == user:
                at = next((at for at, said in told if (said["score"] or 0) >= score), None)
                if at is None:
                    raise GeneratorFailed("a session was acknowledged, and its player's own rank never told of it")
                taken.append(max(0.0, at - acknowledged_at) * 1000)
    return taken


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]
