"""A player among those who stand next to them."""

from typing import Any

import httpx
import pytest

from tests.playing import API
from tests.system import Accounts, assert_problem


@pytest.fixture
async def players(leaderboard: httpx.AsyncClient, accounts: Accounts) -> dict[int, dict[str, str]]:
    """Nine players in the order of their ids, three and three of the same total. Their tokens by id."""
    tokens = {user_id: accounts.new(user_id=user_id) for user_id in range(1, 10)}
    for user_id, token in tokens.items():
        submitted = await leaderboard.post(f"{API}/submit", json={"score": 30 - 10 * ((user_id - 1) // 3)}, headers=token)
        assert submitted.status_code == 201
    return tokens


async def around(client: httpx.AsyncClient, path: str, **request: Any) -> list[tuple[int, int]]:
    """Ranks and ids."""
    response = await client.get(f"{API}/around/{path}", **request)
    assert response.status_code == 200, response.text
    return [(row["rank"], row["user_id"]) for row in response.json()["players"]]


async def test_the_player_is_in_the_middle_and_ties_share_their_rank(
    leaderboard: httpx.AsyncClient, players: dict[int, dict[str, str]]
) -> None:
    rows = await around(leaderboard, "5?radius=2")
    assert rows == [(1, 3), (4, 4), (4, 5), (4, 6), (7, 7)]
    assert await around(leaderboard, "me?radius=2", headers=players[5]) == rows
    assert await around(leaderboard, "5?radius=1") == [(4, 4), (4, 5), (4, 6)]


@pytest.mark.usefixtures("players")
async def test_at_an_end_of_the_board_there_are_fewer(leaderboard: httpx.AsyncClient) -> None:
    assert await around(leaderboard, "1?radius=2") == [(1, 1), (1, 2), (1, 3)]
    assert await around(leaderboard, "9?radius=2") == [(7, 7), (7, 8), (7, 9)]
    everyone = await around(leaderboard, "4")
    assert [user_id for _, user_id in everyone] == list(range(1, 10))  # five on either side unless asked otherwise


@pytest.mark.usefixtures("players")
async def test_its_rows_are_those_of_the_page(leaderboard: httpx.AsyncClient) -> None:
    page = (await leaderboard.get(f"{API}/top?limit=5&offset=2")).json()["top"]
    assert (await leaderboard.get(f"{API}/around/5?radius=2")).json() == {"players": page}


async def test_one_who_never_played_is_not_found(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    assert_problem(await leaderboard.get(f"{API}/around/77"), 404, "player-not-found")
    assert_problem(await leaderboard.get(f"{API}/around/me", headers=accounts.new(user_id=77)), 404, "player-not-found")
    assert_problem(await leaderboard.get(f"{API}/around/me"), 401, "unauthenticated")


@pytest.mark.parametrize("radius", ["0", "51", "-1", "1.0", "x", ""])
async def test_a_radius_is_one_to_fifty(leaderboard: httpx.AsyncClient, radius: str) -> None:
    assert_problem(await leaderboard.get(f"{API}/around/1", params={"radius": radius}), 422, "invalid-request")
