"""The token endpoint, as RFC 6749 has it."""

from typing import Any

import httpx
import pytest

from tests.signing_in import Clock, count, register
from tests.system import PASSWORD, assert_problem, bearer

ADA = {"grant_type": "password", "username": "ada", "password": PASSWORD}
# What clients send too, empty or not: nothing here reads it.
IGNORED = {"scope": "", "client_id": "game", "client_secret": "", "audience": "x"}


async def ask(client: httpx.AsyncClient, **form: Any) -> httpx.Response:
    return await client.post("/auth/token", data=form)


def assert_refused(answer: httpx.Response, error: str, kind: str) -> None:
    assert_problem(answer, 400, kind)
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"


async def test_a_password_and_then_refresh_tokens_are_granted_tokens_and_no_cookie(auth: httpx.AsyncClient, mysql: Any) -> None:
    await register(auth)
    granted = await ask(auth, **ADA, **IGNORED)
    renewed = await ask(auth, grant_type="refresh_token", refresh_token=granted.json()["refresh_token"], **IGNORED)
    for answer in (granted, renewed):
        assert answer.status_code == 200
        assert answer.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
        assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 900)
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
        assert "set-cookie" not in answer.headers
        assert (await auth.get("/auth/me", headers=bearer(answer.json()["access_token"]))).json()["username"] == "Ada"
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families WHERE kind = 'app'") == 1
    # It is the same session as at the other routes.
    body = {"refresh_token": renewed.json()["refresh_token"]}
    further = await auth.post("/auth/refresh", json=body)
    assert (await auth.post("/auth/logout", json={"refresh_token": further.json()["refresh_token"]})).status_code == 204
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0


async def test_any_origin_may_ask(auth: httpx.AsyncClient) -> None:
    await register(auth)
    headers = {"Origin": "https://games.example", "Sec-Fetch-Site": "cross-site"}
    assert (await auth.post("/auth/token", data=ADA, headers=headers)).status_code == 200


async def test_a_wrong_password_an_unknown_name_and_a_used_token_are_an_invalid_grant(
    timed_auth: httpx.AsyncClient, clock: Clock
) -> None:
    await register(timed_auth)
    wrong = await ask(timed_auth, **ADA | {"password": "wrong horse battery"})
    unknown = await ask(timed_auth, **ADA | {"username": "nobody"})
    assert_refused(wrong, "invalid_grant", "invalid-grant")
    assert wrong.json() == unknown.json()
    first = {"grant_type": "refresh_token", "refresh_token": (await ask(timed_auth, **ADA)).json()["refresh_token"]}
    assert (await ask(timed_auth, **first)).json() | {"access_token": ""} == (await ask(timed_auth, **first)).json() | {
        "access_token": ""
    }
    clock.advance(seconds=31)
    assert_refused(await ask(timed_auth, **first), "invalid_grant", "invalid-grant")
    assert_refused(await ask(timed_auth, grant_type="refresh_token", refresh_token="x" * 43), "invalid_grant", "invalid-grant")


async def test_too_many_wrong_passwords_are_delayed_here_too(auth: httpx.AsyncClient) -> None:
    await register(auth)
    for number in range(6):
        body = {"username": "Ada", "password": "wrong horse battery"}
        answer = await (auth.post("/auth/login", json=body) if number % 2 else ask(auth, **ADA | body))
        assert answer.status_code == (401 if number % 2 else 400)
    refused = await ask(auth, **ADA)
    assert_problem(refused, 429, "too-many-failures")
    assert int(refused.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "grant", ["authorization_code", "implicit", "Password", "urn:ietf:params:oauth:grant-type:device_code"]
)
async def test_a_grant_that_there_is_not_is_told(auth: httpx.AsyncClient, grant: str) -> None:
    answer = await ask(auth, **ADA | {"grant_type": grant})
    assert_refused(answer, "unsupported_grant_type", "unsupported-grant-type")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "grant_type=",
        "username=ada&password=x",
        "grant_type=password&username=ada",
        "grant_type=password&username=&password=x",
        "grant_type=password&refresh_token=x",
        "grant_type=refresh_token",
        "grant_type=refresh_token&username=ada&password=x",
        "grant_type=password&grant_type=password&username=ada&password=x",
        f"grant_type=password&username={'a' * 257}&password=x",
        f"grant_type=refresh_token&refresh_token={'a' * 257}",
    ],
)
async def test_what_is_not_a_request_for_a_token_is_an_invalid_one(auth: httpx.AsyncClient, body: str) -> None:
    answer = await auth.post("/auth/token", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert_refused(answer, "invalid_request", "invalid-token-request")


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_a_body_that_is_no_form_is_an_invalid_one(auth: httpx.AsyncClient, kind: str) -> None:
    answer = await auth.post("/auth/token", content=b"{}", headers={"Content-Type": kind})
    assert_refused(answer, "invalid_request", "invalid-token-request")


async def test_no_other_problem_has_a_code_of_oauth(auth: httpx.AsyncClient) -> None:
    answer = await auth.post("/auth/login", json={"username": "Ada", "password": PASSWORD})
    assert_problem(answer, 401, "invalid-credentials")
    assert "error" not in answer.json()
