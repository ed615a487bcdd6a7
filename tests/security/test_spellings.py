"""Each route in each spelling: refused, or limited as the plain one is."""

from collections import Counter
from itertools import count

import httpx
import pytest

from tests.security.wire import HOST, exchange, get

JSON = b"Content-Type: application/json\r\nContent-Length: 2\r\n"
DOCUMENTS = ("/auth/openapi.json", "/api/leaderboard/openapi.json")
# Controls as bytes and as characters (U+0080 to U+009F), line and paragraph separators, and what is not UTF-8.
CONTROLS = [
    *(b"%%%02x" % code for code in (*range(0x20), 0x7F)),
    *(b"%%c2%%%02x" % code for code in range(0x80, 0xA0)),
    b"%e2%80%a8",
    b"%e2%80%a9",
    b"%85",
    b"%c0%8a",
    b"%ff",
]
HASHING = {
    (b"POST", b"/auth/login"),
    (b"POST", b"/auth/register"),
    (b"PUT", b"/auth/me/password"),
    (b"POST", b"/auth/me/deletion"),
    (b"POST", b"/auth/confirm"),
    (b"POST", b"/auth/me/credentials"),
    (b"POST", b"/auth/me/recovery-codes"),
    (b"POST", b"/auth/recover"),
    (b"POST", b"/auth/token"),
}
# What has a bucket of its own, as small.
GUESTS = {(b"POST", b"/auth/guest")}
# What hashes nothing, but is guessed at or rare: those who run the game share the bucket of hashes.
STAFF = {
    (b"POST", b"/auth/second-factor"),
    (b"POST", b"/auth/me/second-factor"),
    (b"POST", b"/auth/me/second-factor/confirm"),
    (b"DELETE", b"/auth/me/second-factor"),
    (b"POST", b"/auth/me/staff-codes"),
    (b"PUT", b"/auth/staff/1"),
    (b"DELETE", b"/auth/staff/1"),
    (b"DELETE", b"/auth/staff/1/second-factor"),
    (b"POST", b"/auth/keys"),
    (b"POST", b"/auth/keys/1/secrets"),
    (b"DELETE", b"/auth/keys/1/secrets"),
    (b"DELETE", b"/auth/keys/1"),
    (b"POST", b"/auth/users/1/name-replacement"),
}
# More than the bucket holds and than it regains while they are sent.
MANY = 200


def routes(gateway_url: str) -> list[tuple[bytes, bytes]]:
    """The method and the path of each route that the services document, with 1 for what varies."""
    found: set[tuple[bytes, bytes]] = set()
    for document in DOCUMENTS:
        for path, methods in httpx.get(gateway_url + document).json()["paths"].items():
            concrete = "/".join("1" if part.startswith("{") else part for part in path.split("/"))
            found.update((method.upper().encode(), concrete.encode()) for method in methods)
    assert len(found) > 20
    return sorted(found)


def request(method: bytes, path: bytes) -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\n" + HOST + JSON + b"\r\n{}"


def test_no_route_is_reached_with_a_control_character_in_its_path(gateway_url: str) -> None:
    for method, path in routes(gateway_url):
        middle = path.rfind(b"/") + 2
        paths = [
            spelt for each in CONTROLS for spelt in (path + each, path[:middle] + each + path[middle:], b"/" + each + path)
        ]
        answer = exchange(gateway_url, b"".join(request(method, spelt) for spelt in paths) + get(b"/"))
        assert answer.statuses == [400] * len(paths) + [200], (method, path)
        assert b"x-request-id" not in answer.data.lower(), "it was a service that refused"


def spellings(path: bytes) -> list[bytes]:
    """Other ways of writing a path: some are the same path, others none of ours."""
    last = path.rfind(b"/") + 1
    encoded = path[:last] + b"%%%02x" % path[last] + path[last + 1 :]
    return [
        path,
        encoded,
        encoded.upper().replace(b"/AUTH", b"/auth"),
        path + b"/",
        path + b"//",
        path + b"/.",
        path + b"/%2e",
        path + b"/x/..",
        path + b".",
        path + b"%2e",
        path + b";a=1",
        path + b"%3b",
        path + b"%3f",
        path + b"%23",
        path + b"%20",
        path + b"%2f",
        path + b"%5c",
        path + b"%25",
        path + b"%250a",
        path + b"?a=%0a",
        path.upper(),
        path.replace(b"/", b"//"),
        path.replace(b"/auth", b"/./auth"),
        path.replace(b"/auth", b"/auth/%2e"),
        path.replace(b"/auth", b"/%61uth"),
        b"http://elsewhere.example" + path,
    ]


_sources = count(20)


def limited(gateway_url: str, message: bytes) -> int:
    """How many of ``MANY`` such requests from one new address are refused for their number."""
    source = f"127.0.1.{next(_sources)}"
    filling = message * MANY + get(b"/")
    statuses = Counter(exchange(gateway_url, filling, source=source).statuses)
    return statuses[429]


@pytest.mark.parametrize(("method", "path"), sorted(HASHING))
def test_every_spelling_that_a_service_answers_shares_the_one_bucket_of_hashes(
    gateway_url: str, method: bytes, path: bytes
) -> None:
    source = f"127.0.2.{next(_sources)}"
    register = request(b"POST", b"/auth/register")
    for spelt in spellings(path):
        # The bucket is filled by another route than the one that is tried.
        sent = register * 130 + request(method, spelt) * 5 + get(b"/")
        *filled, page = exchange(gateway_url, sent, source=source).statuses
        assert page == 200
        if 429 not in filled[130:]:  # one of the five may have what the bucket regained
            answer = exchange(gateway_url, request(method, spelt) + get(b"/"))
            assert answer.statuses[0] in (400, 404, 405), f"{spelt!r} reaches the service without its limit"


def test_writes_that_hash_nothing_have_no_part_in_that_bucket(gateway_url: str) -> None:
    free = [(method, path) for method, path in routes(gateway_url) if path.startswith(b"/auth/") and method != b"GET"]
    for method, path in free:
        refused = limited(gateway_url, request(method, path))
        assert (refused > 0) == ((method, path) in HASHING | GUESTS | STAFF), (method, path)


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH", b"DELETE", b"QUERY", b"post"])
def test_a_write_that_no_route_names_is_limited_too(gateway_url: str, method: bytes) -> None:
    assert limited(gateway_url, request(method, b"/auth/of-the-future")) > 20
