"""A voided session counts nowhere: the next best stands, at once, wherever it counted. Restored, it counts as before."""

from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.common.tokens import Scope
from services.leaderboard.app import create_app
from services.leaderboard.operate.check import check
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, WEEK, define, make
from tests.moderating import WHY, act, moderator, restore, unban, void
from tests.playing import API, get, play, remove, send, submit
from tests.system import Accounts, assert_problem, rows, serving

ALPS = define("alps", direction="ascending", windows=(ALL, WEEK))
FORM = define("form", aggregate="latest", windows=(ALL,))
EVERYWHERE: dict[str, Any] = {"boards": ["alps", "form", "main"]}


async def pages(client: httpx.AsyncClient) -> dict[str, list[tuple[int, int, int]]]:
    """Rank, player and score of everybody, by board and window."""
    found = {}
    for board, window in (("alps", "all"), ("alps", "week"), ("form", "all"), ("main", "all")):
        page = await client.get(f"{API}/boards/{board}/top", params={"window": window})
        found[f"{board} {window}"] = [(row["rank"], row["user_id"], row["score"]) for row in page.json()["top"]]
    return found


async def test_the_next_best_stands_everywhere_at_once_ties_included_and_a_restored_session_counts_as_before(
    leaderboard: httpx.AsyncClient,
    leaderboard_database: Database,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
) -> None:
    await make(leaderboard_database, ALPS, FORM)
    staff, ada, bob = moderator(accounts), accounts.new("Ada", 1), accounts.new("Bob", 2)
    for player, score in ((ada, 30), (bob, 30), (ada, 30)):
        await submit(leaderboard, player, score, **EVERYWHERE)
    best = (await submit(leaderboard, ada, 10, **EVERYWHERE))["session_id"]
    async with serving(create_app(leaderboard_settings)) as other:
        before = await pages(leaderboard)
        assert before["alps week"] == before["alps all"] == [(1, 1, 10), (2, 2, 30)]
        assert (before["form all"], before["main all"]) == ([(1, 2, 30), (2, 1, 10)], [(1, 1, 70), (2, 2, 30)])
        judged = await void(leaderboard, staff, best)
        assert {name: judged[name] for name in ("session_id", "user_id", "username", "voided")} == {
            "session_id": best,
            "user_id": 1,
            "username": "Ada",
            "voided": True,
        }
        shown = {(each["board"], each["window"]): (each["score"], each["rank"]) for each in judged["standings"]}
        assert shown == {
            ("alps", "all"): (30, 1),
            ("alps", "week"): (30, 1),
            ("form", "all"): (30, 1),
            ("main", "all"): (60, 1),
        }
        assert {each["total_players"] for each in judged["standings"]} == {2}
        after = await pages(other)
        assert after == await pages(leaderboard)
        # Of equal scores, who reached it first stands first: now it is the first session of Ada's that did.
        assert after["alps week"] == after["alps all"] == [(1, 1, 30), (1, 2, 30)]
        assert (after["form all"], after["main all"]) == ([(1, 2, 30), (1, 1, 30)], [(1, 1, 60), (2, 2, 30)])
        assert await check(leaderboard_settings) == []
        assert (await restore(other, staff, best))["voided"] is False
        assert await pages(leaderboard) == await pages(other) == before
        assert await check(leaderboard_settings) == []


async def test_who_has_nothing_else_is_on_no_board(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    [session_id] = await play(leaderboard, ada, 5)
    judged = await void(leaderboard, staff, session_id)
    assert judged["standings"] == [
        {"board": "main", "window": "all", "period_id": 0, "score": None, "rank": None, "total_players": None}
    ]
    assert_problem(await leaderboard.get(f"{API}/rank/1"), 404, "player-not-found")
    standing = "SELECT score, sort, sessions, reached_session_id, version FROM standings"
    assert rows(mysql, standing) == [(None, None, 0, 0, 2)]
    assert (await restore(leaderboard, staff, session_id))["standings"][0]["rank"] == 1
    assert rows(mysql, standing) == [(5, -5, 1, session_id, 3)]
    assert await check(leaderboard_settings) == []


async def test_done_twice_it_is_done_once(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    staff = moderator(accounts)
    first, _ = await play(leaderboard, accounts.new("Ada", 1), 5, 6)
    for act_once in (void, restore):
        once, again = [await act_once(leaderboard, staff, first) for _ in range(2)]
        assert once == again
    assert rows(mysql, "SELECT version, score FROM standings") == [(4, 11)]
    assert [row[0] for row in rows(mysql, "SELECT act FROM moderation_log ORDER BY id")] == [
        "session_voided",
        "session_restored",
    ]


async def test_a_repeat_is_answered_with_the_voided_session_and_its_player_is_told(
    leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    await submit(leaderboard, ada, 4, "first")
    voided = (await submit(leaderboard, ada, 9, "second"))["session_id"]
    await void(leaderboard, staff, voided)
    again = await send(leaderboard, ada, 9, "second")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert (again.json()["session_id"], again.json()["total_score"]) == (voided, 4)
    own = (await get(leaderboard, "sessions/me", ada))["sessions"]
    assert [(each["score"], each["voided"]) for each in own] == [(9, True), (4, False)]
    kept = (await get(leaderboard, "me/export", ada))["sessions"]
    assert [(each["score"], each.get("voided")) for each in kept] == [(4, None), (9, True)]


async def test_what_counted_before_a_period_or_a_board_closed_is_folded_by_its_places(
    leaderboard: httpx.AsyncClient,
    leaderboard_database: Database,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
    mysql: Any,
) -> None:
    """Neither what a board takes now nor whether a period goes on has a say: what is in the session's row has."""
    await make(leaderboard_database, ALPS, FORM)
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    best, worse = [(await submit(leaderboard, ada, score, **EVERYWHERE))["session_id"] for score in (10, 20)]
    rows(mysql, "UPDATE periods SET state = 'settled', closes_at = NOW(6)")
    await make(leaderboard_database, define("form", aggregate="latest", windows=(ALL,), state="closed"))
    await void(leaderboard, staff, best)
    scores = "SELECT score, sessions FROM standings ORDER BY board_id, period_id"
    assert rows(mysql, scores) == [(20, 1)] * 4
    await act(leaderboard, staff, "players/1/ban")
    assert rows(mysql, scores) == [(None, 0)] * 4
    assert await check(leaderboard_settings) == []
    await unban(leaderboard, staff, 1)
    await void(leaderboard, staff, worse)
    await restore(leaderboard, staff, best)
    assert rows(mysql, scores) == [(10, 1)] * 4
    assert await check(leaderboard_settings) == []


async def test_nothing_comes_back_to_a_period_that_has_expired_or_to_a_board_that_is_being_deleted(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    await make(leaderboard_database, ALPS, FORM)
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    session_id = (await submit(leaderboard, ada, 10, **EVERYWHERE))["session_id"]
    rows(mysql, "UPDATE periods SET state = 'expired'")
    rows(mysql, "UPDATE boards SET state = 'deleting' WHERE name = 'form'")
    rows(mysql, "DELETE FROM standings WHERE period_id <> 0 OR board_id = (SELECT id FROM boards WHERE name = 'form')")
    for step in (void, restore):
        await step(leaderboard, staff, session_id)
    await act(leaderboard, staff, "players/1/ban")
    await unban(leaderboard, staff, 1)
    places = "SELECT b.name, s.period_id, s.score FROM standings AS s JOIN boards AS b ON b.id = s.board_id ORDER BY s.board_id"
    assert rows(mysql, places) == [("main", 0, 10), ("alps", 0, 10)]


async def test_a_total_that_would_be_too_large_is_refused_and_nothing_is_changed(
    leaderboard: httpx.AsyncClient,
    leaderboard_database: Database,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
    mysql: Any,
) -> None:
    await make(leaderboard_database, define("coins", aggregate="total", max_score=MAX_TOTAL, windows=(ALL,)))
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    coins: dict[str, Any] = {"boards": ["coins"]}
    first = (await submit(leaderboard, ada, MAX_TOTAL, **coins))["session_id"]
    await void(leaderboard, staff, first)
    await submit(leaderboard, ada, 1, **coins)
    refused = await leaderboard.post(f"{API}/sessions/{first}/restore", headers=staff)
    assert_problem(refused, 409, "total-too-large")
    assert rows(mysql, "SELECT score FROM standings") == [(1,)]
    assert rows(mysql, "SELECT COUNT(*) FROM moderation_log") == [(1,)]
    assert await check(leaderboard_settings) == []


async def test_there_is_nothing_to_void_of_a_session_that_is_not_there_or_was_erased(
    leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    [erased] = await play(leaderboard, ada, 5)
    await remove(leaderboard, ada)
    for session_id in (erased, 2**62):
        for path in ("void", "restore"):
            response = await leaderboard.post(f"{API}/sessions/{session_id}/{path}", json={"reason": WHY}, headers=staff)
            assert_problem(response, 404, "session-not-found")


ACTS = "sessions/{}/void", "sessions/{}/restore", "players/1/ban", "players/1/unban"
LISTS = "players/1/sessions", "audit"


async def test_only_staff_and_keys_may_that_have_the_scope(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    [session_id] = await play(leaderboard, accounts.new("Ada", 1), 5)
    others = [scope for scope in Scope if scope is not Scope.MODERATE]
    requests = [("POST", path.format(session_id)) for path in ACTS] + [("GET", path) for path in LISTS]
    for method, path in requests:
        body: dict[str, Any] = {"json": {"reason": WHY}} if method == "POST" else {}
        assert_problem(await leaderboard.request(method, f"{API}/{path}", **body), 401, "unauthenticated")
        for headers in (
            accounts.new("Ada", 1),
            accounts.new("Bob", 2, scopes=others),
            accounts.new_key(*others),
            accounts.new_key(),
        ):
            refused = await leaderboard.request(method, f"{API}/{path}", headers=headers, **body)
            assert_problem(refused, 403, "insufficient-scope")
    assert rows(mysql, "SELECT COUNT(*) FROM moderation_log") == [(0,)]
    assert rows(mysql, "SELECT state FROM game_sessions") == [(0,)]
    key = accounts.new_key(Scope.MODERATE)
    for method, path in requests:
        body = {"json": {"reason": WHY}} if method == "POST" else {}
        assert (await leaderboard.request(method, f"{API}/{path}", headers=key, **body)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"reason": ""}',
        b'{"reason": " "}',
        b'{"reason": null}',
        b'{"reason": 1}',
        b'{"reason": "a\\nb"}',
        b'{"reason": "\\ud800"}',
        b'{"reason": "%b"}' % (b"x" * 501),
        b'{"reason": "why", "more": 1}',
        b'{"reason": "why',
    ],
)
async def test_a_reason_is_one_line_that_can_be_read(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, body: bytes
) -> None:
    staff = moderator(accounts) | {"Content-Type": "application/json"}
    [session_id] = await play(leaderboard, accounts.new("Ada", 1), 5)
    for path in (f"sessions/{session_id}/void", "players/1/ban"):
        assert_problem(await leaderboard.post(f"{API}/{path}", content=body, headers=staff), 422, "invalid-request")
    assert rows(mysql, "SELECT score FROM standings") == [(5,)]


@pytest.mark.parametrize(
    "path", ["sessions/0/void", "sessions/x/void", f"sessions/{2**63}/void", "players/0/ban", "players/-1/ban"]
)
async def test_an_id_is_a_number_that_an_id_may_be(leaderboard: httpx.AsyncClient, accounts: Accounts, path: str) -> None:
    response = await leaderboard.post(f"{API}/{path}", json={"reason": WHY}, headers=moderator(accounts))
    assert_problem(response, 422, "invalid-request")
