"""`make boards`: a line a board; a file with a fault changes nothing and says where it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from services.leaderboard.operate import boards
from services.leaderboard.settings import LeaderboardSettings
from services.local.errors import LocalError
from services.local.maintenance import maintain
from services.local.ports import free_port
from services.local.stack import Stack
from tests.system import rows

WITHOUT_REDIS = "Its name stays taken until Redis answers: then the service removes its indexes, and the name is free\n"
Run = Callable[..., tuple[int, str, str]]

TWO = """
[[boards]]
name = "command.a"
rule = {where = {mode = "a"}}
windows = [{name = "all"}, {name = "week"}]
[[boards]]
name = "command.b"
aggregate = "best"
windows = [{name = "all"}]
"""


@pytest.fixture
def run(stack: Stack, secrets: dict[str, str], tmp_path: Path, capfd: Any) -> Run:
    """The command, against the whole system; gives its status and what it writes."""
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))

    def run(text: str | None, *arguments: str) -> tuple[int, str, str]:
        file = None
        if text is not None:
            file = tmp_path / "boards.toml"
            file.write_text(text, encoding="utf-8")
            arguments = (*arguments, "-")
        status = maintain("operate.boards", stack.folder, env_file, arguments=arguments, reads=file)
        written = capfd.readouterr()
        return status, written.out, written.err

    return run


@pytest.fixture
def stored(stack: Stack) -> Callable[[], list[tuple[Any, ...]]]:
    """What the whole system has of boards."""

    def stored() -> list[tuple[Any, ...]]:
        with stack.mysql.connect(database=stack.database, autocommit=True) as connection:
            return rows(connection, "SELECT * FROM boards ORDER BY id") + rows(connection, "SELECT * FROM windows ORDER BY id")

    return stored


def test_a_system_that_is_new_has_what_the_default_file_says(run: Run) -> None:
    assert run(None) == (0, "main: unchanged\n", "")


def test_boards_are_made_changed_and_deleted_by_a_file(run: Run, stack: Stack, stored: Callable[[], Any]) -> None:
    before = stored()
    assert run(TWO, "--dry-run") == (0, "command.a: would be created\ncommand.b: would be created\n", "")
    assert stored() == before
    assert run(TWO) == (0, "command.a: created\ncommand.b: created\n", "")
    assert run(TWO) == (0, "command.a: unchanged\ncommand.b: unchanged\n", "")
    changed = TWO.replace('name = "command.b"', 'name = "command.b"\ntitle = "B"\nstate = "closed"')
    told = "command.a: unchanged\ncommand.b: changed: title '' → 'B', state 'active' → 'closed'\n"
    assert run(changed) == (0, told, "")
    assert httpx.get(f"{stack.leaderboard.url}/api/leaderboard/boards/command.b").status_code == 200
    assert run(None, "--delete", "command.a") == (1, "", "The board command.a is active: close it first.\n")
    assert run(None, "--delete", "command.b") == (0, "command.b: deleted\n", "")
    assert run(None, "--delete", "command.b") == (1, "", "There is no board of the name command.b.\n")
    run(TWO.replace('name = "command', 'state = "closed"\nname = "command'))
    for name in ("command.a", "command.b"):
        assert run(None, "--delete", name)[0] == 0
    assert stored() == before


def test_a_board_that_is_deleted_without_redis_keeps_its_name_until_redis_has_heard(
    run: Run, stack: Stack, stored: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored()
    run('[[boards]]\nname = "command.a"\nstate = "closed"\nwindows = [{name = "all"}]')
    with monkeypatch.context() as patch:
        patch.setenv("MYSQL_HOST", stack.mysql.host)
        patch.setenv("MYSQL_PORT", str(stack.mysql.port))
        patch.setenv("MYSQL_DATABASE", stack.database)
        patch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
        status, told, _ = run(None, "--delete", "command.a")
        assert (status, told.partition(". ")[::2]) == (0, ("command.a: deleted", WITHOUT_REDIS))
    assert stored() != before
    assert run(None, "--delete", "command.a") == (0, "command.a: deleted\n", "")
    assert stored() == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TWO.replace('"week"', '"Week"'), "boards[0].windows[1].name: "),
        (TWO + '[[boards]]\nname = "main"\naggregate = "best"\nwindows = [{name = "all"}]', "boards[2].aggregate: Is total"),
        (TWO + "[[boards]", "The file is not TOML: "),
    ],
)
def test_a_file_with_a_fault_changes_nothing_and_says_where(run: Run, stored: Callable[[], Any], text: str, told: str) -> None:
    before = stored()
    for arguments in ((), ("--dry-run",)):
        status, out, err = run(text, *arguments)
        assert (status, out) == (1, "")
        assert err.startswith(f"Nothing was changed:\n  {told}")
    assert stored() == before


def test_a_file_that_is_not_there_is_told(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"nowhere\.toml cannot be read: No such file"):
        maintain("operate.boards", stack.folder, tmp_path / ".env", reads=tmp_path / "nowhere.toml")


async def test_without_mysql_it_fails(leaderboard_settings: LeaderboardSettings) -> None:
    away = leaderboard_settings.model_copy(update={"mysql_host": "127.0.0.1", "mysql_port": 1})
    with pytest.raises(OperationalError):
        await boards.apply(away, TWO.encode())
