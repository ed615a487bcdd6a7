"""Moderating by the API: what staff do about what others played."""

from typing import Any

import httpx

from services.common.tokens import Scope
from tests.playing import API, get
from tests.system import Accounts, eventually

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


async def begin(client: httpx.AsyncClient, headers: dict[str, str], **wanted: Any) -> dict[str, Any]:
    """Have a job void what fits a filter."""
    response = await client.post(f"{API}/void-jobs", json={"filter": wanted, "reason": WHY}, headers=headers)
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    assert response.headers["location"] == f"{API}/void-jobs/{job['job_id']}"
    return job


async def finish(client: httpx.AsyncClient, headers: dict[str, str], job_id: int, seconds: float = 60) -> dict[str, Any]:
    """Wait for the end of a job."""
    job: dict[str, Any] = {}

    async def has_ended() -> bool:
        job.update(await get(client, f"void-jobs/{job_id}", headers))
        return job["finished_at"] is not None

    await eventually(has_ended, seconds)
    return job


async def void_many(client: httpx.AsyncClient, headers: dict[str, str], **wanted: Any) -> dict[str, Any]:
    """The same, to its end."""
    return await finish(client, headers, (await begin(client, headers, **wanted))["job_id"])


async def undo(client: httpx.AsyncClient, headers: dict[str, str], job_id: int) -> dict[str, Any]:
    """Have a job restore what it has voided, to its end."""
    response = await client.post(f"{API}/void-jobs/{job_id}/undo", json={"reason": "it was the wrong build"}, headers=headers)
    assert response.status_code == 202, response.text
    return await finish(client, headers, job_id)


async def preview(client: httpx.AsyncClient, headers: dict[str, str], **wanted: Any) -> dict[str, Any]:
    """What such a job would void."""
    response = await client.post(f"{API}/void-jobs/preview", json={"filter": wanted}, headers=headers)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found
