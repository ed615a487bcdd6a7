"""Guessing passwords: it is slowed down account by account, whoever guesses and from wherever, and tells nobody anything."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from services.auth.accounts.users import UserRecord
from services.auth.app import create_app
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import PasswordQueueFull
from services.auth.passwords import attempts
from services.auth.passwords.hashing import Passwords
from services.auth.passwords.verification import PasswordCheck
from services.auth.settings import AuthSettings
from services.common import upkeep
from services.common.mysql.database import Database
from services.common.upkeep import Upkeep
from tests.signing_in import Clock
from tests.system import PASSWORD, assert_problem, bearer, rows, serving

WRONG = "wrong horse battery"
CLIENT = Client("192.0.2.7", "a browser")


@pytest.fixture
async def auth(auth_settings: AuthSettings, mysql: object, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """The auth service on the test's clock, with one account."""
    async with serving(create_app(auth_settings, clock)) as client:
        await client.post("/auth/register", json={"username": "Ada", "password": PASSWORD})
        yield client


async def login(client: httpx.AsyncClient, password: str = WRONG, username: str = "Ada") -> httpx.Response:
    return await client.post("/auth/login", json={"username": username, "password": password})


async def fail(client: httpx.AsyncClient, times: int, username: str = "Ada") -> None:
    for _ in range(times):
        assert_problem(await login(client, WRONG, username), 401, "invalid-credentials")


async def test_after_six_failures_not_even_the_right_password_is_looked_at_until_the_delay_is_over(
    auth: httpx.AsyncClient, clock: Clock
) -> None:
    await fail(auth, 6)
    for password in (WRONG, PASSWORD):
        answer = await login(auth, password)
        assert_problem(answer, 429, "too-many-failures")
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["detail"].endswith("Try again in 5 seconds.")
    clock.advance(seconds=4.999)
    assert (await login(auth, PASSWORD)).headers["retry-after"] == "1"
    clock.advance(seconds=0.001)
    assert (await login(auth, PASSWORD)).status_code == 200


async def test_the_right_password_clears_the_count(auth: httpx.AsyncClient) -> None:
    for _ in range(3):
        await fail(auth, 5)
        assert (await login(auth, PASSWORD)).status_code == 200


async def test_the_delay_doubles_up_to_fifteen_minutes(auth: httpx.AsyncClient, clock: Clock) -> None:
    await fail(auth, 5)
    delays = []
    for _ in range(10):
        await fail(auth, 1)
        refused = await login(auth)
        delays.append(int(refused.headers["retry-after"]))
        clock.advance(seconds=delays[-1])
    assert delays == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert refused.json()["detail"].endswith("Try again in 15 minutes.")


async def test_names_that_nobody_has_are_slowed_down_alike(auth: httpx.AsyncClient, clock: Clock) -> None:
    told = {}
    for username in ("Ada", "nobody", "not a name!"):
        answers = []
        for _ in range(9):
            answer = await login(auth, WRONG, username)
            headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
            answers.append((answer.status_code, headers, answer.content))
        told[username] = answers
    assert [answer[0] for answer in told["Ada"]] == [401] * 6 + [429] * 3
    assert told["Ada"] == told["nobody"] == told["not a name!"]
    clock.advance(seconds=5)
    assert_problem(await login(auth, WRONG, "NOBODY"), 401)
    assert_problem(await login(auth, WRONG, "nobody"), 429)  # the same name in another case is the same name


async def test_of_many_guesses_at_once_at_whatever_process_six_are_looked_at(
    auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock
) -> None:
    async with serving(create_app(auth_settings, clock)) as other:
        guesses = [login(client, password) for password in [WRONG] * 19 + [PASSWORD] for client in (auth, other)]
        answers = await asyncio.gather(*guesses)
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [401] * 6 + [429] * 34
        assert_problem(await login(auth, PASSWORD), 429)
        clock.advance(seconds=5)
        assert (await login(other, PASSWORD)).status_code == 200


async def test_many_right_passwords_at_once_are_all_right(auth: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(login(auth, PASSWORD) for _ in range(24)))
    assert [answer.status_code for answer in answers] == [200] * 24


async def test_a_process_whose_clock_is_behind_is_not_slowed_down_by_another_ones_attempt(
    auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock
) -> None:
    """Nor is one that looked at its clock first and was counted second: before the free failures there is no delay."""
    behind = Clock()
    behind.now = clock.now - timedelta(seconds=2)
    assert_problem(await login(auth, WRONG), 401, "invalid-credentials")
    async with serving(create_app(auth_settings, behind)) as other:
        assert_problem(await login(other, WRONG), 401, "invalid-credentials")
        assert (await login(other, PASSWORD)).status_code == 200


async def test_whoever_is_signed_in_stays_so_while_someone_else_guesses(auth: httpx.AsyncClient) -> None:
    signed_in = await login(auth, PASSWORD)
    await fail(auth, 6)
    assert_problem(await login(auth, PASSWORD), 429)
    auth.cookies.clear()
    cookie = "; ".join(f"{name}={value}" for name, value in signed_in.cookies.items())
    assert (await auth.post("/auth/refresh", headers={"Cookie": cookie})).status_code == 200


async def test_what_asks_for_the_password_again_has_one_count_by_session(auth: httpx.AsyncClient, clock: Clock) -> None:
    me, other = [bearer((await login(auth, PASSWORD)).json()["access_token"]) for _ in range(2)]
    auth.cookies.clear()
    new = "another horse battery"

    async def change(password: str, session: dict[str, str] = me) -> httpx.Response:
        body = {"current_password": password, "new_password": new}
        return await auth.put("/auth/me/password", json=body, headers=session)

    async def delete(password: str) -> httpx.Response:
        return await auth.post("/auth/me/deletion", json={"password": password}, headers=me)

    for _ in range(3):
        assert_problem(await change(WRONG), 403, "wrong-password")
        assert_problem(await delete(WRONG), 403, "wrong-password")
    for answer in (await change(PASSWORD), await delete(PASSWORD)):
        assert_problem(answer, 429, "too-many-failures")
        assert answer.headers["retry-after"] == "5"
    assert_problem(await change(WRONG, other), 403, "wrong-password")
    await fail(auth, 5)
    assert (await login(auth, PASSWORD)).status_code == 200
    clock.advance(seconds=5)
    assert (await change(PASSWORD)).status_code == 204
    for _ in range(5):  # the right one has cleared the count
        assert_problem(await change(WRONG), 403, "wrong-password")
    assert (await delete(new)).status_code == 204


async def test_strangers_guesses_do_not_delay_what_is_confirmed_in_a_session(auth: httpx.AsyncClient) -> None:
    me = bearer((await login(auth, PASSWORD)).json()["access_token"])
    auth.cookies.clear()
    await fail(auth, 6)
    assert_problem(await login(auth, PASSWORD), 429)
    body = {"current_password": PASSWORD, "new_password": "another horse battery"}
    assert (await auth.put("/auth/me/password", json=body, headers=me)).status_code == 204
    auth.cookies.clear()
    assert_problem(await login(auth, PASSWORD), 429)  # what is right there clears nothing here


async def test_one_account_is_slowed_down_and_no_other(auth: httpx.AsyncClient) -> None:
    await auth.post("/auth/register", json={"username": "Bob", "password": PASSWORD})
    await fail(auth, 6)
    assert (await login(auth, PASSWORD, "Bob")).status_code == 200


async def test_the_log_tells_of_failures_and_once_of_a_delay_and_never_what_was_typed(
    auth: httpx.AsyncClient, mysql: Any, clock: Clock
) -> None:
    for username in ("Ada", "hunter2_typed_here"):
        await fail(auth, 6, username)
        for _ in range(5):
            await login(auth, WRONG, username)
    [(user_id,)] = rows(mysql, "SELECT id FROM users")
    counted = rows(
        mysql,
        "SELECT event, user_id, COUNT(*) FROM audit_events WHERE event IN ('login_failed', 'attempts_delayed')"
        " GROUP BY event, user_id ORDER BY event, user_id IS NULL",
    )
    assert counted == [
        ("attempts_delayed", user_id, 1),
        ("attempts_delayed", None, 1),
        ("login_failed", user_id, 6),
        ("login_failed", None, 6),
    ]
    assert b"hunter2" not in b"".join(row[0] for row in rows(mysql, "SELECT account_key FROM password_attempts"))
    clock.advance(seconds=5)
    await fail(auth, 1)
    await login(auth)
    assert rows(mysql, f"SELECT COUNT(*) FROM audit_events WHERE event = 'attempts_delayed' AND user_id = {user_id}") == [(2,)]


async def test_another_name_of_an_account_gives_no_further_guesses(auth: httpx.AsyncClient) -> None:
    me = bearer((await login(auth, PASSWORD)).json()["access_token"])
    auth.cookies.clear()
    await fail(auth, 3)
    assert (await auth.put("/auth/me/username", json={"username": "Countess"}, headers=me)).status_code == 200
    await fail(auth, 3, "countess")
    assert_problem(await login(auth, PASSWORD, "Countess"), 429)


async def test_what_was_not_looked_at_for_lack_of_room_does_not_count(
    database: Database, auth_settings: AuthSettings, clock: Clock, mysql: Any
) -> None:
    settings = auth_settings.model_copy(update={"password_workers": 1, "password_queue": 0})
    hashing = Passwords(settings)
    check = PasswordCheck(database, hashing, settings, clock)
    user = UserRecord(7, "Ada", "ada", await hashing.hash(PASSWORD, CLIENT), clock.now)
    key = attempts.by_account(user.user_id)
    for _ in range(5):
        assert await check.check(key, user, WRONG, CLIENT, failed=Event.LOGIN_FAILED) is None
    async with hashing.turn(CLIENT), hashing.turn(CLIENT):
        for _ in range(8):
            with pytest.raises(PasswordQueueFull):
                await check.check(key, user, PASSWORD, CLIENT, failed=Event.LOGIN_FAILED)
    assert rows(mysql, "SELECT failures FROM password_attempts") == [(5,)]
    assert await check.check(key, user, PASSWORD, CLIENT, failed=Event.LOGIN_FAILED) == PASSWORD
    assert rows(mysql, "SELECT * FROM password_attempts") == []
    hashing.close()


async def test_failures_are_forgotten_in_time_batch_by_batch(
    auth: httpx.AsyncClient, database: Database, mysql: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 2)
    for number in range(5):
        await fail(auth, 1, f"nobody{number}")
    clock.advance(seconds=60)
    await fail(auth, 1, "nobody4")

    async def forget(connection: Any, now: datetime, limit: int) -> int:
        return await attempts.forget(connection, now - timedelta(seconds=30), limit)

    await Upkeep(database, clock, {"forget": forget}, interval=600).round()
    assert rows(mysql, "SELECT failures FROM password_attempts") == [(2,)]
