"""Exporting and importing by the API: whom it is for, and files."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from services.common import names
from services.common.tokens import Scope
from tests.playing import API
from tests.system import Accounts

NDJSON, CSV = "application/x-ndjson", "text/csv"
STAFF_ID = 901


def add_accounts(mysql: Any, accounts: Mapping[int, str]) -> None:
    """Accounts, as auth writes them down for the board."""
    with mysql.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO account_changes (id, username, username_canonical) VALUES (%s, %s, %s)",
            [(user_id, name, names.canonical(name)) for user_id, name in accounts.items()],
        )


def importer(accounts: Accounts) -> dict[str, str]:
    """The header of a key that may import."""
    return accounts.new_key(Scope.SCORES)


def admin(accounts: Accounts) -> dict[str, str]:
    """The header of an admin."""
    return accounts.new("Root", STAFF_ID, scopes=list(Scope))


def ndjson(*lines: Mapping[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def bring_in(
    client: httpx.AsyncClient, headers: Mapping[str, str], body: bytes, media_type: str = NDJSON, **query: Any
) -> dict[str, Any]:
    """Import a file, which must be read. Gives what is told of it in the end."""
    sent = {**headers, "Content-Type": media_type}
    answer = await client.post(f"{API}/import", content=body, headers=sent, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == NDJSON
    told: dict[str, Any] = json.loads(answer.text.splitlines()[-1])
    return told


def counts(told: Mapping[str, Any]) -> tuple[int, ...]:
    """How many lines were stored, were stored before, were skipped and were refused."""
    assert told["lines"] == told["stored"] + told["repeated"] + told["skipped"] + told["refused"]
    return tuple(told[name] for name in ("stored", "repeated", "skipped", "refused"))


async def take_out(client: httpx.AsyncClient, headers: Mapping[str, str], path: str, **query: Any) -> list[dict[str, Any]]:
    """An export as NDJSON, read."""
    answer = await client.get(f"{API}/{path}", params=query, headers=dict(headers))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == NDJSON
    assert answer.headers["cache-control"] == "no-store"
    return [json.loads(line) for line in answer.text.splitlines()]
