"""Many sessions are voided by a job: what was seen before is what it does, and it can be cancelled, resumed and undone."""

from typing import Any

import httpx
import pymysql.cursors
import pytest

from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.operate.check import check
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.voids.steps import CHANGED_AT_ONCE
from tests.boards import ALL, WEEK, define, make
from tests.moderating import STAFF_ID, WHY, act, begin, finish, moderator, preview, restore, undo, void, void_many
from tests.playing import API, add_sessions, get, play, remove, submit
from tests.system import Accounts, assert_problem, eventually, rows, serving

ALPS = define("alps", direction="ascending", windows=(ALL, WEEK))
BAD: dict[str, Any] = {"tags": {"build": "1.4.2"}, "boards": ["alps", "main"]}
GOOD: dict[str, Any] = {"tags": {"build": "1.4.3"}, "boards": ["alps", "main"]}
STATES = "SELECT id, state FROM game_sessions ORDER BY id"


@pytest.fixture
def staff(accounts: Accounts) -> dict[str, str]:
    return moderator(accounts)


@pytest.fixture
async def three(leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts) -> dict[str, list[int]]:
    """Sessions of Ada, Bob and Cy on the alps, by the build that they were played with."""
    await make(leaderboard_database, ALPS)
    played: dict[str, list[int]] = {"bad": [], "good": []}
    for user_id, name in enumerate(("Ada", "Bob", "Cy"), 1):
        player = accounts.new(name, user_id)
        for build, said, score in (("bad", BAD, 10), ("good", GOOD, 20), ("bad", BAD, 15)):
            played[build].append((await submit(leaderboard, player, score + user_id, **said))["session_id"])
    return played


def voided(mysql: Any) -> set[int]:
    return {session_id for session_id, state in rows(mysql, STATES) if state == 1}


async def top(client: httpx.AsyncClient, board: str) -> list[tuple[int, int]]:
    return [(row["user_id"], row["score"]) for row in (await get(client, f"boards/{board}/top"))["top"]]


async def test_what_a_look_finds_is_what_the_job_voids_and_undoing_it_brings_it_back(
    leaderboard: httpx.AsyncClient,
    leaderboard_settings: LeaderboardSettings,
    mysql: Any,
    staff: dict[str, str],
    three: dict[str, list[int]],
) -> None:
    before = [await top(leaderboard, board) for board in ("alps", "main")]
    found = await preview(leaderboard, staff, tags={"build": "1.4.2"})
    assert (found["sessions"], found["players"], found["complete"]) == (6, 3, True)
    assert [each["session_id"] for each in found["first"]] == three["bad"]
    assert [(each["username"], each["score"], each["tags"]) for each in found["first"][:2]] == [
        ("Ada", 11, {"build": "1.4.2"}),
        ("Ada", 16, {"build": "1.4.2"}),
    ]
    assert voided(mysql) == set()
    job = await void_many(leaderboard, staff, tags={"build": "1.4.2"})
    counts = {name: job[name] for name in ("state", "found", "done", "voided", "restored", "failed", "players")}
    assert counts == {"state": "done", "found": 6, "done": 6, "voided": 6, "restored": 0, "failed": 0, "players": 3}
    assert (job["filter"]["tags"], job["reason"], job["by"]) == (
        {"build": "1.4.2"},
        WHY,
        {"user_id": STAFF_ID, "client_id": None},
    )
    assert voided(mysql) == set(three["bad"])
    assert await top(leaderboard, "alps") == [(1, 21), (2, 22), (3, 23)]
    assert await top(leaderboard, "main") == [(3, 23), (2, 22), (1, 21)]
    assert await check(leaderboard_settings) == []
    assert (await preview(leaderboard, staff, tags={"build": "1.4.2"}))["sessions"] == 0
    undone = await undo(leaderboard, staff, job["job_id"])
    assert (undone["state"], undone["restored"], undone["failed"]) == ("undone", 6, 0)
    assert voided(mysql) == set()
    assert [await top(leaderboard, board) for board in ("alps", "main")] == before
    assert await check(leaderboard_settings) == []


async def test_the_log_tells_of_the_job_and_once_of_each_player(
    leaderboard: httpx.AsyncClient, staff: dict[str, str], three: dict[str, list[int]]
) -> None:
    assert len(three["bad"]) == 6
    job = await void_many(leaderboard, staff, tags={"build": "1.4.2"})
    await undo(leaderboard, staff, job["job_id"])
    entries = (await get(leaderboard, "audit", staff, limit=100))["entries"]
    assert [(each["act"], each["user_id"]) for each in reversed(entries)] == [
        ("void_job_begun", None),
        *(("sessions_voided", user_id) for user_id in (1, 2, 3)),
        ("void_job_finished", None),
        ("void_job_undone", None),
        *(("sessions_restored", user_id) for user_id in (1, 2, 3)),
        ("void_job_finished", None),
    ]
    assert {each["by"]["user_id"] for each in entries} == {STAFF_ID}
    [restored, told] = (await get(leaderboard, "audit", staff, user_id=1))["entries"]
    assert (restored["reason"], told["reason"]) == ("it was the wrong build", WHY)
    assert (told["became"]["job_id"], told["became"]["sessions"]) == (job["job_id"], 2)
    assert [each["score"] for each in told["was"]["scores"]] == [48, 11, 11]
    assert [each["score"] for each in told["became"]["scores"]] == [21, 21, 21]
    assert restored["became"]["scores"] == told["was"]["scores"]


async def test_sessions_that_others_have_voided_or_restored_are_left_alone(
    leaderboard: httpx.AsyncClient,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
    mysql: Any,
    staff: dict[str, str],
) -> None:
    before, again, back, held, gone, other = [await play(leaderboard, accounts.new(user_id=each), 5) for each in range(1, 7)]
    await void(leaderboard, staff, before[0])
    rows(mysql, "UPDATE game_sessions SET state = 2 WHERE id = %s", held[0])
    job = await void_many(leaderboard, staff, min_score=5)
    assert (job["found"], job["voided"]) == (5, 5)
    await restore(leaderboard, staff, again[0])
    await void(leaderboard, staff, again[0])  # another matter
    await restore(leaderboard, staff, back[0])
    await remove(leaderboard, accounts.new(user_id=5))
    rows(mysql, "UPDATE game_sessions SET state = 0 WHERE id = %s", other[0])  # in whatever other way
    undone = await undo(leaderboard, staff, job["job_id"])
    assert (undone["restored"], undone["failed"]) == (1, 0)
    assert dict(rows(mysql, STATES)) == {before[0]: 1, again[0]: 1, back[0]: 0, held[0]: 2, other[0]: 0}
    listed = (await get(leaderboard, f"void-jobs/{job['job_id']}/sessions", staff))["sessions"]
    assert {each["session_id"]: each["became"] for each in listed} == {
        again[0]: "left_alone",
        back[0]: "left_alone",
        held[0]: "restored",
        gone[0]: "left_alone",
        other[0]: "left_alone",
    }
    for session_id in (*held, *other):  # as the standings have it
        rows(mysql, "UPDATE game_sessions SET state = 1 WHERE id = %s", session_id)
    assert await check(leaderboard_settings) == []


async def test_a_cancelled_job_leaves_the_rest_and_what_it_did_can_be_undone(
    leaderboard: httpx.AsyncClient,
    leaderboard_settings: LeaderboardSettings,
    mysql: Any,
    other: "pymysql.cursors.Cursor",
    staff: dict[str, str],
    three: dict[str, list[int]],
) -> None:
    other.execute("SELECT * FROM players WHERE user_id = 2 FOR UPDATE")
    other.execute("SELECT * FROM game_sessions WHERE user_id = 1 FOR UPDATE")
    job = await begin(leaderboard, staff, tags={"build": "1.4.2"})
    # It goes through the log without waiting for anybody's rows.
    await eventually(lambda: _is(leaderboard, staff, job["job_id"], "voiding"))
    other.execute("ROLLBACK")
    other.execute("SELECT * FROM players WHERE user_id = 3 FOR UPDATE")
    await eventually(lambda: _has_done(leaderboard, staff, job["job_id"], 4))
    cancelled = await act(leaderboard, staff, f"void-jobs/{job['job_id']}/cancel", None)
    other.execute("ROLLBACK")
    assert (cancelled["state"], cancelled["voided"], cancelled["finished_at"] is None) == ("cancelled", 4, False)
    assert voided(mysql) == set(three["bad"][:4])
    assert (await act(leaderboard, staff, f"void-jobs/{job['job_id']}/cancel", None)) == cancelled
    undone = await undo(leaderboard, staff, job["job_id"])
    assert (undone["state"], undone["restored"]) == ("undone", 4)
    assert voided(mysql) == set()
    assert await check(leaderboard_settings) == []


async def test_another_process_goes_on_with_it_and_sessions_submitted_since_are_not_meant(
    leaderboard: httpx.AsyncClient,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
    mysql: Any,
    other: "pymysql.cursors.Cursor",
    staff: dict[str, str],
    three: dict[str, list[int]],
) -> None:
    async with serving(create_app(leaderboard_settings)) as first:
        other.execute("SELECT * FROM players WHERE user_id = 2 FOR UPDATE")
        job = await begin(first, staff, tags={"build": "1.4.2"})
        await eventually(lambda: _has_done(leaderboard, staff, job["job_id"], 2))
        later = (await submit(leaderboard, accounts.new("Ada", 1), 9, **BAD))["session_id"]
        conflict = await leaderboard.post(f"{API}/void-jobs/{job['job_id']}/undo", json={"reason": "wait"}, headers=staff)
        assert_problem(conflict, 409, "void-job-conflict")
    other.execute("ROLLBACK")
    assert voided(mysql) == set(three["bad"][:2])
    done = await finish(leaderboard, staff, job["job_id"])
    assert (done["state"], done["voided"], done["players"]) == ("done", 6, 3)
    assert voided(mysql) == set(three["bad"])
    assert await top(leaderboard, "alps") == [(1, 9), (2, 22), (3, 23)]
    assert later not in voided(mysql)
    assert await check(leaderboard_settings) == []


async def test_a_total_that_cannot_be_restored_does_not_keep_others_waiting(
    leaderboard: httpx.AsyncClient,
    leaderboard_database: Database,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
    mysql: Any,
    staff: dict[str, str],
) -> None:
    await make(leaderboard_database, define("sum", aggregate="total", max_score=MAX_TOTAL, windows=(ALL,)))
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    large = (await submit(leaderboard, ada, MAX_TOTAL, boards=["sum"]))["session_id"]
    await submit(leaderboard, bob, 7, boards=["sum"])
    job = await void_many(leaderboard, staff, board="sum")
    small = (await submit(leaderboard, ada, 1, boards=["sum"]))["session_id"]
    undone = await undo(leaderboard, staff, job["job_id"])
    assert (undone["state"], undone["restored"], undone["failed"]) == ("undone", 1, 1)
    assert voided(mysql) == {large}
    await void(leaderboard, staff, small)
    undone = await undo(leaderboard, staff, job["job_id"])
    assert (undone["restored"], undone["failed"]) == (2, 0)
    assert voided(mysql) == {small}
    assert await check(leaderboard_settings) == []


async def test_very_many_sessions_of_one_player_are_voided_in_several_steps(
    leaderboard: httpx.AsyncClient,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
    mysql: Any,
    staff: dict[str, str],
) -> None:
    await play(leaderboard, accounts.new("Ada", 1), 5)
    add_sessions(mysql, 1, CHANGED_AT_ONCE)
    rows(mysql, "UPDATE standings SET sessions = sessions + %s", CHANGED_AT_ONCE)
    job = await void_many(leaderboard, staff, max_score=5)
    assert (job["voided"], job["players"]) == (CHANGED_AT_ONCE + 1, 1)
    assert rows(mysql, "SELECT act FROM moderation_log WHERE user_id = 1") == [("sessions_voided",)] * 2
    assert await check(leaderboard_settings) == []
    assert (await undo(leaderboard, staff, job["job_id"]))["restored"] == CHANGED_AT_ONCE + 1
    assert await check(leaderboard_settings) == []


async def test_jobs_and_what_they_found_are_listed_page_by_page(
    leaderboard: httpx.AsyncClient, staff: dict[str, str], three: dict[str, list[int]]
) -> None:
    ids = [(await void_many(leaderboard, staff, user_id=user_id))["job_id"] for user_id in (3, 2, 9)]
    listed = [each["job_id"] for each in await _pages(leaderboard, staff, "void-jobs", "jobs")]
    assert listed == ids[::-1]
    found = [each["session_id"] for each in await _pages(leaderboard, staff, f"void-jobs/{ids[0]}/sessions", "sessions")]
    assert found == sorted([*three["bad"][4:], three["good"][2]])
    for path in (f"void-jobs/{ids[-1] + 1}", f"void-jobs/{ids[-1] + 1}/sessions"):
        assert_problem(await leaderboard.get(f"{API}/{path}", headers=staff), 404, "void-job-not-found")
    for path in ("cancel", "undo"):
        answer = await leaderboard.post(f"{API}/void-jobs/{ids[-1] + 1}/{path}", json={"reason": WHY}, headers=staff)
        assert_problem(answer, 404, "void-job-not-found")


async def _is(client: httpx.AsyncClient, staff: dict[str, str], job_id: int, state: str) -> bool:
    return bool((await get(client, f"void-jobs/{job_id}", staff))["state"] == state)


async def _has_done(client: httpx.AsyncClient, staff: dict[str, str], job_id: int, sessions: int) -> bool:
    return bool((await get(client, f"void-jobs/{job_id}", staff))["done"] == sessions)


async def _pages(client: httpx.AsyncClient, staff: dict[str, str], path: str, name: str) -> list[dict[str, Any]]:
    """A list, which is more than a page of two."""
    found: list[dict[str, Any]] = []
    query = {"limit": "2"}
    while True:
        page = (await client.get(f"{API}/{path}", params=query, headers=staff)).json()
        found += page[name]
        if page["next_cursor"] is None:
            assert len(found) > 2
            return found
        query["cursor"] = page["next_cursor"]
