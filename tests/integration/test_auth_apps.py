"""Sessions without cookies: the client keeps the refresh token itself, and may be anywhere."""

import asyncio
from typing import Any

import httpx
import jwt
import pytest

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from tests.signing_in import COOKIE, Clock, count, login, refresh, register, sign_in
from tests.system import PASSWORD, assert_problem, bearer, serving

# What a browser says for a page of another origin, which reads no cookie.
ELSEWHERE = {"Origin": "https://games.example", "Sec-Fetch-Site": "cross-site"}


async def app_login(client: httpx.AsyncClient, headers: dict[str, str] | None = None) -> httpx.Response:
    client.cookies.clear()
    body = {"username": "Ada", "password": PASSWORD, "session": "token"}
    return await client.post("/auth/login", json=body, headers=headers)


async def app_refresh(client: httpx.AsyncClient, token: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return await client.post("/auth/refresh", json={"refresh_token": token}, headers=headers)


async def app_sign_in(client: httpx.AsyncClient) -> tuple[dict[str, str], str]:
    """The header that carries the access token of a new session, and its refresh token."""
    body = (await app_login(client)).json()
    return bearer(body["access_token"]), body["refresh_token"]


@pytest.mark.parametrize("headers", [{}, ELSEWHERE, {"Origin": "null"}], ids=str)
async def test_signing_in_on_and_out_without_a_cookie_from_anywhere(
    auth: httpx.AsyncClient, mysql: Any, headers: dict[str, str]
) -> None:
    await register(auth)
    signed_in = await app_login(auth, headers)
    assert signed_in.status_code == 200
    assert signed_in.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    renewed = await app_refresh(auth, signed_in.json()["refresh_token"], headers)
    assert renewed.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert renewed.json()["refresh_token"] != signed_in.json()["refresh_token"]
    assert (await auth.get("/auth/me", headers=headers | bearer(renewed.json()["access_token"]))).status_code == 200
    last = {"refresh_token": renewed.json()["refresh_token"]}
    ended = await auth.post("/auth/logout", json=last, headers=headers)
    assert ended.status_code == 204
    assert_problem(await app_refresh(auth, last["refresh_token"], headers), 401, "invalid-refresh-token")
    for answer in (signed_in, renewed, ended):
        assert "set-cookie" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0


async def test_a_client_without_a_cookie_jar_lives_three_lifetimes_of_its_tokens(
    auth_settings: AuthSettings, clock: Clock, mysql: object
) -> None:
    short = auth_settings.model_copy(update={"access_token_seconds": 60, "refresh_token_seconds": 300})
    async with serving(create_app(short, clock)) as client:
        await register(client)
        token = (await app_sign_in(client))[1]
        began = clock.now
        while (clock.now - began).total_seconds() < 3 * 300:
            clock.advance(seconds=55)
            answer = await app_refresh(client, token)
            assert answer.status_code == 200
            token = answer.json()["refresh_token"]
            claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
            assert claims["exp"] - int(clock.now.timestamp()) == answer.json()["expires_in"] == 60
        clock.advance(seconds=301)
        assert_problem(await app_refresh(client, token), 401, "invalid-refresh-token")


async def test_used_later_a_token_in_a_body_ends_its_session_too(timed_auth: httpx.AsyncClient, clock: Clock) -> None:
    await register(timed_auth)
    _, token = await app_sign_in(timed_auth)
    answers = await asyncio.gather(*(app_refresh(timed_auth, token) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    [successor] = {answer.json()["refresh_token"] for answer in answers}
    clock.advance(seconds=31)
    assert_problem(await app_refresh(timed_auth, token), 401, "invalid-refresh-token")
    assert_problem(await app_refresh(timed_auth, successor), 401, "invalid-refresh-token")


async def test_where_there_is_a_body_no_cookie_is_looked_at(auth: httpx.AsyncClient) -> None:
    await register(auth)
    _, cookie = await sign_in(auth)
    _, token = await app_sign_in(auth)
    carried = {"Cookie": f"{COOKIE}={cookie}"}
    renewed = await app_refresh(auth, token, carried)
    assert renewed.json()["refresh_token"] not in {cookie, token}
    assert_problem(await app_refresh(auth, "x" * 43, carried), 401, "invalid-refresh-token")
    ended = await auth.post("/auth/logout", json={"refresh_token": renewed.json()["refresh_token"]}, headers=carried)
    assert "set-cookie" not in renewed.headers
    assert "set-cookie" not in ended.headers
    assert (await refresh(auth, cookie)).status_code == 200


async def test_with_a_cookie_another_origin_is_refused_whatever_the_body_says(auth: httpx.AsyncClient, mysql: Any) -> None:
    await register(auth)
    _, cookie = await sign_in(auth)
    _, token = await app_sign_in(auth)
    same_site = {"Origin": "http://service:8081", "Sec-Fetch-Site": "same-site", "Cookie": f"{COOKIE}={cookie}"}
    for path in ("/auth/refresh", "/auth/logout"):
        assert_problem(await auth.post(path, json={"refresh_token": token}, headers=same_site), 403, "cross-site-request")
    body = {"username": "Ada", "password": PASSWORD, "session": "token"}
    assert_problem(await auth.post("/auth/login", json=body, headers=same_site), 403, "cross-site-request")
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 2
    assert count(mysql, "SELECT COUNT(*) FROM refresh_tokens WHERE used_at IS NULL") == 2


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
async def test_a_body_that_is_none_of_ours_is_refused_and_the_cookie_with_it(auth: httpx.AsyncClient, path: str) -> None:
    await register(auth)
    _, cookie = await sign_in(auth)
    carried = {"Cookie": f"{COOKIE}={cookie}"}
    bodies: list[Any] = [{}, {"refresh_token": None}, {"refresh_token": "x" * 257}, {"refresh_token": "x", "more": 1}, []]
    for body in bodies:
        assert_problem(await auth.post(path, json=body, headers=carried), 422, "invalid-request")
    assert_problem(await auth.post(path, data={"refresh_token": "x"}, headers=carried), 415, "unsupported-media-type")
    large = b'{"refresh_token": "' + b"x" * 20_000 + b'"}'
    json = carried | {"Content-Type": "application/json"}
    assert_problem(await auth.post(path, content=large, headers=json), 413, "body-too-large")
    # An empty one is none, whatever type it says it has.
    assert (await auth.post(path, content=b"", headers=json)).status_code < 300


@pytest.mark.parametrize("session", ["Token", "", None, 1, "app"])
async def test_there_are_two_kinds_of_sessions_and_no_others(auth: httpx.AsyncClient, mysql: Any, session: object) -> None:
    await register(auth)
    body = {"username": "Ada", "password": PASSWORD, "session": session}
    answer = await auth.post("/auth/login", json=body)
    assert_problem(answer, 422, "invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "#/session"
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0


async def test_a_person_sees_which_of_their_sessions_are_apps(auth: httpx.AsyncClient) -> None:
    await register(auth)
    await login(auth)
    token, _ = await app_sign_in(auth)
    listed = (await auth.get("/auth/sessions", headers=token)).json()["sessions"]
    assert [(each["kind"], each["current"]) for each in listed] == [("app", True), ("browser", False)]


async def test_an_app_that_signs_in_again_and_again_ends_no_browsers_session(auth_settings: AuthSettings, mysql: Any) -> None:
    async with serving(create_app(auth_settings.model_copy(update={"sessions_per_user": 3}))) as client:
        await register(client)
        _, cookie = await sign_in(client)
        apps = [(await app_sign_in(client))[1] for _ in range(5)]
        assert count(mysql, "SELECT COUNT(*) FROM refresh_families WHERE kind = 'app'") == 3
        assert (await refresh(client, cookie)).status_code == 200
        assert_problem(await app_refresh(client, apps[1]), 401, "invalid-refresh-token")
        for _ in range(4):
            await login(client)
        assert count(mysql, "SELECT COUNT(*) FROM refresh_families WHERE kind = 'browser'") == 3
        assert (await app_refresh(client, apps[2])).status_code == 200


async def test_an_app_shares_the_count_of_wrong_passwords_with_strangers(auth: httpx.AsyncClient) -> None:
    """It has no device cookie, and where one is sent all the same it is not looked at."""
    await register(auth)
    known = (await login(auth)).headers["set-cookie"]
    assert "device" in known
    for _ in range(6):
        assert (await login(auth, password="wrong horse battery")).status_code == 401
    device = {"Cookie": known[known.index("device") :].partition(";")[0]}
    assert_problem(await app_login(auth, device), 429, "too-many-failures")
    assert (await login(auth, headers=device)).status_code == 200
