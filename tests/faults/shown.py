"""What is shown while servers are mistreated."""

import httpx

from tests.playing import API
from tests.system import eventually


async def names(client: httpx.AsyncClient) -> list[str]:
    """Who is on the first page, in order."""
    return [row["username"] for row in (await client.get(f"{API}/top")).json()["top"]]


async def leader(client: httpx.AsyncClient) -> int:
    """The first player's total, which the tests only let grow."""
    response = await client.get(f"{API}/top")
    assert response.status_code == 200, response.text
    total: int = response.json()["top"][0]["total_score"]
    return total


async def redis_in_use(client: httpx.AsyncClient, wanted: bool = True) -> None:
    """Wait until the process says so."""

    async def is_so() -> bool:
        checks: dict[str, str] = (await client.get(f"{API}/health/ready")).json()["checks"]
        return (checks["redis"] == "ok") == wanted

    await eventually(is_so, 10)


async def shows(client: httpx.AsyncClient, total: int) -> None:
    """Wait until the process shows the leader's total: within a second, also where it was not told at once."""

    async def is_so() -> bool:
        return await leader(client) == total

    await eventually(is_so, 1)
