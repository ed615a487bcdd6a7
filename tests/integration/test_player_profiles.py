"""A player as others see them: since when, how much they have played, where they stand, and by which session."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.leaderboard.log import bests
from services.leaderboard.log.history import COUNTED_AT_ONCE
from services.leaderboard.rules.holds import Hold
from services.leaderboard.rules.places import MAIN, pack
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, WEEK, define, make, tagged
from tests.moderating import ban, moderator, unban, void
from tests.playing import API, add_account, add_sessions, own_database, play, remove, submit
from tests.reading import ALPS, Both, Weeks, from_mysql, same
from tests.system import Accounts, assert_problem, eventually, rows


async def test_a_player_is_told_with_a_percentile_in_every_place_that_goes_on(
    services: Both, weeks: Weeks, mysql: Any, accounts: Accounts
) -> None:
    add_account(mysql, 3, "Ada")
    await play(services[0], accounts.new("Ada", 3), 5, 6)
    await play(services[0], accounts.new(user_id=4), 11)
    await play(services[0], accounts.new(user_id=5), 12)
    await void(services[0], moderator(accounts), (await play(services[0], accounts.new("Ada", 3), 900))[0])
    found = await same(services, "/players/3")
    assert (found["user_id"], found["username"], found["sessions"]) == (3, "Ada", 5)
    [(first,)] = rows(mysql, "SELECT MIN(submitted_at) FROM game_sessions WHERE user_id = 3")
    assert datetime.fromisoformat(found["since"]).replace(tzinfo=None) == first
    standings = found["standings"]
    plain = [{name: value for name, value in each.items() if name != "percentile"} for each in standings]
    assert plain == (await same(services, "/players/3/standings"))["standings"]
    by_place = {(each["board"], each["window"]): each for each in standings}
    # Seven drove the alps this week, three of them in the same time; and of the three who are on main two have the same score.
    week = by_place["alps", "week"]
    assert (week["rank"], week["total_players"], week["percentile"]) == (3, 6, 66.6667)
    ever = by_place["main", "all"]
    assert (ever["rank"], ever["total_players"], ever["percentile"]) == (2, 3, 66.6667)

    async def is_told_by_the_index() -> bool:
        asked_before = await from_mysql(services[0])
        assert (await services[0].get(f"{API}/players/3")).json() == found
        return await from_mysql(services[0]) == asked_before

    await eventually(is_told_by_the_index)


async def test_a_player_has_been_there_since_the_first_session_that_counts_was_played(
    leaderboard: httpx.AsyncClient, mysql: Any, accounts: Accounts
) -> None:
    assert_problem(await leaderboard.get(f"{API}/players/7"), 404, "player-not-found")
    first, second = await play(leaderboard, accounts.new("Ada", 7), 1, 2)
    rows(mysql, "UPDATE game_sessions SET played_at = submitted_at - INTERVAL 1 DAY WHERE id = %s", second)
    shown = (await leaderboard.get(f"{API}/players/7")).json()
    [(at,)] = rows(mysql, "SELECT submitted_at FROM game_sessions WHERE id = %s", second)
    assert datetime.fromisoformat(shown["since"]).replace(tzinfo=None) == at - timedelta(days=1)
    for session_id in (first, second):
        await void(leaderboard, moderator(accounts), session_id)
    told = {"user_id": 7, "username": "Ada", "since": None, "sessions": 0, "standings": []}
    assert (await leaderboard.get(f"{API}/players/7")).json() == told


async def test_who_is_banned_or_has_left_is_nobody(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    await play(leaderboard, accounts.new("Ada", 7), 1)
    for path in ("players/7", "players/7/best"):
        assert (await leaderboard.get(f"{API}/{path}")).status_code == 200
    await ban(leaderboard, moderator(accounts), 7)
    for path in ("players/7", "players/7/best"):
        assert_problem(await leaderboard.get(f"{API}/{path}"), 404, "player-not-found")
    await unban(leaderboard, moderator(accounts), 7)
    assert (await leaderboard.get(f"{API}/players/7")).json()["sessions"] == 1
    await remove(leaderboard, accounts.new(user_id=7))
    for path in ("players/7", "players/7/best"):
        assert_problem(await leaderboard.get(f"{API}/{path}"), 404, "player-not-found")
    for path in ("players/0", "players/x", f"players/{2**63}", "players/0/best"):
        assert_problem(await leaderboard.get(f"{API}/{path}"), 422, "invalid-request")


async def test_a_best_session_is_the_one_that_made_the_standing(
    services: Both, weeks: Weeks, leaderboard_settings: LeaderboardSettings, mysql: Any, accounts: Accounts
) -> None:
    add_account(mysql, 3, "Ada")
    said: dict[str, Any] = {"boards": ["alps"], "metrics": {"gates": 4}, "tags": {"car": "red"}, "extra": {"ghost": [1, 2.5]}}
    best = (await submit(services[0], accounts.new("Ada", 3), -40, **said))["session_id"]
    await submit(services[0], accounts.new("Ada", 3), -40, boards=["alps"])  # equal: who reached it first
    await submit(services[0], accounts.new("Ada", 3), 70, boards=["alps"])
    found = await same(services, "/players/3/best?board=alps")
    [(at,)] = rows(mysql, "SELECT submitted_at FROM game_sessions WHERE id = %s", best)
    assert datetime.fromisoformat(found["session"].pop("submitted_at")).replace(tzinfo=None) == at
    of_week = {"board": "alps", "window": "week", "period_id": weeks.this_week, "user_id": 3, "username": "Ada"}
    kept = {name: said[name] for name in ("metrics", "tags", "extra")}
    session = {"session_id": best, "score": -40, "value": -40, **kept}
    assert found == {**of_week, "score": -40, "rank": 1, "session": session}
    before = await same(services, "/players/3/best?board=alps&period=previous")
    assert (before["period_id"], before["score"], before["rank"]) == (weeks.last_week, 50, 3)
    assert before["session"].keys() == {"session_id", "score", "value", "submitted_at"}  # nothing was kept with it
    ever = await same(services, "/players/3/best?board=alps&window=all")
    assert (ever["period_id"], ever["session"]["session_id"]) == (0, best)
    # Where the board does not show it, nothing is told that the session said of itself.
    async with own_database(leaderboard_settings) as database:
        await make(database, replace(ALPS, show_extra=False))
    for client in services:

        async def is_hidden(client: httpx.AsyncClient = client) -> bool:
            shown = (await client.get(f"{API}/players/3/best?board=alps")).json()["session"]
            return bool(shown.keys() == {"session_id", "score", "value", "submitted_at"})

        await eventually(is_hidden)
    # On a board that ranks by another metric, what the session counts for is told beside its score.
    for laps in (9, 2):
        await submit(services[0], accounts.new("Ada", 3), 8, boards=["laps"], metrics={"laps": laps})
    latest = await same(services, "/players/3/best?board=laps")
    assert (latest["score"], latest["session"]["score"], latest["session"]["value"]) == (2, 8, 2)
    for path, kind in (
        ("3/best?board=nowhere", "board-not-found"),
        ("3/best?board=alps&window=day", "window-not-found"),
        ("3/best?board=alps&period=9999999", "period-not-found"),
        ("77/best?board=alps", "player-not-found"),
        ("3/best?board=quiet", "player-not-found"),  # nobody has played there
    ):
        for client in services:
            assert_problem(await client.get(f"{API}/players/{path}"), 404, kind)
    for query in ("board=", "board=Alps", "period=next", "window="):
        assert_problem(await services[0].get(f"{API}/players/3/best?{query}"), 422, "invalid-request")


async def test_of_a_total_it_is_the_best_single_session_that_counts_there(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts
) -> None:
    coins = define("coins", metric="coins", aggregate="total", windows=(ALL, WEEK), max_score=1000)
    games = define("games", metric="sessions", aggregate="total", windows=(ALL,))
    await make(leaderboard_database, coins, games, tagged("alps", "alps"))
    ada = accounts.new("Ada", 7)
    ids = await play(leaderboard, ada, 30, 50, 50, 20)
    await submit(leaderboard, ada, 90, boards=["alps"])
    voided = (await play(leaderboard, ada, 80))[0]
    await void(leaderboard, moderator(accounts), voided)
    found = (await leaderboard.get(f"{API}/players/7/best")).json()
    assert (found["board"], found["score"], found["session"]["session_id"]) == ("main", 150, ids[1])
    many = [
        (await submit(leaderboard, ada, 1, boards=["coins", "games"], metrics={"coins": each}))["session_id"]
        for each in (4, 100, 9)
    ]
    found = (await leaderboard.get(f"{API}/players/7/best?board=coins&window=week")).json()
    told = found["score"], found["session"]["session_id"], found["session"]["value"], found["session"]["score"]
    assert told == (113, many[1], 100, 1)
    found = (await leaderboard.get(f"{API}/players/7/best?board=games")).json()
    assert (found["score"], found["session"]["session_id"], found["session"]["value"]) == (3, many[0], 1)


async def test_of_a_total_the_newest_sessions_are_looked_through_and_no_more(
    leaderboard: httpx.AsyncClient, mysql: Any, accounts: Accounts
) -> None:
    [best, last] = await play(leaderboard, accounts.new("Ada", 7), 9, 1)
    # In a thread: the service goes on meanwhile.
    await asyncio.to_thread(add_sessions, mysql, 7, bests.LOOKED_THROUGH - 2)
    await asyncio.to_thread(rows, mysql, "UPDATE game_sessions SET places = %s WHERE id > %s", pack([MAIN]), last)
    assert (await leaderboard.get(f"{API}/players/7/best")).json()["session"]["session_id"] == best
    add_sessions_once_more(mysql, 7, last)
    assert (await leaderboard.get(f"{API}/players/7/best")).json()["session"]["session_id"] == last
    # Of more than are counted at once all are counted.
    assert (await leaderboard.get(f"{API}/players/7")).json()["sessions"] == bests.LOOKED_THROUGH + 1 > COUNTED_AT_ONCE
    # Where none of them counts, it is the one that brought the total to where it is.
    await asyncio.to_thread(rows, mysql, "UPDATE game_sessions SET places = '' WHERE id > %s", best)
    assert (await leaderboard.get(f"{API}/players/7/best")).json()["session"]["session_id"] == last


def add_sessions_once_more(mysql: Any, user_id: int, like: int) -> None:
    """One more session of no points."""
    rows(
        mysql,
        "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at, places)"
        " SELECT user_id, 'more', group_id, 0, submitted_at, places FROM game_sessions WHERE id = %s AND user_id = %s",
        like,
        user_id,
    )


@pytest.mark.parametrize("what", ["held", "voided", "gone"])
async def test_a_session_that_does_not_count_is_never_shown(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, mysql: Any, accounts: Accounts, what: str
) -> None:
    await make(leaderboard_database, define("track", hold=Hold(score_over=100)))
    player = accounts.new("Ada", 7)
    if what == "held":
        held = await submit(leaderboard, player, 500, boards=["track"])
        assert held["held"]
        assert_problem(await leaderboard.get(f"{API}/players/7/best?board=track"), 404, "player-not-found")
    [first, second] = [(await submit(leaderboard, player, score, boards=["track"]))["session_id"] for score in (50, 60)]
    shown = (await leaderboard.get(f"{API}/players/7/best?board=track")).json()
    assert shown["session"]["session_id"] == second
    if what == "voided":
        await void(leaderboard, moderator(accounts), second)
        shown = (await leaderboard.get(f"{API}/players/7/best?board=track")).json()
        assert (shown["score"], shown["session"]["session_id"]) == (50, first)
    if what == "gone":  # while a player of very many places is folded anew, a standing may name what counts no more
        rows(mysql, "UPDATE game_sessions SET state = 1 WHERE id = %s", second)
        assert_problem(await leaderboard.get(f"{API}/players/7/best?board=track"), 404, "player-not-found")
