"""What signed-in people can write to the audit log: nothing where nothing happened, and so much a minute."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.auth.app import create_app
from services.auth.audit import limits
from services.auth.settings import AuthSettings
from tests.signing_in import Clock, count, login, register, sign_in
from tests.system import PASSWORD, assert_problem, serving

ANOTHER = "staple battery horse"


def events_of(mysql: Any, event: str) -> int:
    return count(mysql, f"SELECT COUNT(*) FROM audit_events WHERE event = '{event}'")


def fill(mysql: Any, clock: Clock, event: str, how_many: int) -> None:
    """So many events of the one account there is, a tenth of a second apart, the last of them now."""
    with mysql.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO audit_events (event, user_id, occurred_at) SELECT %s, id, %s FROM users",
            [(event, clock.now.replace(tzinfo=None) - timedelta(seconds=number / 10)) for number in reversed(range(how_many))],
        )


async def test_where_nothing_ended_there_is_no_event(auth: httpx.AsyncClient, mysql: Any) -> None:
    await register(auth)
    here, _ = await sign_in(auth)
    for _ in range(3):
        assert (await auth.delete("/auth/sessions", headers=here)).status_code == 204
    assert events_of(mysql, "sessions_ended") == 0
    await login(auth)
    assert (await auth.delete("/auth/sessions", headers=here)).status_code == 204
    assert events_of(mysql, "sessions_ended") == 1


async def test_a_session_that_was_over_already_has_not_been_ended(
    timed_auth: httpx.AsyncClient, mysql: Any, clock: Clock
) -> None:
    await register(timed_auth)
    await login(timed_auth)
    clock.advance(seconds=1)
    here, _ = await sign_in(timed_auth)
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE refresh_families SET expires_at = created_at ORDER BY created_at LIMIT 1")
    assert (await timed_auth.delete("/auth/sessions", headers=here)).status_code == 204
    assert events_of(mysql, "sessions_ended") == 0
    assert (await timed_auth.get("/auth/me", headers=here)).status_code == 200


async def test_a_name_that_is_changed_without_end_is_refused_after_60_and_again_later(
    timed_auth: httpx.AsyncClient, mysql: Any, clock: Clock
) -> None:
    await register(timed_auth)
    here, _ = await sign_in(timed_auth)
    answers = []
    for number in range(limits.MOST + 5):
        body = {"username": "ADA" if number % 2 == 0 or number >= limits.MOST else "Ada"}
        answers.append(await timed_auth.put("/auth/me/username", json=body, headers=here))
    assert [answer.status_code for answer in answers] == [200] * limits.MOST + [429] * 5
    assert_problem(answers[-1], 429, "too-many-events")
    assert answers[-1].headers["retry-after"] == "60"
    assert events_of(mysql, "username_changed") == limits.MOST
    clock.advance(seconds=59)
    refused = await timed_auth.put("/auth/me/username", json={"username": "ADA"}, headers=here)
    assert_problem(refused, 429, "too-many-events")
    assert refused.headers["retry-after"] == "1"
    clock.advance(seconds=1)
    assert (await timed_auth.put("/auth/me/username", json={"username": "ADA"}, headers=here)).status_code == 200


Asking = Callable[[httpx.AsyncClient, dict[str, str], str], Awaitable[httpx.Response]]
ASKING: dict[str, Asking] = {
    "account_exported": lambda client, here, _: client.get("/auth/me/export", headers=here),
    "session_ended": lambda client, here, other: client.delete(f"/auth/sessions/{other}", headers=here),
    "sessions_ended": lambda client, here, _: client.delete("/auth/sessions", headers=here),
    "username_changed": lambda client, here, _: client.put("/auth/me/username", json={"username": "Eve"}, headers=here),
    "password_confirmed": lambda client, here, _: client.post("/auth/confirm", json={"password": PASSWORD}, headers=here),
    "password_changed": lambda client, here, _: client.put(
        "/auth/me/password", json={"current_password": PASSWORD, "new_password": ANOTHER}, headers=here
    ),
    "recovery_codes_made": lambda client, here, _: client.post(
        "/auth/me/recovery-codes", json={"password": PASSWORD}, headers=here
    ),
}


@pytest.mark.parametrize("event", ASKING)
async def test_each_kind_of_event_has_its_limit_which_undoes_what_it_refuses_and_no_other_kind_uses_up(
    timed_auth: httpx.AsyncClient, mysql: Any, clock: Clock, event: str
) -> None:
    await register(timed_auth)
    other, _ = await sign_in(timed_auth)
    sessions = (await timed_auth.get("/auth/sessions", headers=other)).json()["sessions"]
    here, _ = await sign_in(timed_auth)
    for kind in {*ASKING, "logged_in", "login_failed"} - {event}:
        fill(mysql, clock, kind, limits.MOST)
    fill(mysql, clock, event, limits.MOST)
    refused = await ASKING[event](timed_auth, here, sessions[0]["session_id"])
    assert_problem(refused, 429, "too-many-events")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert events_of(mysql, event) == limits.MOST
    assert (await timed_auth.get("/auth/me", headers=other)).json()["username"] == "Ada"
    assert (await login(timed_auth)).status_code == 200
    with mysql.cursor() as cursor:
        cursor.execute("DELETE FROM audit_events WHERE event = %s LIMIT 1", (event,))
    assert (await ASKING[event](timed_auth, here, sessions[0]["session_id"])).status_code in {200, 201, 204}


async def test_the_limit_is_an_accounts_own(timed_auth: httpx.AsyncClient, mysql: Any, clock: Clock) -> None:
    await register(timed_auth)
    fill(mysql, clock, "account_exported", limits.MOST)
    await register(timed_auth, "Bob")
    bob, _ = await sign_in(timed_auth, username="Bob")
    assert (await timed_auth.get("/auth/me/export", headers=bob)).status_code == 200


async def test_of_many_at_once_at_two_processes_no_more_are_let_through(
    timed_auth: httpx.AsyncClient, auth_settings: AuthSettings, mysql: Any, clock: Clock
) -> None:
    await register(timed_auth)
    sessions = [(await sign_in(timed_auth))[0] for _ in range(12)]
    fill(mysql, clock, "username_changed", limits.MOST - 3)
    async with serving(create_app(auth_settings, clock)) as another:
        answers = await asyncio.gather(
            *(
                process.put("/auth/me/username", json={"username": name}, headers=here)
                for number, here in enumerate(sessions)
                for process, name in [((timed_auth, another)[number % 2], f"Eve{number}")]
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 9
    assert events_of(mysql, "username_changed") == limits.MOST
