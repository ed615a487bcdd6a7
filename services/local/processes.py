"""Child processes: start, wait until ready, stop in order, and leave nothing behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.local import ROOT
from services.local.errors import ProcessDied
from services.local.secrets import SECRETS

LEASH = Path(__file__).with_name("leash.py")
POLL_SECONDS = 0.05
TAIL_BYTES = 16_384


class Process:
    """One child with a log file, a probe that says when it is ready, and an orderly end.

    Start it from a thread that outlives it: Linux ends a child when the *thread* that started it ends.
    """

    # What the kernel sends when our own process is killed outright. Nothing of ours needs a last word: MySQL is
    # durable by its log, Redis is a cache.
    death_signal = signal.SIGKILL
    start_seconds = 60.0
    stop_seconds = 15.0

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None
        self._swept = False

    # What a kind of process defines.

    def prepare(self) -> None:
        """Write what the command needs, before each start."""

    def command(self) -> Sequence[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """All that the process finds in its environment."""
        return without_secrets(os.environ)

    def is_ready(self) -> bool:
        """Whether it does its work already: asked again and again after a start."""
        return True

    def tidy(self) -> None:
        """Remove what nobody needs once it has ended."""

    # What can be done with any.

    @property
    def pid(self) -> int:
        """Process id, which is also its process group's."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.pid

    @property
    def working_pid(self) -> int:
        """Process id of what does the work. Another than ``pid`` where the child only speaks for it."""
        return self.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None before its end; a signal's number below zero if one ended it."""
        return None if self._child is None else self._child.poll()

    def launch(self) -> None:
        """Start it without waiting. In a session of its own: Ctrl-C at the terminal reaches us alone, who stop in order."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        leash = [sys.executable, "-I", "-S", str(LEASH), str(int(self.death_signal)), str(os.getpid())]
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603  # the command is each subclass's own
                [*leash, *self.command()],
                cwd=ROOT,
                env=dict(self.environment()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._swept = False

    def wait_ready(self) -> None:
        """Wait until the probe succeeds. Raises ProcessDied when it ended instead, or took longer than ``start_seconds``."""
        deadline = time.monotonic() + self.start_seconds
        while True:
            self.require_running()
            if self.is_ready():
                return
            if time.monotonic() > deadline:
                raise self.died(f"was not ready after {self.start_seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def finish(self, seconds: float) -> None:
        """Wait for a process that is meant to end. Raises ProcessDied unless it ended well within ``seconds``."""
        assert self._child is not None
        try:
            code = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self.died(f"was not done after {seconds:.0f} s") from None
        if code != 0:
            raise self.died(describe_exit(code))

    def stop(self, seconds: float | None = None) -> None:
        """SIGTERM, a bounded wait, then SIGKILL to what is left of its group."""
        stop_together([self], seconds)

    def restart(self) -> None:
        """Stop and start it again, on the same ports."""
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Hang it (SIGSTOP): connections are still accepted by the kernel, nothing is answered."""
        self.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after ``suspend``."""
        self.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to it and to what it left in its group, and wait for its end. Nothing if that was done already."""
        if self._child is None or self._swept:
            return
        self.send_signal(signal.SIGKILL)
        self._child.wait()
        self._swept = True  # from now on its number may be another process's
        self.tidy()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM) without waiting. A suspended one is woken, since it could not hear."""
        if self.running:
            assert self._child is not None
            self._child.terminate()
            self.send_signal(signal.SIGCONT)

    def require_running(self) -> None:
        """Raise ProcessDied if it has ended."""
        code = self.exit_code
        if code is not None:
            raise self.died(describe_exit(code))

    def died(self, what_happened: str) -> ProcessDied:
        """The error that says so, with the last lines of the log."""
        return ProcessDied(self.name, what_happened, self.tail(), self.log)

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def wait_stopped(self, seconds: float) -> bool:
        """Whether it ended within ``seconds``."""
        if self._child is None:
            return True
        try:
            self._child.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def send_signal(self, number: signal.Signals) -> None:
        """Send it and its group a signal. Nothing if it has ended and been waited for."""
        if self._child is None or self._swept:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(self._child.pid, number)


def stop_together(processes: Sequence[Process], seconds: float | None = None) -> None:
    """Ask all of them to end at once, wait for each within its own bound, then kill what is left."""
    for process in processes:
        process.terminate()
    began = time.monotonic()
    for process in processes:
        bound = process.stop_seconds if seconds is None else seconds
        process.wait_stopped(began + bound - time.monotonic())
        process.kill()  # also what a process left in its group when it ended by itself


def describe_exit(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name} (exit code {code})"
    except ValueError:
        return f"was ended by signal {-code} (exit code {code})"


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` less what only some processes may know, and less where a service would look for it."""
    return {name: value for name, value in environment.items() if name.lower() not in SECRETS and name != "SECRETS_DIR"}
