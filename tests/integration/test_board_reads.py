"""Boards as they are read over HTTP, in each of their periods: from the index and from MySQL, with the same answers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.boards import periods as table
from services.leaderboard.boards.board import Rule
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, SEASON, WEEK, define, make, tagged
from tests.playing import API, own_database, remove
from tests.reading import Both, both_ways, from_mysql, indexed, make_past, ranked_at, same
from tests.system import Accounts, assert_problem, eventually, rows, serving

MAIN = define("main", aggregate="total", rule=Rule(), max_score=10**9, windows=(ALL, WEEK, DAY))
ALPS = tagged("alps", "alps", direction="ascending", min_score=-1000, show_extra=True, windows=(WEEK, ALL, SEASON))
LAPS = define("laps", metric="laps", aggregate="latest", min_score=-1000, windows=(ALL,))
QUIET = tagged("quiet", "quiet", min_score=-1000, windows=(WEEK, DAY))
# Who drove the alps, and how fast, in the order of their sessions: negative times, and ties.
LAST_WEEK = [(1, 50), (2, -3), (3, 50), (4, 0), (2, -7)]
THIS_WEEK = [(5, 20), (1, -20), (6, 20), (3, 900), (3, 20), (4, 21), (7, -20)]


class Periods(NamedTuple):
    last_week: int
    this_week: int


async def post(client: httpx.AsyncClient, headers: dict[str, str], score: int, **said: Any) -> dict[str, Any]:
    """Submit a session of which more is ``said``, which must be stored."""
    response = await client.post(f"{API}/submit", json={"score": score, **said}, headers=headers)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def drive(client: httpx.AsyncClient, accounts: Accounts, driven: list[tuple[int, int]]) -> int:
    """Drive the alps. Gives the week's period."""
    week = 0
    for user_id, score in driven:
        extra = {"car": f"{user_id}/{score}"} if score != 50 else None  # some keep nothing with it
        answer = await post(client, accounts.new(user_id=user_id), score, tags={"track": "alps"}, boards=["alps"], extra=extra)
        [week] = [each["period_id"] for each in answer["standings"] if each["window"] == "week"]
    return week


@pytest.fixture
async def periods(leaderboard_settings: LeaderboardSettings, mysql: Any, accounts: Accounts) -> Periods:
    """The weeks of the alps: the last one, and this one."""
    async with own_database(leaderboard_settings) as database:
        await make(database, MAIN, ALPS, LAPS, QUIET)
    async with serving(create_app(leaderboard_settings)) as client:
        last_week = await drive(client, accounts, LAST_WEEK)
    make_past(mysql, last_week)
    async with serving(create_app(leaderboard_settings)) as client:
        return Periods(last_week, await drive(client, accounts, THIS_WEEK))


@pytest.fixture
async def both(leaderboard_settings: LeaderboardSettings, periods: Periods) -> AsyncIterator[Both]:
    """Two services on these boards: one with Redis, one without."""
    async with both_ways(leaderboard_settings) as both:
        for place in ({}, {"period": "previous"}, {"window": "all"}):
            await indexed(both, "alps", **place)
        yield both


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


async def test_each_route_reads_a_board_in_each_of_its_periods(
    both: Both, periods: Periods, mysql: Any, accounts: Accounts
) -> None:
    asked_before = await from_mysql(both[0])
    places: list[tuple[str, str, int, list[tuple[int, int]]]] = [
        ("", "week", periods.this_week, THIS_WEEK),
        ("?window=week", "week", periods.this_week, THIS_WEEK),
        ("?period=current", "week", periods.this_week, THIS_WEEK),
        (f"?period={periods.this_week}", "week", periods.this_week, THIS_WEEK),
        ("?window=week&period=previous", "week", periods.last_week, LAST_WEEK),
        (f"?period={periods.last_week}", "week", periods.last_week, LAST_WEEK),
        (f"?window=week&period={periods.last_week}", "week", periods.last_week, LAST_WEEK),
        ("?window=all", "all", 0, LAST_WEEK + THIS_WEEK),
        ("?window=all&period=current", "all", 0, LAST_WEEK + THIS_WEEK),
        ("?period=0", "all", 0, LAST_WEEK + THIS_WEEK),
        ("?window=all&period=0", "all", 0, LAST_WEEK + THIS_WEEK),
    ]
    for query, window, period_id, driven in places:
        expected = best(driven)
        assert ranked_at(mysql, "alps", period_id) == [(row["rank"], row["user_id"], row["score"]) for row in expected]
        head = {"board": "alps", "window": window, "period_id": period_id, "total_players": len(expected)}
        page = await same(both, f"/boards/alps/top{query}")
        assert page == head | {"top": expected, "offset": 0, "next_cursor": None}
        for number, row in enumerate(expected):
            user_id = row["user_id"]
            player = accounts.new(user_id=user_id)
            assert await same(both, f"/boards/alps/rank/{user_id}{query}") == head | row
            assert await same(both, f"/boards/alps/rank/me{query}", headers=player) == head | row
            radius = f"{query}&radius=1" if query else "?radius=1"
            around = head | {"players": expected[max(0, number - 1) : number + 2]}
            assert await same(both, f"/boards/alps/around/{user_id}{radius}") == around
            assert await same(both, f"/boards/alps/around/me{radius}", headers=player) == around
            assert await same(both, f"/boards/alps/around/{user_id}{query}") == head | {
                "players": expected[max(0, number - 5) : number + 6]
            }
    assert await from_mysql(both[0]) == asked_before


async def test_a_page_begins_where_it_is_asked_to(both: Both, periods: Periods) -> None:
    expected = best(LAST_WEEK + THIS_WEEK)
    for limit in (1, 2, 3, 6, 7, 8):
        for offset in (0, 1, 4, 6, 7, 1000, 2**31 - 1):
            page = await same(both, f"/boards/alps/top?window=all&limit={limit}&offset={offset}")
            assert page["top"] == expected[offset : offset + limit]
            assert (page["offset"], page["total_players"]) == (offset, len(expected))
            assert (page["next_cursor"] is not None) == (offset + limit < len(expected))
        shown: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await same(both, f"/boards/alps/top?window=all&limit={limit}{cursor}")
            assert page["offset"] == len(shown)
            shown += page["top"]
            if page["next_cursor"] is None:
                break
            assert len(page["top"]) == limit
            cursor = f"&cursor={page['next_cursor']}"
        assert shown == expected


async def test_one_who_has_not_played_there_has_no_rank(both: Both, periods: Periods, accounts: Accounts) -> None:
    head = {"board": "alps", "window": "week", "period_id": periods.this_week, "total_players": 6}
    nobody = {"rank": None, "user_id": 2, "username": "player2", "score": None}
    # They drove last week, and know so.
    assert await same(both, "/boards/alps/rank/me", headers=accounts.new(user_id=2)) == head | nobody
    assert (await same(both, "/boards/alps/rank/me?window=all", headers=accounts.new(user_id=2)))["rank"] == 3
    for path in ("/boards/alps/rank/2", "/boards/alps/around/2", "/boards/alps/around/me", "/boards/alps/rank/77"):
        for client in both:
            answer = await client.get(f"{API}{path}", headers=accounts.new(user_id=2))
            assert_problem(answer, 404, "player-not-found")
    for path in ("rank/me", "around/me"):
        for client in both:
            assert_problem(await client.get(f"{API}/boards/alps/{path}"), 401, "unauthenticated")


async def test_a_period_in_which_nobody_has_played_is_empty(both: Both, accounts: Accounts) -> None:
    player = accounts.new(user_id=1)
    for query, window in (("", "week"), ("?window=day", "day"), ("?window=day&period=previous", "day")):
        head = {"board": "quiet", "window": window, "period_id": None, "total_players": 0}
        for client in both:  # without an index, there is no generation
            page = await client.get(f"{API}/boards/quiet/top{query}")
            assert page.json() == head | {"top": [], "offset": 0, "generation": None, "next_cursor": None}
            seen = await client.get(f"{API}/boards/quiet/top{query}", headers={"If-None-Match": page.headers["etag"]})
            assert seen.status_code == 304
            for path in ("rank/1", "around/1", "around/me"):
                answer = await client.get(f"{API}/boards/quiet/{path}{query}", headers=player)
                assert_problem(answer, 404, "player-not-found")
        nobody = {"rank": None, "user_id": 1, "username": "player1", "score": None}
        assert await same(both, f"/boards/quiet/rank/me{query}", headers=player) == head | nobody
    # A season is written down before anybody plays in it, and between two there is none.
    page = (await both[0].get(f"{API}/boards/alps/top?window=season")).json()
    assert (page["period_id"], page["top"]) == (None, [])


async def test_own_sessions_are_seen_at_once_in_every_place(both: Both, accounts: Accounts) -> None:
    ada = accounts.new("Ada", 100)
    scores: dict[tuple[str, str], int] = {}
    for score, client in ((40, both[0]), (-30, both[0]), (-40, both[1]), (10, both[1])):
        boards = ["alps", "quiet", "laps", *(["main"] if score >= 0 else [])]
        told = await post(client, ada, score, boards=boards, metrics={"laps": score})
        standings = told["standings"]
        assert len(standings) == 8 if score >= 0 else 5
        scores |= {(each["board"], each["window"]): each["score"] for each in standings}
        for process in both:
            for each in standings:
                asked = {"period": each["period_id"]}
                own = await process.get(f"{API}/boards/{each['board']}/rank/me", params=asked, headers=ada)
                assert own.status_code == 200, own.text
                for field in ("board", "window", "period_id", "score", "rank"):
                    assert own.json()[field] == each[field]
                if process is client:
                    page = (await process.get(f"{API}/boards/{each['board']}/top", params=asked)).json()
                    assert (100, each["score"]) in [(row["user_id"], row["score"]) for row in page["top"]]
                    others = await process.get(f"{API}/boards/{each['board']}/rank/100", params=asked)
                    assert others.json()["score"] == each["score"]
    assert scores == {
        ("main", "all"): 50, ("main", "week"): 50, ("main", "day"): 50,
        ("alps", "all"): -40, ("alps", "week"): -40,
        ("quiet", "week"): 40, ("quiet", "day"): 40,
        ("laps", "all"): 10,
    }  # fmt: skip


@pytest.mark.parametrize("route", ["top", "rank/1", "rank/me", "around/1", "around/me"])
async def test_what_is_not_there_is_not_found(both: Both, periods: Periods, accounts: Accounts, mysql: Any, route: str) -> None:
    player = accounts.new(user_id=1)
    [(other,)] = rows(mysql, "SELECT MAX(id) + 1 FROM periods")
    await post(both[0], player, 1, boards=["quiet"])
    quiet = (await both[0].get(f"{API}/boards/quiet/top")).json()["period_id"]
    assert quiet == other
    for path, kind in (
        ("nowhere/{}", "board-not-found"),
        ("nowhere/{}?window=day", "board-not-found"),
        ("alps/{}?window=day", "window-not-found"),
        ("alps/{}?window=day&period=previous", "window-not-found"),
        ("quiet/{}?window=all", "window-not-found"),
        (f"alps/{{}}?period={quiet}", "period-not-found"),  # of another board
        (f"alps/{{}}?window=week&period={quiet}", "period-not-found"),
        (f"alps/{{}}?window=all&period={periods.this_week}", "period-not-found"),  # of another window
        (f"alps/{{}}?window=nowhere&period={periods.this_week}", "period-not-found"),
        ("alps/{}?period=9999999", "period-not-found"),
        ("alps/{}?period=9999999999", "period-not-found"),
        ("quiet/{}?period=0", "period-not-found"),
        ("alps/{}?window=week&period=0", "period-not-found"),
        ("alps/{}?window=nowhere&period=0", "period-not-found"),
        ("alps/{}?window=all&period=previous", "period-not-found"),
    ):
        for client in both:
            answer = await client.get(f"{API}/boards/{path.format(route)}", headers=player)
            assert_problem(answer, 404, kind)


@pytest.mark.parametrize("route", ["/boards/alps/top", "/boards/alps/rank/1", "/boards/alps/around/me", "/top", "/rank/me"])
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("period=-1", "period"),
        ("period=next", "period"),
        ("period=", "period"),
        ("period=1.0", "period"),
        ("period=11111111111", "period"),
        ("period=1%0A", "period"),
        ("period=%D9%A1", "period"),
        ("window=", "window"),
        ("window=Week", "window"),
        ("window=a%0A", "window"),
        (f"window={'a' * 65}", "window"),
    ],
)
async def test_what_is_no_window_or_period_is_refused(
    leaderboard: httpx.AsyncClient, accounts: Accounts, route: str, query: str, parameter: str
) -> None:
    answer = await leaderboard.get(f"{API}{route}?{query}", headers=accounts.new())
    assert_problem(answer, 422, "invalid-request")
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


async def test_what_is_not_kept_any_more_is_gone(both: Both, periods: Periods, accounts: Accounts, mysql: Any) -> None:
    player = accounts.new(user_id=1)
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE periods SET state = 'expired' WHERE id = %s", (periods.last_week,))
    for client in both:

        async def is_gone(client: httpx.AsyncClient = client) -> bool:
            return (await client.get(f"{API}/boards/alps/top?period={periods.last_week}")).status_code == 410

        await eventually(is_gone, 2)
        for route in ("top", "rank/1", "rank/me", "around/1", "around/me"):
            for query in (f"period={periods.last_week}", "period=previous", f"window=week&period={periods.last_week}"):
                assert_problem(await client.get(f"{API}/boards/alps/{route}?{query}", headers=player), 410, "period-expired")
        assert_problem(await client.get(f"{API}/boards/quiet/top?period={periods.last_week}"), 404, "period-not-found")
        assert (await client.get(f"{API}/boards/alps/top")).json()["period_id"] == periods.this_week


async def test_a_cursor_is_good_for_the_place_that_gave_it(both: Both, periods: Periods) -> None:
    async def cursor_of(path: str) -> str:
        return str((await both[0].get(f"{API}{path}")).json()["next_cursor"])

    week = await cursor_of("/boards/alps/top?limit=1")
    last_week = await cursor_of("/boards/alps/top?limit=1&period=previous")
    ever = await cursor_of("/boards/alps/top?limit=1&window=all")
    boards = await cursor_of("/boards?limit=1")
    for client in both:
        for path, cursor in (
            ("", last_week), ("", ever), ("", boards), ("", "!"), ("", ""), ("", "dDE6MC01"), ("", "a" * 161),
            ("period=previous&", week), ("window=all&", week), (f"period={periods.last_week}&", week),
        ):  # fmt: skip
            answer = await client.get(f"{API}/boards/alps/top?{path}cursor={cursor}")
            assert_problem(answer, 422, "invalid-request")
            assert [error["parameter"] for error in answer.json()["errors"]] == ["cursor"]
        for cursor in (week, "!"):  # nobody has played there
            assert_problem(await client.get(f"{API}/boards/quiet/top?cursor={cursor}"), 422, "invalid-request")
        for query in ("", "window=week&", "period=current&", f"period={periods.this_week}&"):
            assert (await client.get(f"{API}/boards/alps/top?{query}cursor={week}")).status_code == 200


# The board main has shorter paths, and answers of its own.


async def test_the_short_paths_take_a_window_and_a_period_too(both: Both, mysql: Any, accounts: Accounts) -> None:
    for user_id, score in ((1, 10), (2, 30), (3, 30), (1, 5)):
        await post(both[0], accounts.new(user_id=user_id), score)
    for place in ({}, {"window": "week"}, {"window": "day"}):
        await indexed(both, "main", **place)
    names = {"window=week": "week", "window=day&period=current": "day", "window=all": "all", "period=0": "all", "": "all"}
    expected = [
        {"rank": rank, "user_id": user_id, "username": f"player{user_id}", "total_score": score}
        for rank, user_id, score in ((1, 2, 30), (1, 3, 30), (3, 1, 15))
    ]
    for query, window in names.items():
        for client in both:
            page = await client.get(f"{API}/top?limit=2&{query}")
            assert list(page.json()) == ["top", "limit", "offset", "total_players"]
            assert page.json() == {"top": expected[:2], "limit": 2, "offset": 0, "total_players": 3}
            # Byte for byte what is answered where nothing is said: they have the same standings.
            for path in ("top", "rank/1", "around/1", "rank/me", "around/me"):
                one, other = [
                    await client.get(f"{API}/{path}{asked}", headers=accounts.new(user_id=1)) for asked in ("", f"?{query}")
                ]
                assert (one.status_code, one.content) == (other.status_code, other.content)
                assert (
                    list(one.json())
                    == {
                        "top": ["top", "limit", "offset", "total_players"],
                        "rank": ["user_id", "username", "total_score", "rank"],
                        "around": ["players"],
                    }[path.split("/")[0]]
                )
        [period_id] = {
            each["period_id"] for each in (await post(both[0], accounts.new(user_id=9), 0))["standings"]
            if each["window"] == window
        }  # fmt: skip
        assert [score for _, _, score in ranked_at(mysql, "main", period_id)][:3] == [30, 30, 15]
        await remove(both[0], accounts.new(user_id=9))


async def test_the_short_paths_tell_of_a_period_without_sessions(both: Both, accounts: Accounts) -> None:
    player = accounts.new("Ada", 1)
    for client in both:
        for query in ("window=day", "window=day&period=previous"):
            page = (await client.get(f"{API}/top?{query}&limit=3&offset=2")).json()
            assert page == {"top": [], "limit": 3, "offset": 2, "total_players": 0}
            own = (await client.get(f"{API}/rank/me?{query}", headers=player)).json()
            assert own == {"user_id": 1, "username": "Ada", "total_score": 0, "rank": None}
            for path in ("rank/1", "around/1", "around/me"):
                assert_problem(await client.get(f"{API}/{path}?{query}", headers=player), 404, "player-not-found")
        assert_problem(await client.get(f"{API}/top?window=nowhere"), 404, "window-not-found")
        assert_problem(await client.get(f"{API}/top?period=previous"), 404, "period-not-found")
        assert_problem(await client.get(f"{API}/rank/1?period=9999999"), 404, "period-not-found")


# Where a player stands.


async def test_a_player_stands_in_every_place_that_goes_on(
    both: Both, periods: Periods, leaderboard_settings: LeaderboardSettings, mysql: Any, accounts: Accounts
) -> None:
    await post(both[0], accounts.new(user_id=1), 12, boards=["main", "laps"], metrics={"laps": -0})
    await post(both[0], accounts.new(user_id=2), 13, boards=["main", "laps"], metrics={"laps": 5})
    found = (await same(both, "/players/1/standings"))["standings"]
    places = rows(
        mysql, "SELECT b.name, s.period_id FROM standings AS s JOIN boards AS b ON b.id = s.board_id WHERE s.user_id = 1"
    )
    kept = [place for place in places if place != ("alps", periods.last_week)]
    assert [(each["board"], each["period_id"]) for each in found] == sorted(kept)
    assert len(found) == 6
    for each in found:
        ranked = ranked_at(mysql, each["board"], each["period_id"])
        assert (each["rank"], 1, each["score"]) in ranked
        assert each["total_players"] == len(ranked)
    assert {each["window"] for each in found if each["board"] == "main"} == {"all", "week", "day"}
    assert [each["rank"] for each in found if each["board"] == "laps"] == [2]
    # On a board that is closed nobody stands any more, though it is read as before.
    async with own_database(leaderboard_settings) as database:
        await make(database, replace(LAPS, state="closed"))
    found = (await same(both, "/players/1/standings"))["standings"]
    assert {each["board"] for each in found} == {"alps", "main"}
    assert (await same(both, "/boards/laps/rank/1"))["rank"] == 2
    assert await same(both, "/players/77/standings") == {"standings": []}
    await remove(both[0], accounts.new(user_id=1))
    assert await same(both, "/players/1/standings") == {"standings": []}
    for path, said in (("0", 422), ("x", 422), (str(2**63), 422)):
        assert (await both[0].get(f"{API}/players/{path}/standings")).status_code == said


async def test_a_player_stands_on_very_many_boards(
    both: Both, leaderboard_settings: LeaderboardSettings, accounts: Accounts
) -> None:
    boards = [define(f"level.{number:03d}") for number in range(240)]
    async with own_database(leaderboard_settings) as database:
        await make(database, *boards)
    for start in range(0, len(boards), 12):
        names = [board.name for board in boards[start : start + 12]]
        await post(both[0], accounts.new(user_id=1), 5, boards=names)
    await post(both[0], accounts.new(user_id=2), 6, boards=["level.100"])
    found = (await same(both, "/players/1/standings"))["standings"]
    levels = {(each["board"], each["window"]): each["rank"] for each in found if each["board"].startswith("level.")}
    assert levels == {(board.name, window): 1 + (board.name == "level.100") for board in boards for window in ("all", "week")}


# Pages that a client has.


async def test_a_page_that_the_client_has_is_not_sent_again(both: Both, accounts: Accounts) -> None:
    cursor = (await both[0].get(f"{API}/boards/alps/top?limit=2")).json()["next_cursor"]
    paths = ["", "?window=all", "?period=previous", "?limit=3&offset=1", f"?limit=2&cursor={cursor}"]
    players = count(200)
    for client in both:
        kept = {}
        for path in paths:
            page = await client.get(f"{API}/boards/alps/top{path}")
            assert page.headers["cache-control"] == "no-cache"
            kept[path] = page.headers["etag"]
            seen = await client.get(f"{API}/boards/alps/top{path}", headers={"If-None-Match": kept[path]})
            assert (seen.status_code, seen.content, seen.headers["etag"]) == (304, b"", kept[path])
        assert len(set(kept.values())) == len(paths)
        await post(client, accounts.new(user_id=next(players)), -500, boards=["alps"])
        for path in paths:
            again = await client.get(f"{API}/boards/alps/top{path}", headers={"If-None-Match": kept[path]})
            # What ended with the last week is as it was.
            assert again.status_code == (304 if path == "?period=previous" else 200)


async def test_a_board_may_cease_to_show_what_was_kept_with_sessions(
    both: Both, leaderboard_settings: LeaderboardSettings
) -> None:
    paths = ("/boards/alps/top", "/boards/alps/rank/1", "/boards/alps/around/1")
    for show_extra in (False, True):
        async with own_database(leaderboard_settings) as database:
            await make(database, replace(ALPS, show_extra=show_extra))
        for client in both:
            for path in paths:

                async def is_so(client: httpx.AsyncClient = client, path: str = path) -> bool:
                    return ("extra" in (await client.get(f"{API}{path}")).text) == show_extra  # noqa: B023 - awaited here

                await eventually(is_so)


async def test_a_season_is_read_by_its_period(
    both: Both, leaderboard_settings: LeaderboardSettings, mysql: Any, accounts: Accounts
) -> None:
    [(board_id, window_id)] = rows(
        mysql,
        "SELECT w.board_id, w.id FROM windows AS w JOIN boards AS b ON b.id = w.board_id "
        "WHERE b.name = 'alps' AND w.name = 'season'",
    )
    now = datetime.now(UTC)
    async with own_database(leaderboard_settings) as database:
        season = await table.write_listed(
            database,
            board_id,
            window_id,
            title="One",
            starts_at=now - timedelta(days=1),
            ends_at=now + timedelta(days=1),
            grace=timedelta(minutes=1),
        )

    async def counts() -> bool:
        answer = await post(both[0], accounts.new(user_id=1), 3, boards=["alps"])
        return season.period_id in [each["period_id"] for each in answer["standings"]]

    await eventually(counts)
    await indexed(both, "alps", window="season")
    page = await same(both, "/boards/alps/top?window=season")
    assert (page["window"], page["period_id"], [row["score"] for row in page["top"]]) == ("season", season.period_id, [3])
    assert await same(both, f"/boards/alps/top?period={season.period_id}") == page
