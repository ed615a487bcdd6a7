"""With and without Redis the answers are the same, field by field."""

from collections.abc import AsyncIterator
from functools import partial
from random import Random
from typing import Any

import httpx
import pytest

from services.leaderboard.settings import LeaderboardSettings
from tests.playing import API
from tests.ranked import put, random_standings, ranked
from tests.reading import Both, both_ways, same
from tests.system import Accounts, eventually

PLAYERS = 400


@pytest.fixture
async def both(leaderboard_settings: LeaderboardSettings, mysql: Any) -> AsyncIterator[Both]:
    """Two services on the same standings: one with Redis, one without."""
    put(mysql, random_standings(PLAYERS, Random(4)))
    async with both_ways(leaderboard_settings) as both:
        yield both


async def test_every_page_is_the_same(both: Both, mysql: Any) -> None:
    expected = ranked(mysql)
    for limit in (1, 7, 100):
        for offset in (0, 1, 5, 50, 99, len(expected) - 3, len(expected), PLAYERS, 2**31 - 1):
            page = await same(both, f"/top?limit={limit}&offset={offset}")
            rows = [(row["rank"], row["user_id"], row["total_score"]) for row in page.pop("top")]
            assert rows == expected[offset : offset + limit]
            assert page == {"limit": limit, "offset": offset, "total_players": len(expected)}


async def test_every_rank_is_the_same(both: Both, accounts: Accounts) -> None:
    for user_id in [*range(1, PLAYERS, 9), PLAYERS + 1]:
        answer = await same(both, f"/rank/{user_id}")
        own = await same(both, "/rank/me", headers=accounts.new(f'näme"{user_id}\\', user_id))
        assert own == answer or (answer["status"], own["rank"]) == (404, None)


async def test_all_neighbours_are_the_same(both: Both, mysql: Any) -> None:
    expected = ranked(mysql)
    for place in [0, 1, 4, *range(10, len(expected), 23), len(expected) - 1]:
        for radius in (1, 5, 50):
            answer = await same(both, f"/around/{expected[place][1]}?radius={radius}")
            rows = [(row["rank"], row["user_id"], row["total_score"]) for row in answer["players"]]
            assert rows == expected[max(0, place - radius) : place + radius + 1]
    await same(both, f"/around/{PLAYERS + 1}")


async def test_a_submission_is_answered_alike(both: Both, accounts: Accounts) -> None:
    ada = accounts.new("Ada", 10_000)
    for number, client in enumerate([*both, *both]):
        answer = (await client.post(f"{API}/submit", json={"score": 5}, headers=ada)).json()
        assert answer["total_score"] == 5 * (number + 1)
        assert answer["rank"] == (await both[1].get(f"{API}/rank/10000")).json()["rank"]
        assert answer["rank"] == (await both[0].get(f"{API}/rank/me", headers=ada)).json()["rank"]


async def all_same(both: Both, user_id: int, headers: dict[str, str]) -> None:
    """Hold everything that tells of a player, or of who stands next to them, to be the same."""
    for path in ("/top", "/top?limit=100", "/top?limit=100&offset=100", f"/rank/{user_id}", f"/around/{user_id}"):
        await same(both, path)
    for path in ("/rank/me", "/around/me", "/sessions/me", "/me/export"):
        await same(both, path, headers=headers)


async def test_who_leaves_and_who_is_renamed_is_so_in_both(both: Both, mysql: Any, accounts: Accounts) -> None:
    with_redis, without = both
    leaders = ranked(mysql)[:4]
    for process, (_, user_id, _) in zip([*both, *both], leaders, strict=True):
        player = accounts.new(f"new name {user_id}", user_id)
        assert (await process.put(f"{API}/me", headers=player)).status_code == 200
        if process is without:  # which cannot tell the index: it hears within a second
            await eventually(partial(shows, with_redis, f"new name {user_id}"), 2)
        await all_same(both, user_id, player)
        assert (await process.delete(f"{API}/me", headers=player)).status_code == 204
        if process is without:
            await eventually(partial(gone, with_redis, user_id), 2)
        await all_same(both, user_id, player)
    expected = [(rank, user_id) for rank, user_id, _ in ranked(mysql)]
    page = await same(both, "/top?limit=100")
    assert [(row["rank"], row["user_id"]) for row in page["top"]] == expected[:100]


async def shows(client: httpx.AsyncClient, name: str) -> bool:
    return name in (await client.get(f"{API}/top?limit=100")).text


async def gone(client: httpx.AsyncClient, user_id: int) -> bool:
    return (await client.get(f"{API}/rank/{user_id}")).status_code == 404


async def test_a_page_that_the_client_has_is_not_sent_again(both: Both, accounts: Accounts) -> None:
    with_redis, without = both
    page = await with_redis.get(f"{API}/top")
    etag = page.headers["etag"]
    for client in both:  # whoever rendered it
        for given in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
            unchanged = await client.get(f"{API}/top", headers={"If-None-Match": given})
            assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    for path in ("/top?limit=11", "/top?offset=1"):
        assert (await with_redis.get(f"{API}{path}", headers={"If-None-Match": etag})).status_code == 200
    assert (await with_redis.get(f"{API}/top", headers={"If-None-Match": '"other"'})).content == page.content
    await with_redis.post(f"{API}/submit", json={"score": 1}, headers=accounts.new("Ada", 10_000))
    for client in both:
        assert (await client.get(f"{API}/top", headers={"If-None-Match": etag})).status_code == 200
    assert without is both[1]
