"""The second factor of staff: a role counts in a session only with it, and each of its codes is good once."""

import asyncio
import secrets as random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from services.common.tokens import Scope
from tests.signing_in import Clock, count, login, refresh, register, sign_in
from tests.staffing import Equipped, code_of, equip, give_code, new_staff, run, scopes, wrong_code
from tests.system import PASSWORD, assert_problem, bearer, rows, serving

EVERY_SCOPE = set(Scope)


@pytest.fixture
def clock() -> Clock:
    """The services' time, four minutes ago: it goes on without a token being of a time to come, and passwords are of lately."""
    clock = Clock()
    clock.advance(minutes=-4)
    return clock


@pytest.fixture
async def admin(timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock) -> Equipped:
    """Ada, an admin with a second factor. Her last code was of two steps ago."""
    equipped = await equip(timed_auth, await new_staff(timed_auth, auth_settings), clock.now)
    clock.advance(seconds=60)
    return equipped


@pytest.fixture
async def other(auth_settings: AuthSettings, mysql: object, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """Another process of the auth service, on the same clock."""
    async with serving(create_app(auth_settings, clock)) as client:
        yield client


async def test_a_role_counts_only_in_a_session_with_the_second_factor(
    timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock
) -> None:
    await register(timed_auth)
    await run(auth_settings, "give-role", "Ada")
    here, token = await sign_in(timed_auth)
    assert scopes(here) == set()
    equipped = await equip(timed_auth, here, clock.now)
    assert scopes(equipped.headers) == EVERY_SCOPE
    renewed = await refresh(timed_auth, token)
    assert scopes(renewed.json()["access_token"]) == EVERY_SCOPE
    confirmed = await timed_auth.post("/auth/confirm", json={"password": PASSWORD}, headers=here)
    assert scopes(confirmed.json()["access_token"]) == EVERY_SCOPE
    renamed = await timed_auth.put("/auth/me/username", json={"username": "Countess"}, headers=here)
    assert scopes(renamed.json()["access_token"]) == EVERY_SCOPE

    elsewhere, token = await sign_in(timed_auth, username="Countess")
    assert scopes(elsewhere) == set()
    assert_problem(await timed_auth.get("/auth/staff", headers=elsewhere), 403, "insufficient-scope")
    clock.advance(seconds=30)
    given = await give_code(timed_auth, elsewhere, code_of(equipped.secret, clock.now))
    assert given.status_code == 200
    assert given.headers["cache-control"] == "no-store"
    assert given.json().keys() == {"access_token", "token_type", "expires_in"}
    assert scopes(given.json()["access_token"]) == EVERY_SCOPE
    assert scopes((await refresh(timed_auth, token)).json()["access_token"]) == EVERY_SCOPE


async def test_a_moderator_has_one_scope_and_a_player_none(
    timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock
) -> None:
    moderator = await equip(timed_auth, await new_staff(timed_auth, auth_settings, role="moderator"), clock.now)
    assert scopes(moderator.headers) == {"moderate"}
    await register(timed_auth, "Grace")
    player, token = await sign_in(timed_auth, username="Grace")
    assert scopes(player) == scopes((await refresh(timed_auth, token)).json()["access_token"]) == set()


async def test_a_code_is_used_once_and_none_before_it_afterwards(
    timed_auth: httpx.AsyncClient, admin: Equipped, clock: Clock
) -> None:
    here, _ = await sign_in(timed_auth)
    codes = {steps: code_of(admin.secret, clock.now, steps) for steps in (-1, 0, 1)}
    assert (await give_code(timed_auth, here, codes[0])).status_code == 200
    for steps in (0, -1):
        assert_problem(await give_code(timed_auth, here, codes[steps]), 403, "wrong-code")
    assert (await give_code(timed_auth, here, codes[1])).status_code == 200


async def test_the_code_that_confirmed_is_used_by_that(
    timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock
) -> None:
    equipped = await equip(timed_auth, await new_staff(timed_auth, auth_settings), clock.now)
    here, _ = await sign_in(timed_auth)
    assert_problem(await give_code(timed_auth, here, code_of(equipped.secret, clock.now)), 403, "wrong-code")


@pytest.mark.parametrize(("steps", "status"), [(-2, 403), (-1, 200), (0, 200), (1, 200), (2, 403)])
async def test_a_clock_may_be_off_by_a_step(
    timed_auth: httpx.AsyncClient, admin: Equipped, clock: Clock, steps: int, status: int
) -> None:
    clock.advance(seconds=60)
    here, _ = await sign_in(timed_auth)
    assert (await give_code(timed_auth, here, code_of(admin.secret, clock.now, steps))).status_code == status


async def test_of_one_code_used_at_once_in_whatever_process_one_is_the_first(
    timed_auth: httpx.AsyncClient, other: httpx.AsyncClient, admin: Equipped, clock: Clock
) -> None:
    sessions = [(await sign_in(timed_auth))[0] for _ in range(4)]
    code = code_of(admin.secret, clock.now)
    clients = [timed_auth, other] * 2
    answers = await asyncio.gather(*(give_code(*each, code) for each in zip(clients, sessions, strict=True)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 403: 3}


async def test_codes_that_are_wrong_ten_times_are_slowed_down_by_account(
    timed_auth: httpx.AsyncClient, admin: Equipped, clock: Clock, mysql: Any
) -> None:
    sessions = [(await sign_in(timed_auth))[0] for _ in range(2)]
    delays = []
    for number in range(10):
        answer = await give_code(timed_auth, sessions[number % 2], wrong_code(admin.secret, clock.now))
        assert_problem(answer, 403, "wrong-code")
        if number >= 5:
            # Not even a right one is looked at, in whatever session.
            for session in sessions:
                refused = await give_code(timed_auth, session, code_of(admin.secret, clock.now))
                assert_problem(refused, 429, "too-many-wrong-codes")
            delays.append(int(refused.headers["retry-after"]))
            clock.advance(seconds=delays[-1])
    assert delays == [5, 10, 20, 40, 80]
    assert refused.json()["detail"] == "Too many wrong codes were tried. Try again in 2 minutes."
    assert (await login(timed_auth)).status_code == 200  # passwords have counts of their own
    assert (await give_code(timed_auth, sessions[0], code_of(admin.secret, clock.now))).status_code == 200
    assert_problem(await give_code(timed_auth, sessions[0], wrong_code(admin.secret, clock.now)), 403, "wrong-code")
    assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'second_factor_refused'") == 11
    assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'attempts_delayed'") == 5


async def test_of_many_wrong_codes_at_once_six_are_looked_at(
    timed_auth: httpx.AsyncClient, other: httpx.AsyncClient, admin: Equipped, clock: Clock
) -> None:
    here, _ = await sign_in(timed_auth)
    wrong = wrong_code(admin.secret, clock.now)
    answers = await asyncio.gather(*(give_code(client, here, wrong) for client in [timed_auth, other] * 10))
    assert Counter(answer.status_code for answer in answers) == {403: 6, 429: 14}


async def test_a_staff_code_stands_in_once(timed_auth: httpx.AsyncClient, admin: Equipped, mysql: Any) -> None:
    assert len(set(admin.codes)) == 10
    for number, code in enumerate(admin.codes):
        here, _ = await sign_in(timed_auth)
        given = await give_code(timed_auth, here, code.upper() if number % 2 else code)
        assert given.status_code == 200, given.text
        assert scopes(given.json()["access_token"]) == EVERY_SCOPE
        assert_problem(await give_code(timed_auth, here, code), 403, "wrong-code")
    assert count(mysql, "SELECT COUNT(*) FROM staff_codes") == 0
    left = "SELECT JSON_VALUE(detail, '$.codes_left') FROM audit_events WHERE event = 'second_factor_given' ORDER BY id"
    assert [int(row[0]) for row in rows(mysql, left)] == list(range(9, -1, -1))


async def test_of_one_staff_code_used_at_once_one_is_the_first(
    timed_auth: httpx.AsyncClient, other: httpx.AsyncClient, admin: Equipped
) -> None:
    sessions = [(await sign_in(timed_auth))[0] for _ in range(6)]
    clients = [timed_auth, other] * 3
    answers = await asyncio.gather(*(give_code(*each, admin.codes[0]) for each in zip(clients, sessions, strict=True)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 403: 5}


async def test_another_ones_codes_are_wrong(
    timed_auth: httpx.AsyncClient, admin: Equipped, auth_settings: AuthSettings, clock: Clock
) -> None:
    grace = await equip(timed_auth, await new_staff(timed_auth, auth_settings, "Grace", "moderator"), clock.now)
    here, _ = await sign_in(timed_auth, username="Grace")
    for code in (admin.codes[0], code_of(admin.secret, clock.now)):
        assert_problem(await give_code(timed_auth, here, code), 403, "wrong-code")
    assert (await give_code(timed_auth, here, grace.codes[0])).status_code == 200


async def test_new_staff_codes_take_the_place_of_the_old(timed_auth: httpx.AsyncClient, admin: Equipped) -> None:
    here, _ = await sign_in(timed_auth)
    assert_problem(await timed_auth.post("/auth/me/staff-codes", headers=here), 403, "second-factor-needed")
    made = await timed_auth.post("/auth/me/staff-codes", headers=admin.headers)
    assert made.status_code == 200
    codes = made.json()["staff_codes"]
    assert len(codes) == 10
    assert_problem(await give_code(timed_auth, here, admin.codes[0]), 403, "wrong-code")
    assert (await give_code(timed_auth, here, codes[0])).status_code == 200


async def test_a_second_factor_is_replaced_only_by_who_has_it(
    timed_auth: httpx.AsyncClient, admin: Equipped, clock: Clock
) -> None:
    here, token = await sign_in(timed_auth)
    assert_problem(await timed_auth.post("/auth/me/second-factor", headers=here), 403, "second-factor-needed")
    begun = (await timed_auth.post("/auth/me/second-factor", headers=admin.headers)).json()["secret"]
    # What is pending counts for nothing yet, and can be confirmed by nobody else.
    code = {"code": code_of(begun, clock.now)}
    refused = await timed_auth.post("/auth/me/second-factor/confirm", json=code, headers=here)
    assert_problem(refused, 403, "second-factor-needed")
    assert_problem(await give_code(timed_auth, here, code["code"]), 403, "wrong-code")
    assert (await give_code(timed_auth, here, code_of(admin.secret, clock.now))).status_code == 200
    confirmed = await timed_auth.post("/auth/me/second-factor/confirm", json=code, headers=admin.headers)
    assert confirmed.status_code == 200
    # Sessions that the lost device was used in have it no more.
    assert scopes((await refresh(timed_auth, token)).json()["access_token"]) == set()
    clock.advance(seconds=30)
    for gone in (code_of(admin.secret, clock.now), admin.codes[0]):
        assert_problem(await give_code(timed_auth, here, gone), 403, "wrong-code")
    assert (await give_code(timed_auth, here, code_of(begun, clock.now))).status_code == 200


async def test_a_second_factor_is_removed_only_by_who_has_it(
    timed_auth: httpx.AsyncClient, admin: Equipped, mysql: Any
) -> None:
    here, _ = await sign_in(timed_auth)
    assert_problem(await timed_auth.delete("/auth/me/second-factor", headers=here), 403, "second-factor-needed")
    assert (await timed_auth.delete("/auth/me/second-factor", headers=admin.headers)).status_code == 204
    assert count(mysql, "SELECT (SELECT COUNT(*) FROM second_factors) + (SELECT COUNT(*) FROM staff_codes)") == 0
    assert_problem(await timed_auth.get("/auth/staff", headers=admin.headers), 403, "insufficient-scope")
    assert_problem(await timed_auth.delete("/auth/me/second-factor", headers=here), 409, "no-second-factor")
    assert_problem(await give_code(timed_auth, here, "123456"), 409, "no-second-factor")


async def test_what_changes_it_wants_a_password_of_lately(
    timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock
) -> None:
    clock.advance(minutes=-2)
    late = await new_staff(timed_auth, auth_settings)
    for method, path, body in (
        ("POST", "/auth/me/second-factor", None),
        ("POST", "/auth/me/second-factor/confirm", {"code": "123456"}),
        ("POST", "/auth/me/staff-codes", None),
        ("DELETE", "/auth/me/second-factor", None),
    ):
        refused = await timed_auth.request(method, path, json=body, headers=late)
        assert_problem(refused, 401, "insufficient-user-authentication")
        assert "max_age=300" in refused.headers["www-authenticate"]


async def test_without_a_role_there_is_no_second_factor(timed_auth: httpx.AsyncClient, mysql: Any) -> None:
    await register(timed_auth)
    here, _ = await sign_in(timed_auth)
    guest = bearer((await timed_auth.post("/auth/guest", json={"session": "token"})).json()["access_token"])
    for caller in (here, guest):
        for method, path, body in (
            ("POST", "/auth/me/second-factor", None),
            ("POST", "/auth/me/second-factor/confirm", {"code": "123456"}),
            ("POST", "/auth/second-factor", {"code": "123456"}),
            ("POST", "/auth/me/staff-codes", None),
            ("DELETE", "/auth/me/second-factor", None),
        ):
            assert_problem(await timed_auth.request(method, path, json=body, headers=caller), 403, "not-staff")
    assert count(mysql, "SELECT (SELECT COUNT(*) FROM second_factors) + (SELECT COUNT(*) FROM password_attempts)") == 0


async def test_nothing_that_waits_is_nothing_to_confirm(
    timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, mysql: Any
) -> None:
    here = await new_staff(timed_auth, auth_settings)
    answer = await timed_auth.post("/auth/me/second-factor/confirm", json={"code": "123456"}, headers=here)
    assert_problem(answer, 409, "no-second-factor")
    assert_problem(await give_code(timed_auth, here, "123456"), 409, "no-second-factor")
    assert_problem(await timed_auth.post("/auth/me/staff-codes", headers=here), 409, "no-second-factor")
    assert count(mysql, "SELECT COUNT(*) FROM password_attempts") == 0


@pytest.mark.parametrize(
    "code",
    [
        '""',
        '"12345"',
        '"1234567"',
        '"12345a"',
        '"１２３４５６"',
        '"123456\\n"',
        "123456",
        "null",
        '"abcd-efgh"',
        '"\\ud800"',
        '"123 456"',
    ],
)
async def test_what_no_code_looks_like_is_no_guess(
    timed_auth: httpx.AsyncClient, admin: Equipped, mysql: Any, code: str
) -> None:
    headers = admin.headers | {"Content-Type": "application/json"}
    for path in ("/auth/second-factor", "/auth/me/second-factor/confirm"):
        for body in (f'{{"code": {code}}}', "{}", f'{{"code": {code}, "more": 1}}'):
            assert_problem(await timed_auth.post(path, content=body, headers=headers), 422, "invalid-request")
    body = '{"code": "abcd-efgh-ijkl-mnop-qrst-uvwx"}'
    answer = await timed_auth.post("/auth/me/second-factor/confirm", content=body, headers=headers)
    assert_problem(answer, 422, "invalid-request")
    assert count(mysql, "SELECT COUNT(*) FROM password_attempts") == 0


async def test_for_trying_things_out_a_role_counts_without(auth_settings: AuthSettings, mysql: Any, capfd: Any) -> None:
    trying = auth_settings.model_copy(update={"staff_second_factor": False})
    async with serving(create_app(trying)) as auth:
        here = await new_staff(auth, trying)
        assert scopes(here) == EVERY_SCOPE
        assert (await auth.get("/auth/staff", headers=here)).status_code == 200
    assert "STAFF_SECOND_FACTOR" in "".join(capfd.readouterr())
    async with serving(create_app(auth_settings)) as auth:
        assert_problem(await auth.get("/auth/staff", headers=here), 403, "insufficient-scope")
    assert "STAFF_SECOND_FACTOR" not in "".join(capfd.readouterr())


async def test_nothing_secret_of_it_is_stored_as_it_is_logged_or_exported(
    timed_auth: httpx.AsyncClient, admin: Equipped, clock: Clock, mysql: Any, capfd: Any
) -> None:
    here, _ = await sign_in(timed_auth)
    used = code_of(admin.secret, clock.now)
    await give_code(timed_auth, here, used)
    await give_code(timed_auth, here, admin.codes[0])
    exported = (await timed_auth.get("/auth/me/export", headers=here)).text
    kept = "".join(map(repr, rows(mysql, "SELECT * FROM second_factors") + rows(mysql, "SELECT * FROM staff_codes")))
    events = "".join(map(repr, rows(mysql, "SELECT * FROM audit_events")))
    logged = "".join(capfd.readouterr())
    assert '"second_factor_given"' in exported
    for secret in (admin.secret, *admin.codes):
        assert secret not in exported + kept + events + logged
    assert used not in exported + logged


async def test_the_export_says_that_there_is_one_and_since_when(
    timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock
) -> None:
    here = await new_staff(timed_auth, auth_settings, role="moderator")
    told = (await timed_auth.get("/auth/me/export", headers=here)).json()["staff"]
    assert (told["role"], told["second_factor_since"]) == ("moderator", None)
    await equip(timed_auth, here, clock.now)
    told = (await timed_auth.get("/auth/me/export", headers=here)).json()["staff"]
    assert told["second_factor_since"] == clock.now.isoformat().replace("+00:00", "Z")
    await register(timed_auth, "Grace")
    player, _ = await sign_in(timed_auth, username="Grace")
    assert (await timed_auth.get("/auth/me/export", headers=player)).json()["staff"] is None


def keys(*pairs: str) -> dict[str, object]:
    return {"encryption_keys": SecretStr(",".join(pairs))}


async def test_keys_are_rotated_without_anybody_noticing_and_a_lost_one_is_told(
    auth_settings: AuthSettings, mysql: Any, clock: Clock, capfd: Any
) -> None:
    old, new = (f"{name}:{random.token_urlsafe(32)}" for name in ("old", "new"))
    async with serving(create_app(auth_settings.model_copy(update=keys(old)), clock)) as auth:
        admin = await equip(auth, await new_staff(auth, auth_settings), clock.now)
    clock.advance(seconds=60)

    # Retired too early: told, not a fault, and staff codes go on.
    app = create_app(auth_settings.model_copy(update=keys(new)), clock)
    async with serving(app) as auth:
        await app.state.upkeep.round()
        here, _ = await sign_in(auth)
        assert_problem(await give_code(auth, here, code_of(admin.secret, clock.now)), 503, "service-unavailable")
        assert count(mysql, "SELECT COUNT(*) FROM password_attempts") == 0
        assert (await give_code(auth, here, admin.codes[0])).status_code == 200
    logged = "".join(capfd.readouterr())
    assert "ENCRYPTION_KEYS has no key old" in logged
    assert "Traceback" not in logged

    app = create_app(auth_settings.model_copy(update=keys(new, old)), clock)
    async with serving(app) as auth:
        await app.state.upkeep.round()
        assert rows(mysql, "SELECT SUBSTRING(secret, 2, 3) FROM second_factors") == [(b"new",)]
    async with serving(create_app(auth_settings.model_copy(update=keys(new)), clock)) as auth:
        here, _ = await sign_in(auth)
        assert (await give_code(auth, here, code_of(admin.secret, clock.now))).status_code == 200
