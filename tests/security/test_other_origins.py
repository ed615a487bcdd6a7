"""Pages of other origins: what they are told that they may read, on every answer of the services and of the gateway itself."""

from collections.abc import Iterator

import httpx
import pytest

from services.local.gateway import GatewaySettings
from services.local.stack import Stack
from tests.gateways import gateway_before
from tests.security.wire import HOST, exchange, get
from tests.system import bearer, sign_up

GAME = "https://game.example"
APP = "capacitor://localhost"
ELSEWHERE = "https://elsewhere.example"
DOCUMENTS = ("/auth/openapi.json", "/api/leaderboard/openapi.json")
EXPOSED = {"etag", "retry-after", "idempotent-replayed", "location", "x-request-id"}
# What an answer tells browsers whatever the origin.
ALWAYS = {"x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin"}


@pytest.fixture(scope="module")
def open_url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway that knows two other origins."""
    settings = GatewaySettings(allowed_origins=f"{GAME}, {APP}")
    with gateway_before(stack, tmp_path_factory.mktemp("open"), settings=settings) as gateway:
        yield gateway.url


def words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",")}


def assert_readable(answer: httpx.Response, origin: str) -> None:
    """Hold ``answer`` to be for ``origin`` to read."""
    assert answer.headers.get_list("access-control-allow-origin") == [origin]
    assert "origin" in words(answer.headers["vary"])
    assert words(answer.headers["access-control-expose-headers"]) == EXPOSED
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers.items() >= ALWAYS.items()


def assert_unreadable(answer: httpx.Response) -> None:
    """Hold ``answer`` to be for no other origin to read, and not to be kept for one that may."""
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-credentials" not in answer.headers
    assert "origin" in words(answer.headers["vary"])


async def operations(client: httpx.AsyncClient) -> list[tuple[str, str]]:
    """The method and the path of each route that the services document, with 1 for what varies."""
    found: set[tuple[str, str]] = set()
    for document in DOCUMENTS:
        for path, methods in (await client.get(document)).json()["paths"].items():
            concrete = "/".join("1" if part.startswith("{") else part for part in path.split("/"))
            found.update((method.upper(), concrete) for method in methods)
    assert len(found) > 20
    return sorted(found)


async def test_every_answer_of_every_route_is_for_an_allowed_origin_to_read(open_url: str) -> None:
    statuses: set[int] = set()
    async with httpx.AsyncClient(base_url=open_url) as client:
        own = bearer(await sign_up(client, "otherorigin"))
        client.cookies.clear()  # such a page has none
        submitted = await client.post("/api/leaderboard/submit", json={"score": 1}, headers={"Origin": GAME, **own})
        assert submitted.status_code == 201
        assert_readable(submitted, GAME)
        for method, path in [*await operations(client), ("GET", "/auth/nothing"), ("GET", "/api/leaderboard/nothing")]:
            for told in ({}, own, {"If-None-Match": "*", **own}):
                body = None if method == "GET" else {"unknown": 1}
                answer = await client.request(method, path, headers={"Origin": GAME, **told}, json=body)
                assert_readable(answer, GAME)
                statuses.add(answer.status_code)
                other = await client.request(method, path, headers={"Origin": ELSEWHERE, **told}, json=body)
                assert_unreadable(other)
                assert_unreadable(await client.request(method, path, headers=told, json=body))
    assert statuses >= {200, 204, 304, 401, 404, 422}


async def test_a_webview_whose_scheme_is_its_own_plays_where_it_is_allowed_and_is_told_nothing_elsewhere(
    open_url: str, gateway_url: str
) -> None:
    """No browser here can be of such an origin, so what one would send is sent without."""

    def hold_allowed(answer: httpx.Response) -> None:
        assert_readable(answer, APP)

    def hold_unknown(answer: httpx.Response) -> None:
        assert not any(name.startswith("access-control-") for name in answer.headers)

    for url, hold in ((open_url, hold_allowed), (gateway_url, hold_unknown)):
        async with httpx.AsyncClient(base_url=url, headers={"Origin": APP, "Sec-Fetch-Site": "cross-site"}) as client:
            asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
            hold(await client.options("/auth/guest", headers=asked))
            made = await client.post("/auth/guest", json={"session": "token"})
            renewed = await client.post("/auth/refresh", json={"refresh_token": made.json()["refresh_token"]})
            told = bearer(renewed.json()["access_token"])
            submitted = await client.post("/api/leaderboard/submit", json={"score": 7}, headers=told)
            own = await client.get("/api/leaderboard/rank/me", headers=told)
            for answer, status in ((made, 201), (renewed, 200), (submitted, 201), (own, 200)):
                assert answer.status_code == status
                hold(answer)
            with_cookie = await client.post("/auth/guest")
            assert with_cookie.status_code == 403
            hold(with_cookie)
            assert not client.cookies


async def test_a_compressed_answer_varies_by_both(open_url: str) -> None:
    async with httpx.AsyncClient(base_url=open_url) as client:
        answer = await client.get("/auth/openapi.json", headers={"Origin": GAME, "Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert words(answer.headers["vary"]) == {"accept-encoding", "origin"}


@pytest.mark.parametrize("path", ["/auth/me/password", "/api/leaderboard/submit", "/auth", "/api/leaderboard/nothing"])
async def test_a_preflight_is_answered_for_an_allowed_origin_and_for_no_other(open_url: str, path: str) -> None:
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,content-type"}
    async with httpx.AsyncClient(base_url=open_url) as client:
        for origin in (GAME, APP):
            answer = await client.options(path, headers={"Origin": origin, **asked})
            assert answer.status_code in {200, 204}
            assert_readable(answer, origin)
            assert int(answer.headers["access-control-max-age"]) >= 600
        for origin in (
            ELSEWHERE,
            "null",
            GAME.upper(),
            f"{GAME}.elsewhere.example",
            f"{GAME}:8443",
            "http://game.example",
            "*",
        ):
            assert_unreadable(await client.options(path, headers={"Origin": origin, **asked}))


async def test_what_a_preflight_allows_is_what_the_documents_have(open_url: str) -> None:
    methods: set[str] = set()
    headers = {"authorization", "content-type", "x-request-id"}  # the last is what a client may call its request by
    async with httpx.AsyncClient(base_url=open_url) as client:
        for document in DOCUMENTS:
            for operations in (await client.get(document)).json()["paths"].values():
                methods.update(operations)
                described = [each for operation in operations.values() for each in operation.get("parameters", [])]
                headers.update(each["name"].lower() for each in described if each["in"] == "header")
        asked = {"Origin": GAME, "Access-Control-Request-Method": "GET"}
        answer = await client.options("/auth/me", headers=asked)
    assert words(answer.headers["access-control-allow-methods"]) == methods | {"head"}
    assert words(answer.headers["access-control-allow-headers"]) == headers


def test_what_only_looks_like_a_preflight_reaches_nothing(open_url: str) -> None:
    asked = b"Access-Control-Request-Method: \r\nAccess-Control-Request-Method: PUT\r\nConnection: close\r\n\r\n"
    answer = exchange(open_url, b"OPTIONS /auth/me HTTP/1.1\r\nOrigin: https://game.example\r\n" + HOST + asked)
    assert answer.statuses == [400]


async def test_where_all_origins_are_allowed_so_is_one_that_is_nobodys(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked = {"Access-Control-Request-Method": "PUT"}
    settings = GatewaySettings(allowed_origins="*")
    with gateway_before(stack, tmp_path_factory.mktemp("everybody"), settings=settings) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url) as client:
            for origin in (GAME, "null", "file://"):
                assert_readable(await client.get("/api/leaderboard/top", headers={"Origin": origin}), "*")
                assert_readable(await client.options("/auth/login", headers={"Origin": origin, **asked}), "*")


@pytest.mark.parametrize("path", [b"/auth/me%2fx", b"/api/leaderboard/%2F", b"/auth/me%0a"])
def test_so_is_the_gateways_refusal_of_a_path(open_url: str, path: bytes) -> None:
    answer = exchange(open_url, get(path, b"Origin: " + GAME.encode()))
    assert answer.statuses == [400]
    assert b"access-control-allow-origin: " + GAME.encode() in answer.head
    assert b"vary: origin" in answer.head


def test_so_is_the_gateways_refusal_of_too_many_requests(open_url: str) -> None:
    guess = b"POST /auth/login HTTP/1.1\r\n" + HOST + b"Origin: " + GAME.encode() + b"\r\nContent-Length: 0\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nConnection: close\r\nOrigin: " + GAME.encode() + b"\r\n" + HOST + b"\r\n"
    answer = exchange(open_url, guess * 200 + last, source="127.0.5.1")
    assert 429 in answer.statuses
    assert answer.data.lower().count(b"\r\naccess-control-allow-origin: " + GAME.encode()) == 201
