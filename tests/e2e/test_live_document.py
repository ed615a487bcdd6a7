"""docs/live.md's examples, pasted into a shell and into a page of another origin, watch a board as it says."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page

from services.local.stack import Stack
from tests.e2e.pasting import paste
from tests.playing import API, submit
from tests.snippets import take
from tests.system import bearer, sign_up

[SHELL] = take("docs/live.md", "sh")
[SHOWN] = take("docs/live.md", "text")
SOURCE, CLIENT, WATCHING = take("docs/live.md", "js")


def events(printed: list[str]) -> list[tuple[str, Any]]:
    """The events among lines that were printed."""
    names = [line.removeprefix("event: ") for line in printed if line.startswith("event: ")]
    data = [json.loads(line.removeprefix("data: ")) for line in printed if line.startswith("data: ")]
    return list(zip(names, data, strict=True))


def test_the_example_works_when_pasted(stack: Stack, secrets: dict[str, str], tmp_path: Path) -> None:
    heard = events(paste(SHELL, stack, secrets, tmp_path))
    own = [data for name, data in heard if name == "me"]
    assert own[0]["username"] == "Joan"
    assert (own[0]["score"], own[0]["rank"]) == (None, None)
    assert own[-1]["score"] == 1200
    page = [data for name, data in heard if name == "top"][-1]
    assert page.keys() == {"board", "window", "period_id", "top", "offset", "total_players", "generation", "next_cursor"}


def test_what_is_shown_of_events_has_their_fields(stack: Stack) -> None:
    [(_, page), (_, own)] = events(SHOWN.splitlines())
    answer = httpx.get(f"{stack.gateway_url}{API}/boards/main/top").json()
    assert page.keys() == answer.keys()
    told = "board", "window", "period_id", "user_id", "username", "score", "rank", "total_players", "passed_by"
    assert own.keys() == {*told}


@pytest.mark.parametrize(
    "script",
    [
        SOURCE.replace("console.log(", "heard.push("),
        f"{CLIENT}{WATCHING.replace('console.log(event, data)', 'heard.push(event === `top` ? data.top : [])')}",
    ],
    ids=["by EventSource", "by fetch"],
)
async def test_a_page_of_another_origin_watches(game: Page, open_url: str, script: str) -> None:
    script = script.replace("http://localhost:8080", open_url)
    await game.evaluate(f"() => {{ window.heard = []; {script} }}")
    await game.wait_for_function("() => window.heard.length > 0")
    async with httpx.AsyncClient(base_url=open_url) as client:
        token = bearer(await sign_up(client, f"live{'fetch' if 'watch(' in script else 'source'}"))
        before = await game.evaluate("() => window.heard.length")
        await submit(client, token, 7)  # one player more
    await game.wait_for_function("before => window.heard.length > before", arg=before)
