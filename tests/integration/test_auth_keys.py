"""Keys of game servers: making, showing, rotating and revoking them."""

import asyncio
import json
import re
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.auth.app import create_app
from services.common.tokens import CLIENT_ID, Scope
from tests.signing_in import Clock, count, register, sign_in, staff
from tests.system import Accounts, assert_problem, rows, serving

KEY = {"name": "eu-1", "scopes": ["scores:write"]}


@pytest.fixture
async def boss(auth: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> dict[str, str]:
    """The header of an admin."""
    return await staff(auth, accounts, mysql)


async def make(client: httpx.AsyncClient, headers: dict[str, str], **fields: Any) -> dict[str, Any]:
    answer = await client.post("/auth/keys", json=KEY | fields, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def ask(client: httpx.AsyncClient, key: dict[str, Any], **fields: str) -> httpx.Response:
    """Ask for a token with a key's secret."""
    form = {"client_id": key["client_id"], "client_secret": key["client_secret"], "grant_type": "client_credentials"}
    return await client.post("/auth/token", data=form | fields)


async def test_a_key_is_made_with_a_secret_that_is_shown_once_and_stored_by_its_hash(
    auth: httpx.AsyncClient, boss: dict[str, str], mysql: Any
) -> None:
    answer = await auth.post("/auth/keys", json=KEY, headers=boss)
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert made.keys() == {"client_id", "client_secret", "name", "scopes", "created_at", "expires_at"}
    assert re.fullmatch(CLIENT_ID, made["client_id"])
    assert len(made["client_secret"]) == 43
    assert (made["name"], made["scopes"], made["expires_at"]) == ("eu-1", ["scores:write"], None)
    boss_id = count(mysql, "SELECT id FROM users")
    shown = {"created_by": boss_id, "last_used_at": None, "secrets": 1}
    expected = {name: value for name, value in made.items() if name != "client_secret"} | shown
    assert (await auth.get("/auth/keys", headers=boss)).json() == {"keys": [expected]}
    assert (await auth.get(f"/auth/keys/{made['client_id']}", headers=boss)).json() == expected
    stored = f"{rows(mysql, 'SELECT * FROM api_keys')}{rows(mysql, 'SELECT * FROM key_secrets')}"
    assert made["client_secret"] not in stored
    assert count(mysql, f"SELECT secret_hash = UNHEX(SHA2('{made['client_secret']}', 256)) FROM key_secrets") == 1


async def test_when_a_key_was_used_is_shown_to_the_minute(
    timed_auth: httpx.AsyncClient, accounts: Accounts, clock: Clock, mysql: Any
) -> None:
    boss = await staff(timed_auth, accounts, mysql)
    key = await make(timed_auth, boss)
    for seconds in (0, 20, 90):
        clock.advance(seconds=seconds)
        assert (await ask(timed_auth, key)).status_code == 200
        [shown] = (await timed_auth.get("/auth/keys", headers=boss)).json()["keys"]
        minute = clock().replace(second=0, microsecond=0)
        assert shown["last_used_at"].startswith(f"{minute:%Y-%m-%dT%H:%M}:00") or seconds == 20


async def test_two_secrets_are_good_and_of_three_the_oldest_ends(auth: httpx.AsyncClient, boss: dict[str, str]) -> None:
    first = await make(auth, boss)
    path = f"/auth/keys/{first['client_id']}/secrets"
    second, third = [first | (await auth.post(path, headers=boss)).json() for _ in range(2)]
    assert len({each["client_secret"] for each in (first, second, third)}) == 3
    assert [(await ask(auth, each)).status_code for each in (first, second, third)] == [401, 200, 200]
    assert (await auth.get("/auth/keys", headers=boss)).json()["keys"][0]["secrets"] == 2
    assert (await auth.delete(path, headers=boss)).status_code == 204
    assert [(await ask(auth, each)).status_code for each in (second, third)] == [401, 200]
    assert (await auth.delete(path, headers=boss)).status_code == 204
    assert (await ask(auth, third)).status_code == 200


async def test_of_rotations_at_once_the_two_that_came_last_are_good(auth: httpx.AsyncClient, boss: dict[str, str]) -> None:
    key = await make(auth, boss)
    path = f"/auth/keys/{key['client_id']}/secrets"
    answers = await asyncio.gather(*(auth.post(path, headers=boss) for _ in range(8)))
    assert [answer.status_code for answer in answers] == [201] * 8
    statuses = [(await ask(auth, key | answer.json())).status_code for answer in answers]
    assert Counter(statuses)[200] == 2


async def test_a_revoked_key_is_gone_at_once_and_the_leaderboard_may_read_that(
    auth: httpx.AsyncClient, boss: dict[str, str], leaderboard_database: Any, mysql: Any
) -> None:
    key = await make(auth, boss)
    assert (await auth.delete(f"/auth/keys/{key['client_id']}", headers=boss)).status_code == 204
    assert_problem(await ask(auth, key), 401, "invalid-client")
    assert (await auth.get("/auth/keys", headers=boss)).json() == {"keys": []}
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/secrets"), ("DELETE", "/secrets")):
        answer = await auth.request(method, f"/auth/keys/{key['client_id']}{path}", headers=boss)
        assert_problem(answer, 404, "key-not-found")
    async with leaderboard_database.reading() as connection:
        found = (await connection.exec_driver_sql("SELECT client_id, ended_at <= UTC_TIMESTAMP(6) FROM key_endings")).all()
    assert found == [(key["client_id"], 1)]
    assert count(mysql, "SELECT COUNT(*) FROM key_secrets") == 0


async def test_that_a_key_was_revoked_is_forgotten_after_a_day(auth_settings: Any, mysql: Any, clock: Clock) -> None:
    app = create_app(auth_settings, clock)
    with mysql.cursor() as cursor:
        cursor.execute("INSERT INTO key_endings VALUES ('key-old', UTC_TIMESTAMP(6) - INTERVAL 25 HOUR)")
        cursor.execute("INSERT INTO key_endings VALUES ('key-new', UTC_TIMESTAMP(6) - INTERVAL 23 HOUR)")
    async with serving(app):
        await app.state.upkeep.round()
    assert rows(mysql, "SELECT client_id FROM key_endings") == [("key-new",)]


async def test_there_are_forty_keys_at_most_and_an_expired_one_makes_room(
    timed_auth: httpx.AsyncClient, accounts: Accounts, clock: Clock, mysql: Any
) -> None:
    boss = await staff(timed_auth, accounts, mysql)
    for number in range(39):
        await make(timed_auth, boss, name=f"server {number}")
    await make(timed_auth, boss, name="expires", expires_at=(clock() + timedelta(minutes=2)).isoformat())
    clock.advance(minutes=1)
    assert_problem(await timed_auth.post("/auth/keys", json=KEY, headers=boss), 409, "too-many-keys")
    clock.advance(minutes=1)
    await make(timed_auth, boss, name="another")
    names = [key["name"] for key in (await timed_auth.get("/auth/keys", headers=boss)).json()["keys"]]
    assert len(names) == 40
    assert "expires" not in names
    assert_problem(await timed_auth.post("/auth/keys", json=KEY, headers=boss), 409, "too-many-keys")


async def test_of_keys_made_at_once_by_several_no_more_than_forty_are(
    auth: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    makers = [await staff(auth, accounts, mysql, username=f"Boss{number}") for number in range(4)]
    for number in range(34):
        await make(auth, makers[0], name=f"server {number}")
    answers = await asyncio.gather(*(auth.post("/auth/keys", json=KEY, headers=boss) for boss in makers * 3))
    assert Counter(answer.status_code for answer in answers) == {201: 6, 409: 6}
    assert count(mysql, "SELECT COUNT(*) FROM api_keys") == 40


BAD = [
    {},
    KEY | {"name": ""},
    KEY | {"name": "x" * 65},
    KEY | {"name": " eu-1"},
    KEY | {"name": "   "},
    KEY | {"name": "eu\n1"},
    KEY | {"name": "eu\u202e1"},
    KEY | {"name": 1},
    KEY | {"scopes": []},
    KEY | {"scopes": ["scores:read"]},
    KEY | {"scopes": ["admin"]},
    KEY | {"scopes": ["scores:write", "scores:write"]},
    KEY | {"scopes": "scores:write"},
    KEY | {"expires_at": "2020-01-01T00:00:00Z"},
    KEY | {"expires_at": "2099-01-01T00:00:00"},
    KEY | {"expires_at": "2099-01-01"},
    KEY | {"expires_at": "2099-02-30T00:00:00Z"},
    KEY | {"expires_at": "9999-12-31T23:59:59-23:59"},
    KEY | {"expires_at": "0001-01-01T00:00:00+23:59"},
    KEY | {"expires_at": "4070908800"},
    KEY | {"expires_at": 4070908800},
    KEY | {"expires_at": True},
    KEY | {"more": 1},
]


async def test_a_bad_key_is_refused_and_nothing_is_stored(auth: httpx.AsyncClient, boss: dict[str, str], mysql: Any) -> None:
    for body in BAD:
        assert_problem(await auth.post("/auth/keys", json=body, headers=boss), 422, "invalid-request")
    for client_id in ("x", "key-" + "A" * 26, "key-" + "a" * 25, "7"):
        assert_problem(await auth.get(f"/auth/keys/{client_id}", headers=boss), 422, "invalid-request")
    assert count(mysql, "SELECT COUNT(*) FROM api_keys") == 0


async def test_a_key_is_called_what_can_be_printed(auth: httpx.AsyncClient, boss: dict[str, str]) -> None:
    for name in ("x" * 64, "é" * 64, "Server 1 (Frankfurt)", "서버"):
        assert (await make(auth, boss, name=name))["name"] == name


async def test_an_expiry_is_a_time_of_any_zone(auth: httpx.AsyncClient, boss: dict[str, str]) -> None:
    made = await make(auth, boss, expires_at="2099-01-01t02:00:00.5+02:00")
    assert made["expires_at"] == "2099-01-01T00:00:00.500000Z"


async def test_a_key_may_do_what_its_maker_may_and_no_more(auth: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    maker = await staff(auth, accounts, mysql, Scope.ADMIN, Scope.SCORES)
    lacking = await auth.post("/auth/keys", json=KEY | {"scopes": ["scores:write", "moderate"]}, headers=maker)
    assert_problem(lacking, 403, "insufficient-scope")
    assert lacking.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="moderate"'
    assert count(mysql, "SELECT COUNT(*) FROM api_keys") == 0
    await make(auth, maker)


async def test_keys_are_for_admins_whose_session_is_live(auth: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    boss = await staff(auth, accounts, mysql)
    key = await make(auth, boss)
    await register(auth, "Ada")
    player, _ = await sign_in(auth, username="Ada")
    moderator = await staff(auth, accounts, mysql, Scope.MODERATE, username="Maud")
    path = f"/auth/keys/{key['client_id']}"
    routes = [("POST", "/auth/keys"), ("GET", "/auth/keys"), ("GET", path), ("DELETE", path)]
    routes += [("POST", f"{path}/secrets"), ("DELETE", f"{path}/secrets")]
    gone = accounts.new("Boss", 1, scopes=tuple(Scope))
    for method, route in routes:
        body: dict[str, Any] = {"json": KEY} if (method, route) == ("POST", "/auth/keys") else {}
        assert_problem(await auth.request(method, route, **body), 401, "unauthenticated")
        for headers in (player, moderator, accounts.new_key(Scope.SCORES)):
            assert_problem(await auth.request(method, route, headers=headers, **body), 403, "insufficient-scope")
        # There is no such key; if there were one, it would be refused.
        forged = await auth.request(method, route, headers=accounts.new_key(Scope.ADMIN), **body)
        assert_problem(forged, 403, "not-for-keys")
        assert_problem(await auth.request(method, route, headers=gone, **body), 401, "unauthenticated")
    assert rows(mysql, "SELECT client_id FROM api_keys") == [(key["client_id"],)]


async def test_a_key_outlives_who_made_it(
    auth: httpx.AsyncClient, boss: dict[str, str], accounts: Accounts, mysql: Any
) -> None:
    key = await make(auth, boss)
    other = await staff(auth, accounts, mysql, username="Other")
    assert (await auth.post("/auth/me/deletion", json={"password": "correct horse battery"}, headers=boss)).status_code == 204
    [shown] = (await auth.get("/auth/keys", headers=other)).json()["keys"]
    assert shown["created_by"] is None
    assert (await ask(auth, key)).status_code == 200


async def test_what_is_done_with_keys_is_in_the_audit_log_without_a_secret(
    auth: httpx.AsyncClient, boss: dict[str, str], mysql: Any
) -> None:
    key = await make(auth, boss)
    path = f"/auth/keys/{key['client_id']}"
    rotated = (await auth.post(f"{path}/secrets", headers=boss)).json()
    await auth.delete(f"{path}/secrets", headers=boss)
    await ask(auth, key)
    await ask(auth, rotated | {"client_id": "Tr0ub4dor&3"})
    await auth.delete(path, headers=boss)
    found = rows(mysql, "SELECT event, user_id, detail FROM audit_events WHERE event LIKE 'key%%' ORDER BY id")
    told = {"client_id": key["client_id"]}
    boss_id = count(mysql, "SELECT id FROM users")
    assert [(event, user_id, detail and json.loads(detail)) for event, user_id, detail in found] == [
        ("key_made", boss_id, told),
        ("key_rotated", boss_id, told),
        ("key_secrets_ended", boss_id, told),
        ("key_refused", None, told),
        ("key_refused", None, None),
        ("key_revoked", boss_id, told),
    ]


async def test_keys_are_made_no_oftener_than_the_audit_log_takes(
    auth: httpx.AsyncClient, boss: dict[str, str], mysql: Any
) -> None:
    key = await make(auth, boss)
    for _ in range(60):
        assert (await auth.post(f"/auth/keys/{key['client_id']}/secrets", headers=boss)).status_code == 201
    answer = await auth.post(f"/auth/keys/{key['client_id']}/secrets", headers=boss)
    assert_problem(answer, 429, "too-many-events")
    assert count(mysql, "SELECT COUNT(*) FROM key_secrets") == 2
