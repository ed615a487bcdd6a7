"""An account that is signed in: another password, its data, its end."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.signing_in import COOKIE, count, login, refresh, register, sign_in
from tests.system import PASSWORD, assert_problem, eventually, rows_are_awaited

ANOTHER = "staple battery horse"


async def change_password(
    client: httpx.AsyncClient, token: dict[str, str], current: str = PASSWORD, new: str = ANOTHER
) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return await client.put("/auth/me/password", json=body, headers=token)


async def delete(client: httpx.AsyncClient, token: dict[str, str], password: str = PASSWORD) -> httpx.Response:
    return await client.post("/auth/me/deletion", json={"password": password}, headers=token)


async def test_a_new_password_signs_in_and_the_old_one_does_not(auth: httpx.AsyncClient) -> None:
    await register(auth)
    here, _ = await sign_in(auth)
    answer = await change_password(auth, here)
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(await login(auth), 401, "invalid-credentials")
    assert (await login(auth, password=ANOTHER)).status_code == 200
    assert (await login(auth, password="ｓｔａｐｌｅ battery horse")).status_code == 200


async def test_a_new_password_ends_every_other_session_by_either_token(auth: httpx.AsyncClient) -> None:
    await register(auth)
    await register(auth, "Bob")
    thief, thief_refresh = await sign_in(auth)
    here, here_refresh = await sign_in(auth)
    bob, _ = await sign_in(auth, username="Bob")
    assert (await change_password(auth, here)).status_code == 204
    assert_problem(await auth.get("/auth/me", headers=thief), 401, "unauthenticated")
    assert_problem(await refresh(auth, thief_refresh), 401, "invalid-refresh-token")
    assert_problem(await change_password(auth, thief, ANOTHER, "thief has it now"), 401, "unauthenticated")
    assert (await auth.get("/auth/me", headers=here)).status_code == 200
    assert (await refresh(auth, here_refresh)).status_code == 200
    assert (await auth.get("/auth/me", headers=bob)).status_code == 200


async def test_whoever_does_not_know_the_password_changes_and_deletes_nothing(auth: httpx.AsyncClient) -> None:
    await register(auth)
    here, here_refresh = await sign_in(auth)
    other, _ = await sign_in(auth)
    for wrong in ("wrong horse battery", "", "a\x00b"):
        assert_problem(await change_password(auth, here, wrong), 403, "wrong-password")
    assert_problem(await delete(auth, here, "wrong horse battery"), 403, "wrong-password")
    assert (await auth.get("/auth/me", headers=other)).status_code == 200
    assert (await refresh(auth, here_refresh)).status_code == 200
    assert (await login(auth)).status_code == 200


async def test_guesses_in_a_session_are_slowed_down_and_keep_nobody_from_signing_in(auth: httpx.AsyncClient) -> None:
    await register(auth)
    here, here_refresh = await sign_in(auth)
    for number in range(6):
        wrong = change_password(auth, here, "wrong horse") if number % 2 else delete(auth, here, "wrong horse")
        assert_problem(await wrong, 403, "wrong-password")
    for refused in (await change_password(auth, here), await delete(auth, here)):
        assert_problem(refused, 429, "too-many-failures")
        assert int(refused.headers["retry-after"]) >= 1
    assert (await login(auth)).status_code == 200
    assert (await refresh(auth, here_refresh)).status_code == 200  # who is signed in stays so


@pytest.mark.parametrize("new", ["short12", "x" * 129, "\ufdfa" * 8, "tab\tand\x00nul", "password123", "", "AdaAdaAda"])
async def test_a_bad_new_password_is_refused_with_its_place_and_is_no_guess(
    auth: httpx.AsyncClient, mysql: Any, new: str
) -> None:
    await register(auth)
    here, _ = await sign_in(auth)
    answer = await change_password(auth, here, "wrong horse battery", new)
    assert_problem(answer, 422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/new_password"]
    assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'password_refused'") == 0
    assert (await login(auth)).status_code == 200


async def test_of_two_new_passwords_at_once_one_is_set(auth: httpx.AsyncClient) -> None:
    await register(auth)
    here, _ = await sign_in(auth)
    wanted = [ANOTHER, "horse staple battery"]
    answers = await asyncio.gather(*(change_password(auth, here, new=new) for new in wanted))
    assert sorted(answer.status_code for answer in answers) == [204, 403]
    for new, answer in zip(wanted, answers, strict=True):
        assert (await login(auth, password=new)).status_code == {204: 200, 403: 401}[answer.status_code]


async def test_a_deleted_account_is_gone_at_once_with_every_session(auth: httpx.AsyncClient, mysql: Any) -> None:
    await register(auth)
    other, other_refresh = await sign_in(auth)
    here, here_refresh = await sign_in(auth)
    answer = await auth.post(
        "/auth/me/deletion", json={"password": PASSWORD}, headers=here | {"Cookie": f"{COOKIE}={here_refresh}"}
    )
    assert (answer.status_code, answer.content) == (204, b"")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"{COOKIE}=")
    assert "max-age=0" in cookie
    assert "path=/auth" in cookie
    for token in (here, other):
        assert_problem(await auth.get("/auth/me", headers=token), 401, "unauthenticated")
        assert_problem(await auth.get("/auth/me/export", headers=token), 401, "unauthenticated")
        assert_problem(await delete(auth, token), 401, "unauthenticated")
        assert_problem(await auth.put("/auth/me/username", json={"username": "Bob"}, headers=token), 401, "unauthenticated")
    for refresh_token in (here_refresh, other_refresh):
        assert_problem(await refresh(auth, refresh_token), 401, "invalid-refresh-token")
    assert_problem(await login(auth), 401, "invalid-credentials")
    assert count(mysql, "SELECT COUNT(*) FROM users") == 0
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0
    assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'account_deleted'") == 1


@pytest.mark.parametrize("first", ["login", "deletion"])
async def test_no_session_outlives_a_deletion_that_a_login_meets(auth: httpx.AsyncClient, mysql: Any, first: str) -> None:
    """Both have found the password right and come to the user's row, in either order."""
    await register(auth)
    here, _ = await sign_in(auth)
    mysql.begin()
    with mysql.cursor() as cursor:
        cursor.execute("SELECT * FROM users FOR UPDATE")
    work = {"login": lambda: login(auth), "deletion": lambda: delete(auth, here)}
    started = {}
    for number, name in enumerate([first, *(work.keys() - {first})], start=1):
        started[name] = asyncio.create_task(work[name]())
        await eventually(lambda number=number: rows_are_awaited(mysql, number))  # type: ignore[misc]
    mysql.commit()
    signed_in, deleted = await started["login"], await started["deletion"]
    assert deleted.status_code == 204
    assert signed_in.status_code in {200, 401}
    if signed_in.status_code == 200:
        assert_problem(await refresh(auth, signed_in.cookies[COOKIE]), 401, "invalid-refresh-token")
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0


async def test_a_login_with_the_old_password_that_meets_its_change_ends_as_a_refusal(
    auth: httpx.AsyncClient, mysql: Any
) -> None:
    await register(auth)
    here, _ = await sign_in(auth)
    mysql.begin()
    with mysql.cursor() as cursor:
        cursor.execute("SELECT * FROM users FOR UPDATE")
    changing = asyncio.create_task(change_password(auth, here))
    await eventually(lambda: rows_are_awaited(mysql))
    thief = asyncio.create_task(login(auth))
    await eventually(lambda: rows_are_awaited(mysql, 2))
    mysql.commit()
    assert (await changing).status_code == 204
    assert_problem(await thief, 401, "invalid-credentials")
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 1


async def test_the_export_is_all_that_is_kept_of_the_person_and_nothing_secret(auth: httpx.AsyncClient, mysql: Any) -> None:
    await register(auth, "Bob")
    bob, _ = await sign_in(auth, username="Bob")
    await register(auth)
    await sign_in(auth, "phone")
    here, refresh_token = await sign_in(auth, "laptop")
    await auth.put("/auth/me/username", json={"username": "Countess"}, headers=here)
    await login(auth, "Countess", "wrong horse battery")
    answer = await auth.get("/auth/me/export", headers=here)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="account.json"'
    assert answer.headers["cache-control"] == "no-store"
    exported = answer.json()
    ours = {"account", "staff", "sessions", "kept_usernames", "external_identities", "recovery_codes", "events"}
    assert exported.keys() == ours
    assert exported["account"] == (await auth.get("/auth/me", headers=here)).json()
    assert exported["sessions"] == (await auth.get("/auth/sessions", headers=here)).json()["sessions"]
    assert [each["username"] for each in exported["kept_usernames"]] == ["Ada"]
    assert [each["event"] for each in exported["events"]] == [
        "registered",
        "logged_in",
        "logged_in",
        "username_changed",
        "login_failed",
        "account_exported",
    ]
    for each in exported["events"]:
        assert each.keys() == {"event", "occurred_at", "address", "detail"}
        assert each["address"] == "127.0.0.1"
    with mysql.cursor() as cursor:
        cursor.execute("SELECT password_hash FROM users")
        secrets = [row[0] for row in cursor.fetchall()] + [refresh_token, PASSWORD]
    assert not [secret for secret in secrets if secret in json.dumps(exported)]
    assert_problem(await auth.get("/auth/me/export"), 401, "unauthenticated")
    assert (await auth.get("/auth/me/export", headers=bob)).json()["account"]["username"] == "Bob"


@pytest.mark.parametrize(("method", "path"), [("PUT", "/auth/me/password"), ("POST", "/auth/me/deletion")])
async def test_a_broken_body_changes_nothing(auth: httpx.AsyncClient, method: str, path: str) -> None:
    await register(auth)
    here, _ = await sign_in(auth)
    typed = here | {"content-type": "application/json"}
    for body in (b"", b"null", b"{}", b'{"password": 1}', b'{"password": "x", "more": 1}', b'{"password": NaN}', b"\xff"):
        assert_problem(await auth.request(method, path, content=body, headers=typed), 422, "invalid-request")
    assert_problem(await auth.request(method, path, content=b"{}", headers=here), 415, "unsupported-media-type")
    large = b'{"password": "' + b"x" * 2_000_000 + b'"}'
    assert_problem(await auth.request(method, path, content=large, headers=typed), 413, "body-too-large")
    assert_problem(await auth.request(method, path, content=b"{}", headers={"content-type": "application/json"}), 401)
    assert (await login(auth)).status_code == 200
