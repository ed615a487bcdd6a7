"""The same questions to a service that reads the ranking index and to one that has no Redis: the answers are the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from services.local.ports import free_port
from tests.playing import API
from tests.system import eventually, rows, serving

Both = list[httpx.AsyncClient]
"""The one with Redis, then the one without."""


@asynccontextmanager
async def both_ways(settings: LeaderboardSettings) -> AsyncIterator[Both]:
    """Two services on the same MySQL, for a block: one with Redis, one without."""
    nowhere = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    async with serving(create_app(settings)) as with_redis, serving(create_app(nowhere)) as without:
        for client, wanted in ((with_redis, "ok"), (without, "unavailable")):

            async def is_so(client: httpx.AsyncClient = client, wanted: str = wanted) -> bool:
                return bool((await client.get(f"{API}/health/ready")).json()["checks"]["redis"] == wanted)

            await eventually(is_so)
        yield [with_redis, without]


async def same(both: Both, path: str, **request: Any) -> Any:
    """What both answer, which is held to be the same: status, type and every field.

    So is the tag, but of a page that says its generation, which is not known without Redis.
    """
    one, other = await asyncio.gather(*(client.get(f"{API}{path}", **request) for client in both))
    for header in ("content-type", "cache-control"):
        assert one.headers.get(header) == other.headers.get(header)
    answer, others = one.json(), other.json()
    if "generation" in answer:
        assert answer.pop("generation"), "not read from the index"
        assert others.pop("generation") is None
    else:
        assert one.headers.get("etag") == other.headers.get("etag")
    assert (one.status_code, answer) == (other.status_code, others)
    return answer


async def indexed(both: Both, board: str, **place: str | int) -> None:
    """Return when the service with Redis has an index of a board's place to read."""

    async def is_read() -> bool:
        answer = await both[0].get(f"{API}/boards/{board}/top", params=place)
        return bool(answer.json()["generation"])

    await eventually(is_read)


async def from_mysql(client: httpx.AsyncClient) -> float:
    """How often MySQL was asked for what the index tells otherwise."""
    metrics = (await client.get("/metrics")).text
    return next(float(line.split()[1]) for line in metrics.splitlines() if line.startswith("leaderboard_mysql_answers_total"))


def ranked_at(mysql: Any, board: str, period_id: int) -> list[tuple[int, int, int]]:
    """Every ranked player of a place in the board's order, as MySQL has it: rank, user, score."""
    return rows(
        mysql,
        "SELECT RANK() OVER (ORDER BY s.sort), s.user_id, s.score FROM standings AS s JOIN boards AS b ON b.id = s.board_id "
        "WHERE b.name = %s AND s.period_id = %s AND s.score IS NOT NULL ORDER BY s.sort, s.reached_session_id",
        board,
        period_id,
    )


def make_past(mysql: Any, period_id: int, state: str = "open") -> None:
    """Have a period end now, as if it had begun a day earlier than it is known to. Processes that know it go on as before."""
    with mysql.cursor() as cursor:
        cursor.execute(
            "UPDATE periods SET starts_at = starts_at - INTERVAL 70 DAY, ends_at = ends_at - INTERVAL 70 DAY, "
            "closes_at = closes_at - INTERVAL 70 DAY, state = %s WHERE id = %s",
            (state, period_id),
        )
