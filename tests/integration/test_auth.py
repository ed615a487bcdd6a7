"""Accounts and tokens, on a real database."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from pydantic import SecretStr

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from services.common.tokens import KeyRing
from tests.signing_in import COOKIE, Clock, count, login, refresh, register
from tests.system import PASSWORD, Accounts, assert_problem, bearer, serving, sign_up


async def test_register_login_and_who_i_am(auth: httpx.AsyncClient) -> None:
    registered = await register(auth, "Ada")
    assert registered.status_code == 201
    assert registered.json() == {"user_id": registered.json()["user_id"], "username": "Ada"}
    answer = await login(auth)
    assert answer.status_code == 200
    body = answer.json()
    assert body.keys() == {"access_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert answer.headers["cache-control"] == "no-store"
    me = await auth.get("/auth/me", headers=bearer(body["access_token"]))
    assert me.json().keys() == {"user_id", "username", "created_at", "guest"}
    assert (me.json()["user_id"], me.json()["username"]) == (registered.json()["user_id"], "Ada")
    created = datetime.fromisoformat(me.json()["created_at"])
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)


async def test_the_oauth2_password_form_logs_in(auth: httpx.AsyncClient) -> None:
    await register(auth, "Ada")
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD, "scope": "", "client_id": ""}
    assert (await auth.post("/auth/login", data=form)).json()["token_type"] == "Bearer"
    assert_problem(await auth.post("/auth/login", data=form | {"grant_type": "implicit"}), 422)
    assert_problem(await auth.post("/auth/login", data={"username": "ada"}), 422)
    assert_problem(await auth.post("/auth/login", data=form | {"password": "wrong horse"}), 401)
    assert_problem(await auth.post("/auth/login", content="a", headers={"content-type": "text/plain"}), 415)


@pytest.mark.parametrize("other", ["ada", "ADA", "Ａda", "Ada"])
async def test_a_name_is_taken_whatever_its_case_or_width(auth: httpx.AsyncClient, other: str) -> None:
    assert (await register(auth, "Ada")).status_code == 201
    assert_problem(await register(auth, other), 409, "username-taken")
    assert (await login(auth, other)).status_code == 200


async def test_names_that_differ_in_an_accent_are_different(auth: httpx.AsyncClient) -> None:
    for name in ("zoe", "zoé", "zoë", "straße", "strasse"):
        assert (await register(auth, name)).status_code == 201


async def test_of_many_registrations_of_one_name_at_once_one_succeeds(
    auth_settings: AuthSettings, mysql: Any, rounds: Callable[[int, int], int]
) -> None:
    many = rounds(60, 500)
    room = {"password_queue": many, "password_queue_per_address": many}
    async with serving(create_app(auth_settings.model_copy(update=room))) as auth:
        answers = await asyncio.gather(*(register(auth, ["ada", "Ada", "ADA"][number % 3]) for number in range(many)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * (many - 1)
    assert count(mysql, "SELECT COUNT(*) FROM users") == 1


async def test_a_wrong_password_and_an_unknown_name_are_answered_alike(auth: httpx.AsyncClient) -> None:
    await register(auth, "Ada")
    answers = [
        await login(auth, "Ada", "wrong horse battery"),
        await login(auth, "nobody", "wrong horse battery"),
        await login(auth, "not a name!", "wrong horse battery"),
        await login(auth, "Ada", "x" * 129),
        await login(auth, "Ada", "a\x00b"),
    ]
    for answer in answers:
        assert_problem(answer, 401, "invalid-credentials")
        assert answer.json() == answers[0].json()
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("username", "password", "pointers"),
    [
        ("ab", PASSWORD, ["#/username"]),
        ("a" * 33, PASSWORD, ["#/username"]),
        ("white  space", PASSWORD, ["#/username"]),
        ("nul\x00nul", PASSWORD, ["#/username"]),
        ("rtl\u202egnp", PASSWORD, ["#/username"]),
        ("zero\u200bwidth", PASSWORD, ["#/username"]),
        ("emoji😀", PASSWORD, ["#/username"]),
        ("admin@home", PASSWORD, ["#/username"]),
        ("Ada", "short12", ["#/password"]),
        ("Ada", "x" * 129, ["#/password"]),
        ("Ada", "\ufdfa" * 8, ["#/password"]),
        ("Ada", "tab\tand\x00nul", ["#/password"]),
        ("Ada", "PassWord123", ["#/password"]),
        ("Ada_Lovelace", "adalovelace1815", ["#/password"]),
        ("Ada", "Leaderboard!", ["#/password"]),
        ("a", "b", ["#/username", "#/password"]),
    ],
)
async def test_a_bad_name_or_password_is_refused_with_its_place(
    auth: httpx.AsyncClient, mysql: Any, username: str, password: str, pointers: list[str]
) -> None:
    answer = await register(auth, username, password)
    assert_problem(answer, 422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert count(mysql, "SELECT COUNT(*) FROM users") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"username": "Ada"}',
        b'{"username": "Ada", "password": 12345678}',
        b'{"username": ["Ada"], "password": "correct horse battery"}',
        b'{"username": "\\ud800ada", "password": "correct horse battery"}',
        b'{"username": "Ada", "password": "\\udc00 horse battery"}',
        b'{"username": "Ada", "password": "correct horse battery", "admin": true}',
        b'{"username": NaN, "password": "correct horse battery"}',
        b"\xff",
        b"[" * 5_000,
    ],
)
@pytest.mark.parametrize("path", ["/auth/register", "/auth/login"])
async def test_a_broken_body_is_refused(auth: httpx.AsyncClient, mysql: Any, path: str, body: bytes) -> None:
    answer = await auth.post(path, content=body, headers={"content-type": "application/json"})
    assert_problem(answer, 422, "invalid-request")
    assert count(mysql, "SELECT COUNT(*) FROM users") == 0


@pytest.mark.parametrize("path", ["/auth/register", "/auth/login"])
async def test_a_body_of_another_type_or_too_large_is_refused(auth: httpx.AsyncClient, path: str) -> None:
    for headers in ({"content-type": "text/plain"}, {"content-type": "application/jsonp"}, {}):
        assert_problem(await auth.post(path, content=b"{}", headers=headers), 415, "unsupported-media-type")
    large = b'{"username": "' + b"x" * 2_000_000 + b'"}'
    json = {"content-type": "application/json"}
    assert_problem(await auth.post(path, content=large, headers=json), 413, "body-too-large")

    async def chunks() -> Any:
        for start in range(0, len(large), 10_000):
            yield large[start : start + 10_000]

    assert_problem(await auth.post(path, content=chunks(), headers=json), 413, "body-too-large")


async def test_password_forms_of_one_password_are_the_same(auth: httpx.AsyncClient) -> None:
    await register(auth, "Ada", "café au lait")
    assert (await login(auth, "Ada", "cafe\u0301 au lait")).status_code == 200
    assert (await login(auth, "Ada", "ｃａｆé au lait")).status_code == 200
    astral = "𝛑" * 128
    assert (await register(auth, "Bob", astral)).status_code == 201
    assert (await login(auth, "Bob", astral)).status_code == 200


async def test_refreshing_rotates_the_cookie(auth: httpx.AsyncClient) -> None:
    await register(auth, "Ada")
    answer = await login(auth)
    cookie = answer.headers["set-cookie"]
    assert {part.strip().lower() for part in cookie.split(";")[1:]} >= {"httponly", "samesite=strict", "path=/auth"}
    first = answer.cookies[COOKIE]
    renewed = await refresh(auth, first)
    assert renewed.status_code == 200
    second = renewed.cookies[COOKIE]
    assert second != first
    assert (await auth.get("/auth/me", headers=bearer(renewed.json()["access_token"]))).status_code == 200
    assert (await refresh(auth, second)).status_code == 200


async def test_a_refresh_token_used_again_later_ends_its_family_and_no_other(
    timed_auth: httpx.AsyncClient, clock: Clock
) -> None:
    await register(timed_auth, "Ada")
    stolen = (await login(timed_auth)).cookies[COOKIE]
    other = (await login(timed_auth)).cookies[COOKIE]
    successor = (await refresh(timed_auth, stolen)).cookies[COOKIE]
    clock.advance(seconds=31)
    assert_problem(await refresh(timed_auth, stolen), 401, "invalid-refresh-token")
    assert_problem(await refresh(timed_auth, successor), 401, "invalid-refresh-token")
    assert (await refresh(timed_auth, other)).status_code == 200


@pytest.mark.parametrize("token", [None, "x", "a" * 43])
async def test_an_unknown_refresh_token_is_refused(auth: httpx.AsyncClient, token: str | None) -> None:
    assert_problem(await refresh(auth, token), 401, "invalid-refresh-token")


async def test_logout_ends_the_family_and_clears_the_cookie(auth: httpx.AsyncClient) -> None:
    await register(auth, "Ada")
    first = (await login(auth)).cookies[COOKIE]
    second = (await refresh(auth, first)).cookies[COOKIE]
    auth.cookies.clear()
    answer = await auth.post("/auth/logout", headers={"Cookie": f"{COOKIE}={second}"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert_problem(await refresh(auth, second), 401)
    assert (await auth.post("/auth/logout")).status_code == 204


async def test_an_expired_session_is_refused_and_forgotten_at_the_next_login(auth: httpx.AsyncClient, mysql: Any) -> None:
    await register(auth, "Ada")
    token = (await login(auth)).cookies[COOKIE]
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE refresh_families SET expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND")
    assert_problem(await refresh(auth, token), 401)
    await login(auth)
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 1


async def test_nothing_secret_is_stored_as_it_is(auth: httpx.AsyncClient, mysql: Any) -> None:
    await register(auth, "Ada")
    token = (await login(auth)).cookies[COOKIE]
    with mysql.cursor() as cursor:
        cursor.execute("SELECT password_hash FROM users")
        assert cursor.fetchone()[0].startswith("$argon2id$v=19$")
        cursor.execute("SELECT token_hash FROM refresh_tokens")
        assert token.encode() not in cursor.fetchone()[0]


async def test_a_login_renews_a_hash_that_was_made_with_other_parameters(
    auth: httpx.AsyncClient, auth_settings: AuthSettings, mysql: Any
) -> None:
    await register(auth, "Ada")
    stronger = auth_settings.model_copy(update={"argon2_time_cost": 3})
    async with serving(create_app(stronger)) as later:
        assert (await login(later)).status_code == 200
        with mysql.cursor() as cursor:
            cursor.execute("SELECT password_hash FROM users")
            assert "t=3" in cursor.fetchone()[0]
        assert (await login(later)).status_code == 200


async def test_a_full_password_queue_answers_503_and_every_login_is_answered(
    auth: httpx.AsyncClient, auth_settings: AuthSettings
) -> None:
    await register(auth, "Ada")
    narrow = auth_settings.model_copy(update={"password_workers": 1, "password_queue": 2, "argon2_time_cost": 200})
    async with serving(create_app(narrow)) as small:
        answers = await asyncio.gather(*(login(small) for _ in range(12)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert_problem(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1


async def test_the_token_of_an_account_that_is_gone_is_refused(auth: httpx.AsyncClient, accounts: Accounts) -> None:
    assert_problem(await auth.get("/auth/me", headers=accounts.new(user_id=99)), 401)


async def test_a_new_key_signs_while_the_old_one_is_still_accepted(
    auth: httpx.AsyncClient, auth_settings: AuthSettings
) -> None:
    old = await sign_up(auth, "Ada")
    both = SecretStr(f"k2:{'A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v'},{auth_settings.jwt_keys.get_secret_value()}")
    assert KeyRing.parse(both.get_secret_value()).signing_kid == "k2"
    async with serving(create_app(auth_settings.model_copy(update={"jwt_keys": both}))) as rotated:
        assert (await rotated.get("/auth/me", headers=bearer(old))).status_code == 200
        new = (await login(rotated)).json()["access_token"]
        assert jwt.get_unverified_header(new) == {"alg": "HS256", "kid": "k2", "typ": "at+jwt"}
        assert (await rotated.get("/auth/me", headers=bearer(new))).status_code == 200
    # The service that does not know the new key yet does not try the others.
    assert_problem(await auth.get("/auth/me", headers=bearer(new)), 401)
