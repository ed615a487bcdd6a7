"""Giving the password again in a session that goes on: tokens say when it was given last (RFC 9470, `auth_time`)."""

from typing import Any

import httpx
import jwt
import pytest

from tests.signing_in import COOKIE, Clock, count, login, refresh, register, sign_in
from tests.system import PASSWORD, assert_problem, bearer

ANOTHER = "staple battery horse"


def auth_time(answer: httpx.Response) -> int:
    """What the access token in an answer says."""
    assert answer.status_code == 200, answer.text
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    return int(claims["auth_time"])


def seconds(clock: Clock) -> int:
    return int(clock.now.timestamp())


async def confirm(client: httpx.AsyncClient, token: dict[str, str], password: str = PASSWORD) -> httpx.Response:
    return await client.post("/auth/confirm", json={"password": password}, headers=token)


async def test_a_login_says_when_it_was_and_so_does_each_token_that_follows(
    timed_auth: httpx.AsyncClient, clock: Clock
) -> None:
    await register(timed_auth)
    signed_in = await login(timed_auth)
    began = seconds(clock)
    assert auth_time(signed_in) == began
    token = signed_in.cookies[COOKIE]
    for _ in range(2):
        clock.advance(hours=1)
        renewed = await refresh(timed_auth, token)
        token = renewed.cookies[COOKIE]
        assert auth_time(renewed) == began


async def test_a_confirmed_password_is_told_by_a_new_token_and_by_those_that_follow(
    timed_auth: httpx.AsyncClient, clock: Clock, mysql: Any
) -> None:
    await register(timed_auth)
    other = (await login(timed_auth)).cookies[COOKIE]
    began = seconds(clock)
    here, here_refresh = await sign_in(timed_auth)
    clock.advance(minutes=10)
    confirmed = await confirm(timed_auth, here)
    assert auth_time(confirmed) == seconds(clock)
    assert confirmed.json()["expires_in"] == 900
    assert confirmed.headers["cache-control"] == "no-store"
    confirmed_at = seconds(clock)
    clock.advance(minutes=10)
    assert auth_time(await refresh(timed_auth, here_refresh)) == confirmed_at
    assert auth_time(await refresh(timed_auth, other)) == began  # the password was not given there
    assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'password_confirmed' AND user_id IS NOT NULL") == 1


async def test_the_new_token_is_good_for_this_session_and_so_is_the_old_one(auth: httpx.AsyncClient) -> None:
    await register(auth)
    here, _ = await sign_in(auth)
    fresh = bearer((await confirm(auth, here)).json()["access_token"])
    sessions = [(await auth.get("/auth/sessions", headers=token)).json()["sessions"] for token in (here, fresh)]
    assert sessions[0] == sessions[1]
    assert [each["current"] for each in sessions[0]] == [True]


async def test_a_password_that_is_changed_was_given(timed_auth: httpx.AsyncClient, clock: Clock) -> None:
    await register(timed_auth)
    here, here_refresh = await sign_in(timed_auth)
    clock.advance(minutes=10)
    body = {"current_password": PASSWORD, "new_password": ANOTHER}
    assert (await timed_auth.put("/auth/me/password", json=body, headers=here)).status_code == 204
    assert auth_time(await refresh(timed_auth, here_refresh)) == seconds(clock)


async def test_another_name_says_nothing_of_the_password(timed_auth: httpx.AsyncClient, clock: Clock) -> None:
    await register(timed_auth)
    here, _ = await sign_in(timed_auth)
    began = seconds(clock)
    clock.advance(minutes=10)
    renamed = await timed_auth.put("/auth/me/username", json={"username": "Countess"}, headers=here)
    assert auth_time(renamed) == began


async def test_a_wrong_password_confirms_nothing_and_is_counted(
    timed_auth: httpx.AsyncClient, clock: Clock, mysql: Any
) -> None:
    await register(timed_auth)
    here, here_refresh = await sign_in(timed_auth)
    began = seconds(clock)
    clock.advance(minutes=10)
    for wrong in ("wrong horse battery", "", "x" * 129, "a\x00b", "PASSWORD", f"{PASSWORD} "):
        assert_problem(await confirm(timed_auth, here, wrong), 403, "wrong-password")
    refused = await confirm(timed_auth, here)
    assert_problem(refused, 429, "too-many-failures")
    assert refused.headers["retry-after"] == "5"
    assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'password_refused'") == 6
    assert auth_time(await refresh(timed_auth, here_refresh)) == began


async def test_a_session_that_has_ended_confirms_nothing(timed_auth: httpx.AsyncClient) -> None:
    await register(timed_auth)
    ended, _ = await sign_in(timed_auth)
    here, _ = await sign_in(timed_auth)
    assert (await timed_auth.delete("/auth/sessions", headers=here)).status_code == 204
    assert_problem(await confirm(timed_auth, ended), 401, "unauthenticated")
    assert_problem(await confirm(timed_auth, {}), 401, "unauthenticated")


@pytest.mark.parametrize(
    "body", ["{}", "[]", "null", '{"password": 7}', '{"password": "x", "more": 1}', "{", '{"password": "\\ud800"}']
)
async def test_a_bad_body_is_told_and_is_no_guess(timed_auth: httpx.AsyncClient, body: str, mysql: Any) -> None:
    await register(timed_auth)
    here, _ = await sign_in(timed_auth)
    headers = here | {"Content-Type": "application/json"}
    assert_problem(await timed_auth.post("/auth/confirm", content=body, headers=headers), 422, "invalid-request")
    assert_problem(await timed_auth.post("/auth/confirm", content=body, headers=here), 415)
    assert count(mysql, "SELECT COUNT(*) FROM password_attempts") == 0
