"""Where a player stands: in every place that goes on."""

from dataclasses import replace
from typing import Any

from services.leaderboard.settings import LeaderboardSettings
from tests.boards import define, make
from tests.playing import API, own_database, remove, submit
from tests.reading import LAPS, Both, Weeks, from_mysql, ranked_at, same
from tests.system import Accounts, eventually, rows


async def test_a_player_stands_in_every_place_that_goes_on(
    services: Both, weeks: Weeks, leaderboard_settings: LeaderboardSettings, mysql: Any, accounts: Accounts
) -> None:
    await submit(services[0], accounts.new(user_id=1), 12, boards=["main", "laps"], metrics={"laps": -0})
    await submit(services[0], accounts.new(user_id=2), 13, boards=["main", "laps"], metrics={"laps": 5})
    found = (await same(services, "/players/1/standings"))["standings"]
    places = rows(
        mysql, "SELECT b.name, s.period_id FROM standings AS s JOIN boards AS b ON b.id = s.board_id WHERE s.user_id = 1"
    )
    kept = [place for place in places if place != ("alps", weeks.last_week)]
    assert [(each["board"], each["period_id"]) for each in found] == sorted(kept)
    assert len(found) == 6
    for each in found:
        ranked = ranked_at(mysql, each["board"], each["period_id"])
        assert (each["rank"], 1, each["score"]) in ranked
        assert each["total_players"] == len(ranked)
    assert {each["window"] for each in found if each["board"] == "main"} == {"all", "week", "day"}
    assert [each["rank"] for each in found if each["board"] == "laps"] == [2]

    async def is_told_by_the_index() -> bool:
        asked_before = await from_mysql(services[0])
        assert (await services[0].get(f"{API}/players/1/standings")).json()["standings"] == found
        return await from_mysql(services[0]) == asked_before

    await eventually(is_told_by_the_index)
    # On a board that is closed nobody stands any more, though it is read as before.
    async with own_database(leaderboard_settings) as database:
        await make(database, replace(LAPS, state="closed"))
    found = (await same(services, "/players/1/standings"))["standings"]
    assert {each["board"] for each in found} == {"alps", "main"}
    assert (await same(services, "/boards/laps/rank/1"))["rank"] == 2
    assert await same(services, "/players/77/standings") == {"standings": []}
    await remove(services[0], accounts.new(user_id=1))
    assert await same(services, "/players/1/standings") == {"standings": []}
    for path, said in (("0", 422), ("x", 422), (str(2**63), 422)):
        assert (await services[0].get(f"{API}/players/{path}/standings")).status_code == said


async def test_a_player_stands_on_very_many_boards(
    services: Both, leaderboard_settings: LeaderboardSettings, accounts: Accounts
) -> None:
    boards = [define(f"level.{number:03d}") for number in range(240)]
    async with own_database(leaderboard_settings) as database:
        await make(database, *boards)
    for start in range(0, len(boards), 12):
        names = [board.name for board in boards[start : start + 12]]
        await submit(services[0], accounts.new(user_id=1), 5, boards=names)
    await submit(services[0], accounts.new(user_id=2), 6, boards=["level.100"])
    found = (await same(services, "/players/1/standings"))["standings"]
    levels = {(each["board"], each["window"]): each["rank"] for each in found if each["board"].startswith("level.")}
    assert levels == {(board.name, window): 1 + (board.name == "level.100") for board in boards for window in ("all", "week")}
