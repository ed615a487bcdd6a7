"""The system that the model is held against: what is asked of it, what is done to it, and for how long it may lag then."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from services.leaderboard.operate import boards
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from services.local.web import Service
from tests.faults.model import BOARDS, Model, Period
from tests.playing import API
from tests.system import rows

DOUBT = timedelta(seconds=0.5)
"""How exactly a process knows MySQL's time: to half of the round trip that it was asked in, on a machine that may be busy."""
LAG_SECONDS = 1.5
"""What a change may take after a fault until every process shows it, and a half more."""
ANSWER_SECONDS = 30
"""What an answer may take on a machine that may be busy, 503 and asked again included."""
_GAVE_UP = b"redis unavailable"
_EMPTIED = "game_sessions", "session_extras", "standings", "players", "outbox", "erased_keys", "erasures", "foldings", "reviews"
_PERIODS = """
SELECT p.id, b.name, w.name, p.starts_at, p.ends_at FROM periods AS p
JOIN windows AS w ON w.id = p.window_id JOIN boards AS b ON b.id = p.board_id WHERE p.id > %s ORDER BY p.id"""

Answer = tuple[int, Any]
"""A status, and what was answered with it; None with an error."""


def now() -> datetime:
    """The machine's time, which is MySQL's."""
    return datetime.now(UTC)


def read_periods(mysql: Any, after: int = 0) -> list[Period]:
    """The periods that MySQL has, with greater ids than that."""
    return [
        Period(period_id, board, window, starts_at.replace(tzinfo=UTC), ends_at.replace(tzinfo=UTC))
        for period_id, board, window, starts_at, ends_at in rows(mysql, _PERIODS, after)
    ]


def make_boards(settings: LeaderboardSettings, file: str, processes: Sequence[Service]) -> None:
    """Make the boards that a file has, and return when these processes know them."""
    changes = asyncio.run(boards.apply(settings, file.encode()))
    names = {change.definition.name for change in changes}
    deadline = time.monotonic() + 10
    for process in processes:
        while True:
            listed = httpx.get(f"{process.url}{API}/boards?limit=100").json()["boards"]
            if names <= {each["name"] for each in listed}:
                break
            assert time.monotonic() < deadline, "a board is not known"
            time.sleep(0.02)


class Subject:
    """One system, started once, and emptied before each example."""

    def __init__(self, stack: Stack, processes: Sequence[Service], settings: LeaderboardSettings, model: Model) -> None:
        self.stack = stack
        self.settings = settings
        self.model = model
        self.done: Counter[str] = Counter()
        self._processes = processes
        self._clients = [httpx.Client(base_url=process.url, timeout=30) for process in processes]
        self.mysql = stack.mysql.connect(database=stack.database, autocommit=True)
        # Until then a name that came with a session may not be shown yet where the session does not count.
        self._named_by = 0.0
        self._settled = False
        self._logged = [0 for _ in processes]
        self._empty()

    def _empty(self) -> None:
        """Nobody has played. Ids go on: what a process may still hold of an earlier example is of no row of this one."""
        for table in _EMPTIED:
            rows(self.mysql, f"DELETE FROM {table}")
        self.start_redis()
        with self.stack.redis.client() as redis:
            redis.flushall()
        self._settled = False
        for process in self._processes:
            process.wait_ready()
        make_boards(self.settings, BOARDS, self._processes)
        self.look_at_periods()
        self.settle()

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.mysql.close()

    # What is asked of it.

    def client(self, process: int) -> httpx.Client:
        """Of that process, which answers."""
        self._processes[process].wait_ready()
        return self._clients[process]

    def url(self, process: int) -> str:
        """Where that process answers, whether it does or not."""
        return self._processes[process].url

    @property
    def processes(self) -> int:
        """How many there are."""
        return len(self._processes)

    def ready(self, process: int) -> datetime:
        """When that process answers, which is now, or when it has been started again."""
        self.client(process)
        return now()

    def look_at_periods(self) -> None:
        """Have the model know which periods there are by now, none of which may begin later."""
        for period in read_periods(self.mysql, after=max(self.model.periods, default=0)):
            assert period.starts_at <= now() + DOUBT, f"{period} begins in the future"
            self.model.know(period)

    def until_known(self, process: int, method: str, path: str, **said: Any) -> tuple[httpx.Response, bool]:
        """What is answered at last, and whether that may be of what was done before: what is answered 503 may be, or not.

        So it must be something that is done once, however often it is asked for.
        """
        deadline, doubtful = time.monotonic() + ANSWER_SECONDS, False
        while True:
            answer = self.client(process).request(method, f"{API}/{path}", **said)
            if answer.status_code != 503:
                return answer, doubtful
            assert time.monotonic() < deadline, answer.text
            self.doubt()
            doubtful = True
            time.sleep(0.1)  # as it is told to, or sooner

    def doubt(self) -> None:
        """Something was answered 503: if it was done all the same, nobody may have told Redis."""
        self.done["answers 503"] += 1
        self._settled = False

    def wait_idle(self) -> None:
        """Return when nothing is under way in MySQL that a process does not wait for any more."""
        others = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id <> CONNECTION_ID()"
        deadline = time.monotonic() + ANSWER_SECONDS
        while rows(self.mysql, others) != [(0,)]:
            assert time.monotonic() < deadline, "something is under way for long"
            time.sleep(0.02)

    def ask(self, process: int, path: str, headers: dict[str, str] | None = None) -> Answer:
        """What is answered, but for what says nothing of the ranking."""
        answer, _ = self.until_known(process, "GET", path, headers=headers)
        if answer.status_code == 404:
            return 404, None
        found: dict[str, Any] = answer.json()
        for name in ("generation", "next_cursor"):
            found.pop(name, None)
        return answer.status_code, found

    def agrees(self, ask: Callable[[], Answer], wanted: Callable[[datetime], Answer]) -> None:
        """The answer is the model's of now: at once, or within the second that a change may take after a fault.

        ``wanted`` is what is right at a time. When a period ends just now it may be what is right before, or after.
        """
        self.done["answers compared"] += 1
        began = time.monotonic()
        while True:
            before = now()
            found = ask()
            right = [wanted(before - DOUBT), wanted(now() + DOUBT)]
            if found in right:
                return
            if self.settled:
                assert _nameless(found) in map(_nameless, right), f"{found} instead of {right}"
            deadline = max(self._named_by, began + (0 if self.settled else LAG_SECONDS))
            assert time.monotonic() < deadline, f"{found} instead of {right}"
            time.sleep(0.02)  # a test of another process's view, which nothing announces

    @property
    def settled(self) -> bool:
        """Whether every answer is right at once: a process that gives Redis up on a busy machine says so, as after a fault."""
        if self._settled and self._gave_up():
            self.done["Redis given up by a process, unasked"] += 1
            self._settled = False
        return self._settled

    def _gave_up(self) -> bool:
        """Whether a process has said so since it was asked last."""
        logged = [self._read_log(process) for process in range(self.processes)]
        return any(_GAVE_UP in each for each in logged)

    def _read_log(self, process: int) -> bytes:
        """What a process has logged since it was read last."""
        with self._processes[process].log.open("rb") as log:
            log.seek(self._logged[process])
            added = log.read()
        self._logged[process] += len(added)
        return added

    def named(self) -> None:
        """A session has brought a new name."""
        self._named_by = time.monotonic() + LAG_SECONDS

    # What is done to it.

    def flush_redis(self) -> None:
        if self.stack.redis.running:
            with self.stack.redis.client() as redis:
                redis.flushall()
            self.done["Redis flushed"] += 1
            self._settled = False

    def stop_redis(self) -> None:
        if self.stack.redis.running:
            self.stack.redis.kill()
            self.done["Redis stopped"] += 1
            self._settled = False

    def start_redis(self) -> None:
        if not self.stack.redis.running:
            self.stack.redis.start()
            self._settled = False

    def kill(self, process: int) -> None:
        self._processes[process].kill()
        self._processes[process].launch()  # whoever asks it next waits for it
        self.done["processes killed"] += 1
        self._settled = False

    def settle(self) -> None:
        """Wait until every process reads through Redis again; from then on every answer is right at once."""
        if self.settled or not self.stack.redis.running:
            return
        while True:
            for process in range(self.processes):
                self._read_log(process)
            for process in range(self.processes):
                client = self.client(process)  # which may have to be waited for first
                deadline = time.monotonic() + ANSWER_SECONDS
                while client.get(f"{API}/health/ready").json()["status"] != "ok":
                    assert time.monotonic() < deadline, "redis is not used again"
                    time.sleep(0.02)
            time.sleep(0.6)  # the longest that another process's unannounced change may take
            if not self._gave_up():
                break
        self._settled = True


def _nameless(answer: Answer) -> Answer:
    """An answer without the names in it."""
    status, found = answer
    without: Any = json.loads(json.dumps(found), object_hook=lambda each: {k: v for k, v in each.items() if k != "username"})
    return status, without
