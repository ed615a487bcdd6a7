"""Games that are served from elsewhere, in a real browser: what they read where their origin is allowed, and elsewhere."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Frame, Page

from services.local.gateway import GatewaySettings
from services.local.stack import Stack
from tests.e2e.conftest import PATIENCE_MS
from tests.e2e.visitor import expect_signed_in, new_name, new_player
from tests.gateways import gateway_before
from tests.system import PASSWORD, bearer, rows, sign_up

ASK = """async ([url, options]) => {
    try {
        const answer = await fetch(url, options);
        return {status: answer.status, text: await answer.text(), ...Object.fromEntries(answer.headers)};
    } catch (error) {
        return {error: error.name};
    }
}"""
UNREADABLE = {"error": "TypeError"}
# With a body that has no type a browser asks nobody for leave.
SEND_UNTYPED = """async ([url, body]) => {
    await fetch(url, {method: "POST", mode: "no-cors", body: new Blob([body])}).catch(() => null);
}"""


@pytest.fixture(scope="module")
def nobodys_url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway that knows pages whose origin is nobody's, and no others."""
    settings = GatewaySettings(allowed_origins="null")
    with gateway_before(stack, tmp_path_factory.mktemp("nobodys"), settings=settings) as gateway:
        yield gateway.url


async def ask(page: Page | Frame, url: str, method: str = "GET", **options: Any) -> dict[str, Any]:
    """What a script of that page gets of an answer."""
    answer: dict[str, Any] = await page.evaluate(ASK, [url, {"method": method, **options}])
    return answer


async def send(page: Page | Frame, url: str, body: object, token: str = "", **options: Any) -> dict[str, Any]:
    """What a script gets of an answer to JSON, with what is in it."""
    headers = {"Content-Type": "application/json", **(bearer(token) if token else {})}
    answer = await ask(page, url, "POST", headers=headers, body=json.dumps(body), **options)
    return answer if answer == UNREADABLE else {"status": answer["status"], **json.loads(answer["text"])}


async def play_on(page: Page | Frame, url: str, tokens: dict[str, Any], user_id: int) -> None:
    """Refresh a session that has no cookie, as if the answer had been lost at first, submit, and read the board."""
    held = {"refresh_token": tokens["refresh_token"]}
    renewed, repeated = [await send(page, f"{url}/auth/refresh", held) for _ in range(2)]
    assert (renewed["status"], repeated["status"]) == (200, 200)
    assert renewed["refresh_token"] == repeated["refresh_token"] != tokens["refresh_token"]
    stored = await send(page, f"{url}/api/leaderboard/submit", {"score": 7}, renewed["access_token"])
    assert (stored["status"], stored["user_id"]) == (201, user_id)
    around = await ask(page, f"{url}/api/leaderboard/around/me", headers=bearer(renewed["access_token"]))
    [row] = [row for row in json.loads(around["text"])["players"] if row["user_id"] == user_id]
    assert (row["total_score"], row["rank"]) == (7, stored["rank"])


@pytest.fixture
async def token(gateway_url: str) -> dict[str, str]:
    """A player's Authorization header."""
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        return bearer(await sign_up(client, new_name()))


async def test_a_game_whose_origin_is_allowed_plays_and_reads(game: Page, open_url: str, token: dict[str, str]) -> None:
    told = {**token, "Content-Type": "application/json", "Idempotency-Key": "one"}
    submitting = {"headers": told, "body": '{"score": 7}'}
    first = await ask(game, f"{open_url}/api/leaderboard/submit", "POST", **submitting)
    again = await ask(game, f"{open_url}/api/leaderboard/submit", "POST", **submitting)
    assert (first["status"], again["status"], again["idempotent-replayed"]) == (201, 201, "true")
    assert first["x-request-id"]
    top = await ask(game, f"{open_url}/api/leaderboard/top")
    assert top["status"] == 200
    kept = await ask(game, f"{open_url}/api/leaderboard/top", headers={"If-None-Match": top["etag"]}, cache="no-store")
    assert kept["status"] == 304
    renamed = await ask(game, f"{open_url}/api/leaderboard/me", "PUT", headers=token)
    assert renamed["status"] == 200
    ended = await ask(game, f"{open_url}/auth/sessions", "DELETE", headers=token)
    assert ended["status"] == 204


async def test_it_registers_a_player_or_plays_as_a_guest_and_goes_on_without_a_cookie(game: Page, open_url: str) -> None:
    chosen = {"username": new_name(), "password": PASSWORD}
    registered = await send(game, f"{open_url}/auth/register", chosen)
    assert registered["status"] == 201
    tokens = await send(game, f"{open_url}/auth/login", {**chosen, "session": "token"})
    await play_on(game, open_url, tokens, registered["user_id"])
    guest = await send(game, f"{open_url}/auth/guest", {"session": "token"})
    assert guest["status"] == 201
    await play_on(game, open_url, guest, guest["user_id"])
    kept = await send(game, f"{open_url}/auth/me/credentials", chosen | {"username": new_name()}, guest["access_token"])
    assert (kept["status"], "refresh_token" in kept) == (200, True)
    assert await game.context.cookies() == []


async def test_it_has_no_session_in_a_cookie_nor_any_of_who_is_signed_in_on_the_page(
    game: Page, neighbour_origin: str, open_url: str
) -> None:
    visitor = await game.context.new_page()
    await visitor.goto(open_url)
    player = await new_player(visitor)
    held = await game.context.cookies()
    assert any("refresh_token" in cookie["name"] for cookie in held)
    chosen = {"username": player, "password": PASSWORD}
    neighbour = await game.context.new_page()
    await neighbour.goto(neighbour_origin)
    for page in (game, neighbour):
        assert (await ask(page, f"{open_url}/auth/refresh", "POST"))["status"] == 401  # without cookies
        for path, body in (("guest", {}), ("login", chosen)):
            assert (await send(page, f"{open_url}/auth/{path}", body))["status"] == 403
        for path in ("refresh", "logout", "guest"):
            assert await ask(page, f"{open_url}/auth/{path}", "POST", credentials="include") == UNREADABLE
        own_session = {**chosen, "session": "token"}
        assert await send(page, f"{open_url}/auth/login", own_session, credentials="include") == UNREADABLE
    assert await game.context.cookies() == held
    await visitor.reload()
    await expect_signed_in(visitor, player)


async def test_it_reads_what_is_refused_too_by_the_services_and_by_the_gateway(game: Page, open_url: str) -> None:
    for path, status in (("/auth/nothing", 404), ("/api/leaderboard/rank/me", 401), ("/api/leaderboard/top?limit=x", 422)):
        answer = await ask(game, open_url + path)
        assert (answer["status"], answer["content-type"]) == (status, "application/problem+json")
    refused = await ask(game, f"{open_url}/api/leaderboard/rank%2Fme")
    assert (refused["status"], refused["content-type"]) == (400, "application/problem+json")
    large = await ask(game, f"{open_url}/api/leaderboard/submit", "POST", body="a" * 300_000)
    assert (large["status"], large["content-type"]) == (413, "application/problem+json")


async def test_it_reads_that_it_asks_too_much(game: Page, open_url: str) -> None:
    address = urlsplit(open_url).hostname, urlsplit(open_url).port
    with ExitStack() as connections:
        for _ in range(100):  # requests that the gateway waits for, which are as many as an address may have there
            connection = connections.enter_context(socket.create_connection(address, timeout=PATIENCE_MS / 1000))
            connection.sendall(b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        statuses: list[int] = []
        while 429 not in statuses:
            assert len(statuses) < 100, statuses
            statuses.append((await ask(game, f"{open_url}/auth/login", "POST"))["status"])


async def test_it_reads_nothing_with_cookies_and_loads_nothing_unread(game: Page, open_url: str) -> None:
    assert await ask(game, f"{open_url}/api/leaderboard/top", credentials="include") == UNREADABLE
    assert await ask(game, f"{open_url}/api/leaderboard/top", mode="no-cors") == UNREADABLE


async def test_one_whose_origin_is_not_allowed_reads_nothing_and_writes_nothing(
    game: Page, gateway_url: str, nobodys_url: str, token: dict[str, str]
) -> None:
    submitting = {"headers": {**token, "Content-Type": "application/json"}, "body": '{"score": 7}'}
    for url in (gateway_url, nobodys_url):
        for path in ("/api/leaderboard/top", "/auth/nothing", "/api/leaderboard/%2F", "/"):
            assert await ask(game, url + path) == UNREADABLE
        assert await ask(game, f"{url}/api/leaderboard/submit", "POST", **submitting) == UNREADABLE
        credentials = f'{{"username": "{new_name()}", "password": "{PASSWORD}"}}'
        json = {"Content-Type": "application/json"}
        assert await ask(game, f"{url}/auth/register", "POST", headers=json, body=credentials) == UNREADABLE
    async with httpx.AsyncClient(base_url=gateway_url, headers=token) as client:
        assert (await client.get("/api/leaderboard/sessions/me")).json()["sessions"] == []


async def test_nor_does_it_make_anybody(game: Page, stack: Stack, gateway_url: str, nobodys_url: str) -> None:
    with stack.mysql.connect(database=stack.database, autocommit=True) as database:
        before = rows(database, "SELECT COUNT(*) FROM users")
        for url in (gateway_url, nobodys_url):
            for body in ({"session": "token"}, {"session": "cookie"}):
                assert await send(game, f"{url}/auth/guest", body) == UNREADABLE
                await game.evaluate(SEND_UNTYPED, [f"{url}/auth/guest", json.dumps(body)])
            assert await ask(game, f"{url}/auth/guest", "POST") == UNREADABLE
            chosen = {"username": new_name(), "password": PASSWORD}
            await game.evaluate(SEND_UNTYPED, [f"{url}/auth/register", json.dumps(chosen)])
        assert rows(database, "SELECT COUNT(*) FROM users") == before


async def test_a_file_and_a_sandboxed_frame_play_where_null_is_allowed_and_nowhere_else(
    game: Page, tmp_path: Path, open_url: str, nobodys_url: str, gateway_url: str
) -> None:
    await game.evaluate("""() => new Promise(resolve => {
        const frame = document.createElement('iframe');
        document.body.append(Object.assign(frame, {sandbox: 'allow-scripts', srcdoc: '<p>', onload: resolve}));
    })""")
    [_, sandboxed] = game.frames
    (tmp_path / "game.html").write_text("<!doctype html><title>A game</title>", encoding="utf-8")
    file = await game.context.new_page()
    await file.goto((tmp_path / "game.html").as_uri())
    for page in (sandboxed, file):
        assert await page.evaluate("self.origin") == "null"
        assert (await ask(page, f"{nobodys_url}/api/leaderboard/top"))["status"] == 200
        assert (await ask(page, f"{nobodys_url}/auth/me", headers=bearer("none")))["status"] == 401
        guest = await send(page, f"{nobodys_url}/auth/guest", {"session": "token"})
        await play_on(page, nobodys_url, guest, guest["user_id"])
        for url in (open_url, gateway_url):
            assert await ask(page, f"{url}/api/leaderboard/top") == UNREADABLE
            assert await send(page, f"{url}/auth/guest", {"session": "token"}) == UNREADABLE
