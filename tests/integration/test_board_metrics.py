"""What Prometheus is told of the board: whether Redis is used, and how submissions are stored."""

import asyncio
import re

import httpx

from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from tests.playing import API
from tests.system import Accounts, eventually, serving


async def read(client: httpx.AsyncClient) -> dict[str, float]:
    """The board's own metrics."""
    text = (await client.get("/metrics")).text
    return {name: float(value) for name, value in re.findall(r"^leaderboard_(\w+) (\S+)$", text, re.MULTILINE)}


async def test_they_tell_how_many_submissions_shared_how_many_groups(
    leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    tokens = [accounts.new(f"player{number}", number) for number in range(1, 41)]
    sent = (leaderboard.post(f"{API}/submit", json={"score": 1}, headers=token) for token in tokens)
    assert {answer.status_code for answer in await asyncio.gather(*sent)} == {201}
    found = await read(leaderboard)
    assert found["sessions_total"] == 40
    assert 1 <= found["groups_total"] <= 20
    assert found["sessions_waiting"] == 0


async def test_they_tell_whether_ranks_come_from_redis_and_how_many_answers_did_not(
    leaderboard: httpx.AsyncClient, leaderboard_settings: LeaderboardSettings, accounts: Accounts
) -> None:
    ada = accounts.new("Ada", 1)
    assert (await leaderboard.post(f"{API}/submit", json={"score": 1}, headers=ada)).status_code == 201

    async def in_use() -> bool:
        return (await read(leaderboard))["index_in_use"] == 1

    await eventually(in_use)
    before = (await read(leaderboard))["mysql_answers_total"]
    assert (await leaderboard.get(f"{API}/rank/1")).status_code == 200
    assert (await read(leaderboard))["mysql_answers_total"] == before
    without = leaderboard_settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with serving(create_app(without)) as client:
        assert (await client.get(f"{API}/rank/1")).status_code == 200
        found = await read(client)
        assert (found["index_in_use"], found["mysql_answers_total"]) == (0, 1)


async def test_they_tell_how_long_the_rounds_of_the_follower_take(leaderboard: httpx.AsyncClient) -> None:
    before = await read(leaderboard)

    async def more_rounds() -> bool:
        return (await read(leaderboard))["follower_round_seconds_count"] > before["follower_round_seconds_count"]

    await eventually(more_rounds)
    assert (await read(leaderboard))["follower_round_seconds_sum"] > before["follower_round_seconds_sum"]


async def test_an_application_can_be_started_again(leaderboard_settings: LeaderboardSettings, mysql: object) -> None:
    app = create_app(leaderboard_settings)
    for _ in range(2):
        async with serving(app) as client:
            assert "index_in_use" in await read(client)
