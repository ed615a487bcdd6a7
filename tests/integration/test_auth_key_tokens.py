"""Client credentials at the token endpoint (RFC 6749, section 4.4): what a key is given, and what is refused."""

import asyncio
import base64
from collections import Counter
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import httpx
import jwt
import pytest

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from services.common.tokens import KeyPrincipal, Scope, TokenVerifier
from tests.integration.test_auth_keys import ask, make
from tests.signing_in import Clock, count, staff
from tests.system import AUDIENCE, ISSUER, Accounts, assert_problem, bearer, rows, serving

FORM = "application/x-www-form-urlencoded"
BOTH = {"scopes": ["scores:write", "players:write"]}


@pytest.fixture
async def key(auth: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> dict[str, Any]:
    return await make(auth, await staff(auth, accounts, mysql), **BOTH)


def basic(client_id: str, secret: str, scheme: str = "Basic") -> dict[str, str]:
    credentials = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": f"{scheme} {base64.b64encode(credentials.encode()).decode()}"}


def assert_refused(answer: httpx.Response, status: int, error: str, kind: str) -> None:
    assert_problem(answer, status, kind)
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Basic realm="keys"'


async def test_a_key_is_granted_a_token_for_its_scopes_and_no_refresh_token(
    auth: httpx.AsyncClient, key: dict[str, Any], accounts: Accounts
) -> None:
    grant = {"grant_type": "client_credentials"}
    in_form = await ask(auth, key)
    in_header = await auth.post("/auth/token", data=grant, headers=basic(key["client_id"], key["client_secret"]))
    named_too = await auth.post(
        "/auth/token",
        data=grant | {"client_id": key["client_id"]},
        headers=basic(key["client_id"], key["client_secret"], "bAsIc"),
    )
    for answer in (in_form, in_header, named_too):
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 600)
        assert answer.json()["scope"] == "players:write scores:write"
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
        token = answer.json()["access_token"]
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["sub"] == claims["client_id"] == key["client_id"]
        assert claims["exp"] - claims["iat"] == 600
        caller = TokenVerifier(accounts.keys, ISSUER, AUDIENCE).verify(token)
        assert caller == KeyPrincipal(key["client_id"], frozenset({Scope.PLAYERS, Scope.SCORES}))


async def test_fewer_scopes_may_be_asked_for_and_no_others(auth: httpx.AsyncClient, key: dict[str, Any]) -> None:
    fewer = await ask(auth, key, scope="scores:write")
    assert fewer.json()["scope"] == "scores:write"
    assert jwt.decode(fewer.json()["access_token"], options={"verify_signature": False})["scope"] == "scores:write"
    assert (await ask(auth, key, scope="scores:write players:write")).json()["scope"] == "players:write scores:write"
    for scope in ("moderate", "scores:write moderate", "admin", "scores:write  players:write", "x", " "):
        assert_refused(await ask(auth, key, scope=scope), 400, "invalid_scope", "invalid-scope")


async def test_a_keys_token_is_for_no_player(auth: httpx.AsyncClient, key: dict[str, Any]) -> None:
    headers = bearer((await ask(auth, key)).json()["access_token"])
    assert_problem(await auth.get("/auth/me", headers=headers), 403, "not-for-keys")
    assert_problem(await auth.get("/auth/sessions", headers=headers), 403, "not-for-keys")


async def test_wrong_unknown_revoked_and_expired_are_told_alike(
    timed_auth: httpx.AsyncClient, accounts: Accounts, clock: Clock, mysql: Any
) -> None:
    boss = await staff(timed_auth, accounts, mysql)
    expires = (clock() + timedelta(seconds=30)).isoformat()
    expiring, revoked, live = [await make(timed_auth, boss, **fields) for fields in ({"expires_at": expires}, {}, {})]
    assert (await timed_auth.delete(f"/auth/keys/{revoked['client_id']}", headers=boss)).status_code == 204
    last = await ask(timed_auth, expiring)
    assert last.json()["expires_in"] == 30
    claims = jwt.decode(last.json()["access_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 30
    clock.advance(seconds=30)
    refused = [
        await ask(timed_auth, expiring),
        await ask(timed_auth, revoked),
        await ask(timed_auth, live | {"client_secret": revoked["client_secret"]}),
        await ask(timed_auth, live | {"client_id": "key-" + "a" * 26}),
        await ask(timed_auth, live | {"client_id": live["client_id"] + " "}),
        await ask(timed_auth, live | {"client_id": "7"}),
        await ask(timed_auth, live | {"client_id": "\x00é🎮"}),
        await timed_auth.post(
            "/auth/token", data={"grant_type": "client_credentials"}, headers=basic(live["client_id"], "wrong")
        ),
    ]
    for answer in refused:
        assert_refused(answer, 401, "invalid_client", "invalid-client")
    assert len({answer.text for answer in refused}) == 1


async def test_who_sends_no_credentials_or_some_that_cannot_be_read_is_an_invalid_client(auth: httpx.AsyncClient) -> None:
    grant = "grant_type=client_credentials"
    form = {"Content-Type": FORM}
    for header in ("Basic", "Basic ", "Basic !", "Basic Zm9v", "Basic w6k6w6k=", "Basic " + "Zm9v" * 500, "Basic Og=="):
        answer = await auth.post("/auth/token", content=grant, headers=form | {"Authorization": header})
        assert_refused(answer, 401, "invalid_client", "invalid-client")
    for more in ("", "&client_id=key-x", "&client_secret=x", "&username=ada&password=x", "&client_id=&client_secret="):
        answer = await auth.post("/auth/token", content=f"{grant}{more}", headers=form)
        assert_refused(answer, 401, "invalid_client", "invalid-client")


async def test_credentials_in_two_places_and_in_json_are_an_invalid_request(
    auth: httpx.AsyncClient, key: dict[str, Any]
) -> None:
    header = basic(key["client_id"], key["client_secret"])
    form = {"grant_type": "client_credentials", "client_id": key["client_id"]}
    secret = {"client_secret": key["client_secret"]}
    twice = [
        await auth.post("/auth/token", data=form | secret, headers=header),
        await auth.post("/auth/token", data=form | {"client_id": "key-" + "a" * 26}, headers=header),
        await auth.post("/auth/token", data=form, headers=[*header.items(), *header.items()]),
        await auth.post("/auth/token", json=form | secret),
        await auth.post("/auth/token", content=b"\xff=%ff", headers={"Content-Type": FORM}),
        await auth.post("/auth/token", data=form | {"client_secret": "x" * 257}),
    ]
    for answer in twice:
        assert_refused(answer, 400, "invalid_request", "invalid-token-request")


async def test_guesses_are_delayed_and_the_right_secret_never_is(
    timed_auth: httpx.AsyncClient, accounts: Accounts, clock: Clock, mysql: Any
) -> None:
    key, other = [await make(timed_auth, await staff(timed_auth, accounts, mysql, username=f"Boss{n}")) for n in range(2)]
    wrong = key | {"client_secret": "x" * 43}
    for _ in range(6):
        assert_refused(await ask(timed_auth, wrong), 401, "invalid_client", "invalid-client")
    for _ in range(3):
        refused = await ask(timed_auth, wrong)
        assert_refused(refused, 429, "invalid_client", "too-many-wrong-secrets")
        assert refused.headers["retry-after"] == "5"
        assert (await ask(timed_auth, key)).status_code == 200
        assert_refused(await ask(timed_auth, other | {"client_secret": "x"}), 401, "invalid_client", "invalid-client")
    clock.advance(seconds=5)
    assert (await ask(timed_auth, wrong)).status_code == 401
    assert (await ask(timed_auth, wrong)).headers["retry-after"] == "10"
    assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'key_refused'") == 10
    assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'attempts_delayed'") == 2


async def test_a_key_that_there_is_not_is_delayed_alike(auth: httpx.AsyncClient, mysql: Any) -> None:
    unknown = {"client_id": "key-" + "b" * 26, "client_secret": "x"}
    assert [(await ask(auth, unknown)).status_code for _ in range(7)] == [401] * 6 + [429]
    assert rows(mysql, "SELECT DISTINCT detail FROM audit_events WHERE event <> 'signing_key_changed'") == [(None,)]


async def test_of_many_guesses_at_once_six_are_told_that_they_are_wrong(
    auth_settings: AuthSettings, mysql: Any, accounts: Accounts
) -> None:
    async with serving(create_app(auth_settings)) as one, serving(create_app(auth_settings)) as two:
        key = await make(one, await staff(one, accounts, mysql))
        guesses = [ask(client, key | {"client_secret": f"{number}"}) for number in range(20) for client in (one, two)]
        right = [ask(client, key) for client in (one, two) * 10]
        answers = await asyncio.gather(*guesses, *right)
        assert Counter(answer.status_code for answer in answers) == {401: 6, 429: 34, 200: 20}
