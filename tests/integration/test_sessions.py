"""A player's own game sessions, newest first, a page at a time."""

from datetime import datetime
from typing import Any

import httpx
import pytest

from services.leaderboard import cursors
from tests.playing import API, play
from tests.system import Accounts, assert_problem


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
