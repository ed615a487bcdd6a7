"""Players report sessions of others, which then are looked at sooner: five a day, counted once each."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from services.common.mysql.database import Database
from services.common.tokens import Scope
from services.leaderboard.rules.holds import Hold
from tests.boards import define, make
from tests.moderating import act, approve, held, moderator, report, restore, void
from tests.playing import API, get, play, remove, submit
from tests.system import Accounts, assert_problem, rows


async def queue(client: httpx.AsyncClient, staff: dict[str, str]) -> list[tuple[int, int]]:
    """The sessions that are to be looked at, and how many have reported each."""
    return [(each["session_id"], each["reports"]) for each in await held(client, staff)]


async def test_the_most_reported_come_first_then_the_oldest_and_pages_follow_each_other(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts
) -> None:
    await make(leaderboard_database, define("high", hold=Hold(score_over=100)))
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    _, second, third = await play(leaderboard, ada, 1, 2, 3)
    on_high = [(await submit(leaderboard, ada, score, boards=["high"]))["session_id"] for score in (101, 102, 5)]
    reporters = [accounts.new(None, user_id) for user_id in (11, 12, 13)]
    for session_id, times in ((second, 3), (third, 1), (on_high[1], 1)):
        for number, reporter in enumerate(reporters[:times]):
            await report(leaderboard, reporter, session_id, f"reason {number}")
    expected = [(second, 3), (third, 1), (on_high[1], 1), (on_high[0], 0)]
    assert await queue(leaderboard, staff) == expected
    listed = await held(leaderboard, staff)
    assert [each["held"] for each in listed] == [False, False, True, True]
    assert [each["reason"] and each["reason"]["rule"] for each in listed] == [None, None, "score_over", "score_over"]
    assert [each["reported"] for each in listed] == [["reason 2", "reason 1", "reason 0"], ["reason 0"], ["reason 0"], []]
    assert [each["session_id"] for each in await held(leaderboard, staff, "high")] == [on_high[1], on_high[0]]
    paged: list[int] = []
    query: dict[str, Any] = {"limit": 1}
    while True:
        page = (await leaderboard.get(f"{API}/holds", params=query, headers=staff)).json()
        paged += [each["session_id"] for each in page["holds"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert paged == [session_id for session_id, _ in expected]
    of_another = await leaderboard.get(f"{API}/holds", params={**query, "board": "high"}, headers=staff)
    assert_problem(of_another, 422, "invalid-request")
    unknown = await leaderboard.get(f"{API}/holds", params={"board": "nowhere"}, headers=staff)
    assert_problem(unknown, 404, "board-not-found")


async def test_a_player_counts_once_and_five_sessions_a_day(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    staff, bob = moderator(accounts), accounts.new("Bob", 2)
    ids = await play(leaderboard, accounts.new("Ada", 1), *range(8))
    for session_id in [*ids[:5], *ids[:5]]:
        await report(leaderboard, bob, session_id)
    answer = await leaderboard.post(f"{API}/sessions/{ids[5]}/report", headers=bob)
    assert_problem(answer, 429, "too-many-reports")
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert abs((tomorrow - datetime.now(UTC)).total_seconds() - int(answer.headers["retry-after"])) < 60
    await report(leaderboard, bob, ids[0])  # a repeat is free
    assert await queue(leaderboard, staff) == [(session_id, 1) for session_id in ids[:5]]
    rows(mysql, "UPDATE reporters SET day = day - INTERVAL 1 DAY")
    await report(leaderboard, bob, ids[5])
    assert rows(mysql, "SELECT reports FROM reporters") == [(1,)]
    carol = accounts.new("Carol", 3)
    answers = await asyncio.gather(
        *(leaderboard.post(f"{API}/sessions/{session_id}/report", headers=carol) for session_id in ids)
    )
    assert sorted(each.status_code for each in answers) == [204] * 5 + [429] * 3
    assert sorted(await queue(leaderboard, staff)) == [
        (session_id, (session_id in ids[:6]) + (each.status_code == 204))
        for session_id, each in zip(ids, answers, strict=True)
        if session_id in ids[:6] or each.status_code == 204
    ]


async def test_what_is_refused(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    own, erased = await play(leaderboard, bob, 5, 6)
    rows(mysql, "INSERT INTO erasures (user_id, upto_session_id) VALUES (2, %s)", own)
    for session_id, headers, status, kind in (
        (erased, bob, 403, "own-session"),
        (own, ada, 404, "session-not-found"),
        (erased + 1, ada, 404, "session-not-found"),
        (erased, accounts.new_key(*Scope), 403, "not-for-keys"),
    ):
        answer = await leaderboard.post(f"{API}/sessions/{session_id}/report", headers=headers)
        assert_problem(answer, status, kind)
    bodies: list[Any] = [{"reason": ""}, {"reason": "a\nb"}, {"reason": "a" * 501}, {"why": "a"}, []]
    for body in bodies:
        answer = await leaderboard.post(f"{API}/sessions/{erased}/report", json=body, headers=ada)
        assert_problem(answer, 422, "invalid-request")
    rows(mysql, "INSERT INTO account_changes (id, username, username_canonical, ended_at) VALUES (1, '', '', '2026-01-01')")
    assert_problem(await leaderboard.post(f"{API}/sessions/{erased}/report", headers=ada), 401)
    for table in ("reports", "reporters", "reviews"):
        assert rows(mysql, f"SELECT * FROM {table}") == []


async def test_who_has_looked_dismisses_the_reports_and_others_may_report_it_anew(
    leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    staff, bob = moderator(accounts), accounts.new("Bob", 2)
    first, second = await play(leaderboard, accounts.new("Ada", 1), 5, 6)
    await report(leaderboard, bob, first)
    await report(leaderboard, bob, second)
    for _ in range(2):
        dismissed = await act(leaderboard, staff, f"sessions/{first}/approve", "it is fair")
    assert dismissed["standings"][0]["score"] == 11
    await void(leaderboard, staff, second)
    assert await queue(leaderboard, staff) == []
    entries = (await get(leaderboard, "audit", staff))["entries"]
    assert [(each["act"], each["was"], each["reason"]) for each in entries[1:]] == [
        ("reports_dismissed", {"reports": 1}, "it is fair")
    ]
    await report(leaderboard, bob, first)
    assert await queue(leaderboard, staff) == []
    await report(leaderboard, accounts.new("Carol", 3), first)
    await report(leaderboard, accounts.new("Carol", 3), second)
    assert await queue(leaderboard, staff) == [(first, 1)]
    await restore(leaderboard, staff, second)
    assert await queue(leaderboard, staff) == [(first, 1)]
    await approve(leaderboard, staff, first)
    assert await queue(leaderboard, staff) == []


async def test_reports_go_with_who_made_them_and_with_the_sessions_that_they_are_of(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada, bob, carol = accounts.new("Ada", 1), accounts.new("Bob", 2), accounts.new("Carol", 3)
    [by_ada], [by_carol] = await play(leaderboard, ada, 5), await play(leaderboard, carol, 6)
    await report(leaderboard, bob, by_ada, "through the wall")
    await report(leaderboard, bob, by_carol)
    kept = (await get(leaderboard, "me/export", bob))["reports"]
    assert [(each["session_id"], each["reason"]) for each in kept] == [(by_ada, "through the wall"), (by_carol, None)]
    await remove(leaderboard, ada)
    assert rows(mysql, "SELECT session_id FROM reports") == [(by_carol,)]
    assert rows(mysql, "SELECT DISTINCT session_id FROM reviews") == [(by_carol,)]
    await remove(leaderboard, bob)  # who has never played
    assert (rows(mysql, "SELECT * FROM reports"), rows(mysql, "SELECT * FROM reporters")) == ([], [])
