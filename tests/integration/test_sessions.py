"""A player's own game sessions, newest first, a page at a time."""

import asyncio
from datetime import datetime
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.leaderboard import cursors
from services.leaderboard.log.history import LOOKED_AT_ONCE
from services.leaderboard.rules.holds import Hold
from tests.boards import define, make
from tests.moderating import moderator, void
from tests.playing import API, add_sessions, play, remove, submit
from tests.system import Accounts, assert_problem, rows


async def page(client: httpx.AsyncClient, headers: dict[str, str], **query: object) -> dict[str, Any]:
    response = await client.get(f"{API}/sessions/me", params=query, headers=headers)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_before_the_first_there_are_none(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    assert await page(leaderboard, accounts.new()) == {"sessions": [], "next_cursor": None}


async def test_they_are_ones_own_and_newest_first(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    ada, bob = accounts.new("ada"), accounts.new("bob")
    ids = await play(leaderboard, ada, 3, 0, 7)
    await play(leaderboard, bob, 9)
    answer = await page(leaderboard, ada)
    assert [(each["session_id"], each["score"]) for each in answer["sessions"]] == [(ids[2], 7), (ids[1], 0), (ids[0], 3)]
    assert answer["next_cursor"] is None
    for each in answer["sessions"]:
        assert each.keys() == {"session_id", "score", "submitted_at", "voided", "held"}
        assert datetime.fromisoformat(each["submitted_at"]).utcoffset() is not None


async def test_pages_follow_each_other_whatever_is_played_meanwhile(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    ada = accounts.new("ada")
    ids = await play(leaderboard, ada, *range(7))
    seen: list[int] = []
    query: dict[str, object] = {"limit": 3}
    while True:
        answer = await page(leaderboard, ada, **query)
        seen += [each["session_id"] for each in answer["sessions"]]
        await play(leaderboard, ada, 1)
        if answer["next_cursor"] is None:
            break
        query["cursor"] = answer["next_cursor"]
    assert seen == ids[::-1]


async def test_a_last_page_that_is_full_says_that_it_is_the_last(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    ada = accounts.new("ada")
    await play(leaderboard, ada, 1, 2)
    assert (await page(leaderboard, ada, limit=2))["next_cursor"] is None
    assert (await page(leaderboard, ada, limit=1))["next_cursor"] is not None


@pytest.mark.parametrize(
    "cursor", ["", "x", "=", "czE6", "czE6MA", "czE6LTE", "czE6MTIz!", "żółw", "czE6MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMg", "a" * 65]
)
async def test_a_broken_cursor_is_told(leaderboard: httpx.AsyncClient, accounts: Accounts, cursor: str) -> None:
    answer = await leaderboard.get(f"{API}/sessions/me", params={"cursor": cursor}, headers=accounts.new())
    assert_problem(answer, 422, "invalid-request")
    assert answer.json()["errors"][0]["parameter"] == "cursor"


def test_a_cursor_gives_back_what_it_was_made_from() -> None:
    for session_id in (1, 12345, 2**64 - 1):
        assert cursors.decode(cursors.encode(session_id)) == session_id


async def test_they_are_asked_for_with_a_token(leaderboard: httpx.AsyncClient) -> None:
    assert_problem(await leaderboard.get(f"{API}/sessions/me"), 401, "unauthenticated")


async def test_of_a_board_those_are_listed_that_count_there_or_would(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts
) -> None:
    await make(leaderboard_database, define("alps"), define("laps", hold=Hold(score_over=100)))
    ada = accounts.new("ada")
    [on_main] = await play(leaderboard, ada, 1)
    alps, both = [
        (await submit(leaderboard, ada, 2, boards=boards))["session_id"] for boards in (["alps"], ["main", "alps", "laps"])
    ]
    held = (await submit(leaderboard, ada, 500, boards=["laps"]))["session_id"]
    voided = (await submit(leaderboard, ada, 3, boards=["alps"]))["session_id"]
    await void(leaderboard, moderator(accounts), voided)
    await submit(leaderboard, accounts.new("bob"), 3, boards=["alps"])
    for board, ids in (("main", [both, on_main]), ("alps", [both, alps]), ("laps", [held, both])):
        answer = await page(leaderboard, ada, board=board)
        assert [each["session_id"] for each in answer["sessions"]] == ids
        assert [each["held"] for each in answer["sessions"]] == [each == held for each in ids]
        assert not any(each["voided"] for each in answer["sessions"])
        assert answer["next_cursor"] is None
    refused = await leaderboard.get(f"{API}/sessions/me", params={"board": "nowhere"}, headers=ada)
    assert_problem(refused, 404, "board-not-found")
    refused = await leaderboard.get(f"{API}/sessions/me", params={"board": "No"}, headers=ada)
    assert_problem(refused, 422, "invalid-request")


async def test_a_board_s_pages_follow_each_other_and_each_looks_at_so_many_sessions(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, mysql: Any, accounts: Accounts
) -> None:
    await make(leaderboard_database, define("alps"))
    ada = accounts.new("ada", 7)
    ids = [(await submit(leaderboard, ada, 2, boards=["alps"]))["session_id"] for _ in range(3)]
    await asyncio.to_thread(add_sessions, mysql, 7, LOOKED_AT_ONCE + 10)  # of the main board alone
    ids += [(await submit(leaderboard, ada, 2, boards=["alps"]))["session_id"] for _ in range(3)]
    seen: list[list[int]] = []
    query: dict[str, object] = {"board": "alps", "limit": 2}
    while True:
        answer = await page(leaderboard, ada, **query)
        seen.append([each["session_id"] for each in answer["sessions"]])
        await submit(leaderboard, ada, 2, boards=["alps"])
        if answer["next_cursor"] is None:
            break
        query["cursor"] = answer["next_cursor"]
    assert seen == [[ids[5], ids[4]], [ids[3]], [ids[2], ids[1]], [ids[0]]]
    # A cursor is good for the list that gave it.
    cursor = (await page(leaderboard, ada, board="alps", limit=1))["next_cursor"]
    others = (await page(leaderboard, ada, limit=1))["next_cursor"]
    for query in ({"cursor": cursor}, {"cursor": cursor, "board": "main"}, {"cursor": others, "board": "alps"}):
        answer = await leaderboard.get(f"{API}/sessions/me", params=query, headers=ada)  # type: ignore[assignment, arg-type]
        assert_problem(answer, 422, "invalid-request")  # type: ignore[arg-type]
    # What is being erased counts nowhere.
    rows(mysql, "INSERT INTO erasures (user_id, upto_session_id) VALUES (7, %s)", ids[5])
    assert min(each["session_id"] for each in (await page(leaderboard, ada, board="alps"))["sessions"]) > ids[5]
    rows(mysql, "DELETE FROM erasures")
    await remove(leaderboard, ada)
    assert await page(leaderboard, ada, board="alps") == {"sessions": [], "next_cursor": None}
