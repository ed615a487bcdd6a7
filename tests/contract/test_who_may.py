"""Who may do what: every operation of both documents, by everybody there is, is answered as its `security` tells.

An operation without `security` is open to all. `AccessToken` without scopes is for users, with scopes for whoever has them. Of
several alternatives one is enough.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import jwt
import pytest

from services.common.tokens import Scope
from tests.signing_in import give_role, register, sign_in
from tests.system import Accounts, bearer, rows

Client = httpx.AsyncClient

# What paths are filled with, by the name of the parameter. Others are numbers, or names that fit none.
PATHS = {
    "board": "main",
    "window": "all",
    "client_id": f"key-{'a' * 26}",
    "session_id": str(uuid.UUID(int=1)),
    "provider": "steam",
    "external_id": "76561197960287930",
}
KEY_SCOPES = [scope for scope in Scope if scope is not Scope.ADMIN]
REFUSALS = {"unauthenticated", "not-for-keys", "insufficient-scope"}
"""What says that a caller may not. Whatever else is answered has let them through."""


@dataclass(frozen=True)
class Someone:
    """A caller: by what they are called here, whether they are a user, with which scopes, and how they begin a session."""

    name: str
    is_user: bool
    scopes: frozenset[Scope]
    sign_in: Callable[[], Awaitable[dict[str, str]]]


@pytest.fixture
def callers(auth: Client, accounts: Accounts, mysql: Any) -> list[Someone]:
    """One of each kind. Each time one is asked for another, since what some operations do is to end a session."""
    numbers = count()

    async def player() -> dict[str, str]:
        name = f"Who{next(numbers)}"
        assert (await register(auth, name)).status_code == 201
        return (await sign_in(auth, username=name))[0]

    async def guest() -> dict[str, str]:
        answer = await auth.post("/auth/guest", json={"session": "token"})
        assert answer.status_code == 201
        return bearer(answer.json()["access_token"])

    def staff(role: str, *scopes: Scope) -> Someone:
        async def sign_in_with_role() -> dict[str, str]:
            token = (await player())["Authorization"].removeprefix("Bearer ")
            claims = jwt.decode(token, options={"verify_signature": False})
            session = uuid.UUID(claims["sid"])
            give_role(mysql, int(claims["sub"]), session, role)
            return accounts.new(claims["name"], int(claims["sub"]), scopes=scopes, session_id=session)

        return Someone(role, True, frozenset(scopes), sign_in_with_role)

    def key(name: str, *scopes: Scope) -> Someone:
        async def sign_in_with_key() -> dict[str, str]:
            header = accounts.new_key(*scopes)
            _keep_key(mysql, header, *scopes)
            return header

        return Someone(name, False, frozenset(scopes), sign_in_with_key)

    return [
        Someone("player", True, frozenset(), player),
        Someone("guest", True, frozenset(), guest),
        staff("moderator", Scope.MODERATE),
        staff("admin", *Scope),
        key("key without a scope"),
        *(key(f"key with {scope}", scope) for scope in KEY_SCOPES),
        key("key with every scope", *KEY_SCOPES),
    ]


def _keep_key(mysql: Any, header: dict[str, str], *scopes: Scope) -> None:
    """As auth writes it down, which looks whether a key is live. None is made without a scope: only its token may lack one."""
    claims = jwt.decode(header["Authorization"].removeprefix("Bearer "), options={"verify_signature": False})
    statement = "INSERT INTO api_keys (client_id, name, scopes, created_at) VALUES (%s, 'who', %s, NOW(6))"
    rows(mysql, statement, claims["client_id"], " ".join(scopes or KEY_SCOPES))


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    alternatives: list[frozenset[str]] | None
    """Of each the scopes that it asks for: none, where it is for users. None: it is open to all."""

    def refusal(self, someone: Someone | None) -> str | None:
        """With which problem somebody is refused; None, if they may."""
        if self.alternatives is None:
            return None
        if someone is None:
            return "unauthenticated"
        if any(scopes <= someone.scopes if scopes else someone.is_user for scopes in self.alternatives):
            return None
        return "insufficient-scope" if any(self.alternatives) else "not-for-keys"


def _filled(path: str, parameters: list[dict[str, Any]]) -> str:
    for parameter in parameters:
        if parameter["in"] == "path":
            usual = "1" if parameter["schema"].get("type") == "integer" else "a"
            path = path.replace(f"{{{parameter['name']}}}", PATHS.get(parameter["name"], usual))
    return path


async def operations(client: Client, prefix: str) -> list[Operation]:
    """All that a service's document has."""
    document = (await client.get(f"{prefix}/openapi.json")).json()
    found = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            security = operation.get("security")
            alternatives = None
            if security is not None and {} not in security:  # which is that nothing is needed
                assert all(each.keys() == {"AccessToken"} for each in security), (method, path, security)
                alternatives = [frozenset(each["AccessToken"]) for each in security]
                assert set().union(*alternatives) <= set(Scope), (method, path, security)
            if "text/event-stream" in operation["responses"].get("200", {}).get("content", {}):
                method = "head"  # noqa: PLW2901 - else it would be read for ten minutes
            found.append(Operation(method.upper(), _filled(path, operation.get("parameters", [])), alternatives))
    return found


async def _answer(client: Client, operation: Operation, headers: dict[str, str]) -> tuple[int, str]:
    """The status, and the problem's type where it is one."""
    client.cookies.clear()
    answer = await client.request(operation.method, operation.path, headers=headers)
    problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:problem:") if problem else ""


@pytest.mark.parametrize(("service", "prefix"), [("auth", "/auth"), ("leaderboard", "/api/leaderboard")])
async def test_everybody_may_do_what_the_document_says_and_nothing_else(
    auth: Client, leaderboard: Client, callers: list[Someone], service: str, prefix: str
) -> None:
    client = {"auth": auth, "leaderboard": leaderboard}[service]
    wrong = []
    asked = set()
    for operation in await operations(client, prefix):
        nobody = await _answer(client, operation, {})
        if nobody[1] in REFUSALS if operation.alternatives is None else nobody != (401, "unauthenticated"):
            wrong.append((operation.method, operation.path, "nobody", nobody))
        for someone in callers:
            answer = await _answer(client, operation, await someone.sign_in())
            expected = operation.refusal(someone)
            asked.add(expected)
            as_expected = answer[1] not in REFUSALS if expected is None else answer == (403, expected)
            if not as_expected:
                wrong.append((operation.method, operation.path, someone.name, answer))
    assert wrong == []
    assert asked >= {None, "not-for-keys"}
