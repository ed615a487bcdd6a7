"""docs/http.md's code, on a page of another origin in a real browser, does what it says."""

import asyncio
import json
from typing import Any

import httpx
from playwright.async_api import Page, Response, Route

from tests.e2e.visitor import new_name
from tests.snippets import take
from tests.system import PASSWORD

[CLIENT, PLAYING] = take("docs/http.md", "js")
EXPIRE = """localStorage.setItem("leaderboard", JSON.stringify({...held(), until: 0}));"""


async def run(game: Page, url: str, script: str) -> Any:
    """What a script returns that stands below the document's code, in a page that was opened just now."""
    await game.reload()
    client = CLIENT.replace("http://localhost:8080", url)
    return await game.evaluate(f"async () => {{ {client}\n{script} }}")


async def test_a_guest_plays_and_goes_on_after_a_reload_and_keeps_the_account(game: Page, open_url: str) -> None:
    first = await run(
        game, open_url, PLAYING + "return { user_id, username, rank, total_score, top, players, tokens: held() };"
    )
    assert first["total_score"] == 1200
    own = {name: first[name] for name in ("rank", "user_id", "username", "total_score")}
    assert own in first["players"]
    assert len(first["top"]) in range(1, 11)

    reloaded = await run(game, open_url, EXPIRE + "return { ...(await submit(34)), tokens: held() };")
    assert (reloaded["user_id"], reloaded["total_score"]) == (first["user_id"], 1234)
    assert reloaded["tokens"]["refresh_token"] != first["tokens"]["refresh_token"]

    chosen = new_name()
    keeping = f"await keepAccount({json.dumps(chosen)}, {json.dumps(PASSWORD)}); return await submit(0);"
    kept = await run(game, open_url, keeping)
    assert (kept["user_id"], kept["username"], kept["total_score"]) == (first["user_id"], chosen, 1234)
    async with httpx.AsyncClient(base_url=open_url) as client:
        signed_in = await client.post("/auth/login", json={"username": chosen, "password": PASSWORD, "session": "token"})
        assert signed_in.status_code == 200


async def test_what_was_lost_is_sent_again_and_counts_once(game: Page, open_url: str) -> None:
    lost: list[str] = []

    async def lose_each_first(route: Route) -> None:
        path = route.request.url.removeprefix(open_url)
        if path in lost:
            await route.continue_()
        else:
            lost.append(path)
            await route.fetch()  # it is done
            await route.abort()

    await run(game, open_url, PLAYING)
    for path in ("/auth/refresh", "/api/leaderboard/submit"):
        await game.route(open_url + path, lose_each_first)
    stored = await run(game, open_url, EXPIRE + "return await submit(34);")
    assert lost == ["/auth/refresh", "/api/leaderboard/submit"]
    assert stored["total_score"] == 1234


async def test_it_waits_as_long_as_it_is_told(game: Page, open_url: str) -> None:
    statuses: list[int] = []

    def note(answer: Response) -> None:
        if answer.url.endswith("/auth/guest") and answer.request.method == "POST":
            statuses.append(answer.status)

    async def use_up(client: httpx.AsyncClient) -> None:
        """Take what the gateway lets through of one address, until the game has had nothing of it."""
        while 429 not in statuses:
            await client.post("/auth/guest", content="guest")

    game.on("response", note)
    async with httpx.AsyncClient(base_url=open_url) as client, asyncio.TaskGroup() as group:
        group.create_task(use_up(client))
        while 429 not in statuses:
            statuses.clear()
            played = await run(game, open_url, "localStorage.clear();" + PLAYING + "return total_score;")
    assert played == 1200
    assert statuses[-1] == 201
    assert set(statuses) == {429, 201}
    assert len(statuses) < 6  # not as often as it could
