"""`make import`: a file of whatever size is imported into the running system, and goes on where it was when it is run again."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from services.local.maintenance import maintain
from services.local.stack import Stack
from tests.system import rows
from tests.transfers import add_accounts, ndjson

BOARD = '[[boards]]\nname = "import.a"\nwindows = [{name = "all"}]'
ADA, BOB = 7_000_001, 7_000_002
LINE = {"user_id": ADA, "score": 1, "boards": ["import.a"]}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def env_file(secrets: dict[str, str], tmp_path: Path) -> Path:
    file = tmp_path / ".env"
    file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    return file


@pytest.fixture
def mysql_of_stack(stack: Stack, env_file: Path, tmp_path: Path, capfd: Any) -> Iterator[Any]:
    """The whole system's MySQL, with a board and two accounts of this module."""
    file = tmp_path / "boards.toml"
    file.write_text(BOARD)
    assert maintain("operate.boards", stack.folder, env_file, arguments=["-"], reads=file) == 0
    capfd.readouterr()
    with stack.mysql.connect(database=stack.database, autocommit=True) as connection:
        add_accounts(connection, {ADA: "Ada of the import", BOB: "Bob of the import"})
        try:
            yield connection
        finally:
            for table in ("game_sessions", "standings", "players"):
                rows(connection, f"DELETE FROM {table} WHERE user_id IN (%s, %s)", ADA, BOB)
            rows(connection, "DELETE FROM account_changes WHERE id IN (%s, %s)", ADA, BOB)


@pytest.fixture
def run(stack: Stack, env_file: Path, mysql_of_stack: Any, tmp_path: Path, capfd: Any) -> Run:
    """The command, against the whole system; gives its status and what it writes."""

    def run(file: bytes, *arguments: str) -> tuple[int, str, str]:
        path = tmp_path / "sessions"
        path.write_bytes(file)
        told = [*arguments, "--size", str(len(file)), "-"]
        status = maintain("operate.imports", stack.folder, env_file, arguments=told, reads=path)
        written = capfd.readouterr()
        return status, written.out, written.err

    return run


def scores(connection: Any) -> list[tuple[Any, ...]]:
    return rows(connection, "SELECT user_id, score, sessions FROM standings WHERE user_id IN (%s, %s) ORDER BY 1", ADA, BOB)


def test_it_tells_what_it_would_do_does_it_and_does_it_once(run: Run, mysql_of_stack: Any) -> None:
    file = ndjson(LINE, LINE, LINE | {"user_id": BOB, "score": 5}, {"user_id": ADA})
    fault = "line 4: #/score: Field required\n"
    status, out, err = run(file, "--dry-run")
    assert (status, out) == (1, "4 lines: 3 would be stored, 0 stored before, 0 skipped, 1 refused\n")
    assert err.endswith(fault)
    assert err.startswith("Bytes ")
    assert scores(mysql_of_stack) == []
    assert run(file)[:2] == (1, "4 lines: 3 stored, 0 stored before, 0 skipped, 1 refused\n")
    assert scores(mysql_of_stack) == [(ADA, 2, 2), (BOB, 5, 1)]
    again = file.rpartition(b'{"user_id')[0]
    assert run(again)[:2] == (0, "3 lines: 0 stored, 3 stored before, 0 skipped, 0 refused\n")
    csv = b"player,score,time\nbob of the import,7,2019-05-04T03:02:01Z\n"
    assert run(csv)[:2] == (0, "1 lines: 1 stored, 0 stored before, 0 skipped, 0 refused\n")
    status, out, err = run(b"score,x\n1,2\n")
    assert (status, out) == (1, "")
    assert err.startswith("Nothing was imported: The columns of a CSV are some of ")


def test_killed_in_the_middle_it_is_completed_by_the_next_run(
    run: Run, stack: Stack, env_file: Path, mysql_of_stack: Any, tmp_path: Path
) -> None:
    lines = 4000
    file = tmp_path / "many.ndjson"
    file.write_bytes(ndjson(LINE) * lines)
    stored = "SELECT COUNT(*) FROM game_sessions WHERE user_id = %s"
    local = [sys.executable, "-m", "services.local", "--folder", str(stack.folder), "--env-file", str(env_file)]
    process = subprocess.Popen([*local, "import", str(file)], start_new_session=True)
    deadline = monotonic() + 90
    while rows(mysql_of_stack, stored, ADA) == [(0,)]:
        assert process.poll() is None
        assert monotonic() < deadline
        sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    [(before,)] = rows(mysql_of_stack, stored, ADA)
    assert 0 < before < lines
    status, out, _ = run(file.read_bytes())
    assert status == 0
    assert out.startswith(f"{lines:,} lines: ")
    assert scores(mysql_of_stack) == [(ADA, lines, lines)]
    assert rows(mysql_of_stack, stored, ADA) == [(lines,)]
