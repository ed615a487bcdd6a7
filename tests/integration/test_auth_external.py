"""A studio's players: made or found by accounts elsewhere, and signed in by the studio."""

import asyncio
import json
from collections import Counter
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest

from services.auth.accounts import suffixed_names
from services.auth.accounts.usernames import Username
from services.auth.app import create_app
from services.auth.settings import AuthSettings
from services.common.tokens import Scope
from tests.integration.test_auth_keys import ask, make
from tests.signing_in import Clock, count, login, register, sign_in, staff
from tests.system import PASSWORD, Accounts, assert_problem, bearer, rows, serving

ADA = {"username": "Ada"}


async def key_of(client: httpx.AsyncClient, boss: dict[str, str], **fields: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A key that may write players, and the header of a token of it."""
    made = await make(client, boss, scopes=["players:write"], **fields)
    return made, bearer((await ask(client, made)).json()["access_token"])


@pytest.fixture
async def studio(auth: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> dict[str, str]:
    """The header of a key that may write players."""
    _, header = await key_of(auth, await staff(auth, accounts, mysql))
    return header


def path(external_id: str, provider: str = "steam") -> str:
    return f"/auth/external/{provider}/{quote(external_id, safe='')}"


async def provide(client: httpx.AsyncClient, headers: dict[str, str], external_id: str, name: str = "Ada") -> httpx.Response:
    return await client.put(path(external_id), json={"username": name}, headers=headers)


async def many(client: httpx.AsyncClient, headers: dict[str, str], *identities: Any) -> list[dict[str, Any]]:
    answer = await client.post("/auth/external", json={"identities": identities}, headers=headers)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    assert len(results) == len(identities)
    return results


def identity(external_id: str, name: str = "Ada", provider: str = "steam") -> dict[str, str]:
    return {"provider": provider, "external_id": external_id, "username": name}


async def test_a_player_is_made_once_and_found_after_that(auth: httpx.AsyncClient, studio: dict[str, str], mysql: Any) -> None:
    made = await provide(auth, studio, "1")
    found, other_name = await provide(auth, studio, "1"), await provide(auth, studio, "1", "Countess")
    assert [answer.status_code for answer in (made, found, other_name)] == [201, 200, 200]
    assert made.json() == found.json() == {"user_id": made.json()["user_id"], "username": "Ada", "renamed": False}
    # Who is there keeps the name they have.
    assert other_name.json() == made.json() | {"renamed": True}
    assert (await provide(auth, studio, "1", "ADA")).json()["renamed"] is False
    assert rows(mysql, "SELECT username FROM account_changes WHERE username <> 'Boss'") == [("Ada",)]
    assert rows(mysql, "SELECT password_hash FROM users WHERE username = 'Ada'") == [(None,)]
    assert count(mysql, "SELECT COUNT(*) FROM guests") == 0
    [(user_id, detail)] = rows(mysql, "SELECT user_id, detail FROM audit_events WHERE event = 'external_made'")
    assert user_id == made.json()["user_id"]
    assert json.loads(detail).keys() == {"client_id"}


async def test_a_name_that_is_not_to_be_had_gets_a_number_behind_it(auth: httpx.AsyncClient, studio: dict[str, str]) -> None:
    await register(auth, "Ada")
    taken = await provide(auth, studio, "1")
    assert taken.status_code == 201
    assert taken.json()["renamed"] is True
    assert taken.json()["username"][:3] == "Ada"
    assert taken.json()["username"][3:].isdigit()
    reserved = (await provide(auth, studio, "2", "Admin")).json()
    assert (reserved["username"][:5], reserved["renamed"]) == ("Admin", True)
    owner, _ = await sign_in(auth, username="Ada")
    assert (await auth.post("/auth/me/deletion", json={"password": PASSWORD}, headers=owner)).status_code == 204
    kept = (await provide(auth, studio, "3")).json()
    assert (kept["username"][:3], kept["renamed"]) == ("Ada", True)
    long = "y" * 32
    assert (await provide(auth, studio, "4", long)).json()["username"] == long
    assert (await provide(auth, studio, "5", long)).json()["username"][:28] == "y" * 28


async def test_names_that_were_tried_and_taken_are_followed_by_others(
    auth: httpx.AsyncClient, studio: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(auth, "Ada")
    await register(auth, "Ada1234")
    names = iter(["Ada1234", "ADA1234", "Ada5678"])
    monkeypatch.setattr(suffixed_names, "make", lambda *_: Username.parse(next(names)))
    assert (await provide(auth, studio, "1")).json()["username"] == "Ada5678"
    monkeypatch.setattr(suffixed_names, "make", lambda *_: Username.parse("Ada1234"))
    assert_problem(await provide(auth, studio, "2"), 409, "username-taken")
    [refused, made] = await many(auth, studio, identity("2"), identity("3", "Grace"))
    assert (refused["status"], refused["problem"]["type"]) == (409, "urn:problem:username-taken")
    assert (made["status"], made["username"]) == (201, "Grace")


async def test_the_studio_signs_a_player_in_who_plays_like_any_other(auth: httpx.AsyncClient, studio: dict[str, str]) -> None:
    made = (await provide(auth, studio, "1")).json()
    answer = await auth.post(f"{path('1')}/token", headers=studio)
    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert "set-cookie" not in answer.headers
    player = bearer(answer.json()["access_token"])
    me = (await auth.get("/auth/me", headers=player)).json()
    assert (me["user_id"], me["username"], me["guest"]) == (made["user_id"], "Ada", False)
    assert "scope" not in jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    renewed = await auth.post("/auth/refresh", json={"refresh_token": answer.json()["refresh_token"]})
    assert renewed.status_code == 200
    [session] = (await auth.get("/auth/sessions", headers=player)).json()["sessions"]
    assert session["kind"] == "app"
    # Nobody signs in with a password that there is not.
    assert_problem(await login(auth, "Ada", ""), 401, "invalid-credentials")
    assert_problem(await auth.post(f"{path('2')}/token", headers=studio), 404, "identity-not-found")


async def test_a_player_of_the_studios_confirms_by_the_token_alone_and_takes_all_along(
    auth: httpx.AsyncClient, studio: dict[str, str], mysql: Any
) -> None:
    made = (await provide(auth, studio, "é 1")).json()
    player = bearer((await auth.post(f"{path('é 1')}/token", headers=studio)).json()["access_token"])
    export = (await auth.get("/auth/me/export", headers=player)).json()
    assert export["external_identities"] == [{"provider": "steam", "external_id": "é 1"}]
    assert export["account"]["guest"] is False
    assert [event["event"] for event in export["events"]] == ["external_made", "logged_in", "account_exported"]
    assert (await auth.post("/auth/confirm", json={}, headers=player)).status_code == 200
    no_password = await auth.put("/auth/me/password", json={"current_password": "", "new_password": PASSWORD}, headers=player)
    assert_problem(no_password, 409, "not-for-guests")
    assert (await auth.post("/auth/me/deletion", json={}, headers=player)).status_code == 204
    assert count(mysql, "SELECT COUNT(*) FROM external_identities") == 0
    assert_problem(await auth.post(f"{path('é 1')}/token", headers=studio), 404, "identity-not-found")
    again = await provide(auth, studio, "é 1")
    assert again.status_code == 201
    assert again.json()["user_id"] > made["user_id"]


async def test_a_player_of_the_studios_may_choose_a_password_and_is_still_theirs(
    auth: httpx.AsyncClient, studio: dict[str, str]
) -> None:
    made = (await provide(auth, studio, "1")).json()
    player = bearer((await auth.post(f"{path('1')}/token", headers=studio)).json()["access_token"])
    chosen = {"username": "Countess", "password": PASSWORD}
    assert (await auth.post("/auth/me/credentials", json=chosen, headers=player)).status_code == 200
    assert (await login(auth, "Countess")).status_code == 200
    assert (await provide(auth, studio, "1")).json() == {"user_id": made["user_id"], "username": "Countess", "renamed": True}
    by_studio = bearer((await auth.post(f"{path('1')}/token", headers=studio)).json()["access_token"])
    assert_problem(await auth.post("/auth/me/deletion", json={}, headers=by_studio), 422, "invalid-request")


async def test_nobody_deletes_a_player_of_the_studios_who_cannot_be_reached(
    auth_settings: AuthSettings, mysql: Any, clock: Clock, accounts: Accounts
) -> None:
    app = create_app(auth_settings, clock)
    async with serving(app) as auth:
        _, studio = await key_of(auth, await staff(auth, accounts, mysql))
        await provide(auth, studio, "1")
        clock.advance(days=1000)
        for _ in range(2):
            await app.state.upkeep.round()
            clock.advance(days=1000)
    assert count(mysql, "SELECT COUNT(*) FROM users WHERE username = 'Ada'") == 1


async def test_forty_calls_at_once_for_one_identity_make_one_player(
    auth_settings: AuthSettings, mysql: Any, accounts: Accounts
) -> None:
    async with serving(create_app(auth_settings)) as one, serving(create_app(auth_settings)) as two:
        _, studio = await key_of(one, await staff(one, accounts, mysql))
        calls = [provide(client, studio, "1", f"Ada{number % 3}") for number, client in enumerate((one, two) * 20)]
        answers = await asyncio.gather(*calls)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 39}
    assert len({answer.json()["user_id"] for answer in answers}) == 1
    assert count(mysql, "SELECT COUNT(*) FROM users") == 2
    assert count(mysql, "SELECT COUNT(*) FROM account_changes") == 2


async def test_identities_are_told_apart_byte_by_byte(auth: httpx.AsyncClient, studio: dict[str, str], mysql: Any) -> None:
    ids = ["a", "A", "a ", " a", "á", "a\u0301", "0", "00", "x" * 128, "🎮" * 128, "%2F", "a?b#c;d", "...", "a:b"]
    made = [await provide(auth, studio, each) for each in ids]
    assert [answer.status_code for answer in made] == [201] * len(ids)
    assert (await auth.put(path("a", "epic"), json=ADA, headers=studio)).status_code == 201
    assert count(mysql, "SELECT COUNT(DISTINCT user_id) FROM external_identities") == len(ids) + 1
    results = await many(auth, studio, *(identity(each) for each in ids))
    assert [result["user_id"] for result in results] == [answer.json()["user_id"] for answer in made]


async def test_what_is_no_identity_is_refused_and_nobody_is_made(
    auth: httpx.AsyncClient, studio: dict[str, str], mysql: Any
) -> None:
    for provider in ("Steam", "x" * 33, "st%20am", "st.am", "é"):
        assert_problem(await auth.put(f"/auth/external/{provider}/1", json=ADA, headers=studio), 422, "invalid-request")
    for external_id in ("x" * 129, "🎮" * 129, "%ff", "%2e%2E"):
        for method, where in (("PUT", ""), ("POST", "/token")):
            answer = await auth.request(method, f"/auth/external/steam/{external_id}{where}", json=ADA, headers=studio)
            assert_problem(answer, 422, "invalid-request")
    for external_id in ("%00", "a%0a", "%7f", "%c2%85", "%e2%80%a8"):
        answer = await auth.put(f"/auth/external/steam/{external_id}", json=ADA, headers=studio)
        assert_problem(answer, 400, "malformed-request")
    assert_problem(await auth.put("/auth/external/steam/a%2Fb", json=ADA, headers=studio), 404, "not-found")
    for body in ({}, {"username": "x"}, {"username": 1}, {"username": "a\x00b"}, ADA | {"more": 1}, {"username": "y" * 33}):
        assert_problem(await auth.put(path("1"), json=body, headers=studio), 422, "invalid-request")
    bad: list[dict[str, Any]] = [{}, {"identities": []}, {"identities": {}}, {"identities": [identity("1")] * 501}, {"more": 1}]
    for body in bad:
        assert_problem(await auth.post("/auth/external", json=body, headers=studio), 422, "invalid-request")
    assert count(mysql, "SELECT COUNT(*) FROM users") == 1


async def test_of_many_in_one_call_a_bad_one_fails_no_other_and_each_has_its_result(
    auth: httpx.AsyncClient, studio: dict[str, str], mysql: Any
) -> None:
    known = (await provide(auth, studio, "known", "Known")).json()
    results = await many(
        auth,
        studio,
        identity("1"),
        identity("2", "x"),
        identity("known", "Known"),
        identity("3"),
        identity("1", "Other"),
        7,
        None,
        [],
        {"provider": "steam", "external_id": "a/b", "username": "Ada"},
        {"provider": "steam", "external_id": "..", "username": "Ada"},
        {"provider": "Steam", "external_id": "a\n", "username": 1},
        {f"member {number}": 1 for number in range(5_000)},
        identity("4") | {"more": 1},
        identity("4", "Grace"),
    )
    refused = {1, 5, 6, 7, 8, 9, 10, 11, 12}
    assert [result["status"] for result in results] == [
        422 if number in refused else {0: 201, 2: 200, 3: 201, 4: 200, 13: 201}[number] for number in range(14)
    ]
    assert results[0].keys() == {"status", "user_id", "username", "renamed"}
    assert (results[0]["username"], results[0]["renamed"]) == ("Ada", False)
    assert results[2] == known | {"status": 200}
    assert (results[3]["username"][:3], results[3]["renamed"]) == ("Ada", True)
    assert results[4] == results[0] | {"status": 200, "renamed": True}
    assert results[1].keys() == {"status", "problem"}
    assert results[1]["problem"]["type"] == "urn:problem:invalid-request"
    assert [each["pointer"] for each in results[1]["problem"]["errors"]] == ["#/identities/1/username"]
    assert {each["pointer"] for each in results[10]["problem"]["errors"]} == {
        f"#/identities/10/{member}" for member in ("provider", "external_id", "username")
    }
    assert len(results[11]["problem"]["errors"]) == 1
    assert count(mysql, "SELECT COUNT(*) FROM external_identities") == 4


async def test_five_hundred_players_in_one_call_and_in_another_at_the_same_time(
    auth_settings: AuthSettings, mysql: Any, accounts: Accounts
) -> None:
    async with serving(create_app(auth_settings)) as one, serving(create_app(auth_settings)) as two:
        _, studio = await key_of(one, await staff(one, accounts, mysql))
        # The same names to two players each, and ids as long as they may be together.
        identities = [identity(f"{number:0128}", f"Player{number % 250}") for number in range(500)]
        assert 8_192 < len(json.dumps(identities)) < 131_072
        both = await asyncio.gather(many(one, studio, *identities), many(two, studio, *reversed(identities)))
    assert [result["user_id"] for result in both[0]] == [result["user_id"] for result in reversed(both[1])]
    statuses = Counter(result["status"] for results in both for result in results)
    assert statuses == {201: 500, 200: 500}
    assert count(mysql, "SELECT COUNT(*) FROM users") == 501
    assert count(mysql, "SELECT COUNT(*) FROM account_changes") == 501


async def test_only_the_call_for_many_takes_a_large_body(auth: httpx.AsyncClient, studio: dict[str, str]) -> None:
    def sized(size: int) -> bytes:
        return json.dumps({"identities": [identity("1")]}).encode().ljust(size)

    headers = studio | {"Content-Type": "application/json"}
    assert (await auth.post("/auth/external", content=sized(131_072), headers=headers)).status_code == 200
    assert_problem(await auth.post("/auth/external", content=sized(131_073), headers=headers), 413, "body-too-large")

    async def chunks() -> Any:
        for _ in range(33):
            yield b" " * 4_096

    assert_problem(await auth.post("/auth/external", content=chunks(), headers=headers), 413, "body-too-large")
    for method, where in (("PUT", path("1")), ("POST", "/auth/login"), ("POST", "/auth/keys"), ("POST", "/auth/external/")):
        answer = await auth.request(method, where, content=sized(8_193), headers=headers)
        assert_problem(answer, 413, "body-too-large")


async def test_players_are_written_by_keys_and_staff_with_the_scope_who_are_live(
    timed_auth: httpx.AsyncClient, accounts: Accounts, clock: Clock, mysql: Any
) -> None:
    boss = await staff(timed_auth, accounts, mysql)
    revoked, by_revoked = await key_of(timed_auth, boss)
    _, by_expired = await key_of(timed_auth, boss, expires_at=(clock() + timedelta(minutes=1)).isoformat())
    assert (await provide(timed_auth, by_revoked, "1")).status_code == 201
    assert (await provide(timed_auth, by_expired, "1")).status_code == 200
    assert (await provide(timed_auth, boss, "2", "Grace")).status_code == 201
    [(detail,)] = rows(mysql, "SELECT detail FROM audit_events WHERE event = 'external_made' ORDER BY id DESC LIMIT 1")
    assert json.loads(detail) == {"staff": count(mysql, "SELECT id FROM users WHERE username = 'Boss'")}
    assert (await timed_auth.delete(f"/auth/keys/{revoked['client_id']}", headers=boss)).status_code == 204
    await register(timed_auth, "Player")
    player, _ = await sign_in(timed_auth, username="Player")
    moderator = await staff(timed_auth, accounts, mysql, Scope.MODERATE, username="Maud")
    clock.advance(minutes=1)
    lacking = (player, moderator, accounts.new_key(Scope.SCORES, Scope.ADMIN))
    ended = (by_revoked, by_expired, accounts.new_key(Scope.PLAYERS), accounts.new("Boss", 1, scopes=tuple(Scope)))
    for method, where, body in (
        ("PUT", path("9"), ADA),
        ("POST", f"{path('1')}/token", None),
        ("POST", "/auth/external", {"identities": [identity("9")]}),
        ("POST", "/auth/external", {"identities": [{}]}),
    ):
        assert_problem(await timed_auth.request(method, where, json=body), 401, "unauthenticated")
        for headers in ended:
            answer = await timed_auth.request(method, where, json=body, headers=headers)
            assert_problem(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        for headers in lacking:
            answer = await timed_auth.request(method, where, json=body, headers=headers)
            assert_problem(answer, 403, "insufficient-scope")
    assert count(mysql, "SELECT COUNT(*) FROM external_identities") == 2


async def test_a_key_begins_no_session_of_somebody_with_a_role(auth: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    _, header = await key_of(auth, await staff(auth, accounts, mysql))
    made = await auth.put("/auth/external/steam/1", json={"username": "Grace"}, headers=header)
    rows(mysql, "INSERT INTO staff (user_id, role, granted_at) VALUES (%s, 'moderator', NOW(6))", made.json()["user_id"])
    assert_problem(await auth.post("/auth/external/steam/1/token", headers=header), 409, "staff-sign-in")
    rows(mysql, "DELETE FROM staff WHERE user_id = %s", made.json()["user_id"])
    assert (await auth.post("/auth/external/steam/1/token", headers=header)).status_code == 200
