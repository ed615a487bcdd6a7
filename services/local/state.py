"""What a running system leaves in its data folder: a lock, and a file with its coordinates and its processes."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from services.local.errors import AlreadyRunning
from services.local.files import write_private

STATE_FILE = "state.json"
ENDING_SECONDS = 10.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Child:
    """A process we started. Its start time tells it from a later one with the same number."""

    name: str
    pid: int
    started: str


@dataclass(frozen=True)
class State:
    """Where the parts of a running system are. No secrets: those are in ``.env``."""

    runner: int
    gateway_url: str
    mysql_host: str
    mysql_port: int
    mysql_database: str
    redis_url: str
    auth_url: str
    leaderboard_urls: list[str]
    logs: str
    children: list[Child] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Replace the file."""
        write_private(path, json.dumps(asdict(self), indent=2) + "\n")


def find_state(path: Path) -> State | None:
    """What a running system wrote, None if there is none or it cannot be read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return State(**{**document, "children": [Child(**child) for child in document["children"]]})
    except (OSError, ValueError, TypeError, KeyError):
        return None


class Lock:
    """Held by the one process that runs the system out of a folder. However that ends, the kernel releases it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None

    @property
    def held(self) -> bool:
        """Whether it is ours now."""
        return self._file is not None

    def acquire(self) -> None:
        """Raise AlreadyRunning, naming the holder, if another process has it."""
        file = (self._folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise AlreadyRunning(self._refusal(holder)) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let the next one in."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None

    def probe(self) -> None:
        """Raise AlreadyRunning as ``acquire`` would."""
        self.acquire()
        self.release()

    def _refusal(self, holder: str) -> str:
        state = find_state(self._folder / STATE_FILE)
        where = f" at {state.gateway_url}" if state else ""
        return f"It is running already{where}" + (
            f" (process {holder}); stop it there with Ctrl-C, or: kill {holder}" if holder else ""
        )


def started_at(pid: int) -> str | None:
    """When a process started, as the system tells it; None if there is no such process, or it has ended."""
    if BOOT_ID.exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        # Ticks since the machine started, which many a machine's first processes have in common with its last ones.
        return None if fields[0] in "ZX" else f"{BOOT_ID.read_text(encoding='ascii').strip()} {fields[19]}"
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # a constant and a number
    return answer.stdout.strip() or None


def end_leftovers(state: State) -> None:
    """End what a runner left behind that was itself killed: wait for those that end already, then SIGKILL.

    On Linux the kernel has sent them a signal before we come; elsewhere the first one is ours.
    """
    left = [child for child in state.children if started_at(child.pid) == child.started]
    for child in left:
        _send(child.pid, signal.SIGTERM)
        _send(child.pid, signal.SIGCONT)
    deadline = time.monotonic() + ENDING_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [child for child in left if started_at(child.pid) == child.started]
    for child in left:
        _send(child.pid, signal.SIGKILL)
    while any(started_at(child.pid) == child.started for child in left) and time.monotonic() < deadline + ENDING_SECONDS:
        time.sleep(0.05)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
