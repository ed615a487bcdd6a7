"""The README's snippets, put into a page and a script, connect a game."""

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.async_api import Page

from services.local import ROOT
from tests.snippets import take

[JAVASCRIPT] = take("README.md", "js")
[PYTHON] = take("README.md", "python")
CLIENTS = ROOT / "frontend" / "clients"


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
