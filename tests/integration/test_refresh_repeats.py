"""A refresh token that is sent again: soon, it is answered alike, since answers get lost. Later, its session ends."""

import asyncio
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from services.local import keys
from tests.signing_in import COOKIE, Clock, count, refresh, register, sign_in
from tests.system import assert_problem, bearer, serving


async def test_a_token_that_is_sent_again_soon_is_answered_with_the_same_successor(
    timed_auth: httpx.AsyncClient, clock: Clock, mysql: Any
) -> None:
    await register(timed_auth)
    _, token = await sign_in(timed_auth)
    first = await refresh(timed_auth, token)
    for seconds in (0, 15, 14):
        clock.advance(seconds=seconds)
        again = await refresh(timed_auth, token)
        assert again.status_code == 200
        assert again.cookies[COOKIE] == first.cookies[COOKIE] != token
        assert again.json()["access_token"] != first.json()["access_token"]
    assert count(mysql, "SELECT COUNT(*) FROM refresh_tokens") == 2
    assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'refresh_reused'") == 0
    assert (await refresh(timed_auth, first.cookies[COOKIE])).status_code == 200


async def test_a_token_that_is_sent_again_after_31_seconds_ends_the_session(
    timed_auth: httpx.AsyncClient, clock: Clock, mysql: Any
) -> None:
    await register(timed_auth)
    _, token = await sign_in(timed_auth)
    successor = (await refresh(timed_auth, token)).cookies[COOKIE]
    clock.advance(seconds=31)
    assert_problem(await refresh(timed_auth, token), 401, "invalid-refresh-token")
    assert_problem(await refresh(timed_auth, successor), 401, "invalid-refresh-token")
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0
    assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'refresh_reused'") == 1


async def test_a_token_whose_successor_was_used_ends_the_session_however_soon(auth: httpx.AsyncClient, mysql: Any) -> None:
    """A thief who was first, and the owner after the thief went on."""
    await register(auth)
    _, stolen = await sign_in(auth)
    thiefs = await refresh(auth, (await refresh(auth, stolen)).cookies[COOKIE])
    assert_problem(await refresh(auth, stolen), 401, "invalid-refresh-token")
    assert_problem(await refresh(auth, thiefs.cookies[COOKIE]), 401, "invalid-refresh-token")
    assert_problem(await auth.get("/auth/me", headers=bearer(thiefs.json()["access_token"])), 401)
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0


async def test_without_time_for_repeats_a_token_is_good_for_one_use(auth_settings: AuthSettings, mysql: object) -> None:
    async with serving(create_app(auth_settings.model_copy(update={"refresh_repeat_seconds": 0}))) as strict:
        await register(strict)
        _, token = await sign_in(strict)
        assert (await refresh(strict, token)).status_code == 200
        assert_problem(await refresh(strict, token), 401, "invalid-refresh-token")


async def test_fifty_uses_at_once_at_two_processes_all_get_the_same_successor(
    auth: httpx.AsyncClient, auth_settings: AuthSettings, mysql: Any
) -> None:
    await register(auth)
    _, token = await sign_in(auth)
    async with serving(create_app(auth_settings)) as elsewhere:
        clients = (auth, elsewhere)
        answers = await asyncio.gather(*(refresh(clients[number % 2], token) for number in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    [successor] = {answer.cookies[COOKIE] for answer in answers}
    assert count(mysql, "SELECT COUNT(*) FROM refresh_tokens") == 2
    assert (await refresh(auth, successor)).status_code == 200


async def test_two_tokens_have_two_successors_and_no_session_has_those_of_another(auth: httpx.AsyncClient) -> None:
    await register(auth)
    first = [(await sign_in(auth))[1] for _ in range(3)]
    second = [(await refresh(auth, token)).cookies[COOKIE] for token in first]
    third = [(await refresh(auth, token)).cookies[COOKIE] for token in second]
    assert len({*first, *second, *third}) == 9


@pytest.mark.parametrize("step", [keys.add, keys.promote], ids=lambda step: step.__name__)
async def test_a_repeat_across_a_rotation_of_the_key_gets_the_same_successor(
    auth: httpx.AsyncClient, auth_settings: AuthSettings, step: Any
) -> None:
    """The process that is asked again signs with another key than the one that answered first, or knows one more."""
    before = [auth_settings.jwt_keys.get_secret_value()]
    if step is keys.promote:
        before = keys.add(before)
    after = step(before)
    await register(auth)
    async with (
        serving(create_app(auth_settings.model_copy(update={"jwt_keys": SecretStr(",".join(before))}))) as one,
        serving(create_app(auth_settings.model_copy(update={"jwt_keys": SecretStr(",".join(after))}))) as other,
    ):
        for first, second in ((one, other), (other, one)):
            _, token = await sign_in(first)
            successor = (await refresh(first, token)).cookies[COOKIE]
            again = await refresh(second, token)
            assert again.status_code == 200
            assert again.cookies[COOKIE] == successor


async def test_the_key_of_one_system_does_not_tell_the_successors_of_another(
    auth: httpx.AsyncClient, auth_settings: AuthSettings
) -> None:
    """Where the key was replaced at once, a repeat is no proof of anything: it ends the session, as any later use does."""
    await register(auth)
    _, token = await sign_in(auth)
    assert (await refresh(auth, token)).status_code == 200
    other = SecretStr("k9:A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v")
    async with serving(create_app(auth_settings.model_copy(update={"jwt_keys": other}))) as replaced:
        assert_problem(await refresh(replaced, token), 401, "invalid-refresh-token")
