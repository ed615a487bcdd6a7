"""HEAD on whatever can be read: what GET is answered with, without the body."""

import asyncio

import httpx
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from services.auth.app import create_app as create_auth
from services.auth.settings import AuthSettings
from services.common.http.heads import Heads
from services.leaderboard.app import create_app as create_leaderboard
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.playing import API, play
from tests.signing_in import register, sign_in
from tests.system import Accounts, assert_problem, serving, sign_up

OF_ITS_OWN = {"x-request-id"}
PARAMETERS = {
    "{user_id}": "1",
    "{score}": "1",
    "{board}": "main",
    "{period_id}": "0",
    "{client_id}": f"key-{'a' * 26}",
    "{job_id}": "1",
    "{webhook}": "studio",
}


def readable(app: FastAPI, prefix: str) -> list[str]:
    """The path of each route that is read to its end, with somebody in the place of each parameter."""
    paths = [
        path
        for path, operations in app.openapi()["paths"].items()
        if "get" in operations and "text/event-stream" not in operations["get"]["responses"]["200"].get("content", {})
    ]
    paths += [f"{prefix}/openapi.json", f"{prefix}/docs", f"{prefix}/docs/docs.js", "/metrics"]
    for parameter, value in PARAMETERS.items():
        paths = [path.replace(parameter, value) for path in paths]
    assert not [path for path in paths if "{" in path]
    return paths


async def assert_alike(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
    got, head = await client.get(path, headers=headers), await client.head(path, headers=headers)
    assert head.content == b"", path
    assert head.status_code == got.status_code, path
    ours, theirs = ({n: v for n, v in each.headers.items() if n not in OF_ITS_OWN} for each in (head, got))
    if path == "/metrics":  # which have grown by the request before
        ours["content-length"] = theirs["content-length"]
    assert ours == theirs, path
    assert head.headers["x-request-id"]


async def test_each_route_of_auth_that_is_read(auth_settings: AuthSettings, mysql: object) -> None:
    app = create_auth(auth_settings)
    async with serving(app) as auth:
        await register(auth)
        caller, _ = await sign_in(auth)
        for path in [*readable(app, "/auth"), "/auth/nothing", "/auth/me?x=1"]:
            for headers in (caller, {}):
                await assert_alike(auth, path, headers)


async def test_each_route_of_the_leaderboard_that_is_read(
    leaderboard_settings: LeaderboardSettings, mysql: object, accounts: Accounts
) -> None:
    app = create_leaderboard(leaderboard_settings)
    async with serving(app) as leaderboard:
        caller = accounts.new("Ada", 1)
        await play(leaderboard, caller, 5)
        for path in [*readable(app, API), f"{API}/rank/2", f"{API}/top?limit=2", f"{API}/top?limit=0"]:
            for headers in (caller, {}):
                await assert_alike(leaderboard, path, headers)
        etag = (await leaderboard.get(f"{API}/top")).headers["etag"]
        await assert_alike(leaderboard, f"{API}/top", {"If-None-Match": etag})


async def test_a_path_that_is_not_read_has_no_head_and_says_so(auth: httpx.AsyncClient) -> None:
    answer = await auth.head("/auth/login")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")
    answer = await auth.delete("/auth/me")
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"


async def test_heads_on_the_wire_end_where_the_next_answer_begins(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.gateway_url) as client:
        caller = {"Authorization": f"Bearer {await sign_up(client, 'header')}"}
        for path in ("/api/leaderboard/top", "/auth/me", "/auth/me/export", "/auth/docs/docs.js"):
            for _ in range(3):
                head = await client.head(path, headers=caller)
                assert (head.status_code, head.content) == (200, b"")
                got = await client.get(path, headers=caller | {"Accept-Encoding": "identity"})
                assert got.status_code == 200
                assert got.content
                assert head.headers["content-type"] == got.headers["content-type"]
                if path != "/auth/me/export":
                    assert head.headers["content-length"] == got.headers["content-length"]


async def test_who_is_told_the_head_finds_free_what_the_body_would_have_held() -> None:
    held, sent = False, []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal held
        held = True
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            await asyncio.sleep(0)
            held = False

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    async def send(message: Message) -> None:
        assert not held
        sent.append(message["type"])

    await Heads(app)({"type": "http", "method": "HEAD"}, receive, send)
    assert sent == ["http.response.start", "http.response.body"]
