"""Boards as they are read over HTTP, in each of their periods: from the index and from MySQL, with the same answers."""

from itertools import count
from typing import Any

from services.leaderboard.rules import percentiles
from tests.playing import API, remove, submit
from tests.reading import LAST_WEEK, THIS_WEEK, Both, Weeks, best, from_mysql, indexed, ranked_at, same
from tests.system import Accounts, assert_problem

_NO_NUMBERS = {"percentile": None, "to_next": None}


async def test_each_route_reads_a_board_in_each_of_its_periods(
    services: Both, weeks: Weeks, mysql: Any, accounts: Accounts
) -> None:
    asked_before = await from_mysql(services[0])
    places: list[tuple[str, str, int, list[tuple[int, int]]]] = [
        ("", "week", weeks.this_week, THIS_WEEK),
        ("?window=week", "week", weeks.this_week, THIS_WEEK),
        ("?period=current", "week", weeks.this_week, THIS_WEEK),
        (f"?period={weeks.this_week}", "week", weeks.this_week, THIS_WEEK),
        ("?window=week&period=previous", "week", weeks.last_week, LAST_WEEK),
        (f"?period={weeks.last_week}", "week", weeks.last_week, LAST_WEEK),
        (f"?window=week&period={weeks.last_week}", "week", weeks.last_week, LAST_WEEK),
        ("?window=all", "all", 0, LAST_WEEK + THIS_WEEK),
        ("?window=all&period=current", "all", 0, LAST_WEEK + THIS_WEEK),
        ("?period=0", "all", 0, LAST_WEEK + THIS_WEEK),
        ("?window=all&period=0", "all", 0, LAST_WEEK + THIS_WEEK),
    ]
    for query, window, period_id, driven in places:
        expected = best(driven)
        assert ranked_at(mysql, "alps", period_id) == [(row["rank"], row["user_id"], row["score"]) for row in expected]
        head = {"board": "alps", "window": window, "period_id": period_id, "total_players": len(expected)}
        page = await same(services, f"/boards/alps/top{query}")
        assert page == head | {"top": expected, "offset": 0, "next_cursor": None}
        for number, row in enumerate(expected):
            user_id = row["user_id"]
            player = accounts.new(user_id=user_id)
            rank = head | row | numbers_of(row, expected)
            assert await same(services, f"/boards/alps/rank/{user_id}{query}") == rank
            assert await same(services, f"/boards/alps/rank/me{query}", headers=player) == rank
            radius = f"{query}&radius=1" if query else "?radius=1"
            around = head | {"players": expected[max(0, number - 1) : number + 2]}
            assert await same(services, f"/boards/alps/around/{user_id}{radius}") == around
            assert await same(services, f"/boards/alps/around/me{radius}", headers=player) == around
            assert await same(services, f"/boards/alps/around/{user_id}{query}") == head | {
                "players": expected[max(0, number - 5) : number + 6]
            }
    assert await from_mysql(services[0]) == asked_before


def numbers_of(row: dict[str, Any], ranked: list[dict[str, Any]]) -> dict[str, Any]:
    """What a rank tells beside a row of these, where less is better."""
    better = [each for each in ranked if each["rank"] < row["rank"]]
    to_next = {"points": row["score"] - better[-1]["score"], "rank": better[-1]["rank"]} if better else None
    return {"percentile": percentiles.percentile(len(ranked) - (row["rank"] - 1), len(ranked)), "to_next": to_next}


async def test_a_page_begins_where_it_is_asked_to(services: Both, weeks: Weeks) -> None:
    expected = best(LAST_WEEK + THIS_WEEK)
    for limit in (1, 2, 3, 6, 7, 8):
        for offset in (0, 1, 4, 6, 7, 1000, 2**31 - 1):
            page = await same(services, f"/boards/alps/top?window=all&limit={limit}&offset={offset}")
            assert page["top"] == expected[offset : offset + limit]
            assert (page["offset"], page["total_players"]) == (offset, len(expected))
            assert (page["next_cursor"] is not None) == (offset + limit < len(expected))
        shown: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await same(services, f"/boards/alps/top?window=all&limit={limit}{cursor}")
            assert page["offset"] == len(shown)
            shown += page["top"]
            if page["next_cursor"] is None:
                break
            assert len(page["top"]) == limit
            cursor = f"&cursor={page['next_cursor']}"
        assert shown == expected


async def test_one_who_has_not_played_there_has_no_rank(services: Both, weeks: Weeks, accounts: Accounts) -> None:
    head = {"board": "alps", "window": "week", "period_id": weeks.this_week, "total_players": 6}
    nobody = {"rank": None, "user_id": 2, "username": "player2", "score": None} | _NO_NUMBERS
    asked_before = await from_mysql(services[0])
    # They drove last week, and know so.
    assert await same(services, "/boards/alps/rank/me", headers=accounts.new(user_id=2)) == head | nobody
    assert (await same(services, "/boards/alps/rank/me?window=all", headers=accounts.new(user_id=2)))["rank"] == 3
    assert await from_mysql(services[0]) == asked_before
    for path in ("/boards/alps/rank/2", "/boards/alps/around/2", "/boards/alps/around/me", "/boards/alps/rank/77"):
        for client in services:
            answer = await client.get(f"{API}{path}", headers=accounts.new(user_id=2))
            assert_problem(answer, 404, "player-not-found")
    for path in ("rank/me", "around/me"):
        for client in services:
            assert_problem(await client.get(f"{API}/boards/alps/{path}"), 401, "unauthenticated")


async def test_a_period_in_which_nobody_has_played_is_empty(services: Both, accounts: Accounts) -> None:
    player = accounts.new(user_id=1)
    for query, window in (("", "week"), ("?window=day", "day"), ("?window=day&period=previous", "day")):
        head = {"board": "quiet", "window": window, "period_id": None, "total_players": 0}
        for client in services:  # without an index, there is no generation
            page = await client.get(f"{API}/boards/quiet/top{query}")
            assert page.json() == head | {"top": [], "offset": 0, "generation": None, "next_cursor": None}
            later = await client.get(f"{API}/boards/quiet/top{query or '?'}&offset=5")
            assert later.json() == page.json() | {"offset": 5}
            seen = await client.get(f"{API}/boards/quiet/top{query}", headers={"If-None-Match": page.headers["etag"]})
            assert seen.status_code == 304
            for path in ("rank/1", "around/1", "around/me"):
                answer = await client.get(f"{API}/boards/quiet/{path}{query}", headers=player)
                assert_problem(answer, 404, "player-not-found")
        nobody = {"rank": None, "user_id": 1, "username": "player1", "score": None} | _NO_NUMBERS
        assert await same(services, f"/boards/quiet/rank/me{query}", headers=player) == head | nobody
    # A season is written down before anybody plays in it, and between two there is none.
    page = (await services[0].get(f"{API}/boards/alps/top?window=season")).json()
    assert (page["period_id"], page["top"]) == (None, [])


async def test_own_sessions_are_seen_at_once_in_every_place(services: Both, accounts: Accounts) -> None:
    ada = accounts.new("Ada", 100)
    scores: dict[tuple[str, str], int] = {}
    for score, client in ((40, services[0]), (-30, services[0]), (-40, services[1]), (10, services[1])):
        boards = ["alps", "quiet", "laps", *(["main"] if score >= 0 else [])]
        told = await submit(client, ada, score, boards=boards, metrics={"laps": score})
        standings = told["standings"]
        assert len(standings) == 8 if score >= 0 else 5
        scores |= {(each["board"], each["window"]): each["score"] for each in standings}
        for process in services:
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


# The board main has shorter paths, and answers of its own.


async def test_the_short_paths_take_a_window_and_a_period_too(services: Both, mysql: Any, accounts: Accounts) -> None:
    for user_id, score in ((1, 10), (2, 30), (3, 30), (1, 5)):
        await submit(services[0], accounts.new(user_id=user_id), score)
    for place in ({}, {"window": "week"}, {"window": "day"}):
        await indexed(services, "main", **place)
    names = {"window=week": "week", "window=day&period=current": "day", "window=all": "all", "period=0": "all", "": "all"}
    expected = [
        {"rank": rank, "user_id": user_id, "username": f"player{user_id}", "total_score": score}
        for rank, user_id, score in ((1, 2, 30), (1, 3, 30), (3, 1, 15))
    ]
    for query, window in names.items():
        for client in services:
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
            each["period_id"] for each in (await submit(services[0], accounts.new(user_id=9), 0))["standings"]
            if each["window"] == window
        }  # fmt: skip
        assert [score for _, _, score in ranked_at(mysql, "main", period_id)][:3] == [30, 30, 15]
        await remove(services[0], accounts.new(user_id=9))


async def test_the_short_paths_tell_of_a_period_without_sessions(services: Both, accounts: Accounts) -> None:
    player = accounts.new("Ada", 1)
    for client in services:
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


# Pages that a client has.


async def test_a_page_that_the_client_has_is_not_sent_again(services: Both, accounts: Accounts) -> None:
    cursor = (await services[0].get(f"{API}/boards/alps/top?limit=2")).json()["next_cursor"]
    paths = ["", "?window=all", "?period=previous", "?limit=3&offset=1", f"?limit=2&cursor={cursor}"]
    players = count(200)
    for client in services:
        kept = {}
        for path in paths:
            page = await client.get(f"{API}/boards/alps/top{path}")
            assert page.headers["cache-control"] == "no-cache"
            kept[path] = page.headers["etag"]
            seen = await client.get(f"{API}/boards/alps/top{path}", headers={"If-None-Match": kept[path]})
            assert (seen.status_code, seen.content, seen.headers["etag"]) == (304, b"", kept[path])
        assert len(set(kept.values())) == len(paths)
        await submit(client, accounts.new(user_id=next(players)), -500, boards=["alps"])
        for path in paths:
            again = await client.get(f"{API}/boards/alps/top{path}", headers={"If-None-Match": kept[path]})
            # What ended with the last week is as it was.
            assert again.status_code == (304 if path == "?period=previous" else 200)
