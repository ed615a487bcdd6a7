"""Limits at the gateway, and paths that would slip past them: one bucket an address, however a path is spelt."""

import asyncio
import sys
from collections import Counter
from contextlib import closing
from itertools import cycle, islice

import httpx
import pytest

from services.common.tokens import Scope
from services.local.stack import Stack
from tests.security.wire import CLOSE, HOST, exchange, get
from tests.system import Accounts, bearer, sign_up

JSON = b"Content-Type: application/json\r\n"
ELSEWHERE = pytest.mark.skipif(sys.platform != "linux", reason="asks from another address of the loopback network")

SPELLINGS = [
    b"/auth/login",
    b"/auth/logi%6e",
    b"/%61uth/login",
    b"/auth//login",
    b"//auth/login?x=1",
    b"/auth/me/../login",
    b"/auth/me/%2e%2e/login",
    b"http://elsewhere.example/auth/login",
    b"/auth/login;x=1",
    b"/auth/login/",
    b"/auth/login%20",
    b"/auth/login%3f",
    b"/auth/login%23",
    b"/auth/refresh/../login",
    b"/auth/refresh;/../login",
    b"/auth/refresh%20",
]


@ELSEWHERE
def test_no_spelling_and_no_header_slips_past_the_limit_of_guesses(gateway_url: str) -> None:
    """All of them fill one bucket, that of the address the connection comes from: 100 at once, 20 a second."""

    def guess(number: int, path: bytes) -> bytes:
        lies = b"X-Forwarded-For: 192.0.2.%d\r\nX-Real-Ip: 192.0.2.%d\r\n" % (number % 250, number % 250)
        return b"POST " + path + b" HTTP/1.1\r\n" + HOST + JSON + lies + b"Content-Length: 2\r\n\r\n[]"

    spelt = list(islice(cycle(SPELLINGS), 480))
    sent = b"".join(guess(number, path) for number, path in enumerate(spelt)) + get(b"/")
    statuses = exchange(gateway_url, sent, source="127.0.0.2").statuses
    assert len(statuses) == len(spelt) + 1
    limited = Counter(path for path, status in zip(spelt, statuses, strict=False) if status == 429)
    assert set(limited) == set(SPELLINGS)
    assert sum(limited.values()) > 200
    assert exchange(gateway_url, guess(0, b"/auth/login").replace(HOST, HOST + CLOSE)).statuses == [422], (
        "nobody else is kept out"
    )


# What asks for a password or sets one.
HASHING = [
    (b"POST", b"/auth/login"),
    (b"POST", b"/auth/register"),
    (b"POST", b"/auth/confirm"),
    (b"PUT", b"/auth/me/password"),
    (b"POST", b"/auth/me/deletion"),
    (b"POST", b"/auth/me/credentials"),
    (b"POST", b"/auth/me/recovery-codes"),
    (b"POST", b"/auth/recover"),
]


@ELSEWHERE
@pytest.mark.parametrize(
    ("methods", "source"),
    [*(([each], f"127.0.0.{number}") for number, each in enumerate(HASHING, 10)), (HASHING, "127.0.0.20")],
)
def test_whatever_costs_a_hash_is_limited_by_address_in_one_bucket(
    gateway_url: str, methods: list[tuple[bytes, bytes]], source: str
) -> None:
    messages = [
        method + b" " + path + b" HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 2\r\n\r\n[]"
        for method, path in islice(cycle(methods), 320)
    ]
    statuses = Counter(exchange(gateway_url, b"".join(messages) + get(b"/"), source=source).statuses)
    assert statuses.total() == len(messages) + 1
    # 100 at once, and 20 for each second that it took.
    assert statuses[429] > len(messages) / 2


@ELSEWHERE
def test_renewing_a_session_has_a_bucket_of_its_own(gateway_url: str) -> None:
    """A school opens the page at once, and each page asks."""

    def ask(path: bytes) -> bytes:
        return b"POST " + path + b" HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 0\r\n\r\n"

    exchange(gateway_url, ask(b"/auth/login") * 200 + get(b"/"), source="127.0.0.21")
    statuses = exchange(gateway_url, ask(b"/auth/refresh") * 300 + get(b"/"), source="127.0.0.21").statuses
    assert statuses == [401] * 300 + [200]


GUEST_SPELLINGS = [
    b"/auth/guest",
    b"/auth/gues%74",
    b"/%61uth/guest",
    b"/auth//guest",
    b"//auth/guest?x=1",
    b"/auth/me/../guest",
]


@ELSEWHERE
def test_guests_are_limited_by_address_however_it_is_spelt_and_keep_nobody_from_signing_in(gateway_url: str) -> None:
    """100 at once, and one every two seconds after that."""

    def ask(path: bytes) -> bytes:
        return b"POST " + path + b" HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 2\r\n\r\n[]"

    spelt = list(islice(cycle(GUEST_SPELLINGS), 240))
    statuses = exchange(gateway_url, b"".join(map(ask, spelt)) + get(b"/"), source="127.0.0.23").statuses
    assert len(statuses) == len(spelt) + 1
    limited = Counter(path for path, status in zip(spelt, statuses, strict=False) if status == 429)
    assert set(limited) == set(GUEST_SPELLINGS)
    assert sum(limited.values()) > 120
    assert exchange(gateway_url, ask(b"/auth/login") + get(b"/"), source="127.0.0.23").statuses == [422, 200]


@ELSEWHERE
def test_a_studio_signs_thousands_of_players_in_and_keeps_nobody_from_signing_in(gateway_url: str) -> None:
    """1,000 at once and 200 a second, in a bucket of its own. Keys are asked for in that of guesses."""

    def ask(method: bytes, path: bytes) -> bytes:
        return method + b" " + path + b" HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 2\r\n\r\n[]"

    routes = [(b"PUT", b"/auth/external/steam/1"), (b"POST", b"/auth/external/steam/1/token"), (b"POST", b"/auth/external")]
    sent = b"".join(ask(*route) for route in islice(cycle(routes), 600)) + get(b"/")
    statuses = exchange(gateway_url, sent, source="127.0.0.24").statuses
    assert statuses == [401] * 600 + [200]
    assert exchange(gateway_url, ask(b"POST", b"/auth/login") + get(b"/"), source="127.0.0.24").statuses == [422, 200]
    slipping = [(b"POST", b"/auth/external/../login"), (b"POST", b"/auth/token"), (b"POST", b"/auth/keys")]
    guesses = b"".join(ask(*route) for route in islice(cycle(slipping), 320)) + get(b"/")
    limited = Counter(exchange(gateway_url, guesses, source="127.0.0.24").statuses)
    assert limited[429] > 160


@ELSEWHERE
def test_leaving_the_board_is_limited_by_address(gateway_url: str) -> None:
    message = b"DELETE /api/leaderboard/me HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n"
    statuses = Counter(exchange(gateway_url, message * 320 + get(b"/"), source="127.0.0.22").statuses)
    assert statuses.total() == 321
    assert statuses[429] > 160


@pytest.mark.skipif(sys.platform != "linux", reason="asks from another address of the loopback network")
async def test_nobody_has_more_than_five_exports_written_at_once(stack: Stack) -> None:
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.6")
    async with httpx.AsyncClient(base_url=stack.gateway_url, transport=transport) as client:
        owner = bearer(await sign_up(client, "exporter"))
        with closing(stack.mysql.connect(database=stack.database)) as connection, connection.cursor() as cursor:
            cursor.execute("LOCK TABLES game_sessions WRITE")  # an export waits, as for a client that reads slowly
            exports = [asyncio.create_task(client.get("/api/leaderboard/me/export", headers=owner)) for _ in range(6)]
            [refused], waiting = await asyncio.wait(exports, return_when=asyncio.FIRST_COMPLETED)
            assert (await refused).status_code == 429
            cursor.execute("UNLOCK TABLES")
            assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200] * 5


async def test_a_game_server_sends_4_mib_at_once_and_nobody_more_than_elsewhere(stack: Stack, secrets: dict[str, str]) -> None:
    key = Accounts(secrets["JWT_KEYS"]).new_key(Scope.SCORES)
    body = b'{"submissions":[{"user_id":4711,"score":1,"key":"a"}]}'.ljust(4 * 2**20)
    headers = {**key, "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=60) as client:
        answer = await client.post("/api/leaderboard/submissions", content=body.ljust(4 * 2**20), headers=headers)
        assert [result["status"] for result in answer.json()["results"]] == [422]
    # Only announced: who is refused may find the connection closed before all of a large body is sent.
    for path, length in (
        (b"/api/leaderboard/submissions", 4 * 2**20 + 1),
        (b"/api/leaderboard/submit", 262_145),
        (b"/api/leaderboard/submissions/", 262_145),
        (b"/api/leaderboard/submissions/x", 262_145),
    ):
        announced = b"POST " + path + b" HTTP/1.1\r\n" + HOST + CLOSE + JSON + b"Content-Length: %d\r\n\r\n" % length
        assert exchange(stack.gateway_url, announced).statuses == [413], path
