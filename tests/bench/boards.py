"""Ten thousand boards: what they cost a submission, the follower's rounds, and the start of a process."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from services.leaderboard.boards.board import MAIN_NAME, USUAL, Rule
from services.leaderboard.boards.document import parse_toml
from services.leaderboard.operate.boards import DEFAULT
from services.local.web import Service
from tests.bench.figures import Verdict, boards_figures, judge, judge_ratio
from tests.bench.generator import CONNECTIONS, GeneratorFailed
from tests.bench.loads import API, submission
from tests.bench.machine import Meter
from tests.bench.report import Report
from tests.bench.rounds import WRITES_A_SECOND, Case, Plan, measure, paced
from tests.bench.system import System, define

Tell = Callable[[str], None]

_STARTS = 3
# With fewer than make an index: of a thousand boards most are such ones, and none gets one while it is measured.
_PLAYERS = 100
_WINDOWS = {name: USUAL[name] for name in ("week", "day")}
_ROUNDS = re.compile(r"^leaderboard_follower_round_seconds_(count|sum) (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Size:
    """How many boards there are, and how many of them are played on."""

    boards: int
    used: int


SIZE, SIZE_IN_A_SMOKE_RUN = Size(10_000, 1_000), Size(1_000, 100)


def add_many_boards(report: Report, system: System, plan: Plan, folder: Path, meter: Meter, tell: Tell) -> None:
    """Measure the figures of many boards and add them to the report. The system has them from then on."""
    size = SIZE_IN_A_SMOKE_RUN if report.smoke else SIZE
    values: dict[str, list[float]] = {}
    few = system.count_boards()
    process = system.stack.leaderboard
    tell(f"Starting a process with {few} boards")
    values["few-start"] = _time_starts(process)
    tell(f"Adding {size.boards:,} boards")
    names = [f"track{number:06}" for number in range(size.boards)]
    _add(system, names)
    tell(f"Starting a process with {size.boards:,} boards")
    values["many-start"] = _time_starts(process)
    tokens, used = system.tokens(_PLAYERS), names[: size.used]
    by_tag = submission("many-tag", tokens, track="{other}", others=used)
    by_name = submission("many-name", tokens, board="{other}", others=used)
    try:
        tell(f"Playing on {size.used:,} boards")
        asyncio.run(_play(system.url, tokens, used))
        report.add(*measure([Case(load.name, load, (system.url,)) for load in (by_tag, by_name)], plan, folder, meter, tell))
        tell("Timing the follower's rounds")
        with paced(by_tag, system.url, WRITES_A_SECOND, folder):
            values["many-round"] = [_time_round(system.url, plan.seconds) for _ in range(plan.rounds)]
    except (GeneratorFailed, httpx.HTTPError) as failure:
        report.faults.append(f"with {size.boards:,} boards: {failure}")
    report.outcomes += [
        judge_ratio(figure, report.rates) if figure.of else judge(figure, values.get(figure.name, []), Verdict.FAILED)
        for figure in boards_figures(few, size.boards, size.used)
    ]


def _add(system: System, names: Sequence[str]) -> None:
    """A board for each track. Sessions of tracks count nowhere else: the main board takes those alone that name it."""
    [main] = [board for board in parse_toml(DEFAULT.read_bytes()) if board.name == MAIN_NAME]
    tracks = [define(name, _WINDOWS, Rule(("track", name))) for name in names]
    system.put_boards([replace(main, rule=None), *tracks])


def _time_starts(process: Service) -> list[float]:
    """Seconds from the start of a process until it is ready."""
    taken = []
    for _ in range(_STARTS):
        process.stop()
        began = time.monotonic()
        process.start()
        taken.append(time.monotonic() - began)
    return taken


async def _play(url: str, tokens: Sequence[str], tracks: Sequence[str]) -> None:
    """A session on each track: whoever is first there begins its periods. Raises GeneratorFailed when one is refused."""
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(60, pool=None), limits=limits) as client:
        sent = [
            client.post(
                f"{API}/submit",
                json={"score": 120, "tags": {"track": track}},
                headers={"Authorization": f"Bearer {tokens[number % len(tokens)]}"},
            )
            for number, track in enumerate(tracks)
        ]
        answers = await asyncio.gather(*sent)
    for answer in answers:
        if answer.status_code != 201 or {each["board"] for each in answer.json()["standings"]} - set(tracks):
            raise GeneratorFailed(f"a session with a tag is answered {answer.status_code}: {answer.text[:300]}")


def _time_round(url: str, seconds: float) -> float:
    """Milliseconds that a round of the follower takes, in the mean of those in so many seconds."""
    rounds, spent = _read_rounds(url)
    time.sleep(seconds)
    rounds_later, spent_later = _read_rounds(url)
    if rounds_later == rounds:
        raise GeneratorFailed(f"the follower made no round in {seconds:.0f} s")
    return (spent_later - spent) / (rounds_later - rounds) * 1000


def _read_rounds(url: str) -> tuple[float, float]:
    """How many rounds there were, and how many seconds they took, by the process's metrics."""
    told = dict(_ROUNDS.findall(httpx.get(f"{url}/metrics").text))
    return float(told["count"]), float(told["sum"])
