"""docs/python.md: every snippet, run in a program as a reader would run it."""

import ast
import asyncio
import inspect
import os
import subprocess
import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from leaderboard import VERSION, Leaderboard

from services.local import ROOT
from services.local.stack import Stack
from tests.clients.keys import make_key
from tests.e2e.pasting import blocks
from tests.e2e.visitor import new_name
from tests.system import PASSWORD, Accounts

DOCUMENT = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
CLIENTS = ROOT / "frontend" / "clients"
SAMPLE = CLIENTS / "samples" / "python" / "game.py"
GETTING, RUNNING, PLAYING = blocks(DOCUMENT, "sh")
FIRST, *SNIPPETS = blocks(DOCUMENT, "python")
SITE = "http://localhost:8080"


def shell(script: str, folder: Path, **options: Any) -> str:
    """What a shell prints in a folder. Its Python is this one, which has httpx already."""
    script = script.replace("pip install httpx\n", "").replace(f"{SITE}/clients/", f"file://{CLIENTS}/")
    script = script.replace("python ", f"{sys.executable} ")
    ran: subprocess.CompletedProcess[str] = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        **options,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_first_program_runs_as_it_stands(tmp_path: Path, gateway_url: str) -> None:
    shell(GETTING, tmp_path)
    (tmp_path / "first.py").write_text(FIRST.replace(SITE, gateway_url), encoding="utf-8")
    printed = shell(RUNNING, tmp_path).splitlines()
    first, second = [line for line in printed if " points and rank " in line]
    assert " has 1200 points and rank " in first
    assert second.replace(" 2400 ", " 1200 ").split()[:3] == first.split()[:3]


@pytest.fixture(scope="module")
async def names(gateway_url: str, stack: Stack, secrets: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
    """What a snippet finds: a game with a player in it, a key, and two players for its scores."""
    key = await make_key(stack, Accounts(secrets["JWT_KEYS"]), gateway_url)
    async with Leaderboard(gateway_url) as game:
        own: dict[str, object] = {"CLIENT_ID": key["client_id"], "CLIENT_SECRET": key["client_secret"]}
        for player in ("ADA", "GRACE"):
            own[player] = (await game.register(new_name(), PASSWORD)).user_id
        await game.logout()
        yield {"game": game, "asyncio": asyncio, **own}


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
async def test_each_snippet_runs(
    number: int, names: dict[str, Any], gateway_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    snippet = SNIPPETS[number].replace(SITE, gateway_url)
    for name in ("Ada", "Grace"):  # others have played here
        snippet = snippet.replace(f'"{name}"', f'"{new_name()}"')
    code = compile(snippet, f"docs/python.md, snippet {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = types.FunctionType(
        code, names | {name: getattr(sys.modules["leaderboard"], name) for name in ("FileStorage", "Leaderboard")}
    )()
    if inspect.iscoroutine(running):
        await running


def test_the_sample_is_as_short_as_the_document_says_and_plays(tmp_path: Path, gateway_url: str) -> None:
    lines = len(SAMPLE.read_text(encoding="utf-8").splitlines())
    assert f"in {lines} lines" in DOCUMENT
    environment = {**os.environ, "LEADERBOARD_URL": gateway_url, "LEADERBOARD_STATE": str(tmp_path)}
    printed = shell(PLAYING, ROOT, input="\ns\n" * 20, env=environment)
    assert "queued " in printed
    assert "\ncounted " in printed
    assert "You are " in printed


def test_the_document_names_the_version_of_the_client() -> None:
    assert f"Its version is {VERSION}" in DOCUMENT
    assert f"Version {VERSION}" in (CLIENTS / "leaderboard.py").read_text(encoding="utf-8")
