"""A user's sessions: what ends one, what does not, and what is left of it."""

import asyncio
import uuid
from typing import Any

import httpx

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from services.common.upkeep import BATCH
from tests.signing_in import COOKIE, Clock, count, login, refresh, register, sign_in
from tests.system import assert_problem, bearer, eventually, rows_are_awaited, serving


async def sessions(client: httpx.AsyncClient, token: dict[str, str]) -> list[dict[str, Any]]:
    answer = await client.get("/auth/sessions", headers=token)
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["sessions"]
    return listed


async def test_a_person_sees_where_they_are_signed_in(auth: httpx.AsyncClient) -> None:
    await register(auth)
    await register(auth, "Bob")
    phone, phone_token = await sign_in(auth, "phone")
    laptop, _ = await sign_in(auth, "laptop\twith\x7f odd characters")
    await login(auth, "Bob")
    listed = await sessions(auth, laptop)
    assert [(each["user_agent"], each["current"]) for each in listed] == [
        ("laptopwith odd characters", True),
        ("phone", False),
    ]
    for each in listed:
        assert each.keys() == {"session_id", "kind", "created_at", "last_used_at", "address", "user_agent", "current"}
        assert (each["kind"], each["address"]) == ("browser", "127.0.0.1")
        assert each["created_at"] == each["last_used_at"]
    await refresh(auth, phone_token, headers={"User-Agent": "phone, updated"})
    used, _ = await sessions(auth, phone)
    assert (used["user_agent"], used["current"]) == ("phone, updated", True)
    assert used["last_used_at"] > used["created_at"]


async def test_an_ended_session_is_refused_at_once_by_either_token(auth: httpx.AsyncClient) -> None:
    await register(auth)
    lost, lost_refresh = await sign_in(auth, "lost")
    here, here_refresh = await sign_in(auth, "here")
    session_id = next(each["session_id"] for each in await sessions(auth, here) if not each["current"])
    assert (await auth.delete(f"/auth/sessions/{session_id}", headers=here)).status_code == 204
    for path in ("/auth/me", "/auth/sessions"):
        assert_problem(await auth.get(path, headers=lost), 401, "unauthenticated")
    for path in ("/auth/sessions", f"/auth/sessions/{session_id}"):
        assert_problem(await auth.delete(path, headers=lost), 401, "unauthenticated")
    assert_problem(await refresh(auth, lost_refresh), 401, "invalid-refresh-token")
    assert_problem(await auth.delete(f"/auth/sessions/{session_id}", headers=here), 404, "not-found")
    assert (await refresh(auth, here_refresh)).status_code == 200


async def test_nobody_ends_the_session_of_another(auth: httpx.AsyncClient) -> None:
    await register(auth)
    await register(auth, "Bob")
    mine, _ = await sign_in(auth)
    [session] = await sessions(auth, mine)
    theirs = bearer((await login(auth, "Bob")).json()["access_token"])
    for session_id in (session["session_id"], uuid.uuid4()):
        assert_problem(await auth.delete(f"/auth/sessions/{session_id}", headers=theirs), 404, "not-found")
    assert_problem(await auth.delete("/auth/sessions/this-one", headers=theirs), 422, "invalid-request")
    assert (await auth.delete("/auth/sessions", headers=theirs)).status_code == 204
    assert (await auth.get("/auth/me", headers=mine)).status_code == 200


async def test_all_other_sessions_end_and_this_one_goes_on(auth: httpx.AsyncClient) -> None:
    await register(auth)
    others = [await sign_in(auth) for _ in range(3)]
    here, here_refresh = await sign_in(auth)
    assert (await auth.delete("/auth/sessions", headers=here)).status_code == 204
    assert [each["current"] for each in await sessions(auth, here)] == [True]
    for token, refresh_token in others:
        assert_problem(await auth.get("/auth/me", headers=token), 401, "unauthenticated")
        assert_problem(await refresh(auth, refresh_token), 401, "invalid-refresh-token")
    assert (await refresh(auth, here_refresh)).status_code == 200


async def test_a_stolen_token_that_is_used_ends_the_session_for_both(
    timed_auth: httpx.AsyncClient, clock: Clock, mysql: Any
) -> None:
    """Whoever comes second finds the session ended: the thief with the token's copy, or its owner after the thief."""
    await register(timed_auth)
    _, stolen = await sign_in(timed_auth)
    renewed = await refresh(timed_auth, stolen)
    owner = bearer(renewed.json()["access_token"])
    clock.advance(minutes=10)
    assert_problem(await refresh(timed_auth, stolen), 401, "invalid-refresh-token")
    assert_problem(await refresh(timed_auth, renewed.cookies[COOKIE]), 401, "invalid-refresh-token")
    assert_problem(await timed_auth.get("/auth/me", headers=owner), 401, "unauthenticated")
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0


async def test_a_thief_and_the_owner_at_once_do_not_both_go_on_for_long(
    auth_settings: AuthSettings, clock: Clock, mysql: object
) -> None:
    """Two processes, each with one copy of the token: both are given the same successor, and of it too one is first."""
    async with serving(create_app(auth_settings, clock)) as here, serving(create_app(auth_settings, clock)) as elsewhere:
        await register(here)
        for _ in range(10):
            _, token = await sign_in(here)
            answers = await asyncio.gather(refresh(here, token), refresh(elsewhere, token))
            assert [answer.status_code for answer in answers] == [200, 200]
            [successor] = {answer.cookies[COOKIE] for answer in answers}
            clock.advance(minutes=14)
            first = await refresh(elsewhere, successor)
            clock.advance(minutes=1)
            assert_problem(await refresh(here, successor), 401, "invalid-refresh-token")
            assert_problem(await refresh(elsewhere, first.cookies[COOKIE]), 401, "invalid-refresh-token")


async def test_of_the_21st_login_the_session_that_was_used_longest_ago_ends(
    timed_auth: httpx.AsyncClient, clock: Clock
) -> None:
    await register(timed_auth)
    tokens = []
    for number in range(20):
        tokens.append((await sign_in(timed_auth, f"device {number}"))[1])
        clock.advance(microseconds=1)
    kept = await refresh(timed_auth, tokens[0])  # the first one is the newest in use now
    clock.advance(microseconds=1)
    last, _ = await sign_in(timed_auth, "device 20")
    listed = [each["user_agent"] for each in await sessions(timed_auth, last)]
    assert len(listed) == 20
    assert "device 1" not in listed
    assert_problem(await refresh(timed_auth, tokens[1]), 401, "invalid-refresh-token")
    for token in (kept.cookies[COOKIE], tokens[2], tokens[19]):
        assert (await refresh(timed_auth, token)).status_code == 200


async def test_logins_at_once_leave_no_more_sessions_than_the_bound(
    auth: httpx.AsyncClient, auth_settings: AuthSettings, mysql: Any
) -> None:
    await register(auth)
    async with serving(create_app(auth_settings.model_copy(update={"sessions_per_user": 3}))) as narrow:
        answers = await asyncio.gather(*(login(narrow) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {200}
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 3


async def test_a_session_that_is_not_used_is_over_after_its_idle_lifetime(timed_auth: httpx.AsyncClient, clock: Clock) -> None:
    await register(timed_auth)
    _, token = await sign_in(timed_auth)
    clock.advance(days=29)
    renewed = await refresh(timed_auth, token)
    assert renewed.status_code == 200
    clock.advance(days=30, seconds=1)
    assert_problem(await refresh(timed_auth, renewed.cookies[COOKIE]), 401, "invalid-refresh-token")


async def test_a_session_is_over_after_its_absolute_lifetime_however_much_it_is_used(
    timed_auth: httpx.AsyncClient, clock: Clock
) -> None:
    await register(timed_auth)
    _, token = await sign_in(timed_auth)
    for _ in range(8):
        clock.advance(days=10)
        renewed = await refresh(timed_auth, token)
        assert renewed.status_code == 200
        token = renewed.cookies[COOKIE]
    assert f"Max-Age={10 * 24 * 60 * 60};" in renewed.headers["set-cookie"]  # no longer than the session itself
    clock.advance(days=10)
    assert_problem(await refresh(timed_auth, token), 401, "invalid-refresh-token")


async def test_what_is_over_is_removed_in_the_background_also_of_users_who_never_come_back(
    timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock, mysql: Any
) -> None:
    await register(timed_auth)
    gone = (await sign_in(timed_auth))[1]
    for _ in range(3):
        gone = (await refresh(timed_auth, gone)).cookies[COOKIE]
    user_id = count(mysql, "SELECT id FROM users")
    with mysql.cursor() as cursor:  # more than a batch, of one who never comes back
        cursor.executemany(
            "INSERT INTO refresh_tokens (family_id, token_hash, issued_at, expires_at) VALUES (%s, %s, %s, %s)",
            [
                (uuid.uuid4().bytes, uuid.uuid4().bytes * 2, clock.now.replace(tzinfo=None), clock.now.replace(tzinfo=None))
                for _ in range(2 * BATCH + 1)
            ],
        )
    clock.advance(days=15)
    live = (await sign_in(timed_auth))[1]
    clock.advance(days=15)
    app = create_app(auth_settings, clock)
    async with serving(app) as later:
        await app.state.upkeep.round()
        assert count(mysql, "SELECT COUNT(*) FROM refresh_tokens") == 1
        assert count(mysql, f"SELECT COUNT(*) FROM refresh_families WHERE user_id = {user_id}") == 1
        assert (await refresh(later, live)).status_code == 200


async def test_a_cleaner_and_requests_do_not_wait_for_each_other_nor_take_what_is_live(
    auth_settings: AuthSettings, auth: httpx.AsyncClient, mysql: Any
) -> None:
    """Every process cleans: several at once, while people sign in, end what is over and nothing else."""
    await register(auth)
    tokens = [(await sign_in(auth))[1] for _ in range(6)]
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE refresh_families SET expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND LIMIT 3")
        cursor.execute("UPDATE refresh_tokens t JOIN refresh_families f ON f.id = t.family_id SET t.expires_at = f.expires_at")
    apps = [create_app(auth_settings) for _ in range(3)]
    async with serving(apps[0]), serving(apps[1]), serving(apps[2]):
        cleaning = (app.state.upkeep.round() for app in apps)
        renewed, *_ = await asyncio.gather(asyncio.gather(*(refresh(auth, token) for token in tokens)), *cleaning)
    assert sorted(answer.status_code for answer in renewed) == [200] * 3 + [401] * 3
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 3


async def test_a_login_ends_as_a_refusal_when_the_password_changes_meanwhile(auth: httpx.AsyncClient, mysql: Any) -> None:
    await register(auth)
    mysql.begin()
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE users SET password_hash = REPLACE(password_hash, 'm=64', 'm=65')")
        started = asyncio.create_task(login(auth))
        await eventually(lambda: rows_are_awaited(mysql))
        mysql.commit()
    assert_problem(await started, 401, "invalid-credentials")
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0
