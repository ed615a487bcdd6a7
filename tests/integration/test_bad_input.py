"""What is not valid gets a clear 4xx, and changes nothing."""

import base64
import gzip
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest

from tests.playing import API
from tests.system import AUDIENCE, ISSUER, Accounts, assert_problem, bearer, sign_up

JSON = {"content-type": "application/json"}


def stored(connection: Any) -> tuple[int, ...]:
    counts = []
    with connection.cursor() as cursor:
        for table in ("game_sessions", "standings", "players", "outbox"):
            cursor.execute(f"SELECT COUNT(*) FROM {table}")
            counts.append(cursor.fetchone()[0])
    return tuple(counts)


SCORES = [
    "-1",
    "1.5",
    "-1.0",
    "1e-2",
    "9007199254740992.0",
    "1e17",
    "1000000001.0",
    '"10"',
    "null",
    "true",
    "[]",
    "{}",
    "1" + "0" * 30,
    "9" * 400,
    "9" * 5000,
    "NaN",
    "Infinity",
    "1e400",
]


@pytest.mark.parametrize(
    "body",
    [
        *(f'{{"score": {score}}}'.encode() for score in SCORES),
        b"",
        b"{}",
        b"[]",
        b"10",
        b"null",
        b'{"score": 10',
        b'{"points": 10}',
        b'{"score": 10, "user": 1}',
        b'{"score": "\\ud800"}',
        b'{"\\ud800": 10}',
        b'{"score": 1000000001}',
        b"\xff",
        b"[" * 60_000,
    ],
)
async def test_a_bad_score_is_refused(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, body: bytes) -> None:
    answer = await leaderboard.post(f"{API}/submit", content=body, headers=accounts.new() | JSON)
    assert_problem(answer, 422, "invalid-request")
    assert all(error["pointer"].startswith("#") for error in answer.json()["errors"])
    assert stored(mysql) == (0, 0, 0, 0)


async def test_a_bad_score_is_pointed_at(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    answer = await leaderboard.post(f"{API}/submit", json={"score": -1}, headers=accounts.new())
    [error] = answer.json()["errors"]
    assert error == {"pointer": "#/score", "detail": "The board main takes values from 0 to 1000000000."}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "", None])
async def test_another_content_type_is_refused(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, content_type: str | None
) -> None:
    headers = accounts.new() | ({} if content_type is None else {"content-type": content_type})
    answer = await leaderboard.post(f"{API}/submit", content=b'{"score": 1}', headers=headers)
    assert_problem(answer, 415, "unsupported-media-type")
    assert stored(mysql) == (0, 0, 0, 0)


CODED = {
    "a byte order mark": (b'\xef\xbb\xbf{"score": 1}', {}, "Send the body without a byte order mark."),
    "UTF-16": ('{"score": 1}'.encode("utf-16"), {}, "Send the body in UTF-8."),
    "UTF-16 without a mark": ('{"score": 1}'.encode("utf-16-be"), {}, "Send the body in UTF-8."),
    "UTF-16, little end first": ('{"score": 1}'.encode("utf-16-le"), {}, "Send the body in UTF-8."),
    "UTF-32": ('{"score": 1}'.encode("utf-32"), {}, "Send the body in UTF-8."),
    "gzip that says nothing of it": (gzip.compress(b'{"score": 1}'), {}, "Send the body as it is, not compressed."),
    **{
        coding: (
            gzip.compress(b'{"score": 1}'),
            {"content-encoding": coding},
            "Send the body as it is, without a Content-Encoding.",
        )
        for coding in ("gzip", "GZIP", "br", "gzip, identity")
    },
}


@pytest.mark.parametrize(("body", "headers", "why"), CODED.values(), ids=CODED)
async def test_a_body_in_another_encoding_is_refused_with_a_word_why(
    leaderboard: httpx.AsyncClient,
    auth: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    body: bytes,
    headers: dict[str, str],
    why: str,
) -> None:
    caller = accounts.new()
    for answer in (
        await leaderboard.post(f"{API}/submit", content=body, headers=caller | JSON | headers),
        *[
            await auth.post(f"/auth/{path}", content=body, headers=JSON | headers)
            for path in ("login", "register", "refresh", "logout", "guest")
        ],
    ):
        assert_problem(answer, 415, "unsupported-media-type")
        assert answer.json()["detail"] == why
        assert answer.headers.get("accept-encoding") == ("identity" if headers else None)
    assert stored(mysql) == (0, 0, 0, 0)


async def test_a_body_that_is_said_to_be_as_it_is_is_read(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    headers = accounts.new() | JSON | {"content-encoding": "Identity"}
    assert (await leaderboard.post(f"{API}/submit", content=b'{"score": 1}', headers=headers)).status_code == 201


async def test_forms_are_not_compressed_either(auth: httpx.AsyncClient) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    body = gzip.compress(b"grant_type=password&username=Ada&password=x")
    assert_problem(await auth.post("/auth/login", content=body, headers=form), 415, "unsupported-media-type")
    answer = await auth.post("/auth/token", content=body, headers=form)
    assert_problem(answer, 400, "invalid-token-request")
    assert answer.json()["detail"] == "Send the body as it is, without a Content-Encoding."


@pytest.mark.parametrize("written", ["1200", "1200.0", "1.2e3", "12e2", "1200.000"])
async def test_a_whole_number_is_one_however_it_is_written(
    leaderboard: httpx.AsyncClient, accounts: Accounts, written: str
) -> None:
    headers = accounts.new() | JSON | {"Idempotency-Key": "once"}
    whole = b'{"score": 1200, "metrics": {"laps": 3}}'
    first = await leaderboard.post(f"{API}/submit", content=whole, headers=headers)
    assert first.status_code == 201
    sent = f'{{"score": {written}, "metrics": {{"laps": 3.0}}}}'.encode()
    again = await leaderboard.post(f"{API}/submit", content=sent, headers=headers)
    assert (again.status_code, again.json()["session_id"]) == (201, first.json()["session_id"])
    assert again.headers["idempotent-replayed"] == "true"
    other = await leaderboard.post(f"{API}/submit", content=sent, headers=headers | {"Idempotency-Key": "twice"})
    assert other.json()["total_score"] == 2400
    assert isinstance(other.json()["total_score"], int)


async def test_json_with_a_charset_is_json(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    headers = accounts.new() | {"content-type": "Application/JSON; charset=utf-8"}
    assert (await leaderboard.post(f"{API}/submit", content=b'{"score": 1}', headers=headers)).status_code == 201


async def test_a_large_body_is_refused(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    body = b'{"score": 1' + b" " * 2_000_000 + b"}"
    answer = await leaderboard.post(f"{API}/submit", content=body, headers=accounts.new() | JSON)
    assert_problem(answer, 413, "body-too-large")
    assert stored(mysql) == (0, 0, 0, 0)


BAD_NUMBERS = ["-1", "ten", "1.5", "1.0", "1e3", "%2B1", "1_0", "%201", "", "%00", "nan", "%ED%A0%80", "%D9%A1", "9" * 23]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", *(f"{name}={number}" for name in ("limit", "offset") for number in BAD_NUMBERS)]
)
async def test_a_bad_page_is_refused(leaderboard: httpx.AsyncClient, query: str) -> None:
    answer = await leaderboard.get(f"{API}/top?{query}")
    assert_problem(answer, 422, "invalid-request")
    assert [error["parameter"] for error in answer.json()["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize("query", ["limit=1", "limit=100", "offset=0", "offset=101", "limit=100&offset=2000000000"])
async def test_the_edges_of_a_page_are_accepted(leaderboard: httpx.AsyncClient, query: str) -> None:
    assert (await leaderboard.get(f"{API}/top?{query}")).status_code == 200


@pytest.mark.parametrize("user_id", ["0", "Me", str(2**63), *filter(None, BAD_NUMBERS)])
async def test_a_bad_user_id_is_refused(leaderboard: httpx.AsyncClient, user_id: str) -> None:
    refused = (400, "malformed-request") if user_id == "%00" else (422, "invalid-request")
    assert_problem(await leaderboard.get(f"{API}/rank/{user_id}"), *refused)


async def test_the_greatest_user_id_is_only_unknown(leaderboard: httpx.AsyncClient) -> None:
    assert_problem(await leaderboard.get(f"{API}/rank/{2**63 - 1}"), 404, "player-not-found")


def forged(accounts: Accounts, header: dict[str, Any] | None = None, key: bytes | None = None, **changed: Any) -> str:
    now = datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "1",
        "name": "Ada",
        "sid": str(uuid.uuid4()),
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(minutes=5),
        "jti": "x",
    } | changed
    kid = accounts.keys.signing_kid
    headers = {"typ": "at+jwt", "kid": kid} | (header or {})
    named = {name: value for name, value in headers.items() if value is not None}
    return jwt.encode(claims, key or accounts.keys.keys[kid], "HS256", headers=named)


def edited(token: str) -> str:
    """Another's id in the claims, under the signature that was made without it."""
    header, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | {"sub": "2"}
    return f"{header}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{signature}"


BAD_TOKENS: dict[str, Any] = {
    "absent": lambda _: {},
    "empty": lambda _: {"Authorization": ""},
    "bearer alone": lambda _: {"Authorization": "Bearer"},
    "bearer and blanks": lambda _: {"Authorization": "Bearer   "},
    "other scheme": lambda _: {"Authorization": "Basic YWRhOmFkYQ=="},
    "a word": lambda _: bearer("word"),
    "dots": lambda _: bearer(".."),
    "alg none": lambda _: bearer("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0Iiwia2lkIjoiazEifQ.eyJzdWIiOiIxIn0."),
    "other key": lambda accounts: bearer(forged(accounts, key=bytes(range(32)))),
    "unknown kid": lambda accounts: bearer(forged(accounts, {"kid": "k9"})),
    "expired": lambda accounts: bearer(forged(accounts, exp=datetime.now(UTC) - timedelta(hours=1))),
    "other audience": lambda accounts: bearer(forged(accounts, aud="others")),
    "other type": lambda accounts: bearer(forged(accounts, {"typ": "JWT"})),
    "16 KB": lambda accounts: bearer(forged(accounts, name="a" * 12_288)),
    "no kid": lambda accounts: bearer(forged(accounts, {"kid": None})),
    "other issuer": lambda accounts: bearer(forged(accounts, iss="others")),
    "not yet": lambda accounts: bearer(forged(accounts, nbf=datetime.now(UTC) + timedelta(hours=1))),
    "issued later": lambda accounts: bearer(forged(accounts, iat=datetime.now(UTC) + timedelta(hours=1))),
    "sub a word": lambda accounts: bearer(forged(accounts, sub="Ada")),
    "edited claims": lambda accounts: bearer(edited(forged(accounts))),
    "surrogates": lambda _: {"Authorization": b"Bearer \xed\xa0\x80.\xed\xa0\x80.\xed\xa0\x80"},
}


async def test_the_token_that_the_bad_ones_are_made_from_is_good(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    assert (await leaderboard.get(f"{API}/rank/me", headers=bearer(forged(accounts)))).status_code == 200


@pytest.mark.parametrize("make", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
async def test_a_bad_token_is_refused_everywhere(
    leaderboard: httpx.AsyncClient, auth: httpx.AsyncClient, accounts: Accounts, mysql: Any, make: Any
) -> None:
    headers = make(accounts)
    answers = [
        await leaderboard.post(f"{API}/submit", json={"score": 1}, headers=headers),
        await leaderboard.post(f"{API}/submit", content=b"{", headers=headers),
        await leaderboard.get(f"{API}/rank/me", headers=headers),
        await auth.get("/auth/me", headers=headers),
    ]
    for answer in answers:
        assert_problem(answer, 401, "unauthenticated")
    assert stored(mysql) == (0, 0, 0, 0)


@pytest.mark.parametrize(("method", "path"), [("GET", f"{API}/rank/me"), ("POST", f"{API}/submit"), ("GET", "/auth/me")])
async def test_two_tokens_or_one_in_the_query_are_refused(
    leaderboard: httpx.AsyncClient, auth: httpx.AsyncClient, method: str, path: str
) -> None:
    token = await sign_up(auth, "Ada")
    auth.cookies.clear()
    client = auth if path.startswith("/auth") else leaderboard
    body: dict[str, Any] = {"json": {"score": 1}} if method == "POST" else {}
    good = ("Authorization", f"Bearer {token}")
    assert (await client.request(method, path, headers=[good], **body)).is_success
    for twice in ([good, good], [good, ("Authorization", "Bearer x")], [("Authorization", "Basic x"), good]):
        assert_problem(await client.request(method, path, headers=twice, **body), 401, "unauthenticated")
    assert_problem(await client.request(method, path, params={"access_token": token}, **body), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{API}/nothing", 404),
        ("GET", f"{API}/top/", 404),
        ("GET", "/", 404),
        ("GET", f"{API}/submit", 405),
        ("DELETE", f"{API}/top", 405),
        ("POST", f"{API}/rank/me", 405),
    ],
)
async def test_unknown_paths_and_methods_are_problems_too(
    leaderboard: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await leaderboard.request(method, path)
    assert_problem(answer, status)
    assert ("allow" in answer.headers) == (status == 405)
