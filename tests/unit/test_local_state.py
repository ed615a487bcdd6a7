"""What keeps two runs apart and tells the next one what the last one left."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from services.local import ROOT
from services.local.errors import AlreadyRunning
from services.local.state import STATE_FILE, Child, Lock, State, end_leftovers, find_state, started_at

STATE = State(
    runner=1,
    gateway_url="http://127.0.0.1:8080",
    mysql_host="127.0.0.1",
    mysql_port=3306,
    mysql_database="leaderboard",
    redis_url="redis://127.0.0.1:6379/0",
    auth_url="http://127.0.0.1:8001",
    leaderboard_urls=["http://127.0.0.1:8002"],
    logs="/somewhere",
    children=[Child("redis", 12, "now")],
)


def test_what_is_written_is_read_and_only_its_owner_can(tmp_path: Path) -> None:
    STATE.write(tmp_path / STATE_FILE)
    assert find_state(tmp_path / STATE_FILE) == STATE
    assert (tmp_path / STATE_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"runner": 1, "children": []}', '{"children": [{"pid": 1}]}'])
def test_a_broken_file_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE_FILE).write_text(text, encoding="utf-8")
    assert find_state(tmp_path / STATE_FILE) is None


def test_a_second_one_is_refused_in_one_line_that_names_the_first(tmp_path: Path) -> None:
    first = Lock(tmp_path)
    first.acquire()
    STATE.write(tmp_path / STATE_FILE)
    with pytest.raises(AlreadyRunning) as refusal:
        Lock(tmp_path).acquire()
    assert "http://127.0.0.1:8080" in str(refusal.value)
    assert f"kill {os.getpid()}" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    first.release()
    Lock(tmp_path).probe()


def test_a_killed_holder_holds_no_more(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal\nfrom pathlib import Path\nfrom services.local.state import Lock\n"
        "lock = Lock(Path(sys.argv[1]))\nlock.acquire()\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)  # the code above
    Lock(tmp_path).probe()


def test_leftovers_are_ended_and_a_number_used_again_is_left_alone() -> None:
    ignoring = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); time.sleep(600)"
    command = [sys.executable, "-c", ignoring]
    children = [subprocess.Popen(command, start_new_session=True) for _ in range(2)]  # the code above
    try:
        left, other = children
        started = started_at(left.pid)
        assert started is not None
        end_leftovers(replace(STATE, children=[Child("left", left.pid, started), Child("other", other.pid, "long ago")]))
        left.wait(5)
        assert other.poll() is None
    finally:
        for child in children:
            child.kill()
            child.wait()


def test_an_ended_process_has_no_start() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert started_at(child.pid) is None
    assert started_at(os.getpid()) == started_at(os.getpid()) is not None
