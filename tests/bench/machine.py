"""The machine that is measured on: what it is, and who keeps its cores busy."""

import os
import platform
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median

from services.local.processes import Process

_TICKS = os.sysconf("SC_CLK_TCK")
_PACKAGES = ("fastapi", "uvicorn", "uvloop", "httptools", "pydantic", "pyjwt", "sqlalchemy", "aiomysql", "redis", "hiredis")


class Watched:
    """Processor time by part of the system, over one round."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.spent: dict[str, float] = {}

    def add(self, part: str, seconds: float) -> None:
        """Count processor time that is not seen from outside."""
        self.spent[part] = self.spent.get(part, 0.0) + seconds

    def cores(self) -> dict[str, float]:
        """How many cores each part kept busy."""
        return {part: round(seconds / self.seconds, 3) for part, seconds in self.spent.items()}


class Meter:
    """Reads how much processor time the parts of the system have had. Knows nothing where there is no ``/proc``."""

    def __init__(self, parts: Mapping[str, list[Process]]) -> None:
        self._parts = parts

    @contextmanager
    def watching(self) -> Iterator[Watched]:
        """Watch the block. The result is complete after it."""
        watched, began = Watched(), time.monotonic()
        before, busy = self._read(), busy_seconds()
        yield watched
        watched.seconds = time.monotonic() - began
        for part, seconds in self._read().items():
            watched.add(part, seconds - before[part])
        if busy is not None:
            watched.add("elsewhere", max(0.0, (busy_seconds() or 0.0) - busy - sum(watched.spent.values())))

    def _read(self) -> dict[str, float]:
        return {
            part: sum(process_seconds(process.working_pid) for process in processes if process.running)
            for part, processes in self._parts.items()
        }


def process_seconds(pid: int) -> float:
    """Processor time that a process has had, its threads included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def most_memory(pid: int) -> int:
    """The most memory that a process has had at once, in bytes; 0 where that is not told."""
    return _memory(pid, "VmHWM")


def memory(pid: int) -> int:
    """The memory that a process has now, in bytes; 0 where that is not told."""
    return _memory(pid, "VmRSS")


def _memory(pid: int, what: str) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    found = re.search(rf"^{what}:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def busy_seconds() -> float | None:
    """Processor time that the whole machine has had, and what other machines took of it."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()
    except OSError:
        return None
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = map(int, fields[1:9])
    return (user + nice + system + interrupts + soft_interrupts + stolen) / _TICKS


def describe(folder: Path, servers: Mapping[str, str]) -> dict[str, str]:
    """The machine, in words: what a reader needs to know to compare. ``servers`` names what ran and its version."""
    return {
        "Processor": f"{_processor()}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}"
        " cores, shared by the services, their servers and the load generator",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.release()} ({_distribution()})",
        "Disk": f"write and fsync of 4 KiB: {fsync_milliseconds(folder):.2f} ms",
        "Python": f"{platform.python_version()}; " + ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "Servers": ", ".join(f"{name} {number}" for name, number in servers.items()),
    }


def fsync_milliseconds(folder: Path, times: int = 50) -> float:
    """How long a commit waits for the disk: the median of a few small writes."""
    taken = []
    path = folder / "fsync"
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    return median(taken) * 1000


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return " ".join(found.group(1).split()) if found else platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()
