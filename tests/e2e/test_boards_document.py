"""docs/boards.md's example, pasted into a file and a shell, does what it says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from services.leaderboard.boards.document import parse_toml
from services.local import ROOT
from services.local.stack import Stack

DOCUMENT = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    return str(found)


def test_the_example_works_when_pasted(stack: Stack, secrets: dict[str, str], tmp_path: Path) -> None:
    file, env_file = tmp_path / "boards.toml", tmp_path / ".env"
    file.write_text(block("toml"), encoding="utf-8")
    env_file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    local = f"{sys.executable} -m services.local --folder {stack.folder} --env-file {env_file}"
    # The packages are there: they run this test.
    make = f'make --silent --directory {ROOT} --old-file .venv/.installed LOCAL="{local}" boards'
    script = (
        block("sh")
        .replace("http://localhost:8080", stack.gateway_url)
        .replace("curl ", "curl -s -w '\\n' ")
        .replace("make boards FILE=boards.toml", f"{make} FILE={file}")
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MYSQL_", "MAKE", "REDIS_"))}
    command = ["bash", "-euo", "pipefail", "-c", script]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    planned, made, *answers = ran.stdout.splitlines()
    assert (planned, made) == ("alps: would be created", "alps: created")
    listed, board, periods = map(json.loads, answers)
    assert listed["boards"] in ([], [board_fields(board)])  # a process may hear of it a second later
    assert [window["name"] for window in board["windows"]] == ["all", "week", "cup", "season"]
    assert board["windows"][1]["current"]["players"] == 0
    assert periods == {"periods": [], "next_cursor": None}


def board_fields(board: dict[str, object]) -> dict[str, object]:
    windows: list[dict[str, object]] = board["windows"]  # type: ignore[assignment]
    return board | {"windows": [{k: v for k, v in each.items() if k not in {"current", "next_starts_at"}} for each in windows]}


@pytest.mark.parametrize("written", re.findall(r"`(\{ name = .*?\})`", DOCUMENT))
def test_each_window_of_the_table_can_be_written_so(written: str) -> None:
    [board] = parse_toml(f'[[boards]]\nname = "a"\nwindows = [{written}]'.encode())
    assert len(board.windows) == 1


@pytest.mark.parametrize("written", re.findall(r"`rule = (\{.*?\})`", DOCUMENT))
def test_each_rule_can_be_written_so(written: str) -> None:
    [board] = parse_toml(f'[[boards]]\nname = "a"\nrule = {written}\nwindows = [{{name = "all"}}]'.encode())
    assert board.rule is not None
