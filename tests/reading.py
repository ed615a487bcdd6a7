"""The same questions to a service that reads the ranking index and to one that has no Redis: the answers are the same."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

from services.leaderboard.app import create_app
from services.leaderboard.boards.board import Rule
from services.leaderboard.settings import LeaderboardSettings
from services.local.ports import free_port
from tests.boards import ALL, DAY, SEASON, WEEK, define, make, tagged
from tests.playing import API, own_database, submit
from tests.system import Accounts, eventually, rows, serving

MAIN = define("main", aggregate="total", rule=Rule(), max_score=10**9, windows=(ALL, WEEK, DAY))
ALPS = tagged("alps", "alps", direction="ascending", min_score=-1000, show_extra=True, windows=(WEEK, ALL, SEASON))
LAPS = define("laps", metric="laps", aggregate="latest", min_score=-1000, windows=(ALL,))
QUIET = tagged("quiet", "quiet", min_score=-1000, windows=(WEEK, DAY))
# Who drove the alps, and how fast, in the order of their sessions: negative times, and ties.
LAST_WEEK = [(1, 50), (2, -3), (3, 50), (4, 0), (2, -7)]
THIS_WEEK = [(5, 20), (1, -20), (6, 20), (3, 900), (3, 20), (4, 21), (7, -20)]


class Weeks(NamedTuple):
    """The periods of two weeks of the alps."""

    last_week: int
    this_week: int


# Seconds: a busy machine must not fail a test.
PATIENCE = 20.0
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

            await eventually(is_so, PATIENCE)
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

    await eventually(is_read, PATIENCE)


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


def move_to_last_week(mysql: Any, period_id: int) -> None:
    """Have a period be one of last week. For a process that has read its times already, they are what they were."""
    with mysql.cursor() as cursor:
        cursor.execute(
            "UPDATE periods SET starts_at = starts_at - INTERVAL 7 DAY, ends_at = ends_at - INTERVAL 7 DAY, "
            "closes_at = closes_at - INTERVAL 7 DAY WHERE id = %s",
            (period_id,),
        )


async def drive(client: httpx.AsyncClient, accounts: Accounts, driven: Sequence[tuple[int, int]]) -> int:
    """Drive the alps. Gives the week's period."""
    week = 0
    for user_id, score in driven:
        extra = None if score == 50 else {"car": f"{user_id}/{score}"}  # some keep nothing with it
        answer = await submit(client, accounts.new(user_id=user_id), score, boards=["alps"], extra=extra)
        [week] = [each["period_id"] for each in answer["standings"] if each["window"] == "week"]
    return week


def best(driven: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """The rows of the alps: the least score stands first; of equal ones, who reached it first."""
    order: dict[int, tuple[int, int]] = {}
    for number, (user_id, score) in enumerate(driven):
        if user_id not in order or score < order[user_id][0]:
            order[user_id] = score, number
    found = []
    for user_id, (score, _) in sorted(order.items(), key=lambda each: each[1]):
        rank = 1 + sum(other < score for other, _ in order.values())
        row = {"rank": rank, "user_id": user_id, "username": f"player{user_id}", "score": score}
        found.append(row if score == 50 else row | {"extra": {"car": f"{user_id}/{score}"}})
    return found


async def drive_two_weeks(settings: LeaderboardSettings, mysql: Any, accounts: Accounts) -> Weeks:
    """Make the boards, and have the alps driven in the last week and in this one."""
    async with own_database(settings) as database:
        await make(database, MAIN, ALPS, LAPS, QUIET)
    async with serving(create_app(settings)) as client:
        last_week = await drive(client, accounts, LAST_WEEK)
    move_to_last_week(mysql, last_week)
    async with serving(create_app(settings)) as client:
        return Weeks(last_week, await drive(client, accounts, THIS_WEEK))
