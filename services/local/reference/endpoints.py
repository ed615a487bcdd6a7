"""The endpoints of both services, as their OpenAPI documents have them."""

from collections.abc import Iterator, Sequence
from functools import cache
from secrets import token_urlsafe
from typing import Any

from pydantic import SecretStr

from services.auth.app import create_app as create_auth
from services.auth.settings import AuthSettings
from services.leaderboard.app import create_app as create_leaderboard
from services.leaderboard.settings import LeaderboardSettings


def endpoint_rows(tag: str) -> Iterator[Sequence[str]]:
    """A head, and a row for each endpoint of a tag."""
    yield "endpoint", "does", "for"
    for document in _documents():
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag in operation["tags"]:
                    yield f"`{method.upper()} {path}`", operation["summary"], _whom(operation)


def tags() -> set[str]:
    """What endpoints are grouped by."""
    paths = [operations for document in _documents() for operations in document["paths"].values()]
    return {tag for operations in paths for operation in operations.values() for tag in operation["tags"]}


@cache
def _documents() -> tuple[dict[str, Any], ...]:
    # Nothing is started: secrets of nobody are enough.
    keys, password = SecretStr(f"k1:{token_urlsafe(32)}"), SecretStr(token_urlsafe(32))
    auth = AuthSettings(jwt_keys=keys, encryption_keys=keys, auth_mysql_password=password)
    leaderboard = LeaderboardSettings(jwt_keys=keys, encryption_keys=keys, leaderboard_mysql_password=password)
    return create_auth(auth).openapi(), create_leaderboard(leaderboard).openapi()


def _whom(operation: dict[str, Any]) -> str:
    """Who may call it: anybody, whoever is signed in, or who has one of some scopes."""
    allowed = [scopes for each in operation.get("security", [{}]) for scopes in each.values() or [None]]
    told = ["anybody" if scopes is None else f"`{scopes[0]}`" if scopes else "signed in" for scopes in allowed]
    return ", or ".join(told)
