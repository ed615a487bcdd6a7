"""The README's three snippets, put into a page, a program and a script, connect a game."""

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.async_api import Page

from services.local import ROOT
from tests.clients.csharp.compiled import compile_program, run_with
from tests.snippets import take

[JAVASCRIPT] = take("README.md", "js")
[CSHARP] = take("README.md", "csharp")
[PYTHON] = take("README.md", "python")
CLIENTS = ROOT / "frontend" / "clients"
# What a program in C# has around its statements.
PROGRAM = """using System;
using System.Threading.Tasks;
using LeaderboardClient;

static class Program {{
    static void Main() {{ Play().GetAwaiter().GetResult(); }}
    static async Task Play() {{
        {statements}
    }}
}}
"""


async def test_javascript(game: Page, open_url: str) -> None:
    script = JAVASCRIPT.replace("http://localhost:8080", open_url)
    async with game.expect_console_message(lambda message: message.type == "table") as table:
        await game.add_script_tag(content=script, type="module")
    rows = await (await table.value).args[0].json_value()
    assert {"rank", "user_id", "username", "score"} <= rows[0].keys()


def test_python(gateway_url: str, tmp_path: Path) -> None:
    file = tmp_path / "game.py"
    file.write_text(PYTHON.replace("http://localhost:8080", gateway_url))
    shutil.copy(CLIENTS / "leaderboard.py", tmp_path)
    ran = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= 1


def test_csharp(gateway_url: str, tmp_path: Path) -> None:
    file, program = tmp_path / "Game.cs", tmp_path / "game.exe"
    file.write_text(PROGRAM.format(statements=CSHARP.replace("http://localhost:8080", gateway_url)))
    compile_program(program, [file])
    ran = subprocess.run(run_with(program), capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= 1
