"""Roles: who is of the staff, given by operators and by admins, and taken at once."""

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from services.auth.app import create_app
from services.auth.errors import NoSecondFactor, NotForGuests, NotStaff
from services.auth.settings import AuthSettings
from services.common.tokens import Scope
from tests.signing_in import Clock, count, refresh, register, sign_in
from tests.staffing import Headers, claims, code_of, equip, give_code, new_staff, run, scopes
from tests.system import PASSWORD, Accounts, assert_problem, bearer, rows, serving


async def new_admin(client: httpx.AsyncClient, settings: AuthSettings, clock: Clock, name: str = "Ada") -> Headers:
    """An admin in a session with the second factor."""
    return (await equip(client, await new_staff(client, settings, name), clock.now)).headers


async def put(client: httpx.AsyncClient, admin: Headers, user_id: object, role: str = "moderator") -> httpx.Response:
    return await client.put(f"/auth/staff/{user_id}", json={"role": role}, headers=admin)


def number(headers: Headers) -> int:
    return int(claims(headers)["sub"])


@pytest.fixture
async def admin(timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock) -> Headers:
    """Ada, an admin whom an operator made."""
    return await new_admin(timed_auth, auth_settings, clock)


@pytest.fixture
async def player(timed_auth: httpx.AsyncClient) -> Headers:
    """Grace, who has no role."""
    await register(timed_auth, "Grace")
    return (await sign_in(timed_auth, username="Grace"))[0]


async def test_an_admin_gives_changes_and_takes_a_role(
    timed_auth: httpx.AsyncClient, admin: Headers, player: Headers, mysql: Any
) -> None:
    ada, grace = number(admin), number(player)
    made = await put(timed_auth, admin, grace)
    assert made.status_code == 201
    told = made.json()
    assert (told["user_id"], told["username"], told["role"], told["granted_by"]) == (grace, "Grace", "moderator", ada)
    again = await put(timed_auth, admin, grace)
    assert (again.status_code, again.json()) == (200, told)
    changed = await put(timed_auth, admin, grace, "admin")
    assert (changed.status_code, changed.json()["role"]) == (200, "admin")
    listed = (await timed_auth.get("/auth/staff", headers=admin)).json()["staff"]
    assert [(each["user_id"], each["role"], each["granted_by"]) for each in listed] == [
        (ada, "admin", None),
        (grace, "admin", ada),
    ]
    assert (await timed_auth.delete(f"/auth/staff/{grace}", headers=admin)).status_code == 204
    assert_problem(await timed_auth.delete(f"/auth/staff/{grace}", headers=admin), 404, "not-found")
    events = rows(
        mysql, "SELECT event, detail FROM audit_events WHERE event LIKE 'role_%%' AND user_id = %s ORDER BY id", grace
    )
    assert [(event, json.loads(detail)) for event, detail in events] == [
        ("role_given", {"role": "moderator", "by": ada}),
        ("role_given", {"role": "admin", "by": ada}),
        ("role_taken", {"by": ada}),
    ]


async def test_a_role_that_is_taken_is_in_no_token_from_then_on(
    timed_auth: httpx.AsyncClient, admin: Headers, auth_settings: AuthSettings, clock: Clock
) -> None:
    await register(timed_auth, "Grace")
    await run(auth_settings, "give-role", "Grace")
    here, token = await sign_in(timed_auth, username="Grace")
    equipped = await equip(timed_auth, here, clock.now)
    assert (await timed_auth.get("/auth/staff", headers=equipped.headers)).status_code == 200
    assert (await put(timed_auth, admin, number(here), "moderator")).status_code == 200
    renewed = await refresh(timed_auth, token)
    assert scopes(renewed.json()["access_token"]) == {"moderate"}
    assert_problem(await timed_auth.get("/auth/staff", headers=equipped.headers), 403, "insufficient-scope")

    assert (await timed_auth.delete(f"/auth/staff/{number(here)}", headers=admin)).status_code == 204
    assert_problem(await timed_auth.get("/auth/staff", headers=equipped.headers), 403, "insufficient-scope")
    confirmed = await timed_auth.post("/auth/confirm", json={"password": PASSWORD}, headers=here)
    renamed = await timed_auth.put("/auth/me/username", json={"username": "Hopper"}, headers=here)
    renewed = await refresh(timed_auth, next(value for name, value in renewed.cookies.items() if "refresh" in name))
    for answer in (confirmed, renamed, renewed):
        assert scopes(answer.json()["access_token"]) == set()
    # The second factor went with it: whoever is given a role again proves themselves anew.
    assert (await put(timed_auth, admin, number(here))).status_code == 201
    assert_problem(await give_code(timed_auth, here, equipped.codes[0]), 409, "no-second-factor")


async def test_the_last_admin_stays_one(
    timed_auth: httpx.AsyncClient, admin: Headers, player: Headers, auth_settings: AuthSettings, mysql: Any
) -> None:
    ada = number(admin)
    await put(timed_auth, admin, number(player), "moderator")
    for _ in range(2):
        assert_problem(await put(timed_auth, admin, ada, "moderator"), 409, "last-admin")
        assert_problem(await timed_auth.delete(f"/auth/staff/{ada}", headers=admin), 409, "last-admin")
        refused = await timed_auth.post("/auth/me/deletion", json={"password": PASSWORD}, headers=admin)
        assert_problem(refused, 409, "last-admin")
    assert rows(mysql, "SELECT role FROM staff ORDER BY user_id") == [("admin",), ("moderator",)]
    assert (await timed_auth.post("/auth/me/deletion", json={"password": PASSWORD}, headers=player)).status_code == 204
    assert (await timed_auth.get("/auth/staff", headers=admin)).status_code == 200
    # An operator may, who makes the next.
    await run(auth_settings, "take-role", "Ada")
    assert count(mysql, "SELECT COUNT(*) FROM staff") == 0


@pytest.mark.parametrize("how", ["take", "demote", "delete"])
async def test_of_two_admins_who_give_up_at_once_one_stays(
    timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock, mysql: Any, how: str
) -> None:
    async def give_up(client: httpx.AsyncClient, admin: Headers) -> httpx.Response:
        match how:
            case "take":
                return await client.delete(f"/auth/staff/{number(admin)}", headers=admin)
            case "demote":
                return await put(client, admin, number(admin))
            case _:
                return await client.post("/auth/me/deletion", json={"password": PASSWORD}, headers=admin)

    async with serving(create_app(auth_settings, clock)) as other:
        for attempt in range(6):
            admins = [await new_admin(timed_auth, auth_settings, clock, f"Admin{attempt}of{place}") for place in "ab"]
            with mysql.cursor() as cursor:
                cursor.execute("DELETE FROM staff WHERE user_id NOT IN %s", (tuple(map(number, admins)),))
            answers = await asyncio.gather(*(give_up(*each) for each in zip((timed_auth, other), admins, strict=True)))
            statuses = Counter(answer.status_code for answer in answers)
            assert statuses == {200 if how == "demote" else 204: 1, 409: 1}
            assert count(mysql, "SELECT COUNT(*) FROM staff WHERE role = 'admin'") == 1


async def test_of_two_admins_who_take_each_others_role_at_once_one_stays(
    timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock, mysql: Any
) -> None:
    async with serving(create_app(auth_settings, clock)) as other:
        for attempt in range(6):
            one, another = [await new_admin(timed_auth, auth_settings, clock, f"Admin{attempt}of{place}") for place in "ab"]
            with mysql.cursor() as cursor:
                cursor.execute("DELETE FROM staff WHERE user_id NOT IN %s", ((number(one), number(another)),))
            answers = await asyncio.gather(
                timed_auth.delete(f"/auth/staff/{number(another)}", headers=one),
                other.delete(f"/auth/staff/{number(one)}", headers=another),
            )
            # The second is refused for either reason, as the first has got.
            assert sorted(answer.status_code for answer in answers) in ([204, 403], [204, 409])
            assert count(mysql, "SELECT COUNT(*) FROM staff WHERE role = 'admin'") == 1


async def test_a_guest_is_not_of_the_staff(
    timed_auth: httpx.AsyncClient, admin: Headers, auth_settings: AuthSettings, mysql: Any
) -> None:
    guest = (await timed_auth.post("/auth/guest", json={"session": "token"})).json()
    assert_problem(await put(timed_auth, admin, guest["user_id"]), 409, "not-for-guests")
    with pytest.raises(NotForGuests):
        await run(auth_settings, "give-role", guest["username"])
    assert count(mysql, "SELECT COUNT(*) FROM staff") == 1


async def test_roles_are_for_admins_alone(
    timed_auth: httpx.AsyncClient, player: Headers, auth_settings: AuthSettings, accounts: Accounts, clock: Clock, mysql: Any
) -> None:
    moderator = await equip(timed_auth, await new_staff(timed_auth, auth_settings, "Ada", "moderator"), clock.now)
    guest = bearer((await timed_auth.post("/auth/guest", json={"session": "token"})).json()["access_token"])
    # What the key of tokens alone could make: auth looks whether the session lives and the role is there.
    forged = accounts.new(user_id=number(player), scopes=set(Scope))
    callers: list[tuple[Headers, int, str]] = [
        ({}, 401, "unauthenticated"),
        (player, 403, "insufficient-scope"),
        (guest, 403, "insufficient-scope"),
        (moderator.headers, 403, "insufficient-scope"),
        (accounts.new_key(Scope.BOARDS, Scope.MODERATE), 403, "insufficient-scope"),
        (accounts.new_key(Scope.ADMIN), 403, "not-for-keys"),
        (forged, 401, "unauthenticated"),
    ]
    for headers, status, kind in callers:
        for method, path, body in (
            ("GET", "/auth/staff", None),
            ("PUT", f"/auth/staff/{number(player)}", {"role": "admin"}),
            ("DELETE", f"/auth/staff/{number(moderator.headers)}", None),
            ("DELETE", f"/auth/staff/{number(moderator.headers)}/second-factor", None),
        ):
            assert_problem(await timed_auth.request(method, path, json=body, headers=headers), status, kind)
    assert rows(mysql, "SELECT user_id, role FROM staff") == [(number(moderator.headers), "moderator")]


async def test_what_is_wrong_with_a_request_is_told_and_nothing_is_stored(
    timed_auth: httpx.AsyncClient, admin: Headers, player: Headers, mysql: Any
) -> None:
    for user_id, status in ((0, 422), (-1, 422), (2**63, 422), ("x", 422), ("1.0", 422), (2**63 - 1, 404), (999, 404)):
        assert (await put(timed_auth, admin, user_id)).status_code == status, user_id
        for path in (f"/auth/staff/{user_id}", f"/auth/staff/{user_id}/second-factor"):
            assert (await timed_auth.delete(path, headers=admin)).status_code == status, path
    path = f"/auth/staff/{number(player)}"
    for body in ("{}", '{"role": "owner"}', '{"role": null}', '{"role": "Admin"}', '{"role": "admin", "more": 1}', "[]", "{"):
        answer = await timed_auth.put(path, content=body, headers=admin | {"Content-Type": "application/json"})
        assert_problem(answer, 422, "invalid-request")
    assert_problem(await timed_auth.put(path, content="role=admin", headers=admin), 415)
    assert_problem(await timed_auth.delete(f"{path}/second-factor", headers=admin), 404, "not-found")
    assert count(mysql, "SELECT COUNT(*) FROM staff") == 1


async def test_a_lost_second_factor_is_reset_by_an_admin_or_an_operator(
    timed_auth: httpx.AsyncClient, admin: Headers, auth_settings: AuthSettings, clock: Clock, mysql: Any
) -> None:
    await register(timed_auth, "Grace")
    await run(auth_settings, "give-role", "Grace", role="moderator")
    here, token = await sign_in(timed_auth, username="Grace")
    path = f"/auth/staff/{number(here)}/second-factor"
    assert_problem(await timed_auth.delete(path, headers=admin), 409, "no-second-factor")
    lost = await equip(timed_auth, here, clock.now)
    assert (await timed_auth.delete(path, headers=admin)).status_code == 204
    answer = await refresh(timed_auth, token)
    assert scopes(answer.json()["access_token"]) == set()
    for code in (lost.codes[0], code_of(lost.secret, clock.now, 1)):
        assert_problem(await give_code(timed_auth, here, code), 409, "no-second-factor")
    await equip(timed_auth, here, clock.now)
    assert "grace has no second factor" in await run(auth_settings, "reset-second-factor", "grace")
    with pytest.raises(NoSecondFactor):
        await run(auth_settings, "reset-second-factor", "Grace")
    by = rows(mysql, "SELECT detail FROM audit_events WHERE event = 'second_factor_removed' ORDER BY id")
    assert [json.loads(detail) for (detail,) in by] == [{"by": number(admin)}, {"by": "operator"}]


async def test_an_account_that_is_deleted_leaves_nothing_of_its_role(
    timed_auth: httpx.AsyncClient, admin: Headers, auth_settings: AuthSettings, clock: Clock, mysql: Any
) -> None:
    other = await new_admin(timed_auth, auth_settings, clock, "Grace")
    assert (await timed_auth.post("/auth/me/deletion", json={"password": PASSWORD}, headers=other)).status_code == 204
    for table in ("staff", "second_factors", "staff_codes"):
        assert count(mysql, f"SELECT COUNT(*) FROM {table} WHERE user_id <> {number(admin)}") == 0
    await run(auth_settings, "delete-account", "Ada")
    assert count(mysql, "SELECT COUNT(*) FROM staff") == 0


async def test_what_an_operator_does_is_noted(auth: httpx.AsyncClient, auth_settings: AuthSettings, mysql: Any) -> None:
    await register(auth)
    with pytest.raises(NotStaff):
        await run(auth_settings, "take-role", "Ada")
    assert await run(auth_settings, "give-role", "ＡＤＡ") == (
        "ＡＤＡ is an admin. It counts in sessions with a second factor: POST /auth/me/second-factor"
    )
    await run(auth_settings, "give-role", "Ada")
    assert "a moderator" in await run(auth_settings, "give-role", "Ada", role="moderator")
    await run(auth_settings, "take-role", "Ada")
    events = rows(mysql, "SELECT event, detail FROM audit_events WHERE event LIKE 'role_%%' ORDER BY id")
    assert [(event, json.loads(detail)) for event, detail in events] == [
        ("role_given", {"role": "admin", "by": "operator"}),
        ("role_given", {"role": "moderator", "by": "operator"}),
        ("role_taken", {"by": "operator"}),
    ]
