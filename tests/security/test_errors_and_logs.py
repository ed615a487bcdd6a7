"""What a fault of ours tells the client, and what a hostile client can write into the logs."""

import json
from pathlib import Path
from typing import Never

import httpx
import pytest

from services.auth.app import create_app as create_auth
from services.auth.settings import AuthSettings
from services.auth.signing import AuthService
from services.local.stack import Stack
from tests.security.wire import CLOSE, HOST, exchange
from tests.system import PASSWORD, assert_problem, gateway_log_is_whole


async def test_a_fault_of_ours_tells_nothing_of_its_inside(
    auth_settings: AuthSettings, mysql: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> Never:
        raise RuntimeError("SELECT password_hash FROM users")

    monkeypatch.setattr(AuthService, "register", fails)
    app = create_auth(auth_settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = await client.post("/auth/register", json={"username": "Ada", "password": PASSWORD})
        assert_problem(answer, 500, "internal-error")
        assert answer.json()["detail"] == "Something went wrong on our side. It has been logged."
        assert "password_hash" not in f"{answer.headers}{answer.text}"
        assert (await client.get("/auth/health/live")).status_code == 200


FORGED = {"event": "logged_in", "user_id": 1}
HOSTILE = f"{{}}\n{json.dumps(FORGED)}\r\n{json.dumps(FORGED)}\x1b[2J\u2028\x00"


def lines(log: Path) -> list[dict[str, object]]:
    """The log, in which every line must be one JSON object."""
    found = [json.loads(line) for line in log.read_text(encoding="utf-8").split("\n") if line]
    assert all(isinstance(each, dict) for each in found)
    return found


async def test_nobody_writes_a_line_of_their_own_into_a_log(stack: Stack) -> None:
    # A client that says what it wants where it can: in a name, a password, a path, a query, a request id, what it calls itself.
    hostile = HOSTILE.encode("unicode_escape").decode()
    headers = {"User-Agent": hostile, "X-Request-Id": hostile, "Referer": hostile}
    async with httpx.AsyncClient(base_url=stack.gateway_url, headers=headers) as client:
        for path in ("/auth/login", "/auth/register"):
            answer = await client.post(path, json={"username": HOSTILE, "password": HOSTILE})
            assert 400 <= answer.status_code < 500
            assert answer.headers["x-request-id"] != hostile
        for path in ("/auth", "/api/leaderboard", "/nothing"):
            assert (await client.get(path, params={"marker": HOSTILE})).status_code == 404
    encoded = "".join(f"%{byte:02x}" for byte in HOSTILE.encode())
    for path in ("/auth/", "/api/leaderboard/", "/"):
        exchange(stack.gateway_url, f"GET {path}{encoded} HTTP/1.1\r\n".encode() + HOST + CLOSE + b"\r\n")
    await gateway_log_is_whole(stack)
    for log in (stack.auth.log, stack.leaderboard.log, stack.gateway.log, stack.page.log):
        assert {} not in lines(log)
        assert FORGED not in lines(log)
        assert "\x1b" not in log.read_text(encoding="utf-8")
