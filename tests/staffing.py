"""Staff in tests of the auth service: a role as an operator gives it, and codes as an authenticator app shows them."""

import argparse
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import jwt
import pyotp

from services.auth import operate
from services.auth.settings import AuthSettings
from tests.signing_in import register, sign_in
from tests.system import bearer

Headers = dict[str, str]


def code_of(secret: str, at: datetime, steps: int = 0) -> str:
    """What an app shows at a time, or so many steps later."""
    return pyotp.TOTP(secret).at(at + timedelta(seconds=30 * steps))


def wrong_code(secret: str, at: datetime) -> str:
    """A code that is none of those that could count."""
    counting = {code_of(secret, at, steps) for steps in range(-3, 4)}
    return next(code for code in map("{:06}".format, range(10)) if code not in counting)


def claims(token: str | Headers) -> dict[str, Any]:
    """What an access token says, or that of a header."""
    text = token if isinstance(token, str) else token["Authorization"].removeprefix("Bearer ")
    read: dict[str, Any] = jwt.decode(text, options={"verify_signature": False})
    return read


def scopes(token: str | Headers) -> set[str]:
    """The scopes of an access token."""
    return set(claims(token).get("scope", "").split())


async def run(settings: AuthSettings, command: str, name: str, **options: object) -> str:
    """Have an operator do it."""
    arguments = {"command": command, "name": name, "everybody": False, "role": "admin"} | options
    return await operate.operate(settings, argparse.Namespace(**arguments))


async def new_staff(client: httpx.AsyncClient, settings: AuthSettings, name: str = "Ada", role: str = "admin") -> Headers:
    """Somebody with a role, signed in with a password alone."""
    await register(client, name)
    await run(settings, "give-role", name, role=role)
    return (await sign_in(client, username=name))[0]


@dataclass(frozen=True)
class Equipped:
    """What somebody has whose second factor is confirmed: the session with it, the app's secret and the staff codes."""

    headers: Headers
    secret: str
    codes: list[str]


async def equip(client: httpx.AsyncClient, headers: Headers, at: datetime) -> Equipped:
    """Set up a second factor in a session, whose code of this time is used by that."""
    begun = await client.post("/auth/me/second-factor", headers=headers)
    assert begun.status_code == 200, begun.text
    secret = begun.json()["secret"]
    code = {"code": code_of(secret, at)}
    confirmed = await client.post("/auth/me/second-factor/confirm", json=code, headers=headers)
    assert confirmed.status_code == 200, confirmed.text
    return Equipped(bearer(confirmed.json()["access_token"]), secret, confirmed.json()["staff_codes"])


async def give_code(client: httpx.AsyncClient, headers: Headers, code: str) -> httpx.Response:
    """Give the second factor in a session."""
    return await client.post("/auth/second-factor", json={"code": code}, headers=headers)
