"""What the fault tests prove: what each did and found, held against MySQL row by row, and told as a table.

Every test here belongs to a proof by its marker, and ends with `Proof.whole`, which is held in conftest.py.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from redis.asyncio import Redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import text

from services.common.mysql.database import Database
from services.leaderboard.index.connection import RedisConnection
from services.leaderboard.index.epoch import get_epoch
from services.leaderboard.index.layout import keys, parse_member
from services.leaderboard.index.writer import IndexWriter, State
from services.leaderboard.operate.check import check
from services.leaderboard.rules.places import MAIN, Place
from services.leaderboard.settings import LeaderboardSettings
from tests.ranked import database_of
from tests.system import eventually

TITLES = {
    1: "Random operations, moderation and faults against a model in plain Python",
    2: "kill -9, under load and at every step of the protocol",
    3: "Redis fails in every way it can",
    4: "Held up at the worst place, while others go on",
    5: "MySQL fails, hangs and restarts",
    6: "More groups than the outbox keeps, without Redis",
    7: "No page older than what was acknowledged",
    8: "The index's order and ranks are MySQL's",
    9: "Periods end once, whoever is killed",
    10: "Webhooks are told everything, whoever is killed",
    12: "A fifth of the log is voided while players play",
    13: "Whoever watches has the last state, whatever fails",
    14: "A game that is killed loses no score and has none counted twice",
}
WHOLE_SECONDS = 10.0
_PLACES = "SELECT DISTINCT board_id, period_id FROM standings"
_ORDER = """
SELECT s.user_id FROM standings AS s JOIN boards AS b ON b.id = s.board_id
WHERE s.board_id = :board_id AND s.period_id = :period_id AND s.score IS NOT NULL
ORDER BY IF(b.direction = 'ascending', s.score, -s.score), s.reached_session_id"""


@dataclass
class Proof:
    """What one test adds to a proof. ``find`` counts what must not be there, so that a table shows that it was looked for."""

    number: int
    test: str
    long: bool
    terminal: TextIO
    passed: bool = False
    seconds: float = 0.0
    was_whole: bool = False
    done: Counter[str] = field(default_factory=Counter)
    found: dict[str, int] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    def did(self, what: str, times: int = 1) -> None:
        """Count what was done."""
        self.done[what] += times

    def find(self, what: str, things: Iterable[object] = ()) -> None:
        """Count what was looked for, and hold that there is none of it."""
        found = list(things)
        self.found[what] = self.found.get(what, 0) + len(found)
        assert not found, f"{what}: {found[:10]}"

    def tell(self, what: str, value: str) -> None:
        """Keep a figure."""
        self.told[what] = value

    async def whole(self, settings: LeaderboardSettings, within: float = WHOLE_SECONDS) -> None:
        """Hold that all is as if nothing had failed.

        Within so many seconds the outbox is empty, and then each standing is the fold of its sessions. Each index that there
        is has every standing of its place at its version and nobody else, and ZRANGE gives what ORDER BY does.
        """
        database = database_of(settings)

        async def nothing_is_left_to_tell() -> bool:
            async with database.reading() as connection:
                return await connection.scalar(text("SELECT id FROM outbox LIMIT 1")) is None

        try:
            await eventually(nothing_is_left_to_tell, within)
            self.find("differences", await check(settings))
            self.did("indexes held against ORDER BY", await _compare_orders(database, settings))
        finally:
            await database.dispose()
        self.did("checks of every row")
        self.was_whole = True

    @contextmanager
    def progress(self, name: str, total: int) -> Iterator["Bar"]:
        """A bar on the terminal for a loop of so many rounds; none in the fast form."""
        columns = TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        if self.long:
            self.terminal.write("\n")  # pytest has begun a line with the name of the test
            self.terminal.flush()
        with Progress(*columns, console=Console(file=self.terminal), disable=not self.long) as progress:
            yield Bar(progress, total)

    def to_json(self, measured: datetime) -> dict[str, Any]:
        """All of it, for machines."""
        return {
            "proof": self.number,
            "test": self.test,
            "form": "long" if self.long else "fast",
            "measured": f"{measured:%Y-%m-%d %H:%M} UTC",
            "passed": self.passed,
            "seconds": round(self.seconds, 1),
            "done": dict(self.done),
            "found": self.found,
            "told": self.told,
        }


async def _compare_orders(database: Database, settings: LeaderboardSettings) -> int:
    """Hold that each index has the players in the order of its board. Gives how many there are: the main one is always."""
    async with database.reading() as connection:
        places = [Place(*row) for row in await connection.execute(text(_PLACES))]
        epoch = await get_epoch(connection)
        by_mysql = {at: list(await connection.scalars(text(_ORDER), at._asdict())) for at in [MAIN, *places]}
    password = settings.redis_password and settings.redis_password.get_secret_value()
    redis = Redis.from_url(settings.redis_url, username=settings.redis_user, password=password)
    link = RedisConnection(settings, WHOLE_SECONDS)
    index = IndexWriter(link)
    compared = 0
    try:
        for at, expected in by_mysql.items():
            if at == MAIN or (await index.status(at, epoch)).state is State.COMPLETE:
                members: list[Any] = await redis.zrange(keys(at)[1], 0, -1)
                assert [parse_member(member.decode())[0] for member in members] == expected, at
                compared += 1
    finally:
        await redis.aclose()
        await link.aclose()
    return compared


class Bar:
    """How far a loop is."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total)

    def advance(self, rounds: int = 1) -> None:
        """So many more are done."""
        self._progress.advance(self._task, rounds)


def table(tests: Iterable[Mapping[str, Any]]) -> list[str]:
    """What was done and found, a row for each proof, in Markdown that reads well on a terminal."""
    rows = [("proof", "tests", "done", "found", "seconds")]
    for number, title in TITLES.items():
        own = [each for each in tests if each["proof"] == number]
        if not own:
            continue
        done: Counter[str] = Counter()
        found: Counter[str] = Counter()
        told: dict[str, str] = {}
        for each in own:
            done.update(each["done"])
            found.update(each["found"])
            told |= each["told"]
        figures = [f"{what} {times}" for what, times in sorted(found.items())] + [f"{what}: {told[what]}" for what in told]
        passed = sum(each["passed"] for each in own)
        rows.append(
            (
                f"{number}. {title}",
                f"{passed} of {len(own)} passed",
                ", ".join(f"{what} {times:,}" for what, times in sorted(done.items())),
                ", ".join(figures),
                f"{sum(each['seconds'] for each in own):,.0f}",
            )
        )
    head, *body = (f"| {' | '.join(cells)} |" for cells in rows)
    return [head, "|:--|:--|:--|:--|--:|", *body]


def write(folder: Path, tests: list[dict[str, Any]], machine: Mapping[str, str]) -> None:
    """Keep the results; those of tests that did not run this time stay as they were."""
    kept = folder / "faults.json"
    before = json.loads(kept.read_text(encoding="utf-8"))["tests"] if kept.exists() else []
    newest = {each["test"]: each for each in [*before, *tests]}
    tests = sorted(newest.values(), key=lambda each: (each["proof"], each["test"]))
    folder.mkdir(parents=True, exist_ok=True)
    result = {"machine": dict(machine), "tests": tests}
    kept.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    dates = sorted(each["measured"] for each in tests)
    lines = [
        "# What `make faults` proved",
        "",
        *table(tests),
        "",
        "*Found* counts what was looked for and must not be there. A *check of every row*, with which each test ends: the",
        "outbox is empty, ZRANGE equals ORDER BY in each place, every version in an index is the standing's, and each",
        "standing is the fold of its sessions.",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        f"- Run: {dates[0]}" + (f" to {dates[-1]}" if dates[-1] != dates[0] else ""),
    ]
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
