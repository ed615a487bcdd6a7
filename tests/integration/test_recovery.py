"""Recovery codes: the way back to an account whose password is forgotten, since nobody's mail is known."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from services.auth.app import create_app
from services.auth.passwords import recovery_codes
from services.auth.settings import AuthSettings
from tests.signing_in import Clock, count, login, refresh, register, sign_in
from tests.system import PASSWORD, assert_problem, bearer, rows, serving

CODES = "/auth/me/recovery-codes"
NEW = "staple battery horse"
WRONG = "wrong horse battery"
WRONG_CODE = "0000-0000-0000-0000"


async def ask_for_codes(client: httpx.AsyncClient, token: dict[str, str], password: str = PASSWORD) -> httpx.Response:
    return await client.post(CODES, json={"password": password}, headers=token)


async def make_codes(client: httpx.AsyncClient, username: str = "Ada") -> list[str]:
    """Sign up and make codes."""
    await register(client, username)
    token, _ = await sign_in(client, username=username)
    made = await ask_for_codes(client, token)
    assert made.status_code == 201, made.text
    codes: list[str] = made.json()["codes"]
    return codes


async def recover(
    client: httpx.AsyncClient, code: str, password: str = NEW, *, username: str = "Ada", device: str | None = None
) -> httpx.Response:
    """Recover in a browser that has no cookie but this."""
    client.cookies.clear()
    headers = {} if device is None else {"Cookie": f"device_80={device}"}
    body = {"username": username, "code": code, "new_password": password}
    return await client.post("/auth/recover", json=body, headers=headers)


def assert_refused(answer: httpx.Response) -> None:
    assert_problem(answer, 401, "invalid-recovery-code")


async def codes_left(client: httpx.AsyncClient, token: dict[str, str]) -> int:
    answer = await client.get(CODES, headers=token)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["left"])


async def test_a_code_sets_another_password_and_the_old_one_is_gone(auth: httpx.AsyncClient) -> None:
    codes = await make_codes(auth)
    recovered = await recover(auth, codes[3])
    assert recovered.status_code == 204
    assert "set-cookie" not in recovered.headers
    assert recovered.headers["cache-control"] == "no-store"
    assert_problem(await login(auth), 401, "invalid-credentials")
    token, _ = await sign_in(auth, password=NEW)
    assert await codes_left(auth, token) == 7


async def test_codes_are_eight_and_random_and_stored_by_their_hashes_alone(auth: httpx.AsyncClient, mysql: Any) -> None:
    codes = await make_codes(auth)
    assert len(set(codes)) == len(codes) == 8
    assert all(re.fullmatch("(?:[0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", code) for code in codes)
    assert len(set("".join(codes))) > 16  # of 32 letters, in 128 places
    [(user_id,)] = rows(mysql, "SELECT id FROM users")
    stored = {digest for (digest,) in rows(mysql, "SELECT code_hash FROM recovery_codes")}
    assert stored == {recovery_codes.code_hash(user_id, code) for code in codes}


@pytest.mark.parametrize("respell", [
    str.lower,
    lambda code: code.replace("-", ""),
    lambda code: f"  {code.replace('-', ' ')} ",
    lambda code: code.replace("-", "\u2011").replace("0", "O").replace("1", "l"),
    lambda code: "".join(chr(ord(each) + 0xFEE0) for each in code),  # full width
])  # fmt: skip
async def test_a_code_is_good_however_it_is_typed(auth: httpx.AsyncClient, respell: Any) -> None:
    codes = await make_codes(auth)
    assert (await recover(auth, respell(codes[0]))).status_code == 204


async def test_a_code_is_good_once(auth: httpx.AsyncClient) -> None:
    codes = await make_codes(auth)
    assert (await recover(auth, codes[0])).status_code == 204
    assert_refused(await recover(auth, codes[0], "another staple horse"))
    assert (await login(auth, password=NEW)).status_code == 200
    assert (await recover(auth, codes[1], "another staple horse")).status_code == 204


async def test_nobody_recovers_with_a_wrong_code_or_with_that_of_another(auth: httpx.AsyncClient) -> None:
    codes = await make_codes(auth)
    await make_codes(auth, "Bob")
    await register(auth, "Carol")
    for username, code in (("Ada", WRONG_CODE), ("Ada", codes[0][:-1]), ("Ada", ""), ("Bob", codes[0]), ("Carol", codes[0])):
        assert_refused(await recover(auth, code, username=username))
    for username in ("nobody", "not a name!", ""):
        assert_refused(await recover(auth, codes[0], username=username))
    assert (await login(auth)).status_code == 200
    assert (await recover(auth, codes[0], username="ADA")).status_code == 204


async def test_of_many_recoveries_at_once_with_one_code_at_two_processes_one_wins(
    auth: httpx.AsyncClient, auth_settings: AuthSettings
) -> None:
    codes = await make_codes(auth)
    passwords = [f"battery horse staple {number}" for number in range(4)]
    async with serving(create_app(auth_settings)) as other:
        answers = await asyncio.gather(
            *(recover(client, codes[0], password) for client, password in zip((auth, other) * 2, passwords, strict=True))
        )
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [204, 401, 401, 401]
    assert (await login(auth, password=passwords[statuses.index(204)])).status_code == 200
    token, _ = await sign_in(auth, password=passwords[statuses.index(204)])
    assert await codes_left(auth, token) == 7


async def test_recoveries_and_new_codes_and_logins_at_once_are_all_answered(auth: httpx.AsyncClient) -> None:
    """They lock what they change in different orders: MySQL ends one of two that wait for each other, and it is run again."""
    codes = await make_codes(auth)
    tokens = [(await sign_in(auth))[0] for _ in range(4)]
    asked = [recover(auth, code, PASSWORD) for code in codes[:5]] + [ask_for_codes(auth, token) for token in tokens]
    answers = await asyncio.gather(*asked, *(login(auth) for _ in range(3)))
    assert {answer.status_code for answer in answers} <= {200, 201, 204, 401, 403, 429}


async def test_a_recovery_ends_every_session_by_either_token(auth: httpx.AsyncClient, mysql: Any) -> None:
    codes = await make_codes(auth)
    await register(auth, "Bob")
    sessions = [await sign_in(auth) for _ in range(2)]
    app = (await auth.post("/auth/login", json={"username": "Ada", "password": PASSWORD, "session": "token"})).json()
    bobs, _ = await sign_in(auth, username="Bob")
    assert (await recover(auth, codes[0])).status_code == 204
    for token, cookie in sessions:
        assert_problem(await auth.get("/auth/me", headers=token), 401, "unauthenticated")
        assert_problem(await refresh(auth, cookie), 401, "invalid-refresh-token")
    refused = await auth.post("/auth/refresh", json={"refresh_token": app["refresh_token"]})
    assert_problem(refused, 401, "invalid-refresh-token")
    assert (await auth.get("/auth/me", headers=bobs)).status_code == 200
    [detail] = rows(mysql, "SELECT JSON_VALUE(detail, '$.sessions_ended') FROM audit_events WHERE event = 'account_recovered'")
    assert [int(each) for each in detail] == [4]


async def test_wrong_codes_and_wrong_passwords_are_counted_together_and_a_right_code_clears_the_count(
    timed_auth: httpx.AsyncClient, clock: Clock
) -> None:
    codes = await make_codes(timed_auth)
    for _ in range(3):
        assert_refused(await recover(timed_auth, WRONG_CODE))
        assert_problem(await login(timed_auth, password=WRONG), 401, "invalid-credentials")
    for refused in (await recover(timed_auth, codes[0]), await login(timed_auth)):
        assert_problem(refused, 429, "too-many-failures")
        assert refused.headers["retry-after"] == "5"
    clock.advance(seconds=5)
    assert (await recover(timed_auth, codes[0])).status_code == 204  # and was not used up before
    for _ in range(5):
        assert_problem(await login(timed_auth, password=WRONG), 401, "invalid-credentials")
    assert (await login(timed_auth, password=NEW)).status_code == 200


async def test_the_delay_doubles_for_codes_too_and_for_names_that_nobody_has(
    timed_auth: httpx.AsyncClient, clock: Clock
) -> None:
    await make_codes(timed_auth)
    delays: dict[str, list[str]] = {}
    for username in ("Ada", "nobody"):
        for _ in range(5):
            assert_refused(await recover(timed_auth, WRONG_CODE, username=username))
        for _ in range(4):
            assert_refused(await recover(timed_auth, WRONG_CODE, username=username))
            refused = await recover(timed_auth, WRONG_CODE, username=username)
            delays.setdefault(username, []).append(refused.headers["retry-after"])
            clock.advance(seconds=int(refused.headers["retry-after"]))
    assert delays["Ada"] == delays["nobody"] == ["5", "10", "20", "40"]


async def test_where_the_owner_signed_in_before_strangers_guesses_do_not_delay_a_recovery(auth: httpx.AsyncClient) -> None:
    codes = await make_codes(auth)
    device = (await login(auth)).cookies["device_80"]
    for _ in range(6):
        assert_refused(await recover(auth, WRONG_CODE))
    assert_problem(await recover(auth, codes[0]), 429, "too-many-failures")
    assert (await recover(auth, codes[0], device=device)).status_code == 204
    assert (await login(auth, password=NEW)).status_code == 200  # the account's count is cleared with the browser's


async def test_a_recovery_makes_every_device_cookie_worthless(auth: httpx.AsyncClient) -> None:
    codes = await make_codes(auth)
    device = (await login(auth)).cookies["device_80"]
    assert (await recover(auth, codes[0], device=device)).status_code == 204
    for _ in range(6):
        assert_problem(await login(auth, password=WRONG), 401, "invalid-credentials")
    auth.cookies.clear()
    credentials = {"username": "Ada", "password": NEW}
    refused = await auth.post("/auth/login", json=credentials, headers={"Cookie": f"device_80={device}"})
    assert_problem(refused, 429, "too-many-failures")


async def test_new_codes_replace_those_of_before_and_a_new_password_leaves_them(auth: httpx.AsyncClient) -> None:
    before = await make_codes(auth)
    token, _ = await sign_in(auth)
    after = (await ask_for_codes(auth, token)).json()["codes"]
    assert set(before).isdisjoint(after)
    assert await codes_left(auth, token) == 8
    body = {"current_password": PASSWORD, "new_password": "another staple horse"}
    assert (await auth.put("/auth/me/password", json=body, headers=token)).status_code == 204
    assert_refused(await recover(auth, before[0]))
    assert (await recover(auth, after[0])).status_code == 204


async def test_nobody_makes_codes_without_the_password_and_guesses_are_counted_by_session(auth: httpx.AsyncClient) -> None:
    codes = await make_codes(auth)
    token, _ = await sign_in(auth)
    for wrong in (WRONG, "", "x" * 129, "a\x00b"):
        assert_problem(await ask_for_codes(auth, token, wrong), 403, "wrong-password")
    for _ in range(2):
        assert_problem(await auth.post("/auth/confirm", json={"password": WRONG}, headers=token), 403, "wrong-password")
    assert_problem(await ask_for_codes(auth, token), 429, "too-many-failures")
    assert_problem(await ask_for_codes(auth, {}), 401, "unauthenticated")
    ended, cookie = await sign_in(auth)
    await auth.post("/auth/logout", headers={"Cookie": f"refresh_token_80={cookie}"})
    assert_problem(await ask_for_codes(auth, ended), 401, "unauthenticated")
    assert_problem(await auth.get(CODES, headers=ended), 401, "unauthenticated")
    assert (await recover(auth, codes[0])).status_code == 204  # those of before are as good as they were


async def test_a_guest_has_none_until_there_is_a_password(auth: httpx.AsyncClient) -> None:
    guest = (await auth.post("/auth/guest", json={"session": "token"})).json()
    token = bearer(guest["access_token"])
    assert_problem(await ask_for_codes(auth, token), 409, "not-for-guests")
    assert (await auth.get(CODES, headers=token)).json() == {"left": 0, "made_at": None}
    assert_refused(await recover(auth, WRONG_CODE, username=guest["username"]))
    account = {"username": "Ada", "password": PASSWORD}
    kept = (await auth.post("/auth/me/credentials", json=account, headers=token)).json()
    assert (await ask_for_codes(auth, bearer(kept["access_token"]))).status_code == 201


async def test_the_export_says_how_many_are_left_and_since_when_and_never_which(
    timed_auth: httpx.AsyncClient, clock: Clock
) -> None:
    await register(timed_auth)
    token, _ = await sign_in(timed_auth)
    export = (await timed_auth.get("/auth/me/export", headers=token)).json()
    assert export["recovery_codes"] == {"left": 0, "made_at": None}
    made_at = clock.now.isoformat().replace("+00:00", "Z")
    codes = (await ask_for_codes(timed_auth, token)).json()["codes"]
    assert (await recover(timed_auth, codes[0])).status_code == 204
    token, _ = await sign_in(timed_auth, password=NEW)
    answer = await timed_auth.get("/auth/me/export", headers=token)
    assert answer.json()["recovery_codes"] == {"left": 7, "made_at": made_at}
    assert (await timed_auth.get(CODES, headers=token)).json() == {"left": 7, "made_at": made_at}
    assert not any(code in answer.text for code in codes)


async def test_what_happened_is_in_the_audit_log_without_a_name_or_a_code(auth: httpx.AsyncClient, mysql: Any) -> None:
    codes = await make_codes(auth)
    for username in ("Ada", "hunter2_typed_here"):
        for _ in range(6):
            assert_refused(await recover(auth, WRONG_CODE, username=username))
    counted = rows(
        mysql,
        "SELECT event, user_id IS NULL, COUNT(*) FROM audit_events"
        " WHERE event IN ('recovery_failed', 'attempts_delayed', 'recovery_codes_made') GROUP BY event, user_id IS NULL"
        " ORDER BY event, user_id IS NULL",
    )
    assert counted == [
        ("attempts_delayed", 0, 1),
        ("attempts_delayed", 1, 1),
        ("recovery_codes_made", 0, 1),
        ("recovery_failed", 0, 6),
        ("recovery_failed", 1, 6),
    ]
    stored = str(rows(mysql, "SELECT detail FROM audit_events"))
    assert not any(secret in stored for secret in (*codes, WRONG_CODE, "hunter2"))


async def test_codes_go_with_their_account(auth: httpx.AsyncClient, mysql: Any) -> None:
    codes = await make_codes(auth)
    token, _ = await sign_in(auth)
    assert (await auth.post("/auth/me/deletion", json={"password": PASSWORD}, headers=token)).status_code == 204
    assert count(mysql, "SELECT COUNT(*) FROM recovery_codes") == 0
    assert_refused(await recover(auth, codes[0]))


@pytest.mark.parametrize("password", ["short", "x" * 129, "a\x00bcdefgh", "password123", "AdaAda123"])
async def test_a_password_that_nobody_may_have_is_refused_and_uses_no_code_up(auth: httpx.AsyncClient, password: str) -> None:
    codes = await make_codes(auth)
    refused = await recover(auth, codes[0], password)
    assert_problem(refused, 422, "invalid-request")
    assert [error["pointer"] for error in refused.json()["errors"]] == ["#/new_password"]
    assert (await recover(auth, codes[0])).status_code == 204


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[]",
        "null",
        "{",
        '{"username": "Ada", "code": 7, "new_password": "staple battery horse"}',
        '{"username": "Ada", "code": null, "new_password": "staple battery horse"}',
        '{"username": "Ada", "code": "\\ud800", "new_password": "staple battery horse"}',
        '{"username": "Ada", "code": "x", "new_password": "staple battery horse", "more": 1}',
        f'{{"username": "Ada", "code": "{"x" * 65}", "new_password": "staple battery horse"}}',
        f'{{"username": "{"x" * 257}", "code": "x", "new_password": "staple battery horse"}}',
    ],
)
async def test_a_bad_body_is_told_and_is_no_guess(auth: httpx.AsyncClient, mysql: Any, body: str) -> None:
    await register(auth)
    token, _ = await sign_in(auth)
    json = {"Content-Type": "application/json"}
    for path, headers in (("/auth/recover", {}), (CODES, token)):
        assert_problem(await auth.post(path, content=body, headers=headers | json), 422, "invalid-request")
        assert_problem(await auth.post(path, content=body, headers=headers), 415)
    assert count(mysql, "SELECT COUNT(*) FROM password_attempts") == 0
