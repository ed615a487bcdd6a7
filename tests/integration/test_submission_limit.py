"""A player may have so many sessions stored and no more, while repeats of what is stored are answered."""

import asyncio
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from tests.playing import API, send
from tests.system import Accounts, assert_problem, rows, serving


@pytest.fixture
def limited(leaderboard_settings: LeaderboardSettings) -> LeaderboardSettings:
    """So slow a limit that a test is over before one more is let through."""
    return leaderboard_settings.model_copy(update={"submissions_per_second": 0.001, "submissions_burst": 10})


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"], ids=["shortcut", "route"])
async def test_beyond_the_burst_a_player_is_told_to_wait_and_nothing_is_stored(
    limited: LeaderboardSettings, mysql: Any, accounts: Accounts, content_type: str
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    async with serving(create_app(limited)) as client:

        async def send_as(headers: dict[str, str]) -> httpx.Response:
            return await client.post(f"{API}/submit", content=b'{"score":1}', headers={**headers, "Content-Type": content_type})

        answers = await asyncio.gather(*(send_as(ada) for _ in range(30)))
        refused = [answer for answer in answers if answer.status_code != 201]
        assert len(refused) == 20
        for answer in refused:
            assert_problem(answer, 429, "too-many-submissions")
            assert 0 < int(answer.headers["retry-after"]) <= 1000
        assert (await send_as(bob)).status_code == 201
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions WHERE user_id = 1") == [(10,)]


async def test_repeats_of_what_is_stored_are_free(limited: LeaderboardSettings, mysql: Any, accounts: Accounts) -> None:
    ada = accounts.new("Ada", 1)
    async with serving(create_app(limited)) as client:
        for number in range(9):
            for again in range(3):
                answer = await send(client, ada, 5, f"run-{number}")
                assert answer.status_code == 201
                assert answer.headers.get("idempotent-replayed") == ("true" if again else None)
        assert (await send(client, ada, 5, "run-9")).status_code == 201
        # The bucket is empty: what is stored is answered, what is not is refused, and another body of a stored key is a 422.
        answers = await asyncio.gather(*(send(client, ada, 5, f"run-{number}") for number in range(12)))
        assert [answer.status_code for answer in answers] == [201] * 10 + [429] * 2
        assert_problem(await send(client, ada, 6, "run-3"), 422, "idempotency-key-reused")
    assert rows(mysql, "SELECT COUNT(*), SUM(score) FROM game_sessions") == [(10, 50)]


async def test_what_was_refused_for_another_reason_is_not_counted(
    limited: LeaderboardSettings, mysql: Any, accounts: Accounts
) -> None:
    ada = accounts.new("Ada", 1)
    async with serving(create_app(limited)) as client:
        assert (await send(client, ada, 1, "first")).status_code == 201
        for _ in range(20):
            assert_problem(await send(client, ada, 2, "first"), 422, "idempotency-key-reused")
        for number in range(9):
            assert (await send(client, ada, 1, f"more-{number}")).status_code == 201


async def test_no_limit_is_none(leaderboard_settings: LeaderboardSettings, mysql: Any, accounts: Accounts) -> None:
    ada = accounts.new("Ada", 1)
    unlimited = leaderboard_settings.model_copy(update={"submissions_per_second": 0.0, "submissions_burst": 1})
    async with serving(create_app(unlimited)) as client:
        answers = await asyncio.gather(*(client.post(f"{API}/submit", json={"score": 1}, headers=ada) for _ in range(150)))
        assert {answer.status_code for answer in answers} == {201}
