"""Results of periods over HTTP: page by page, of one player, and rehearsed by staff."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.common.tokens import Scope
from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from tests.moderating import ban, moderator
from tests.playing import API, remove
from tests.seasons import Cup, digest_of, make_cup, over, results_of, stand
from tests.system import Accounts, assert_problem, eventually, rows, serving

SCORES = 9, 7, 9, 3, 7, 1, 1, 0


@pytest.fixture
async def cup(leaderboard_database: Database, mysql: Any) -> Cup:
    return await make_cup(leaderboard_database, mysql)


@pytest.fixture
async def service(leaderboard_settings: LeaderboardSettings, cup: Cup) -> AsyncIterator[httpx.AsyncClient]:
    """The service, which keeps six results."""
    async with serving(create_app(leaderboard_settings.model_copy(update={"results": 6}))) as client:
        yield client


async def is_settled(mysql: Any, period_id: int) -> None:
    """Return when the service has done it."""

    async def settled() -> bool:
        return rows(mysql, "SELECT state FROM periods WHERE id = %s", period_id) == [("settled",)]

    await eventually(settled)


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(f"{API}{path}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def test_they_are_read_page_by_page(service: httpx.AsyncClient, mysql: Any, cup: Cup) -> None:
    period_id = over(mysql, cup, *SCORES)
    await is_settled(mysql, period_id)
    path = f"/boards/cup/periods/{period_id}/results"
    whole = await get(service, path)
    rows_ = [(each["rank"], each["user_id"], each["score"], each["reward"]) for each in whole["results"]]
    assert rows_ == results_of(mysql, period_id)
    assert [(each["rank"], each["reward"]) for each in whole["results"]] == [
        *[(1, "gold")] * 2,
        *[(3, "silver")] * 2,
        *[(5, "present"), (6, "present")],
    ]
    assert [each["username"] for each in whole["results"]] == [f"player{user_id}" for _, user_id, *_ in rows_]
    assert (whole["next_cursor"], whole["players"], whole["digest"]) == (None, 8, digest_of(rows_))
    assert [(each["name"], each["last_rank"], each["cutoff_score"]) for each in whole["rewards"]] == [
        ("gold", 1, 9),
        ("silver", 3, 7),
        ("present", 8, 0),
    ]
    for limit in (1, 2, 3, 4, 5, 6):
        sizes: list[int] = []
        read: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = await get(service, path, limit=limit, **cursor)
            sizes.append(len(page["results"]))
            read += page["results"]
            assert {**page, "results": [], "next_cursor": None} == {**whole, "results": []}
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert read == whole["results"]
        assert set(sizes[:-1]) <= {limit}


async def test_of_one_player_beyond_those_that_are_kept_the_reward_that_the_score_reached_is_told(
    service: httpx.AsyncClient, mysql: Any, cup: Cup
) -> None:
    period_id = over(mysql, cup, *SCORES)
    await is_settled(mysql, period_id)
    path = f"/boards/cup/periods/{period_id}/results"
    whole = await get(service, path)
    for each in whole["results"]:
        assert await get(service, f"{path}/{each['user_id']}") == each
    shared = {"rank": 6, "user_id": 7, "username": "player7", "score": 1, "reward": "present"}
    assert await get(service, f"{path}/7") == shared
    assert (await get(service, f"{path}/8"))["rank"] == 8
    assert_problem(await service.get(f"{API}{path}/9"), 404, "player-not-found")


async def test_of_a_period_whose_results_are_all_kept_nobody_else_is_told(
    service: httpx.AsyncClient, mysql: Any, cup: Cup
) -> None:
    period_id = over(mysql, cup, 5, 4)
    await is_settled(mysql, period_id)
    stand(mysql, cup, period_id, {3: 9})
    assert_problem(await service.get(f"{API}/boards/cup/periods/{period_id}/results/3"), 404, "player-not-found")


async def test_who_leaves_has_no_name_any_more_and_the_results_and_their_digest_stay(
    service: httpx.AsyncClient, mysql: Any, cup: Cup, accounts: Accounts
) -> None:
    period_id = over(mysql, cup, *SCORES)
    await is_settled(mysql, period_id)
    path = f"/boards/cup/periods/{period_id}/results"
    before = await get(service, path)
    await remove(service, accounts.new("player3", 3))
    after = await get(service, path)
    left = before["results"][1]
    assert left["user_id"] == 3
    left["username"] = None
    assert after == before
    assert await get(service, f"{path}/3") == left


async def test_a_period_that_is_not_settled_has_none(service: httpx.AsyncClient, mysql: Any, cup: Cup) -> None:
    running = over(mysql, cup, *SCORES, hours_ago=0, state="open")
    for path in ("results", "results/1"):
        assert_problem(await service.get(f"{API}/boards/cup/periods/{running}/{path}"), 409, "period-not-settled")


async def test_what_is_not_there_is_told_so(service: httpx.AsyncClient, mysql: Any, cup: Cup, accounts: Accounts) -> None:
    period_id, another = over(mysql, cup, *SCORES), over(mysql, cup, *SCORES, hours_ago=2)
    await is_settled(mysql, another)
    await is_settled(mysql, period_id)
    staff = accounts.new(scopes=[Scope.MODERATE])
    for board, period, kind in (
        ("nowhere", period_id, "board-not-found"),
        ("main", period_id, "period-not-found"),
        ("cup", period_id + another, "period-not-found"),
        ("cup", 2**32 - 1, "period-not-found"),
    ):
        path = f"{API}/boards/{board}/periods/{period}"
        for read in ("results", "results/1"):
            assert_problem(await service.get(f"{path}/{read}"), 404, kind)
        assert_problem(await service.post(f"{path}/rehearsal", headers=staff), 404, kind)
    cursor = (await get(service, f"/boards/cup/periods/{another}/results", limit=1))["next_cursor"]
    for query in ({"cursor": cursor}, {"cursor": "x"}, {"limit": 0}, {"limit": 1001}):
        answer = await service.get(f"{API}/boards/cup/periods/{period_id}/results", params=query)
        assert_problem(answer, 422)
    for bad in ("0", "x", str(2**32), "-1"):
        assert_problem(await service.get(f"{API}/boards/cup/periods/{bad}/results"), 422)


async def test_staff_rehearse_what_settling_would_give(
    service: httpx.AsyncClient, leaderboard_database: Database, mysql: Any, cup: Cup, accounts: Accounts
) -> None:
    running = over(mysql, cup, *SCORES, hours_ago=0, state="open")
    path = f"/boards/cup/periods/{running}"
    for headers in (accounts.new(scopes=[Scope.MODERATE]), accounts.new_key(Scope.MODERATE)):
        answer = await service.post(f"{API}{path}/rehearsal", headers=headers)
        assert answer.status_code == 200, answer.text
    rehearsed = answer.json()
    first = (await service.post(f"{API}{path}/rehearsal?limit=2", headers=headers)).json()
    assert first == {**rehearsed, "results": rehearsed["results"][:2]}
    assert rows(mysql, "SELECT (SELECT COUNT(*) FROM results), (SELECT COUNT(*) FROM events)") == [(0, 0)]
    rows(mysql, "UPDATE periods SET closes_at = NOW(6), state = 'closed' WHERE id = %s", running)
    await is_settled(mysql, running)
    settled = await get(service, f"{path}/results")
    for name in ("settled_at", "next_cursor"):
        del settled[name]
    assert rehearsed == settled
    assert (await service.post(f"{API}{path}/rehearsal", headers=headers)).json() == settled


async def test_nobody_else_rehearses(service: httpx.AsyncClient, mysql: Any, cup: Cup, accounts: Accounts) -> None:
    running = over(mysql, cup, *SCORES, hours_ago=0, state="open")
    path = f"{API}/boards/cup/periods/{running}/rehearsal"
    assert_problem(await service.post(path), 401)
    for headers in (accounts.new(), accounts.new(scopes=[Scope.BOARDS]), accounts.new_key(Scope.SCORES)):
        assert_problem(await service.post(path, headers=headers), 403, "insufficient-scope")


async def test_a_process_tells_how_many_periods_wait_to_be_settled(
    service: httpx.AsyncClient, mysql: Any, cup: Cup, other: Any
) -> None:
    period_id = over(mysql, cup, *SCORES, state="open", hours_ago=0)

    async def waiting(count: int) -> bool:
        return f"leaderboard_periods_waiting {count}.0" in (await service.get("/metrics")).text

    assert await waiting(0)
    rows(mysql, "UPDATE periods SET closes_at = NOW(6) + INTERVAL 2 SECOND WHERE id = %s", period_id)
    other.execute("SELECT state FROM periods FORCE INDEX (PRIMARY) WHERE id = %s LOCK IN SHARE MODE", (period_id,))
    await eventually(lambda: waiting(1))
    other.connection.commit()
    await eventually(lambda: waiting(0))
    await is_settled(mysql, period_id)


async def test_who_left_is_nameless_though_banned(service: httpx.AsyncClient, mysql: Any, cup: Cup, accounts: Accounts) -> None:
    """Of one who is banned a row is kept, also when they have left."""
    period_id = over(mysql, cup, *SCORES)
    await is_settled(mysql, period_id)
    await ban(service, moderator(accounts), 1)
    path = f"/boards/cup/periods/{period_id}/results"
    assert (await get(service, f"{path}/1"))["username"] == "player1"
    await remove(service, accounts.new("player1", 1))
    assert rows(mysql, "SELECT username FROM players WHERE user_id = 1") == [("",)]
    assert (await get(service, f"{path}/1"))["username"] is None
    assert (await get(service, path))["results"][0]["username"] is None
