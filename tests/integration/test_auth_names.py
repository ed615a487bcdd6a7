"""Changing a username, and whose it is afterwards."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest

from services.auth.accounts.kept_names import MAX_KEPT
from services.auth.app import create_app
from services.auth.settings import AuthSettings
from tests.signing_in import Clock, count, login, refresh, register, sign_in
from tests.system import PASSWORD, assert_problem, bearer, eventually, serving


async def rename(client: httpx.AsyncClient, token: dict[str, str], username: str) -> httpx.Response:
    return await client.put("/auth/me/username", json={"username": username}, headers=token)


async def signed_up(client: httpx.AsyncClient, username: str) -> dict[str, str]:
    """The header that carries the access token of a new account."""
    assert (await register(client, username)).status_code == 201
    return (await sign_in(client, username=username))[0]


async def test_a_new_name_is_in_the_token_at_once_and_signs_in(auth: httpx.AsyncClient) -> None:
    ada = await signed_up(auth, "Ada")
    elsewhere = (await sign_in(auth))[1]
    answer = await rename(auth, ada, "Countess")
    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "token_type", "expires_in"}
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    before, after = (
        jwt.decode(token, options={"verify_signature": False})
        for token in (ada["Authorization"].removeprefix("Bearer "), answer.json()["access_token"])
    )
    assert (after["name"], after["sub"], after["sid"]) == ("Countess", before["sub"], before["sid"])
    for token in (ada, bearer(answer.json()["access_token"])):  # the old one speaks for the same account
        assert (await auth.get("/auth/me", headers=token)).json()["username"] == "Countess"
    renewed = (await refresh(auth, elsewhere)).json()["access_token"]
    assert jwt.decode(renewed, options={"verify_signature": False})["name"] == "Countess"
    assert (await login(auth, "countess")).status_code == 200
    assert_problem(await login(auth, "Ada"), 401, "invalid-credentials")


@pytest.mark.parametrize("typed", ["Ada", "ADA", "ａｄａ"])
async def test_the_old_name_is_kept_for_its_owner(auth: httpx.AsyncClient, mysql: Any, typed: str) -> None:
    ada, bob = await signed_up(auth, "Ada"), await signed_up(auth, "Bob")
    await rename(auth, ada, "Countess")
    assert_problem(await register(auth, typed), 409, "username-taken")
    assert_problem(await rename(auth, bob, typed), 409, "username-taken")
    assert (await auth.get("/auth/me", headers=bob)).json()["username"] == "Bob"
    assert (await rename(auth, ada, typed)).status_code == 200
    assert (await auth.get("/auth/me", headers=ada)).json()["username"] == typed
    assert_problem(await register(auth, "Countess"), 409, "username-taken")
    assert count(mysql, "SELECT COUNT(*) FROM kept_usernames") == 1


async def test_a_kept_name_is_free_for_all_after_thirty_days(
    timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock, mysql: Any
) -> None:
    ada = await signed_up(timed_auth, "Ada")
    await rename(timed_auth, ada, "Countess")
    began = clock.now
    clock.now = began + timedelta(days=30) - timedelta(microseconds=1)
    assert_problem(await register(timed_auth, "ada"), 409, "username-taken")
    clock.now = began + timedelta(days=30)
    assert (await register(timed_auth, "ada")).status_code == 201
    clock.now = began
    assert_problem(await rename(timed_auth, ada, "Ada"), 409, "username-taken")
    clock.now = began + timedelta(days=30)
    app = create_app(auth_settings, clock)
    async with serving(app):
        await app.state.upkeep.round()
    assert count(mysql, "SELECT COUNT(*) FROM kept_usernames") == 0


async def test_the_name_of_a_deleted_account_is_nobodys_for_thirty_days(
    timed_auth: httpx.AsyncClient, clock: Clock, mysql: Any
) -> None:
    ada, bob = await signed_up(timed_auth, "Ada"), await signed_up(timed_auth, "Bob")
    await rename(timed_auth, ada, "Countess")
    assert (await timed_auth.post("/auth/me/deletion", json={"password": PASSWORD}, headers=ada)).status_code == 204
    for name in ("ada", "countess"):
        assert_problem(await register(timed_auth, name), 409, "username-taken")
        assert_problem(await rename(timed_auth, bob, name), 409, "username-taken")
    assert count(mysql, "SELECT COUNT(*) FROM kept_usernames WHERE user_id IS NULL") == 2
    clock.advance(days=30)
    for name in ("ada", "countess"):
        assert (await register(timed_auth, name)).status_code == 201


async def test_the_same_name_written_otherwise_gives_nothing_up(auth: httpx.AsyncClient, mysql: Any) -> None:
    ada = await signed_up(auth, "Ada")
    for name in ("Ada", "ADA", "aDa"):
        assert (await rename(auth, ada, name)).status_code == 200
        assert (await auth.get("/auth/me", headers=ada)).json()["username"] == name
    assert count(mysql, "SELECT COUNT(*) FROM kept_usernames") == 0


@pytest.mark.parametrize("name", ["ab", "a" * 33, "white  space", "rtl\u202egnp", "zero\u200bwidth", "emoji😀", ""])
async def test_a_bad_name_is_refused_with_its_place(auth: httpx.AsyncClient, name: str) -> None:
    ada = await signed_up(auth, "Ada")
    answer = await rename(auth, ada, name)
    assert_problem(answer, 422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/username"]
    assert (await auth.get("/auth/me", headers=ada)).json()["username"] == "Ada"


async def test_a_broken_body_changes_no_name(auth: httpx.AsyncClient) -> None:
    ada = await signed_up(auth, "Ada")
    for body in (b"", b"null", b'{"username": 1}', b'{"username": "\\ud800ada"}', b'{"username": "Bob", "id": 1}', b"\xff"):
        headers = ada | {"content-type": "application/json"}
        assert_problem(await auth.put("/auth/me/username", content=body, headers=headers), 422, "invalid-request")
    assert_problem(await auth.put("/auth/me/username", content=b"{}", headers=ada), 415)
    assert (await auth.get("/auth/me", headers=ada)).json()["username"] == "Ada"


async def test_of_many_who_want_one_name_at_once_one_gets_it(auth: httpx.AsyncClient, mysql: Any) -> None:
    tokens = [await signed_up(auth, f"player{number}") for number in range(6)]
    answers = await asyncio.gather(
        *(rename(auth, token, "Ada") for token in tokens), *(register(auth, "ada") for _ in range(6))
    )
    statuses = [answer.status_code for answer in answers]
    assert len([status for status in statuses if status in {200, 201}]) == 1
    assert statuses.count(409) == 11
    assert count(mysql, "SELECT COUNT(*) FROM users WHERE username_canonical = 'ada'") == 1
    # Who did not get it has given nothing up.
    assert count(mysql, "SELECT COUNT(*) FROM kept_usernames") == statuses.count(200)


async def test_two_cannot_swap_their_names_at_once_and_none_of_both_is_lost(auth: httpx.AsyncClient) -> None:
    ada, bob = await signed_up(auth, "Ada"), await signed_up(auth, "Bob")
    for answer in await asyncio.gather(rename(auth, ada, "Bob"), rename(auth, bob, "Ada")):
        assert_problem(answer, 409, "username-taken")
    assert (await auth.get("/auth/me", headers=ada)).json()["username"] == "Ada"
    assert (await auth.get("/auth/me", headers=bob)).json()["username"] == "Bob"


@pytest.mark.parametrize("how", ["register", "rename"])
async def test_a_name_that_is_given_up_while_another_waits_for_it_stays_its_owners(
    auth: httpx.AsyncClient, mysql: Any, how: str
) -> None:
    """The other's row is written when the name is free at last: only a second look finds that it is kept."""
    await signed_up(auth, "Ada")
    bob = await signed_up(auth, "Bob")
    mysql.begin()
    with mysql.cursor() as cursor:
        cursor.execute("SELECT id FROM users WHERE username_canonical = 'ada'")
        [user_id] = cursor.fetchone()
        cursor.execute(
            "INSERT INTO kept_usernames (username_canonical, username, user_id, kept_until)"
            " VALUES ('ada', 'Ada', %s, UTC_TIMESTAMP(6) + INTERVAL 30 DAY)",
            (user_id,),
        )
        cursor.execute("UPDATE users SET username = 'New', username_canonical = 'new' WHERE id = %s", (user_id,))
    other = asyncio.create_task(register(auth, "ada") if how == "register" else rename(auth, bob, "ada"))

    async def waits() -> bool:
        statement = "INSERT INTO users%" if how == "register" else "UPDATE users%"
        return count(mysql, f"SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '{statement}'") > 0

    await eventually(waits)
    mysql.commit()
    assert_problem(await other, 409, "username-taken")
    assert count(mysql, "SELECT COUNT(*) FROM users WHERE username_canonical = 'ada'") == 0
    assert count(mysql, "SELECT COUNT(*) FROM kept_usernames") == 1


async def test_no_account_keeps_more_names_than_the_bound(timed_auth: httpx.AsyncClient, clock: Clock, mysql: Any) -> None:
    ada = await signed_up(timed_auth, "name0")
    for number in range(1, MAX_KEPT + 1):
        assert (await rename(timed_auth, ada, f"name{number}")).status_code == 200
    assert_problem(await rename(timed_auth, ada, "another"), 409, "too-many-names")
    assert (await rename(timed_auth, ada, "name0")).status_code == 200  # one taken back, one given up
    assert_problem(await rename(timed_auth, ada, "another"), 409, "too-many-names")
    assert count(mysql, "SELECT COUNT(*) FROM kept_usernames") == MAX_KEPT
    assert_problem(await register(timed_auth, "name1"), 409, "username-taken")


@pytest.mark.parametrize("typed", ["admin", "Adm1n", "a.d.m.i.n", "ＭＯＤＥＲＡＴＯＲ"])
async def test_a_reserved_name_is_nobodys_to_take(auth: httpx.AsyncClient, mysql: Any, typed: str) -> None:
    refused = await register(auth, typed)
    assert_problem(refused, 422, "invalid-request")
    assert [error["pointer"] for error in refused.json()["errors"]] == ["#/username"]
    assert "reserved" in refused.json()["detail"]
    ada = await signed_up(auth, "Ada")
    assert_problem(await rename(auth, ada, typed), 422, "invalid-request")
    assert (await auth.get("/auth/me", headers=ada)).json()["username"] == "Ada"
    assert count(mysql, "SELECT COUNT(*) FROM kept_usernames") == 0


async def test_an_account_that_has_a_reserved_name_already_keeps_it(auth: httpx.AsyncClient, mysql: Any) -> None:
    await signed_up(auth, "Ada")
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE users SET username = 'Admin', username_canonical = 'admin'")
    token, _ = await sign_in(auth, username="Admin")
    assert (await rename(auth, token, "ADMIN")).status_code == 200
    assert (await auth.get("/auth/me", headers=token)).json()["username"] == "ADMIN"
