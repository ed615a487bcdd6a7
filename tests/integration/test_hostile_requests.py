"""What a hostile request costs: little of the event loop's time, a short answer, and no second look."""

import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from services.common.http.problems import MOST_ERRORS
from services.common.http.screening import MAX_COOKIE_BYTES
from tests.system import Accounts, assert_problem

CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
# Seconds of the process, beyond what any refused body costs, where `YARDSTICK` is read in 2 ms or less.
MOST_SECONDS = 0.005
YARDSTICK, ITS_SECONDS = json.dumps([{f"member{number}": number} for number in range(5_000)]), 0.002
MOST_ANSWER = 8_192


@pytest.fixture(params=["auth", "leaderboard"])
def service(request: pytest.FixtureRequest) -> tuple[httpx.AsyncClient, str]:
    """Each service, and its prefix."""
    client: httpx.AsyncClient = request.getfixturevalue(request.param)
    return client, "/auth" if request.param == "auth" else "/api/leaderboard"


async def operations(client: httpx.AsyncClient, prefix: str) -> list[tuple[str, str, dict[str, Any]]]:
    document = (await client.get(f"{prefix}/openapi.json")).json()
    found = []
    for path, item in document["paths"].items():
        known = path.replace("{user_id}", "1").replace("{session_id}", "0b3e7d9c-6d5e-4f0c-9a55-1f2f3c4d5e6f")
        found += [(method.upper(), known, operation) for method, operation in item.items()]
    return found


async def test_no_path_with_a_control_character_is_looked_up(service: tuple[httpx.AsyncClient, str]) -> None:
    client, prefix = service
    for method, path, _ in await operations(client, prefix):
        middle = path.rindex("/") + 1
        for code in CONTROLS:
            strange = "".join(f"%{byte:02x}" for byte in chr(code).encode())
            for spelling in (path + strange, path[:-1] + strange + path[-1], path[:middle] + strange + path[middle:]):
                assert_problem(await client.request(method, spelling), 400, "malformed-request")


@pytest.mark.parametrize(
    "cookies",
    [
        ["refresh_token=" + "a" * (MAX_COOKIE_BYTES + 1)],
        ["a=" + "b" * 2_000, "c=" + "d" * 2_000, "e=" + "f" * 200],
        # What Python before the fix of CVE-2024-7592 needs seconds for.
        ['refresh_token="' + "\\" * 30_000 + '"'],
    ],
    ids=["one", "several", "backslashes"],
)
async def test_large_cookies_are_refused_unread(service: tuple[httpx.AsyncClient, str], cookies: list[str]) -> None:
    client, prefix = service
    headers = [("Cookie", cookie) for cookie in cookies]
    for method, path, _ in await operations(client, prefix):
        if path in {"/api/leaderboard/top", "/api/leaderboard/rank/1", "/api/leaderboard/around/1"}:
            continue  # answered before anything could read a cookie
        client.cookies.clear()
        began = time.process_time()
        answer = await client.request(method, path, headers=headers)
        assert time.process_time() - began < 0.5
        assert_problem(answer, 400, "malformed-request")


async def test_a_cookie_of_other_sites_on_the_host_is_no_hindrance(auth: httpx.AsyncClient) -> None:
    assert (await auth.get("/auth/health/live", headers={"Cookie": "a=" + "b" * (MAX_COOKIE_BYTES - 2)})).status_code == 200


def hostile(size: int) -> Iterator[tuple[str, bytes]]:
    """Bodies of up to so many bytes that are refused, each in another way."""

    def filled(make: Callable[[int], str]) -> bytes:
        members, length = list[str](), 2
        while length < size:
            members.append(make(len(members)))
            length += len(members[-1]) + 1
        return f"{{{','.join(members[:-1])}}}".encode()

    yield "unknown members", filled(lambda number: f'"{number:x}":1')
    yield "the same member", filled(lambda _: '"x":1')
    yield "names that nobody can read", filled(lambda number: f'"\\u0001\\u0002{number:x}\\u0003":1')
    yield "known members again and again", filled(lambda _: '"score":"x"')
    yield "a long name", b'{"' + b"a" * (size - 10) + b'":1}'
    yield "a long name of escapes", b'{"' + rb"\u0001" * ((size - 10) // 6) + b'":1}'
    yield "a deep list", b"[" * (size - 1)
    yield "a deep object", b'{"a":' * (size // 5)
    yield "a deep member", b'{"score":' + b"[" * (size - 20)
    yield "a long number", b'{"score":' + b"9" * (size - 20) + b"}"
    yield "a long fraction", b'{"score":0.5' + b"9" * (size - 20) + b"}"
    yield "a large exponent", b'{"score":1e' + b"9" * (size - 20) + b"}"
    yield "long text", b'{"score":"' + b"a" * (size - 40) + b'","username":"' + b'"}'
    yield "text of escapes", b'{"username":"' + rb"\ud83d\ude00" * ((size - 60) // 12) + b'","password":""}'
    yield "text that grows when it is made normal", '{{"username":"{0}","password":"{0}"}}'.format("ﷺ" * (size // 8)).encode()
    yield "a long list", b"[" + b"1," * ((size - 4) // 2) + b"1]"
    yield "blanks", b" " * (size - 1) + b"{"
    yield "no JSON", b"\xff" * (size - 1)


async def cost(send: Callable[[], Awaitable[httpx.Response]]) -> tuple[float, httpx.Response]:
    """The least that the process took for it in some tries: a busy machine makes them longer, never shorter."""
    least, answer = float("inf"), None
    for _ in range(5):
        began = time.process_time()
        answer = await send()
        least = min(least, time.process_time() - began)
    assert answer is not None
    return least, answer


def most_seconds() -> float:
    """What a hostile request may cost on this machine as it is now: others may take half of its caches and its clock."""
    least = float("inf")
    for _ in range(5):
        began = time.process_time()
        json.loads(YARDSTICK)
        least = min(least, time.process_time() - began)
    return MOST_SECONDS * max(1.0, least / ITS_SECONDS)


async def test_a_hostile_body_costs_little_and_its_answer_is_short(
    service: tuple[httpx.AsyncClient, str], accounts: Accounts
) -> None:
    client, prefix = service
    size = 8_192 if prefix == "/auth" else 65_536
    known = {**accounts.new("Ada", 1), "Content-Type": "application/json"}
    looked_at = 0
    for method, path, operation in await operations(client, prefix):
        if "requestBody" not in operation:
            continue

        def sending(body: bytes, method: str = method, path: str = path) -> Callable[[], Awaitable[httpx.Response]]:
            return lambda: client.request(method, path, content=body, headers=known)

        plain, _ = await cost(sending(b"{"))
        for name, body in hostile(size):
            assert len(body) <= size, name
            taken, answer = await cost(sending(body))
            # A name that is no name and a password that is none are counted as a guess, which MySQL is asked about.
            if answer.status_code not in {401, 403, 429}:
                assert taken - plain < most_seconds(), (path, name, answer.status_code)
                if path == "/auth/token":  # which refuses as RFC 6749 says
                    assert_problem(answer, 400, "invalid-token-request")
                else:
                    assert_problem(answer, 422, "invalid-request")
                assert len(answer.json().get("errors", [])) <= MOST_ERRORS
            assert len(answer.content) < MOST_ANSWER, (path, name)
            looked_at += 1
    assert looked_at > 15


async def test_the_first_unknown_members_are_named_and_the_others_counted(
    leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    body = {f"member{number}": 1 for number in range(3_000)}
    answer = await leaderboard.post("/api/leaderboard/submit", json=body, headers=accounts.new())
    problem = answer.json()
    assert problem["detail"] == "The body has 3,001 faults."
    assert [each["pointer"] for each in problem["errors"]] == [f"#/member{number}" for number in range(MOST_ERRORS)]


@pytest.mark.parametrize("path", ["/api/leaderboard/top", "/api/leaderboard/rank/1", "/api/leaderboard/around/1"])
async def test_a_query_of_thousands_of_parameters_costs_little(leaderboard: httpx.AsyncClient, path: str) -> None:
    plain, _ = await cost(lambda: leaderboard.get(f"{path}?limit=x&radius=x"))
    for query in ("&".join(f"limit={number}x" for number in range(1_500)), "radius=" + "9" * 15_000, "&" * 15_000):
        taken, answer = await cost(lambda query=query: leaderboard.get(f"{path}?{query}"))  # type: ignore[misc]
        assert taken - plain < 2 * most_seconds()
        assert answer.status_code < 500
        assert len(answer.content) < MOST_ANSWER


def test_what_tells_a_control_character_is_what_the_gateway_refuses() -> None:
    refused = re.compile("[^ -~]")
    assert all(refused.search(chr(code)) for code in CONTROLS)
