"""Guests: playing without a password, keeping the account, and what becomes of those who left."""

import asyncio
import json
import re
from collections import Counter
from typing import Any

import httpx
import jwt
import pytest

from services.auth.accounts import made_up_names
from services.auth.accounts.usernames import Username
from services.auth.app import create_app
from services.auth.settings import AuthSettings
from tests.signing_in import COOKIE, Clock, count, login, refresh, refresh_token, register, sign_in
from tests.system import PASSWORD, assert_problem, bearer, serving

CHOSEN = {"username": "Ada", "password": PASSWORD}
ELSEWHERE = {"Origin": "https://games.example", "Sec-Fetch-Site": "cross-site"}


async def play(client: httpx.AsyncClient) -> dict[str, Any]:
    """A guest whose session has no cookie."""
    answer = await client.post("/auth/guest", json={"session": "token"})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def keep(client: httpx.AsyncClient, guest: dict[str, Any], **chosen: str) -> httpx.Response:
    return await client.post("/auth/me/credentials", json=CHOSEN | chosen, headers=bearer(guest["access_token"]))


def claims(token: str) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return read


async def test_a_guest_has_a_name_and_a_session_that_goes_on(auth: httpx.AsyncClient) -> None:
    made = await auth.post("/auth/guest", json={"session": "token"}, headers=ELSEWHERE)
    assert made.status_code == 201
    assert "set-cookie" not in made.headers
    assert made.headers["cache-control"] == "no-store"
    guest = made.json()
    assert guest.keys() == {"user_id", "username", "access_token", "token_type", "expires_in", "refresh_token"}
    assert re.fullmatch(r"([A-Z][a-z]+){2}[0-9]+", guest["username"])
    assert (claims(guest["access_token"])["sub"], claims(guest["access_token"])["name"]) == (
        str(guest["user_id"]),
        guest["username"],
    )
    me = (await auth.get("/auth/me", headers=bearer(guest["access_token"]))).json()
    assert (me["user_id"], me["username"], me["guest"]) == (guest["user_id"], guest["username"], True)
    renewed = await auth.post("/auth/refresh", json={"refresh_token": guest["refresh_token"]})
    assert renewed.status_code == 200
    assert claims(renewed.json()["access_token"])["sub"] == str(guest["user_id"])


async def test_a_guest_of_the_page_has_the_session_in_a_cookie_of_its_own_origin(auth: httpx.AsyncClient) -> None:
    made = await auth.post("/auth/guest")
    assert made.status_code == 201
    assert "refresh_token" not in made.json()
    assert made.cookies[COOKIE]
    assert "device_80" not in made.cookies
    auth.cookies.clear()
    assert_problem(await auth.post("/auth/guest", headers=ELSEWHERE), 403, "cross-site-request")
    assert (await refresh(auth, refresh_token(made))).status_code == 200


async def test_nobody_signs_in_to_a_guests_account(auth: httpx.AsyncClient) -> None:
    guest = await play(auth)
    for password in ("", PASSWORD, "nobody has this password"):
        assert_problem(await login(auth, guest["username"], password), 401, "invalid-credentials")


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b'{"session": "both"}', "application/json", 422),
        (b'{"username": "Ada"}', "application/json", 422),
        (b"[]", "application/json", 422),
        (b"session=token", "application/x-www-form-urlencoded", 415),
    ],
)
async def test_what_asks_for_another_session_makes_nobody(
    auth: httpx.AsyncClient, mysql: Any, body: bytes, media_type: str, status: int
) -> None:
    answer = await auth.post("/auth/guest", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == status
    assert count(mysql, "SELECT COUNT(*) FROM users") == 0


async def test_a_guest_who_chooses_a_name_and_a_password_keeps_the_account(auth: httpx.AsyncClient, mysql: Any) -> None:
    guest = await play(auth)
    kept = await keep(auth, guest)
    assert kept.status_code == 200
    assert kept.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert "set-cookie" not in kept.headers
    said = claims(kept.json()["access_token"])
    assert (said["sub"], said["name"]) == (str(guest["user_id"]), "Ada")
    me = (await auth.get("/auth/me", headers=bearer(kept.json()["access_token"]))).json()
    assert (me["user_id"], me["username"], me["guest"]) == (guest["user_id"], "Ada", False)
    caller, _ = await sign_in(auth)
    assert (await auth.get("/auth/me", headers=caller)).json()["user_id"] == guest["user_id"]
    assert count(mysql, "SELECT COUNT(*) FROM guests") == 0
    exported = (await auth.get("/auth/me/export", headers=caller)).json()
    assert [each["username"] for each in exported["kept_usernames"]] == [guest["username"]]
    assert Counter(each["event"] for each in exported["events"]) == Counter(
        ["guest_made", "logged_in", "guest_kept", "logged_in", "logged_in", "account_exported"]
    )


async def test_the_session_of_a_kept_account_is_a_new_one_of_the_same_kind(auth: httpx.AsyncClient) -> None:
    guest = await play(auth)
    kept = (await keep(auth, guest)).json()
    assert claims(kept["access_token"])["sid"] != claims(guest["access_token"])["sid"]
    assert_problem(await auth.get("/auth/me", headers=bearer(guest["access_token"])), 401, "unauthenticated")
    used = await auth.post("/auth/refresh", json={"refresh_token": guest["refresh_token"]})
    assert_problem(used, 401, "invalid-refresh-token")
    made = await auth.post("/auth/guest")
    answer = await keep(auth, made.json(), username="Grace")
    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()
    assert answer.cookies[COOKIE] != made.cookies[COOKIE]
    assert answer.cookies["device_80"]


async def test_a_guest_may_keep_the_made_up_name(auth: httpx.AsyncClient) -> None:
    guest = await play(auth)
    kept = await keep(auth, guest, username=guest["username"].upper())
    assert kept.status_code == 200
    exported = await auth.get("/auth/me/export", headers=bearer(kept.json()["access_token"]))
    assert exported.json()["kept_usernames"] == []
    assert exported.json()["account"]["username"] == guest["username"].upper()


async def test_who_is_no_guest_keeps_name_and_password(auth: httpx.AsyncClient) -> None:
    await register(auth)
    caller, _ = await sign_in(auth)
    chosen = {"username": "Grace", "password": "another horse battery"}
    assert_problem(await auth.post("/auth/me/credentials", json=chosen, headers=caller), 409, "not-a-guest")
    assert (await login(auth)).status_code == 200
    guest = await play(auth)
    kept = (await keep(auth, guest, username="Grace")).json()
    assert_problem(await keep(auth, guest, username="Hopper"), 401, "unauthenticated")
    assert_problem(await keep(auth, kept, username="Hopper"), 409, "not-a-guest")


async def test_a_name_that_is_taken_or_kept_leaves_the_guest_a_guest(auth: httpx.AsyncClient) -> None:
    await register(auth)
    caller, _ = await sign_in(auth)
    guest = await play(auth)
    assert_problem(await keep(auth, guest, username="ADA"), 409, "username-taken")
    assert (await auth.put("/auth/me/username", json={"username": "Countess"}, headers=caller)).status_code == 200
    assert_problem(await keep(auth, guest, username="ADA"), 409, "username-taken")
    assert (await auth.get("/auth/me", headers=bearer(guest["access_token"]))).json()["guest"] is True
    assert (await keep(auth, guest, username="Grace")).status_code == 200


@pytest.mark.parametrize(
    ("chosen", "places"),
    [
        ({"username": "x", "password": PASSWORD}, ["#/username"]),
        ({"username": "Admin", "password": PASSWORD}, ["#/username"]),
        ({"username": "Ada", "password": "short"}, ["#/password"]),
        ({"username": "Administrator", "password": "password"}, ["#/username", "#/password"]),
        ({"username": "Ada"}, ["#/password"]),
    ],
)
async def test_what_no_account_may_have_no_guest_may_choose(
    auth: httpx.AsyncClient, chosen: dict[str, str], places: list[str]
) -> None:
    guest = await play(auth)
    answer = await auth.post("/auth/me/credentials", json=chosen, headers=bearer(guest["access_token"]))
    assert_problem(answer, 422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == places


async def test_of_many_who_keep_one_account_at_once_exactly_one_does(auth_settings: AuthSettings, mysql: object) -> None:
    async with serving(create_app(auth_settings)) as one, serving(create_app(auth_settings)) as other:
        guest = await play(one)
        names = [f"Player{number}" for number in range(8)]
        answers = await asyncio.gather(
            *(keep(client, guest, username=name) for client, name in zip([one, other] * 4, names, strict=True))
        )
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}
        for answer in answers:
            if answer.status_code == 409:
                assert_problem(answer, 409, "not-a-guest")
        [name] = [name for name, answer in zip(names, answers, strict=True) if answer.status_code == 200]
        assert (await login(other, name)).status_code == 200


async def test_of_many_guests_who_choose_one_name_at_once_exactly_one_has_it(
    auth_settings: AuthSettings, mysql: object
) -> None:
    async with serving(create_app(auth_settings)) as one, serving(create_app(auth_settings)) as other:
        guests = [await play(one) for _ in range(8)]
        answers = await asyncio.gather(*(keep(client, guest) for client, guest in zip([one, other] * 4, guests, strict=True)))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}


async def test_a_guest_confirms_and_deletes_by_the_token_alone(auth: httpx.AsyncClient, mysql: Any) -> None:
    guest = await play(auth)
    headers = bearer(guest["access_token"])
    confirmed = await auth.post("/auth/confirm", json={}, headers=headers)
    assert confirmed.status_code == 200
    assert "auth_time" in claims(confirmed.json()["access_token"])
    renamed = await auth.put("/auth/me/username", json={"username": "Grace"}, headers=headers)
    assert renamed.status_code == 200
    assert (await auth.post("/auth/me/deletion", json={}, headers=headers)).status_code == 204
    assert count(mysql, "SELECT COUNT(*) FROM users") + count(mysql, "SELECT COUNT(*) FROM guests") == 0


async def test_nobody_else_does_so_without_the_password(auth: httpx.AsyncClient) -> None:
    guest = await play(auth)
    kept = bearer((await keep(auth, guest)).json()["access_token"])
    for path in ("/auth/confirm", "/auth/me/deletion"):
        answer = await auth.post(path, json={}, headers=kept)
        assert_problem(answer, 422, "invalid-request")
        assert [error["pointer"] for error in answer.json()["errors"]] == ["#/password"]
        assert_problem(await auth.post(path, json={"password": "wrong horse"}, headers=kept), 403, "wrong-password")
    assert (await auth.get("/auth/me", headers=kept)).status_code == 200


async def test_a_guest_has_no_password_to_change(auth: httpx.AsyncClient) -> None:
    guest = await play(auth)
    change = {"current_password": "", "new_password": PASSWORD}
    answer = await auth.put("/auth/me/password", json=change, headers=bearer(guest["access_token"]))
    assert_problem(answer, 409, "not-for-guests")


async def test_a_guest_whose_session_has_ended_is_deleted_in_time(
    auth_settings: AuthSettings, mysql: Any, clock: Clock
) -> None:
    settings = auth_settings.model_copy(update={"guest_days": 90, "refresh_token_seconds": 86_400 * 400})
    settings = settings.model_copy(update={"session_seconds": 86_400 * 400})
    app = create_app(settings, clock)
    async with serving(app) as auth:

        async def upkeep() -> set[str]:
            await app.state.upkeep.round()
            with mysql.cursor() as cursor:
                cursor.execute("SELECT username FROM users")
                return {row[0] for row in cursor.fetchall()}

        await register(auth)
        left, here = await play(auth), await play(auth)
        assert (await keep(auth, await play(auth), username="Grace")).status_code == 200
        assert await upkeep() == {"Ada", "Grace", left["username"], here["username"]}
        assert (await auth.post("/auth/logout", json={"refresh_token": left["refresh_token"]})).status_code == 204
        await upkeep()
        clock.advance(days=89, hours=23)
        assert await upkeep() == {"Ada", "Grace", left["username"], here["username"]}
        clock.advance(hours=2)
        assert await upkeep() == {"Ada", "Grace", here["username"]}
        assert_problem(await register(auth, left["username"]), 409, "username-taken")
        clock.advance(days=400)
        await upkeep()
        clock.advance(days=91)
        assert await upkeep() == {"Ada", "Grace"}
    with mysql.cursor() as cursor:
        cursor.execute("SELECT user_id, detail FROM audit_events WHERE event = 'account_deleted' ORDER BY id")
        found = [(user_id, json.loads(detail)) for user_id, detail in cursor.fetchall()]
    assert found == [(left["user_id"], {"by": "time"}), (here["user_id"], {"by": "time"})]


async def test_guests_by_the_thousand_who_left_are_deleted_by_processes_at_once(
    auth_settings: AuthSettings, mysql: Any, clock: Clock
) -> None:
    with mysql.cursor() as cursor:
        people = [(number, f"Guest{number}", f"guest{number}") for number in range(1, 1_202)]
        cursor.executemany("INSERT INTO users VALUES (%s, %s, %s, NULL, UTC_TIMESTAMP(6))", people)
        cursor.execute("INSERT INTO guests (user_id) SELECT id FROM users")
    mysql.commit()
    apps = [create_app(auth_settings, clock) for _ in range(2)]
    async with serving(apps[0]) as one, serving(apps[1]):
        here = await play(one)
        await asyncio.gather(*(app.state.upkeep.round() for app in apps))
        assert count(mysql, "SELECT COUNT(*) FROM guests WHERE unreachable_since IS NOT NULL") == 1_201
        mysql.commit()
        clock.advance(days=1)
        assert (await one.post("/auth/refresh", json={"refresh_token": here["refresh_token"]})).status_code == 200
        with mysql.cursor() as cursor:
            cursor.execute("UPDATE guests SET unreachable_since = %s - INTERVAL 90 DAY", (clock().replace(tzinfo=None),))
        mysql.commit()
        await asyncio.gather(*(app.state.upkeep.round() for app in apps))
        mysql.commit()
        # That one was noted by a clock that was wrong: it has a session.
        assert count(mysql, f"SELECT id FROM users WHERE username = '{here['username']}'") == here["user_id"]
        assert count(mysql, "SELECT COUNT(*) FROM users") == 1
        assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'account_deleted'") == 1_201


async def test_a_made_up_name_that_is_taken_is_made_up_anew(auth: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["Ada", "ADA", "BraveOtter1"])
    await register(auth)
    monkeypatch.setattr(made_up_names, "make", lambda _: Username.parse(next(names)))
    assert (await play(auth))["username"] == "BraveOtter1"
