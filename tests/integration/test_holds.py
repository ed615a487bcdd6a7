"""What a board's rules hold is stored, and counts nowhere until somebody has approved it."""

import asyncio
import json
from functools import partial
from typing import Any

import httpx
import pytest
from pymysql.cursors import DictCursor

from services.common.mysql.database import Database
from services.common.tokens import KeyPrincipal, Scope
from services.leaderboard.log import holds
from services.leaderboard.moderation import sessions
from services.leaderboard.moderation.entries import Order
from services.leaderboard.operate.check import check
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.holds import Hold
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.played import SessionState
from services.leaderboard.rules.ranking import Aggregate, Count
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, WEEK, define, make
from tests.moderating import STAFF_ID, approve, ban, held, moderator, restore, unban, void
from tests.playing import API, get, remove, send, submit
from tests.seasons import EVENTS, make_cup
from tests.system import Accounts, assert_problem, eventually, rows
from tests.timing import HOUR
from tests.writing import counting

HIGH = define("high", hold=Hold(score_over=100))
LOW = define("low", direction="ascending", hold=Hold(score_over=10, gain_over=30))
GAIN = define("gain", windows=(ALL, DAY, WEEK), hold=Hold(gain_over=5))
OFTEN = define("often", aggregate="total", windows=(ALL,), hold=Hold(sessions_per_minute_over=2))
ORDER = Order(KeyPrincipal("key-a", frozenset({Scope.MODERATE})), None)


async def play(client: httpx.AsyncClient, player: dict[str, str], score: int, *boards: str, key: str | None = None) -> bool:
    """Submit a session to these boards. Gives whether it is held."""
    answer = await submit(client, player, score, key, boards=list(boards))
    assert {each["counted"] for each in answer["standings"]} == {not answer["held"]}
    return bool(answer["held"])


async def scores(client: httpx.AsyncClient, board: str) -> list[tuple[int, int, int]]:
    """Rank, player and score of everybody on a board in all time."""
    page = await client.get(f"{API}/boards/{board}/top", params={"window": "all"})
    return [(row["rank"], row["user_id"], row["score"]) for row in page.json()["top"]]


async def test_a_session_beyond_a_score_is_held_whichever_way_a_board_goes(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    await make(leaderboard_database, HIGH, LOW)
    staff, ada, bob = moderator(accounts), accounts.new("Ada", 1), accounts.new("Bob", 2)
    assert [await play(leaderboard, ada, score, "high") for score in (100, 101, 5)] == [False, True, False]
    assert [await play(leaderboard, bob, score, "low") for score in (10, 9, 500)] == [False, True, False]
    assert (await scores(leaderboard, "high"), await scores(leaderboard, "low")) == ([(1, 1, 100)], [(1, 2, 10)])
    by_ada, by_bob = await held(leaderboard, staff)
    assert {name: value for name, value in by_ada.items() if name not in {"session_id", "submitted_at"}} == {
        "user_id": 1,
        "username": "Ada",
        "score": 101,
        "played_at": None,
        "boards": ["high"],
        "held": True,
        "reason": {"board": "high", "rule": "score_over", "limit": 100, "value": 101},
        "reports": 0,
        "reported": [],
    }
    assert by_bob["reason"] == {"board": "low", "rule": "score_over", "limit": 10, "value": 9}
    assert [len(await held(leaderboard, staff, board)) for board in ("high", "low", "main")] == [1, 1, 0]
    told = [json.loads(data) for (data,) in rows(mysql, "SELECT data FROM events WHERE kind = 'session.held' ORDER BY id")]
    assert told == [
        {"board": each["reason"]["board"], "session_id": each["session_id"], "user_id": each["user_id"], "reason": "score_over"}
        for each in (by_ada, by_bob)
    ]


async def test_each_webhook_that_wants_to_know_is_told_of_what_is_held(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    await make(leaderboard_database, HIGH)
    for name, kinds in (("a", ["session.held"]), ("b", ["period.settled"]), ("c", ["session.held", "period.opened"])):
        webhook = (
            "INSERT INTO webhooks (name, url, events, secret, paused_until) VALUES (%s, 'http://[::1]', %s, '', '2099-01-01')"
        )
        rows(mysql, webhook, name, json.dumps(kinds))
    players = [accounts.new(None, user_id) for user_id in (1, 2)]
    await asyncio.gather(*(play(leaderboard, player, 101, "high") for player in players))
    told = (
        "SELECT w.name, JSON_EXTRACT(e.data, '$.user_id') + 0 FROM deliveries AS d JOIN webhooks AS w ON w.id = webhook_id"
        " JOIN events AS e ON e.id = event_id WHERE e.kind = 'session.held' ORDER BY 1, 2"
    )
    assert rows(mysql, told) == [("a", 1), ("a", 2), ("c", 1), ("c", 2)]


async def test_a_gain_is_over_the_best_that_the_player_has_in_any_period(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts
) -> None:
    await make(leaderboard_database, GAIN, LOW)
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    gained = [await play(leaderboard, ada, score, "gain") for score in (500, 505, 511, 3, 510, 516)]
    assert gained == [False, False, True, False, False, True]
    assert not await play(leaderboard, bob, 3, "gain")
    assert [await play(leaderboard, bob, score, "low") for score in (100, 70, 39, 50, 20)] == [False, False, True, False, False]


async def test_more_sessions_than_a_minute_may_have_are_held_and_keys_that_repeat_are_none(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    await make(leaderboard_database, OFTEN)
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    keys = ["a", "a", "b", "c", "c"]
    assert [await play(leaderboard, ada, 1, "often", key=key) for key in keys] == [False, False, False, True, True]
    assert not await play(leaderboard, bob, 1, "often")
    rows(mysql, "UPDATE game_sessions SET submitted_at = submitted_at - INTERVAL 1 MINUTE")
    assert not await play(leaderboard, ada, 1, "often")
    await submit(leaderboard, ada, 1, boards=["main"])  # on whatever board
    assert await play(leaderboard, ada, 1, "often")
    assert rows(mysql, "SELECT score FROM standings WHERE board_id <> 1 AND user_id = 1") == [(3,)]


async def test_sessions_that_come_at_once_are_compared_with_each_other(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    await make(leaderboard_database, GAIN, OFTEN)
    async with counting(leaderboard_settings) as process, counting(leaderboard_settings) as other:
        told = await asyncio.gather(*(each.submit(1, 7, boards=["often"]) for each in (process, other) * 4))
        assert sorted(each.held for each in told) == [False] * 2 + [True] * 6
        told = await asyncio.gather(*(process.submit(2, score, boards=["gain"]) for score in (10, 15, 20, 26)))
        assert [each.held for each in told] == [False, False, False, True]
    scores = "SELECT s.score FROM standings AS s WHERE period_id = 0 ORDER BY user_id"
    assert rows(mysql, scores) == [(14,), (20,)]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions WHERE state = 2") == [(7,)]
    assert await check(leaderboard_settings) == []


async def test_what_a_game_server_submits_later_is_of_the_minute_in_which_it_was_played(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    await make(leaderboard_database, OFTEN)
    server = accounts.new_key(Scope.SCORES)
    rows(mysql, "INSERT INTO account_changes (id, username, username_canonical) VALUES (1, 'Ada', 'ada')")
    for minute, expected in ((1, False), (2, False), (3, False), (4, False), (4, False), (4, True)):
        said: dict[str, Any] = {"user_id": 1, "played_at": f"2026-01-01T00:0{minute}:00Z", "boards": ["often"]}
        assert (await submit(leaderboard, server, 1, **said))["held"] is expected


async def test_of_many_sessions_in_a_call_those_that_are_over_are_held_and_no_others(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    await make(leaderboard_database, HIGH)
    rows(mysql, "INSERT INTO account_changes (id, username, username_canonical) VALUES (1, 'Ada', 'ada')")
    items = [{"user_id": 1, "score": score, "key": str(score), "boards": ["high"]} for score in (50, 101, 60)]
    for status in (201, 200):
        path, server = f"{API}/submissions", accounts.new_key(Scope.SCORES)
        answer = await leaderboard.post(path, json={"submissions": items}, headers=server)
        told = [(each["status"], each["held"], each["standings"][0]["counted"]) for each in answer.json()["results"]]
        assert told == [(status, False, True), (status, True, False), (status, False, True)]
    assert await scores(leaderboard, "high") == [(1, 1, 60)]


async def test_a_repeat_of_a_held_session_is_answered_held_until_it_is_approved_and_its_player_is_told(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts
) -> None:
    await make(leaderboard_database, HIGH)
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    await submit(leaderboard, ada, 50, boards=["high", "main"])
    first = await send(leaderboard, ada, 200, "again", boards=["high", "main"])
    again = await send(leaderboard, ada, 200, "again", boards=["high", "main"])
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    told = again.json()
    assert (told["held"], told["total_score"], told["rank"]) == (True, 50, 1)
    assert [(each["board"], each["score"], each["improved"]) for each in told["standings"]] == [
        ("high", 50, False),
        ("high", 50, False),
        ("main", 50, False),
    ]
    own = (await get(leaderboard, "sessions/me", ada))["sessions"]
    assert [(each["held"], each["voided"]) for each in own] == [(True, False), (False, False)]
    assert [each.get("held") for each in (await get(leaderboard, "me/export", ada))["sessions"]] == [None, True]
    played = (await get(leaderboard, "players/1/sessions", staff))["sessions"]
    assert [each["held"] for each in played] == [True, False]
    await approve(leaderboard, staff, told["session_id"])
    answer = (await send(leaderboard, ada, 200, "again", boards=["high", "main"])).json()
    assert (answer["held"], answer["total_score"], [each["counted"] for each in answer["standings"]]) == (
        False,
        250,
        [True] * 3,
    )


async def test_an_approved_session_counts_everywhere_with_ranks_and_done_twice_it_is_done_once(
    leaderboard: httpx.AsyncClient,
    leaderboard_database: Database,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
    mysql: Any,
) -> None:
    await make(leaderboard_database, HIGH, define("form", aggregate="latest", windows=(ALL,)))
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    for user_id, score in ((2, 90), (3, 95)):
        await submit(leaderboard, accounts.new(None, user_id), score, boards=["high", "form", "main"])
    session_id = (await submit(leaderboard, ada, 101, boards=["high", "form", "main"]))["session_id"]
    assert [each[1] for each in await scores(leaderboard, "high")] == [3, 2]
    once, again = [await approve(leaderboard, staff, session_id) for _ in range(2)]
    assert once == again
    assert (once["voided"], once["held"], once["username"]) == (False, False, "Ada")
    told = {(each["board"], each["window"]): (each["score"], each["rank"], each["total_players"]) for each in once["standings"]}
    assert told == dict.fromkeys((("high", "all"), ("high", "week"), ("form", "all"), ("main", "all")), (101, 1, 3))
    assert [each[:2] for each in await scores(leaderboard, "high")] == [(1, 1), (2, 3), (3, 2)]
    assert await held(leaderboard, staff) == []
    [entry] = (await get(leaderboard, "audit", staff))["entries"]
    assert (entry["act"], entry["by"]["user_id"], entry["session_id"]) == ("session_approved", STAFF_ID, session_id)
    assert (entry["was"]["held"], entry["was"]["voided"]) == (True, False)
    assert [each["score"] for each in entry["became"]["scores"]] == [101] * 4
    assert await check(leaderboard_settings) == []


async def test_a_held_session_that_is_voided_is_out_of_the_queue_and_is_restored_not_approved(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts
) -> None:
    await make(leaderboard_database, HIGH)
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    session_id = (await submit(leaderboard, ada, 101, boards=["high"]))["session_id"]
    unchanged = await restore(leaderboard, staff, session_id)
    assert (unchanged["voided"], unchanged["held"], len(await held(leaderboard, staff))) == (False, True, 1)
    judged = await void(leaderboard, staff, session_id)
    assert (judged["voided"], judged["held"], await held(leaderboard, staff)) == (True, False, [])
    refused = await leaderboard.post(f"{API}/sessions/{session_id}/approve", headers=staff)
    assert_problem(refused, 409, "session-voided")
    assert (await restore(leaderboard, staff, session_id))["standings"][0]["score"] == 101
    acts = [each["act"] for each in (await get(leaderboard, "audit", staff))["entries"]]
    assert acts == ["session_restored", "session_voided"]
    missing = await leaderboard.post(f"{API}/sessions/{session_id + 1}/approve", headers=staff)
    assert_problem(missing, 404, "session-not-found")


async def test_of_who_is_erased_nothing_is_left_in_the_queue(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    await make(leaderboard_database, HIGH)
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    session_id = (await submit(leaderboard, ada, 101, boards=["high"]))["session_id"]
    rows(mysql, "INSERT INTO erasures (user_id, upto_session_id) VALUES (1, %s)", session_id)  # one that is under way
    assert await held(leaderboard, staff) == []
    rows(mysql, "DELETE FROM erasures")
    await remove(leaderboard, ada)
    assert rows(mysql, "SELECT * FROM reviews") == []
    assert_problem(await leaderboard.post(f"{API}/sessions/{session_id}/approve", headers=staff), 404, "session-not-found")


async def test_what_a_banned_player_has_held_stays_so_when_they_are_unbanned(
    leaderboard: httpx.AsyncClient,
    leaderboard_database: Database,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
) -> None:
    await make(leaderboard_database, HIGH)
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    assert await play(leaderboard, ada, 101, "high")
    await ban(leaderboard, staff, 1)
    assert [await play(leaderboard, ada, score, "high") for score in (102, 50)] == [True, False]
    first, second = await held(leaderboard, staff)
    await approve(leaderboard, staff, first["session_id"])
    assert await scores(leaderboard, "high") == []
    await unban(leaderboard, staff, 1)
    assert await scores(leaderboard, "high") == [(1, 1, 101)]
    await approve(leaderboard, staff, second["session_id"])
    assert await scores(leaderboard, "high") == [(1, 1, 102)]
    assert await check(leaderboard_settings) == []


async def test_what_is_approved_in_a_settled_period_leaves_its_results_and_tells_whose_rewards_are_others(
    leaderboard: httpx.AsyncClient,
    leaderboard_database: Database,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
    mysql: Any,
) -> None:
    await make_cup(leaderboard_database, mysql)
    body = {"aggregate": "best", "max_score": 10**9, "hold": {"score_over": 100}}
    shown = (await leaderboard.get(f"{API}/boards/cup")).json()
    windows = [
        {k: v for k, v in each.items() if k not in {"current", "next_starts_at", "counts_from"}} for each in shown["windows"]
    ]
    changed = await leaderboard.put(
        f"{API}/boards/cup", json=body | {"windows": windows}, headers=accounts.new(scopes=tuple(Scope))
    )
    assert changed.status_code == 200, changed.text
    for user_id, score in ((1, 30), (2, 20), (3, 10)):
        await submit(leaderboard, accounts.new(None, user_id), score, boards=["cup"])
    session_id = (await submit(leaderboard, accounts.new(None, 4), 101, boards=["cup"]))["session_id"]
    # The hour is over: what it had, it had an hour ago.
    rows(
        mysql,
        "UPDATE periods SET starts_at = starts_at - INTERVAL 2 HOUR, ends_at = ends_at - INTERVAL 2 HOUR,"
        " closes_at = closes_at - INTERVAL 2 HOUR",
    )

    async def is_settled() -> bool:
        return bool(rows(mysql, EVENTS))

    await eventually(is_settled, HOUR.seconds)
    results = rows(mysql, "SELECT user_id, reward FROM results ORDER BY position")
    await approve(leaderboard, moderator(accounts), session_id)
    assert rows(mysql, "SELECT user_id, reward FROM results ORDER BY position") == results
    [(data,)] = rows(mysql, "SELECT data FROM events WHERE kind = 'period.corrected'")
    assert {each["user_id"]: each["became"] for each in json.loads(data)["changed"]}[4] == "gold"
    assert await check(leaderboard_settings) == []


async def test_of_what_is_approved_voided_and_submitted_at_once_every_standing_is_the_fold(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    await make(leaderboard_database, HIGH, GAIN, OFTEN)
    async with counting(leaderboard_settings) as process, counting(leaderboard_settings) as other:

        async def judge(round_: int) -> None:
            for number, (session_id,) in enumerate(rows(mysql, "SELECT id FROM game_sessions WHERE state = 2 LIMIT 5")):
                work = sessions.approve if (number + round_) % 3 else partial(sessions.set_state, state=SessionState.VOIDED)
                await leaderboard_database.transaction(partial(work, session_id=session_id, order=ORDER))

        for round_ in range(4):
            played = [
                each.submit(user_id, 40 * round_ + 10 * user_id, boards=["high", "gain", "often"][: 1 + user_id % 3])
                for user_id in range(1, 7)
                for each in (process, other)
            ]
            await asyncio.gather(*played, judge(round_))
    assert await check(leaderboard_settings) == []
    # Who plays on `often` plays all sessions there.
    counted = "SELECT user_id, SUM(score) FROM game_sessions WHERE state = 0 AND user_id IN (2, 5) GROUP BY user_id"
    ranked = "SELECT user_id, score FROM standings JOIN boards ON id = board_id AND name = 'often' ORDER BY user_id"
    assert rows(mysql, ranked) == rows(mysql, counted)
    states = dict(rows(mysql, "SELECT state, COUNT(*) FROM game_sessions GROUP BY state"))
    assert states.keys() == {0, 1, 2}
    held_and_queued = "SELECT COUNT(*) FROM game_sessions JOIN reviews ON session_id = id AND board_id = 0 WHERE state = %s"
    assert [rows(mysql, held_and_queued, state) for state in (0, 1, 2)] == [[(0,)], [(0,)], [(states[2],)]]


def test_what_sessions_are_compared_with_is_found_by_the_player(mysql: Any) -> None:
    with mysql.cursor(DictCursor) as cursor:
        cursor.executemany(
            "INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version)"
            " VALUES (%s, %s, %s, 1, -1, 1, 1, 1)",
            [(board_id, period_id, user_id) for board_id in (5, 6) for period_id in range(20) for user_id in range(1, 26)],
        )
        cursor.executemany(
            "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at) VALUES (%s, %s, %s, %s, %s)",
            [(number % 25, b"%d" % number, b"0" * 16, 5, "2026-01-01") for number in range(1000)],
        )
        at = Ranked(Place(5, 0), Direction.DESCENDING, None)
        count = Count(at, Aggregate.BEST, 5, 1, Hold(gain_over=5, sessions_per_minute_over=10))
        [statement] = holds.compared([(user_id, count) for user_id in (3, 4)], "0x00")
        cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {statement}")
        plans = [plan for plan in cursor.fetchall() if plan["table"] in {"standings", "game_sessions"}]
        assert {plan["key"] for plan in plans} == {"ix_standings_user_id", "ix_game_sessions_user_id_id"}
        assert all(plan["type"] in {"range", "ref"} and int(plan["rows"]) <= 100 for plan in plans), plans
        cursor.execute(statement)
        [found] = cursor.fetchall()
        bests, _, recent = next(iter(found.values())).partition(";")
        assert (sorted(bests.split("\n")), len(recent.split("\n"))) == (["5 3 -1", "5 4 -1"], 20)


@pytest.mark.parametrize("caller", [None, "player", "moderator", "admin"])
async def test_the_rules_are_shown_to_staff_alone(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, caller: str | None
) -> None:
    await make(leaderboard_database, HIGH)
    headers = {
        None: {"Authorization": "Bearer nothing"},
        "player": accounts.new(),
        "moderator": moderator(accounts),
        "admin": accounts.new(scopes=tuple(Scope)),
    }[caller]
    shown = await get(leaderboard, "boards/high", headers)
    listed = [each for each in (await get(leaderboard, "boards", headers))["boards"] if each["name"] == "high"]
    expected = {"hold": {"score_over": 100, "gain_over": None, "sessions_per_minute_over": None}}
    for each in (shown, *listed):
        assert {name: each[name] for name in each if name == "hold"} == (expected if caller in {"moderator", "admin"} else {})


async def test_rules_may_change_for_later_sessions_and_be_taken_back(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts
) -> None:
    admin, ada = accounts.new(scopes=tuple(Scope)), accounts.new("Ada", 1)
    body: dict[str, Any] = {"aggregate": "best", "windows": [{"name": "all"}]}

    async def put(hold: dict[str, int] | None) -> dict[str, Any]:
        answer = await leaderboard.put(f"{API}/boards/high", json=body | {"hold": hold}, headers=admin)
        assert answer.is_success, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    assert "hold" not in await put(None)
    assert not await play(leaderboard, ada, 500, "high")
    assert (await put({"score_over": 100}))["hold"]["score_over"] == 100
    assert await play(leaderboard, ada, 501, "high")
    assert (await put({"gain_over": 50}))["hold"]["gain_over"] == 50
    assert not await play(leaderboard, ada, 550, "high")
    assert "hold" not in await put(None)
    assert not await play(leaderboard, ada, 900, "high")
    for hold, pointer in (({}, "#/hold"), ({"score_over": "5"}, "#/hold/score_over"), ({"rank_over": 5}, "#/hold/rank_over")):
        refused = await leaderboard.put(f"{API}/boards/high", json=body | {"hold": hold}, headers=admin)
        assert_problem(refused, 422, "invalid-request")
        assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]
