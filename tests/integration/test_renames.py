"""A player's new name."""

from collections.abc import Sequence
from typing import Any

import httpx

from services.leaderboard.operate.check import check
from services.leaderboard.settings import LeaderboardSettings
from tests.playing import API, get, play, remove
from tests.system import Accounts, rows


def names(page: dict[str, Sequence[dict[str, Any]]]) -> list[str]:
    return [row["username"] for row in page["top"]]


async def test_a_rename_shows_at_once_and_everywhere(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    await play(leaderboard, ada, 5)
    await play(leaderboard, bob, 3)
    assert names(await get(leaderboard, "top")) == ["Ada", "Bob"]
    renamed = accounts.new('Lady "L" Ærø', 1)
    answer = await leaderboard.put(f"{API}/me", headers=renamed)
    own = {"user_id": 1, "username": 'Lady "L" Ærø', "total_score": 5, "rank": 1}
    assert (answer.status_code, answer.json()) == (200, own)
    assert answer.headers["cache-control"] == "no-store"
    assert names(await get(leaderboard, "top")) == [own["username"], "Bob"]
    for path in ("rank/1", "rank/me"):
        assert await get(leaderboard, path, renamed) == own
    assert (await get(leaderboard, "around/2"))["players"][0]["username"] == own["username"]
    assert rows(mysql, "SELECT score, sessions, version FROM standings WHERE user_id = 1") == [(5, 1, 2)]
    assert await check(leaderboard_settings) == []
    assert (await leaderboard.put(f"{API}/me", headers=renamed)).json() == own
    assert rows(mysql, "SELECT version FROM standings WHERE user_id = 1") == [(2,)]


async def test_names_of_several_words_are_whole_everywhere(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    """Names are kept in texts whose parts have blanks between them."""
    mary, bob = accounts.new("Mary Jane 7", 1), accounts.new("9 1 x", 2)
    await play(leaderboard, mary, 5)
    await play(leaderboard, bob, 3, 2)
    assert names(await get(leaderboard, "top")) == ["Mary Jane 7", "9 1 x"]
    for path, player in (("rank/2", None), ("rank/me", bob)):
        assert (await get(leaderboard, path, player))["username"] == "9 1 x"
    assert [row["username"] for row in (await get(leaderboard, "around/2"))["players"]] == ["Mary Jane 7", "9 1 x"]
    await play(leaderboard, accounts.new("1 2", 1), 1)
    assert names(await get(leaderboard, "top")) == ["1 2", "9 1 x"]
    assert rows(mysql, "SELECT username FROM players ORDER BY user_id") == [("1 2",), ("9 1 x",)]
    await remove(leaderboard, bob)
    assert names(await get(leaderboard, "top")) == ["1 2"]
    assert await check(leaderboard_settings) == []


async def test_a_name_is_kept_only_of_who_is_on_the_board(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    await play(leaderboard, bob, 3)
    await remove(leaderboard, bob)
    for user_id, player in ((1, ada), (2, bob)):
        answer = await leaderboard.put(f"{API}/me", headers=player)
        name = "Ada" if user_id == 1 else "Bob"
        assert answer.json() == {"user_id": user_id, "username": name, "total_score": 0, "rank": None}
    assert rows(mysql, "SELECT COUNT(*) FROM players") == [(0,)]
    assert rows(mysql, "SELECT user_id, score, version FROM standings") == [(2, None, 2)]
