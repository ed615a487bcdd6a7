"""Moderating by the API: what staff do about what others played."""

from typing import Any

import httpx

from services.common.tokens import Scope
from tests.playing import API
from tests.system import Accounts

STAFF_ID = 900
WHY = "faster than the car can go"


def moderator(accounts: Accounts) -> dict[str, str]:
    """The header of one of staff."""
    return accounts.new("Moira", STAFF_ID, scopes=[Scope.MODERATE])


async def act(client: httpx.AsyncClient, headers: dict[str, str], path: str, reason: str | None = WHY) -> dict[str, Any]:
    """Do something, which must be done."""
    body = None if reason is None else {"reason": reason}
    response = await client.post(f"{API}/{path}", json=body, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    answer: dict[str, Any] = response.json()
    return answer


async def void(client: httpx.AsyncClient, headers: dict[str, str], session_id: int) -> dict[str, Any]:
    return await act(client, headers, f"sessions/{session_id}/void")


async def restore(client: httpx.AsyncClient, headers: dict[str, str], session_id: int) -> dict[str, Any]:
    return await act(client, headers, f"sessions/{session_id}/restore", None)


async def approve(client: httpx.AsyncClient, headers: dict[str, str], session_id: int) -> dict[str, Any]:
    return await act(client, headers, f"sessions/{session_id}/approve", None)


async def held(client: httpx.AsyncClient, headers: dict[str, str], board: str | None = None) -> list[dict[str, Any]]:
    """The queue of what somebody is to look at, of a board or of all: a page of it."""
    answer = await client.get(f"{API}/holds", params={} if board is None else {"board": board}, headers=headers)
    assert answer.status_code == 200, answer.text
    queue: list[dict[str, Any]] = answer.json()["holds"]
    return queue


async def report(client: httpx.AsyncClient, headers: dict[str, str], session_id: int, reason: str | None = None) -> None:
    """Report a session, which must be done."""
    body = None if reason is None else {"reason": reason}
    answer = await client.post(f"{API}/sessions/{session_id}/report", json=body, headers=headers)
    assert (answer.status_code, answer.content) == (204, b""), answer.text


async def ban(client: httpx.AsyncClient, headers: dict[str, str], user_id: int) -> dict[str, Any]:
    return await act(client, headers, f"players/{user_id}/ban")


async def unban(client: httpx.AsyncClient, headers: dict[str, str], user_id: int) -> dict[str, Any]:
    return await act(client, headers, f"players/{user_id}/unban", None)
