"""docs/javascript.md's code, on a page of another origin in a real browser and in Node, does what it says."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import httpx
from playwright.async_api import ConsoleMessage, Page

from services.local import ROOT
from services.local.stack import Stack
from tests.clients.keys import make_key
from tests.clients.scripts import FOLDER, NODE
from tests.e2e.pasting import blocks
from tests.e2e.visitor import new_name
from tests.system import Accounts, eventually, sign_up

SITE = "http://localhost:8080"
DOCUMENT = (ROOT / "docs" / "javascript.md").read_text(encoding="utf-8")
[LOADING] = blocks(DOCUMENT, "html")
IN_A_PAGE = blocks(DOCUMENT, "js")
[KEEPING, SERVING] = blocks(DOCUMENT, "mjs")


async def test_the_examples_do_in_a_page_what_the_document_says(game: Page, open_url: str) -> None:
    said: list[list[str]] = []
    errors: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text.split())

    def heard(first: str) -> list[list[str]]:
        return [words[1:] for words in said if words[0] == first]

    game.on("console", hear)
    game.on("pageerror", lambda error: errors.append(str(error)))
    assert IN_A_PAGE[-1].startswith("async function told(")
    [closing] = [at for at, block in enumerate(IN_A_PAGE) if block == "watch.close();\n"]
    # A reader looks for a while before the watch is closed.
    script = "".join([*IN_A_PAGE[:closing], "await window.looked;\n", *IN_A_PAGE[closing:], "console.log('done');\n"])
    script = script.replace(SITE, open_url).replace("Ada Lovelace", name := new_name()).replace('"Ada L"', f'"{name}"')
    await game.evaluate("() => { window.looked = new Promise((resolve) => { window.look = resolve; }); }")
    await game.add_script_tag(content=script, type="module")

    async def watched() -> bool:
        return bool(errors or (heard("top") and heard("me") and heard("state")))

    await eventually(watched)
    await game.evaluate("window.look()")

    async def done() -> bool:
        return bool(errors or heard("done"))

    await eventually(done)
    assert errors == []
    [[guest, shown]] = heard("begun")
    assert guest
    assert int(shown) in range(1, 11)
    assert heard("player") == [[name, "false"]]
    [[total, _, repeated]] = heard("counted")
    assert (total, repeated) == ("1540", "false")
    assert [score for score, _ in heard("submitted")] == ["5"]
    assert heard("queue")[-1] == ["0", "empty"]
    [boards] = heard("boards")
    assert boards[1] == "main"
    assert 0 not in [int(number) for number in (boards[0], *boards[2:])]
    [[found, shown_name, standings, sessions]] = heard("players")
    assert (found, shown_name, sessions) == ("1", name, "3")
    assert int(standings) >= 1
    [[codes]] = heard("codes")
    assert int(codes) > 1
    assert heard("me")[0][0] == "1545"
    assert heard("state") == [["live"]]
    assert heard("no:") == [["401", "urn:problem:invalid-credentials"]]
    assert heard("nobody") == [["is", "signed", "in"]]


async def test_a_page_loads_the_client_as_shown(game: Page, open_url: str) -> None:
    loading = LOADING.replace(SITE, open_url).replace("</script>", "window.loaded = new Leaderboard(''); </script>")
    await game.set_content(loading)
    await game.wait_for_function("() => window.loaded?.submit")


async def run_in_node(script: str, folder: Path, url: str, **environment: str) -> str:
    """What a script prints that stands beside a copy of the client."""
    for name in ("leaderboard.js", "package.json"):
        shutil.copy(FOLDER / name, folder)
    (folder / "script.mjs").write_text(script.replace(SITE, url), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *NODE, "script.mjs", cwd=folder, env=os.environ | environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return out.decode()


async def test_a_program_goes_on_as_its_player(gateway_url: str, tmp_path: Path) -> None:
    for total in (7, 14):
        await run_in_node(KEEPING, tmp_path, gateway_url)
        held = json.loads((tmp_path / "state" / "session.json").read_text(encoding="utf-8"))
        async with httpx.AsyncClient(base_url=gateway_url) as client:
            rank = await client.get(f"/api/leaderboard/rank/{held['user_id']}")
        assert rank.json()["total_score"] == total


async def test_a_game_server_submits_for_its_players(
    stack: Stack, gateway_url: str, tmp_path: Path, accounts: Accounts
) -> None:
    key = await make_key(stack, accounts, stack.gateway_url)
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        await sign_up(client, player := new_name())
        login = await client.post("/auth/login", json={"username": player, "password": "correct horse battery"})
        me = await client.get("/auth/me", headers={"Authorization": f"Bearer {login.json()['access_token']}"})
        user_id = me.json()["user_id"]
    secrets = {"CLIENT_ID": key["client_id"], "CLIENT_SECRET": key["client_secret"], "USER_ID": str(user_id)}
    first = await run_in_node(SERVING, tmp_path, gateway_url, **secrets)
    assert first.split("\n")[:2] == [player, "[ 201, 201 ]"]
    again = await run_in_node(SERVING, tmp_path, gateway_url, **secrets)
    assert again.split("\n")[1] == "[ 200, 200 ]"
