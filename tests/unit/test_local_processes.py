"""Child processes end when they should, all of them, and say why when they should not have."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from services.local import ROOT
from services.local.errors import ProcessDied
from services.local.processes import Process, stop_together
from services.local.state import started_at

UNTIL_KILLED = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


class Script(Process):
    """A line of Python, ready when it has printed something."""

    start_seconds = 5.0

    def __init__(self, folder: Path, code: str, name: str = "script", environment: Mapping[str, str] | None = None) -> None:
        super().__init__(name, folder / f"{name}.log")
        self._code = code
        self._environment = environment

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", self._code]

    def environment(self) -> Mapping[str, str]:
        return super().environment() if self._environment is None else self._environment

    def is_ready(self) -> bool:
        return self.log.stat().st_size > 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Script]]:
    started: list[Script] = []

    def start_script(code: str) -> Script:
        script = Script(tmp_path, code, name=f"script{len(started)}")
        started.append(script)
        script.start()
        return script

    yield start_script
    for script in started:
        script.kill()


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_that_dies_early_is_said_with_its_code_and_its_last_lines(tmp_path: Path) -> None:
    script = Script(tmp_path, "import sys; sys.exit('the disk is full')")
    script.is_ready = lambda: False  # type: ignore[method-assign]  # it never becomes ready
    with pytest.raises(ProcessDied) as death:
        script.start()
    message = str(death.value)
    assert "script ended with exit code 1" in message
    assert "the disk is full" in message
    assert str(script.log) in message


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    script = Script(tmp_path, "")
    script.command = lambda: ["/nowhere/program"]  # type: ignore[method-assign]  # there is no such one
    script.is_ready = lambda: False  # type: ignore[method-assign]  # it never becomes ready
    with pytest.raises(ProcessDied, match="No such file"):
        script.start()


def test_a_process_that_is_not_ready_in_time_is_ended(tmp_path: Path) -> None:
    script = Script(tmp_path, "import time; time.sleep(600)")
    script.start_seconds = 0.3
    with pytest.raises(ProcessDied, match="was not ready after"):
        script.start()
    assert not script.running


def test_what_ignores_the_request_to_end_is_killed_after_the_bound(start: Callable[[str], Script]) -> None:
    stubborn = start(UNTIL_KILLED)
    stubborn.stop(seconds=0.2)
    assert stubborn.exit_code == -signal.SIGKILL


def test_processes_stopped_together_share_one_bound(start: Callable[[str], Script]) -> None:
    stubborn = [start(UNTIL_KILLED) for _ in range(3)]
    began = time.monotonic()
    stop_together(stubborn, seconds=0.5)
    assert time.monotonic() - began < 1.4
    assert not any(script.running for script in stubborn)


def test_a_hung_process_is_stopped_too(start: Callable[[str], Script]) -> None:
    script = start("import time; print('up', flush=True); time.sleep(600)")
    script.suspend()
    script.stop(seconds=5)
    assert script.exit_code == -signal.SIGTERM


def test_children_of_a_process_end_with_it(start: Callable[[str], Script]) -> None:
    parent = start(
        "import subprocess, sys, time\n"
        f"print(subprocess.Popen([sys.executable, '-c', {UNTIL_KILLED!r}]).pid, flush=True)\n"
        "time.sleep(600)"
    )
    child = int(parent.tail().splitlines()[0])
    parent.stop(seconds=5)
    wait_until(lambda: started_at(child) is None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom tests.unit.test_local_processes import Script, UNTIL_KILLED\n"
        "script = Script(Path(sys.argv[1]), UNTIL_KILLED)\nscript.start()\nprint(script.pid, flush=True)\ntime.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as runner:  # the code above
        assert runner.stdout is not None
        child = int(runner.stdout.readline())
        assert started_at(child) is not None
        runner.kill()
    wait_until(lambda: started_at(child) is None)


def test_a_process_is_told_no_secret_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "hunter2")
    monkeypatch.setenv("SECRETS_DIR", "/run/secrets")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    environment = Script(tmp_path, "").environment()
    assert environment["LOG_LEVEL"] == "DEBUG"
    assert not {"REDIS_PASSWORD", "SECRETS_DIR"} & environment.keys()


def test_ctrl_c_at_the_terminal_does_not_reach_it(start: Callable[[str], Script]) -> None:
    script = start("import time; print('up', flush=True); time.sleep(600)")
    assert os.getpgid(script.pid) == script.pid != os.getpgid(0)
    assert os.getsid(script.pid) != os.getsid(0)
