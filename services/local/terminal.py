"""What the person at the terminal sees: one changing line while work goes on, and services' logs side by side."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.text import Text

COLOURS = ("cyan", "magenta", "green", "yellow")


class Progress:
    """The step that is under way: a line that changes on a terminal, a line each elsewhere. On standard error."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._status: Status | None = None

    def step(self, text: str) -> None:
        """Show what is being done now."""
        if not self.console.is_terminal:
            self.console.print(f"{text} ...", markup=False)
        elif self._status is None:
            self._status = self.console.status(escape(text))
            self._status.start()
        else:
            self._status.update(escape(text))

    def done(self) -> None:
        """Take the changing line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None


class LogFollower:
    """Copies what is added to log files to the terminal, each line behind the name of who wrote it."""

    def __init__(self, logs: dict[str, Path]) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._width = max(map(len, logs))
        self._open: dict[str, IO[bytes]] = {}
        self._partial: dict[str, bytes] = dict.fromkeys(logs, b"")
        self._logs = logs

    def copy(self) -> None:
        """Print what came since the last call: whole lines alone."""
        for number, (name, log) in enumerate(self._logs.items()):
            if name not in self._open:
                if not log.exists():
                    continue
                self._open[name] = log.open("rb")
            *lines, self._partial[name] = (self._partial[name] + self._open[name].read()).split(b"\n")
            for line in lines:
                prefix = Text(f"{name:<{self._width}} | ", style=COLOURS[number % len(COLOURS)])
                self._console.print(prefix + Text.from_ansi(line.decode(errors="replace")))

    def close(self) -> None:
        """Let the files go."""
        for file in self._open.values():
            file.close()


@contextmanager
def stop_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP (a closed terminal) end the block as Ctrl-C does: by KeyboardInterrupt."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # behind `nohup`, whose user wants it to go on
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_stop_signals() -> None:
    """For the time of an orderly stop, which is bounded: a signal often comes twice, from make and from who ended make."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def say(line: str) -> None:
    """One line of result, on standard output."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def complain(message: str) -> None:
    """What went wrong, on standard error."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
