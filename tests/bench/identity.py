"""What signing in costs the others, and what it tells: many logins at once beside readers, and the time of a refusal."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.bench.figures import IDENTITY, Verdict, judge
from tests.bench.generator import GeneratorFailed
from tests.bench.index import NoIndex
from tests.bench.loads import own_account, reads
from tests.bench.machine import most_memory
from tests.bench.report import Report
from tests.bench.rounds import Plan, paced
from tests.bench.system import System
from tests.bench.timing import TRIES, measure_refusals

LOGINS = 64
_READS_A_SECOND = 100
_ASKED_A_SECOND = 100
_PASSWORD = "correct horse battery"


def add_identity(report: Report, plan: Plan, folder: Path, tell: Callable[[str], None]) -> None:
    """Measure the figures of signing in on a system of its own, and add them to the report."""
    system = System(folder / "identity")
    tries = 20 if report.smoke else TRIES
    tell("Starting a system to sign in to")
    values: dict[str, list[float]] = {}
    with system.running():
        try:
            system.fill(max(2000, tries * 2), 4000)
            _time_waves(system, plan, folder, report, values, tell)
            tell(f"Timing {tries * 4} refusals")
            for name, area in zip(("login-oracle", "delay-oracle"), measure_refusals(system, tries), strict=True):
                values[name] = [abs(area - 0.5)]
        except (GeneratorFailed, NoIndex) as failure:
            report.faults.append(f"signing in: {failure}")
    report.outcomes += [judge(figure, values.get(figure.name, []), Verdict.FAILED) for figure in IDENTITY]


def _time_waves(
    system: System, plan: Plan, folder: Path, report: Report, values: dict[str, list[float]], tell: Callable[[str], None]
) -> None:
    """Waves of logins while the board is read and others ask who they are. Raises GeneratorFailed."""
    names = [f"bench_login_{number}" for number in range(LOGINS)]
    asyncio.run(_register(system.stack.auth.url, names))
    [top, *_] = reads(system.player_ids())
    me = own_account(system.tokens(20))
    served = []
    for number in range(plan.rounds):
        tell(f"Round {number + 1} of {plan.rounds}: {LOGINS} logins at once")
        with (
            paced(top, system.url, _READS_A_SECOND, folder),
            paced(me, system.stack.auth.url, _ASKED_A_SECOND, folder) as asked,
        ):
            began = time.monotonic()
            statuses = asyncio.run(_log_in(system.stack.auth.url, names))
            values.setdefault("logins-seconds", []).append(time.monotonic() - began)
        values.setdefault("me-logins", []).append(asked["p99"])
        served.append(statuses.count(200))
        if others := set(statuses) - {200, 503}:
            report.faults.append(f"of {LOGINS} logins at once some were answered {sorted(others)}")
    values["logins-memory"] = [most_memory(system.stack.auth.pid) / 2**20]
    report.notes.append(f"Of {LOGINS} logins at once {', '.join(map(str, served))} were answered 200, all others 503.")


async def _register(url: str, names: list[str]) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for name in names:
            (await client.post("/auth/register", json={"username": name, "password": _PASSWORD})).raise_for_status()


async def _log_in(url: str, names: list[str]) -> list[int]:
    """Everybody at once; the statuses of the answers."""
    limits = httpx.Limits(max_connections=len(names))
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        logins = (client.post("/auth/login", json={"username": name, "password": _PASSWORD}) for name in names)
        return [answer.status_code for answer in await asyncio.gather(*logins)]
