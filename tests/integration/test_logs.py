"""What the logs hold, of all that runs: everything that happened, and nothing that would let a reader in."""

import base64
import json
import re
import secrets as random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import httpx
import jwt
import pytest

from services.common.tokens import Scope
from services.local.stack import Stack
from tests.playing import API
from tests.signing_in import give_role, refresh_token
from tests.system import Accounts, bearer, gateway_log_is_whole


class Secrets:
    """Every secret that a test has used, to be looked for afterwards."""

    def __init__(self) -> None:
        self.used: dict[str, str] = {}

    def password(self, what: str) -> str:
        return self.keep(what, f"{random.token_hex(8)} {random.token_hex(4)}")

    def keep(self, what: str, secret: str) -> str:
        self.used[f"{what} {len(self.used)}"] = secret
        return secret

    def token(self, answer: httpx.Response) -> str:
        """The access token of an answer. Its signature is what nobody else could make."""
        token: str = answer.json()["access_token"]
        self.keep("signature of an access token", token.rpartition(".")[2])
        return token

    def cookie(self, answer: httpx.Response) -> str:
        return self.keep("refresh token", refresh_token(answer))


@pytest.fixture
async def client(gateway_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway_url) as found:
        yield found


async def use_a_session_without_a_cookie(
    send: Callable[..., Awaitable[httpx.Response]], used: Secrets, account: dict[str, str]
) -> None:
    """Each thing that a refresh token is sent with in a body."""

    async def granted(path: str, **options: Any) -> str:
        answer = await send("POST", path, **options)
        used.token(answer)
        return used.keep("refresh token", answer.json()["refresh_token"])

    await granted("/auth/token", data=account | {"grant_type": "password"})
    token = await granted("/auth/login", json=account | {"session": "token"})
    token = await granted("/auth/refresh", json={"refresh_token": token})
    token = await granted("/auth/token", data={"grant_type": "refresh_token", "refresh_token": token})
    await send("POST", "/auth/refresh", json={"refresh_token": token, "more": token})
    await send("POST", "/auth/logout", json={"refresh_token": token})


async def use_recovery_codes(
    send: Callable[..., Awaitable[httpx.Response]], used: Secrets, account: dict[str, str], me: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Make codes and come back with one; gives the account with its new password, signed in to again."""
    password, wrong = used.password("recovered password"), used.password("wrong code")
    await send("POST", "/auth/me/recovery-codes", json={"password": wrong}, headers=me)
    made = await send("POST", "/auth/me/recovery-codes", json={"password": account["password"]}, headers=me)
    codes = [used.keep("recovery code", code) for code in made.json()["codes"]]
    await send("GET", "/auth/me/recovery-codes", headers=me)
    recovery = {"username": account["username"], "code": codes[0], "new_password": password}
    await send("POST", "/auth/recover", json=recovery | {"code": wrong})
    await send("POST", "/auth/recover", json=recovery | {"more": wrong})
    for _ in range(2):
        await send("POST", "/auth/recover", json=recovery)
    account |= {"password": password}
    back = await send("POST", "/auth/login", json=account)
    used.cookie(back)
    return account, bearer(used.token(back))


async def use_keys(
    send: Callable[..., Awaitable[httpx.Response]], stack: Stack, used: Secrets, accounts: Accounts, own: str
) -> None:
    """Each thing that the secret of a key is sent with, and what a key is for in auth. ``own``: a token of one's own.

    What is stored is looked at before the key is gone.
    """
    said = jwt.decode(own, options={"verify_signature": False})
    name, session = f"s_{said['sub']}", uuid.UUID(said["sid"])
    admin = accounts.new(said["name"], int(said["sub"]), scopes=tuple(Scope), session_id=session)
    with stack.mysql.connect(database=stack.database, autocommit=True) as connection:
        give_role(connection, int(said["sub"]), session, "admin")
    made = (await send("POST", "/auth/keys", json={"name": "logged", "scopes": ["players:write"]}, headers=admin)).json()
    path = f"/auth/keys/{made['client_id']}"
    for key in (made, (await send("POST", f"{path}/secrets", headers=admin)).json()):
        secret = used.keep("secret of a key", key["client_secret"])
        basic = used.keep("credentials", base64.b64encode(f"{made['client_id']}:{secret}".encode()).decode())
        header = {"Authorization": f"Basic {basic}"}
        form = {"grant_type": "client_credentials", "client_id": made["client_id"], "client_secret": secret}
        studio = bearer(used.token(await send("POST", "/auth/token", data=form)))
        used.token(await send("POST", "/auth/token", data={"grant_type": "client_credentials"}, headers=header))
        await send("POST", "/auth/token", data=form, headers=header)
        await send("POST", "/auth/token", json=form)
        await send("POST", "/auth/token", data=form | {"client_id": secret})
        await send("POST", "/auth/token", data=form | {"client_secret": used.password("wrong secret")})
        await send("GET", "/auth/token", params=form)
    await send("GET", "/auth/keys", headers=admin)
    await send("PUT", f"/auth/external/logged/{name}", json={"username": name}, headers=studio)
    player = await send("POST", f"/auth/external/logged/{name}/token", headers=studio)
    used.token(player)
    used.keep("refresh token", player.json()["refresh_token"])
    keep_what_is_stored(stack, used)
    await send("DELETE", path, headers=admin)
    await send("POST", f"/auth/external/logged/{name}/token", headers=studio)
    with stack.mysql.connect(database=stack.database, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM staff WHERE user_id = %s", (said["sub"],))  # the last admin could not leave


async def use_everything(client: httpx.AsyncClient, stack: Stack, used: Secrets, name: str, accounts: Accounts) -> None:
    """Each thing that a secret is sent with, done well and badly."""
    password, wrong, typed_as_name = used.password("password"), used.password("wrong password"), f"P{random.token_hex(10)}"
    used.keep("password typed where the name belongs", typed_as_name)
    account = {"username": name, "password": password}
    statuses = []
    cookie_name = f"refresh_token_{client.base_url.port}"

    async def send(method: str, path: str, **options: Any) -> httpx.Response:
        client.cookies.clear()
        answer = await client.request(method, path, **options)
        statuses.append(answer.status_code)
        return answer

    for _ in range(2):
        await send("POST", "/auth/register", json=account)
    await send("POST", "/auth/register", json=account | {"username": name + "2", "password": f"{name}{name}"})
    await send("POST", "/auth/register", json=account | {"extra": wrong})
    await send("POST", "/auth/login", content=f'{{"username": "{name}", "password": "{wrong}"')
    await send("GET", "/auth/login", params=account)
    await send("POST", "/auth/login", data=account | {"grant_type": wrong})
    await send("POST", "/auth/login", json={"username": typed_as_name, "password": wrong})
    await send("POST", "/auth/login", json=account | {"password": wrong})
    signed_in = await send("POST", "/auth/login", json=account)
    await send("POST", "/auth/login", data=account)
    token, cookie = used.token(signed_in), used.cookie(signed_in)
    await send("GET", "/auth/me", headers=bearer(token))
    await send("GET", "/auth/me", headers=bearer(token[:-4] + "AAAA"))
    await send("GET", "/auth/me", params={"access_token": token})
    await send("POST", f"{API}/submit", json={"score": 1}, headers=bearer(token))
    await send("GET", f"{API}/rank/me", params={"access_token": token})
    renewed = await send("POST", "/auth/refresh", headers={"Cookie": f"{cookie_name}={cookie}"})
    used.token(renewed)
    after = used.cookie(renewed)
    used.cookie(await send("POST", "/auth/refresh", headers={"Cookie": f"{cookie_name}={after}"}))
    await send("POST", "/auth/refresh", headers={"Cookie": f"{cookie_name}={cookie}"})  # used before
    await send("POST", "/auth/logout", headers={"Cookie": f"{cookie_name}={after}"})
    await use_a_session_without_a_cookie(send, used, account)
    again = await send("POST", "/auth/login", json=account)
    me = bearer(used.token(again))
    used.cookie(again)
    new = used.password("new password")
    await send("PUT", "/auth/me/password", json={"current_password": wrong, "new_password": new}, headers=me)
    await send("PUT", "/auth/me/password", json={"current_password": password, "new_password": name}, headers=me)
    await send("PUT", "/auth/me/password", json={"current_password": password, "new_password": new}, headers=me)
    await send("PUT", "/auth/me/username", json={"username": f"{name}_2"}, headers=me)
    for path in ("/auth/sessions", "/auth/me/export"):
        await send("GET", path, headers=me)
    await use_keys(send, stack, used, accounts, me["Authorization"].removeprefix("Bearer "))
    account, me = await use_recovery_codes(send, used, {"username": f"{name}_2", "password": new}, me)
    await send("POST", "/auth/me/deletion", json={"password": wrong}, headers=me)
    keep_what_is_stored(stack, used)
    await send("POST", "/auth/me/deletion", json={"password": account["password"]}, headers=me)
    for _ in range(8):
        await send("POST", "/auth/login", json=account | {"password": wrong})
    assert {200, 201, 204, 401, 403, 405, 409, 422, 429} <= set(statuses)
    assert max(statuses) < 500


def keep_what_is_stored(stack: Stack, used: Secrets) -> None:
    """The hashes too: with one somebody could guess on, undisturbed."""
    with stack.mysql.connect(database=stack.database) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT password_hash FROM users WHERE password_hash IS NOT NULL")
        for (stored,) in cursor.fetchall():
            used.keep("hash of a password", stored.rpartition("$")[2])
        cursor.execute("SELECT token_hash FROM refresh_tokens")
        for (stored,) in cursor.fetchall():
            used.keep("hash of a refresh token", stored.hex())
            used.keep("hash of a refresh token", base64.b64encode(stored).decode())
        cursor.execute("SELECT code_hash FROM recovery_codes")
        for (stored,) in cursor.fetchall():
            used.keep("hash of a recovery code", stored.hex())
            used.keep("hash of a recovery code", base64.b64encode(stored).decode())
        cursor.execute("SELECT secret_hash FROM key_secrets")
        for (stored,) in cursor.fetchall():
            used.keep("hash of a key's secret", stored.hex())


async def test_no_log_of_anything_holds_a_secret(
    client: httpx.AsyncClient, stack: Stack, secrets: Mapping[str, str], worker_id: str, accounts: Accounts
) -> None:
    used = Secrets()
    name = f"logged_{worker_id}"
    await use_everything(client, stack, used, name, accounts)
    keep_what_is_stored(stack, used)
    for setting, value in secrets.items():
        used.keep(setting, value.rpartition(":")[2])
    await gateway_log_is_whole(stack)
    logs = {log.name: log.read_text(encoding="utf-8", errors="replace") for log in stack.logs.iterdir()}
    assert {"auth.log", "leaderboard.log", "gateway.log", "mysql.log", "redis.log"} <= logs.keys()
    assert '"logged_in"' in logs["auth.log"]  # it is the log of what was done above
    found = [(file, what) for file, text in logs.items() for what, secret in used.used.items() if secret in text]
    assert found == []
    # Of every other test that used these servers, too.
    shapes = {"access token": r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}", "hash of a password": r"\$argon2\w*\$v="}
    assert [(file, what) for file, text in logs.items() for what, shape in shapes.items() if re.search(shape, text)] == []


async def test_each_event_is_a_line_of_the_log(client: httpx.AsyncClient, stack: Stack, worker_id: str) -> None:
    password, name = random.token_hex(8), f"told_{worker_id}"
    await client.post("/auth/register", json={"username": name, "password": password})
    await client.post("/auth/login", json={"username": name, "password": "wrong horse battery"})
    answer = await client.post("/auth/login", json={"username": name, "password": password})
    user_id = (await client.get("/auth/me", headers=bearer(answer.json()["access_token"]))).json()["user_id"]
    lines = [json.loads(line) for line in stack.log_of("auth").read_text(encoding="utf-8").splitlines() if '"audit"' in line]
    told = [(line["event"], line["level"]) for line in lines if line["user_id"] == user_id]
    assert told == [("registered", "info"), ("login_failed", "warning"), ("logged_in", "info")]
    assert all(line["address"] == "127.0.0.1" and line["request_id"] for line in lines if line["user_id"] == user_id)
