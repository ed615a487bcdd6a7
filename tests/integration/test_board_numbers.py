"""Numbers that a screen shows of a board: from the index and from MySQL, the same bytes, held against their definitions."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import httpx
import pytest

from services.leaderboard.rules import distribution, percentiles
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.standings import queries
from tests.boards import define, make
from tests.playing import API, own_database, remove, submit
from tests.reading import Both, Weeks, both_ways, from_mysql, indexed, ranked_at
from tests.system import Accounts, assert_problem, eventually, rows

PLAYERS = 30
UP = define("up", direction="ascending", min_score=-MAX_TOTAL, max_score=MAX_TOTAL)
DOWN = define("down", min_score=-MAX_TOTAL, max_score=MAX_TOTAL)
FEW = define("few", min_score=-5, max_score=5)
ONE = define("one")
BOARDS = "up", "down", "few", "one"
BINS = 1, 2, 3, 7, 20, 200


def scores_of(board: str, random: Random) -> list[int]:
    """Ties, negative scores, and the ends of what a board may have; a few whole numbers alone; one player alone."""
    if board == "one":
        return [7]
    if board == "few":
        return [random.randint(-5, 5) for _ in range(PLAYERS)]
    ends = [-MAX_TOTAL, -MAX_TOTAL + 1, MAX_TOTAL - 1, MAX_TOTAL, MAX_TOTAL]
    return ends + [random.choice([0, 1, -1, 10**6, random.randint(-(10**6), 10**6)]) for _ in range(PLAYERS)]


def put(mysql: Any, board: str, scores: list[int]) -> None:
    """Standings of players on a board; and of one who was removed."""
    [(board_id, direction)] = rows(mysql, "SELECT id, direction FROM boards WHERE name = %s", board)
    sign = 1 if direction == "ascending" else -1
    kept: list[tuple[int | None, int | None]] = [*((score, sign * score) for score in scores), (None, None)]
    with mysql.cursor() as cursor:
        cursor.executemany(
            "REPLACE INTO players (user_id, username) VALUES (%s, %s)",
            [(user_id, f'näme"{user_id}\\') for user_id in range(1, len(kept) + 1)],
        )
        cursor.executemany(
            "INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version) "
            "VALUES (%s, 0, %s, %s, %s, 1, %s, 1)",
            [(board_id, user_id, *each, user_id) for user_id, each in enumerate(kept, 1)],
        )


@pytest.fixture
async def both(leaderboard_settings: LeaderboardSettings, mysql: Any) -> AsyncIterator[Both]:
    """Two services on boards of all kinds: one that has an index of each, one without Redis."""
    async with own_database(leaderboard_settings) as database:
        await make(database, UP, DOWN, FEW, ONE)
    random = Random(18)
    for board in BOARDS:
        put(mysql, board, scores_of(board, random))
    async with both_ways(leaderboard_settings) as both:
        for board in BOARDS:
            await indexed(both, board)
        yield both


async def same(both: Both, path: str, *, method: str = "GET", **request: Any) -> Any:
    """What both answer, in the same bytes."""
    one, other = [await client.request(method, f"{API}/boards/{path}", **request) for client in both]
    assert one.status_code == other.status_code == 200, one.text
    assert one.content == other.content
    assert one.headers["cache-control"] == "no-store"
    return one.json()


def next_rank(better: list[int], rank: int) -> Any:
    """What is lacked of a better rank by one whom scores are better than by so many points each."""
    return {"points": min(better), "rank": rank} if better else None


async def test_a_rank_tells_the_percentile_and_what_a_better_one_takes(both: Both, mysql: Any, accounts: Accounts) -> None:
    asked_before = await from_mysql(both[0])
    for board in BOARDS:
        ranked = ranked_at(mysql, board, 0)
        total_players = len(ranked)
        for rank, user_id, score in ranked:
            better = {other: other_rank for other_rank, _, other in ranked if other_rank < rank}
            nearest = min(better, key=lambda other: abs(other - score), default=0)
            answer = await same(both, f"{board}/rank/{user_id}")
            assert (answer["rank"], answer["score"], answer["total_players"]) == (rank, score, total_players)
            assert answer["percentile"] == percentiles.percentile(total_players - (rank - 1), total_players)
            assert answer["to_next"] == next_rank([abs(nearest - score)] if better else [], better.get(nearest, 0))
            if rank > 3 and user_id % 7:
                continue
            own = await same(both, f"{board}/rank/me", headers=accounts.new(f'näme"{user_id}\\', user_id))
            assert own == answer
            spelt = await same(both, f"{board}/rank/{user_id}?window=all&x=1")  # by the route, not by its shortcut
            assert spelt == answer
    assert await from_mysql(both[0]) == asked_before
    nobody = await same(both, "few/rank/me", headers=accounts.new(user_id=900))
    assert (nobody["rank"], nobody["percentile"], nobody["to_next"]) == (None, None, None)


async def test_a_score_has_the_rank_that_who_reached_it_would_have(both: Both, mysql: Any) -> None:
    asked_before = await from_mysql(both[0])
    for board in BOARDS:
        sign = 1 if board == "up" else -1
        ranked = [score for _, _, score in ranked_at(mysql, board, 0)]
        ends = {"few": (-5, 5), "one": (0, 1000)}.get(board, (-MAX_TOTAL, MAX_TOTAL))
        for score in {*ends, 0, 1, *(each for each in ranked[::9]), *(min(each + 1, ends[1]) for each in ranked[::9])}:
            ahead = sum(sign * other < sign * score for other in ranked)
            assert await same(both, f"{board}/rank/score/{score}") == {
                "board": board, "window": "all", "period_id": 0, "score": score, "rank": 1 + ahead,
                "total_players": len(ranked), "percentile": percentiles.percentile(len(ranked) - ahead, len(ranked)),
            }  # fmt: skip
    assert await from_mysql(both[0]) == asked_before


async def test_players_are_ranked_among_all_and_among_themselves(both: Both, mysql: Any, accounts: Accounts) -> None:
    for board in BOARDS:
        ranked = {user_id: (rank, score) for rank, user_id, score in ranked_at(mysql, board, 0)}
        # Who has played elsewhere has a name, also one who was removed here; but not who is banned.
        rows(mysql, "REPLACE INTO players (user_id, username, banned_at) VALUES (800, 'Nöra', NULL), (801, 'Bad', NOW())")
        names = dict(rows(mysql, "SELECT user_id, username FROM players WHERE user_id <> 801"))
        for chosen in ([1], [3, 800, 1, 2, 77_777], [*range(PLAYERS + 6, 0, -1)], [800], [*range(1, 199), 801, 77_777]):
            answer = await same(both, f"{board}/ranks", method="POST", json={"user_ids": chosen})
            expected = [
                {
                    "user_id": user_id,
                    "username": f'näme"{user_id}\\',
                    "rank": ranked[user_id][0],
                    "score": ranked[user_id][1],
                    "place": 1 + sum(ranked[user_id][0] > ranked[other][0] for other in chosen if other in ranked),
                }
                for user_id in sorted([each for each in chosen if each in ranked], key=lambda each: ranked[each][0])
            ]
            expected += [
                {"user_id": each, "username": names.get(each), "rank": None, "score": None, "place": None}
                for each in chosen
                if each not in ranked
            ]
            assert answer["ranks"] == expected
            assert answer["total_players"] == len(ranked)


async def test_scores_are_distributed_in_bins_and_quantiles(both: Both, mysql: Any) -> None:
    asked_before = await from_mysql(both[0])
    for board in BOARDS:
        scores = sorted(score for _, _, score in ranked_at(mysql, board, 0))
        for bins in BINS:
            answer = await same(both, f"{board}/distribution?bins={bins}")
            assert answer["total_players"] == sum(each["count"] for each in answer["bins"]) == len(scores)
            assert [(each["from"], each["to"]) for each in answer["bins"]] == distribution.edges(scores[0], scores[-1], bins)
            for each in answer["bins"]:
                assert each["count"] == sum(each["from"] <= score <= each["to"] for score in scores)
            assert answer["quantiles"] == {
                str(percent): scores[distribution.nearest_rank(percent, len(scores)) - 1] for percent in distribution.QUANTILES
            }
        assert await same(both, f"{board}/distribution") == await same(both, f"{board}/distribution?bins=20&window=all")
    assert await from_mysql(both[0]) == asked_before


# Periods, and places without anybody.


async def test_a_past_period_and_a_current_one_are_told_alike(services: Both, weeks: Weeks, mysql: Any) -> None:
    for query, period_id in (("?period=previous", weeks.last_week), ("", weeks.this_week), ("?window=all", 0)):
        ranked = ranked_at(mysql, "alps", period_id)
        found = await same(services, f"alps/distribution{query}")
        assert (found["period_id"], found["total_players"]) == (period_id, len(ranked))
        assert found["quantiles"]["50"] in {score for _, _, score in ranked}
        listed = await same(services, f"alps/ranks{query}", method="POST", json={"user_ids": [7, 2, 1]})
        assert {(each["user_id"], each["rank"]) for each in listed["ranks"] if each["rank"]} == {
            (user_id, rank) for rank, user_id, _ in ranked if user_id in {7, 2, 1}
        }
        assert (await same(services, f"alps/rank/score/1000{query}"))["rank"] == 1 + len(ranked)
        for rank, user_id, _ in ranked:
            assert ((await same(services, f"alps/rank/{user_id}{query}"))["to_next"] is None) == (rank == 1)


async def test_where_nobody_has_played_there_is_nothing_to_tell(
    services: Both, leaderboard_settings: LeaderboardSettings
) -> None:
    for query in ("", "?window=day"):
        head = {"board": "quiet", "window": "day" if query else "week", "period_id": None, "total_players": 0}
        nothing = head | {"bins": [], "quantiles": dict.fromkeys(["10", "25", "50", "75", "90", "99"])}
        assert await same(services, f"quiet/distribution{query}") == nothing
        assert await same(services, f"quiet/rank/score/5{query}") == head | {"score": 5, "rank": 1, "percentile": None}
        listed = await same(services, f"quiet/ranks{query}", method="POST", json={"user_ids": [999_999]})
        assert listed == head | {
            "ranks": [{"user_id": 999_999, "username": None, "rank": None, "score": None, "place": None}],
        }


async def test_where_everybody_has_left_there_is_nothing_to_tell(services: Both, weeks: Weeks, accounts: Accounts) -> None:
    for user_id in range(1, 8):
        await remove(services[0], accounts.new(user_id=user_id))
    asked_before = await from_mysql(services[0])
    head = {"board": "alps", "window": "week", "period_id": weeks.this_week, "total_players": 0}
    nothing = head | {"bins": [], "quantiles": dict.fromkeys(["10", "25", "50", "75", "90", "99"])}
    assert await same(services, "alps/distribution") == nothing
    assert await same(services, "alps/rank/score/5") == head | {"score": 5, "rank": 1, "percentile": None}
    listed = await same(services, "alps/ranks", method="POST", json={"user_ids": [1, 2]})
    assert [each["rank"] for each in listed["ranks"]] == [None, None]
    assert await from_mysql(services[0]) == asked_before


async def test_own_numbers_are_of_the_last_session_and_of_the_others(services: Both, accounts: Accounts) -> None:
    """The index may have an earlier score of the caller's, or a later one: nobody is ahead of themselves."""
    ada, bob = accounts.new("Ada", 100), accounts.new("Bob", 101)
    await submit(services[0], bob, -900, boards=["alps"])
    for score in (-100, -200, -300):
        await submit(services[1], ada, score, boards=["alps"])  # which has no Redis to tell
        for client in services:
            own = (await client.get(f"{API}/boards/alps/rank/me?window=all", headers=ada)).json()
            assert (own["score"], own["rank"], own["to_next"]) == (score, 2, {"points": 900 + score, "rank": 1})
            assert own["percentile"] <= 100

    async def is_told() -> bool:
        others = (await services[0].get(f"{API}/boards/alps/rank/100?window=all")).json()
        return bool(others.get("score") == -300)

    await eventually(is_told)
    await submit(services[0], ada, -901, boards=["alps"])
    for client in services:
        own = (await client.get(f"{API}/boards/alps/rank/me?window=all", headers=ada)).json()
        assert (own["rank"], own["percentile"], own["to_next"]) == (1, 100, None)


async def test_ranks_that_scores_would_have_are_counted_together_as_one_by_one(
    leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    """Of players who have other scores now: nobody is ahead of themselves."""
    async with own_database(leaderboard_settings) as database:
        await make(database, UP, DOWN)
        random = Random(5)
        asked: list[tuple[Place, dict[int, int]]] = []
        for board in ("up", "down"):
            put(mysql, board, scores_of(board, random))
            [(board_id,)] = rows(mysql, "SELECT id FROM boards WHERE name = %s", board)
            chosen = [0, -1, 10**6, MAX_TOTAL, -MAX_TOTAL, *(random.randint(-(10**6), 10**6) for _ in range(20))]
            asked.append((Place(board_id, 0), {user_id: random.choice(chosen) for user_id in range(1, PLAYERS + 9)}))
        asked += [(asked[0][0], {}), (Place(asked[0][0].board_id, 99), {1: 5})]
        async with database.reading() as connection:
            found = await queries.find_ranks(connection, asked)
    for (at, sorts), ranks in zip(asked, found, strict=True):
        kept = dict(rows(mysql, "SELECT user_id, sort FROM standings WHERE board_id = %s AND period_id = %s", *at))
        ranked = {user_id: sort for user_id, sort in kept.items() if sort is not None}
        assert ranks.total_players == len(ranked)
        assert ranks.by_player == {
            user_id: 1 + sum(each < sort for other, each in ranked.items() if other != user_id)
            for user_id, sort in sorts.items()
        }


# What cannot be asked.


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none/distribution", "board-not-found"),
        ("main/distribution?window=none", "window-not-found"),
        ("main/distribution?period=77", "period-not-found"),
        ("main/distribution?bins=0", "invalid-request"),
        ("main/distribution?bins=201", "invalid-request"),
        ("main/distribution?bins=1.5", "invalid-request"),
        ("main/distribution?bins=+5", "invalid-request"),
        ("none/rank/score/1", "board-not-found"),
        ("main/rank/score/1?window=none", "window-not-found"),
        ("main/rank/score/1?period=77", "period-not-found"),
        ("main/rank/score/-1", "invalid-request"),
        (f"main/rank/score/{2**53}", "invalid-request"),
        ("main/rank/score/1.0", "invalid-request"),
        ("main/rank/score/x", "invalid-request"),
        ("best/rank/score/1001", "invalid-request"),
        ("best/rank/score/-1", "invalid-request"),
    ],
)
async def test_what_there_is_not_is_refused(
    leaderboard: httpx.AsyncClient, leaderboard_settings: LeaderboardSettings, path: str, said: str
) -> None:
    async with own_database(leaderboard_settings) as database:
        await make(database, define("best"))
    assert_problem(await leaderboard.get(f"{API}/boards/{path}"), 422 if said == "invalid-request" else 404, said)


async def test_players_are_asked_for_by_distinct_numbers(leaderboard: httpx.AsyncClient) -> None:
    path = f"{API}/boards/main/ranks"
    refused: list[Any] = [
        [], [*range(1, 202)], [1, 2, 1], ["1"], [True], [0], [-1], [2**63], [1.5], [None], "1", None, {"1": 1},
    ]  # fmt: skip
    for user_ids in refused:
        assert_problem(await leaderboard.post(path, json={"user_ids": user_ids}), 422, "invalid-request")
    bodies: list[Any] = [{}, {"user_ids": [1], "more": 1}, []]
    for body in bodies:
        assert_problem(await leaderboard.post(path, json=body), 422, "invalid-request")
    assert_problem(await leaderboard.post(path, content="user_ids=1"), 415, "unsupported-media-type")
    assert_problem(await leaderboard.post(f"{API}/boards/none/ranks", json={"user_ids": [1]}), 404, "board-not-found")
    assert_problem(await leaderboard.post(f"{path}?period=77", json={"user_ids": [1]}), 404, "period-not-found")
    assert (await leaderboard.post(path, json={"user_ids": [*range(2**63 - 200, 2**63)]})).status_code == 200
