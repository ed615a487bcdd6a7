"""What a filter of sessions finds, member by member, and what is no filter."""

from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from tests.boards import ALL, WEEK, define, make
from tests.moderating import WHY, moderator, preview, void, void_many
from tests.playing import API, submit
from tests.system import Accounts, assert_problem, rows

# By their places in what is played below.
FOUND: list[tuple[dict[str, Any], list[int]]] = [
    ({"tags": {"build": "1"}}, [0, 1, 2]),
    ({"tags": {"build": "1", "track": "ice"}}, [1]),
    ({"tags": {"build": "1 "}}, [3]),
    ({"tags": {"build": 'a"\\é'}}, [4]),
    ({"tags": {"other": "1"}}, []),
    ({"user_id": 2}, [1, 4]),
    ({"user_id": 2, "tags": {"build": "1"}}, [1]),
    ({"board": "alps"}, [0, 1, 5]),
    ({"board": "form"}, [1, 5]),
    ({"board": "main"}, [2, 3, 4, 6]),
    ({"board": "form", "max_score": 20}, [1]),
    ({"min_score": 20}, [1, 2, 3, 4, 5, 6]),
    ({"max_score": 20}, [0, 1]),
    ({"min_score": 20, "max_score": 30}, [1, 2]),
    ({"since": "2026-02-01T00:00:00Z", "until": "2026-02-01T00:00:01+00:00"}, [2]),
    ({"until": "2026-02-01T01:00:00+01:00"}, [0, 1]),
    ({"since": "2026-03-01T00:00:00Z"}, [3, 4, 5, 6]),
]

# And where what is wrong with each of these is told to be.
NO_FILTERS: list[tuple[Any, str]] = [
    ({}, "#/filter"),
    ({"tags": {}}, "#/filter/tags"),
    ({"tags": {"build": ""}}, "#/filter/tags/build"),
    ({"tags": {'"': "1"}}, '#/filter/tags/"'),
    ({"tags": None}, "#/filter"),
    ({"user_id": 0}, "#/filter/user_id"),
    ({"user_id": "1"}, "#/filter/user_id"),
    ({"board": "Alps!"}, "#/filter/board"),
    ({"board": "nowhere"}, "#/filter/board"),
    ({"since": "yesterday"}, "#/filter/since"),
    ({"since": "2026-02-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}, "#/filter/until"),
    ({"min_score": 2, "max_score": 1}, "#/filter/max_score"),
    ({"min_score": 2**53}, "#/filter/min_score"),
    ({"score": 5}, "#/filter/score"),
    ([], "#/filter"),
]


@pytest.fixture
async def played(leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any) -> list[int]:
    """Sessions of three players, of which one says when it was played, and one is from when there was one board."""
    await make(leaderboard_database, define("alps", windows=(WEEK, ALL)), define("form", windows=(ALL, WEEK)))
    said: list[tuple[int, dict[str, Any]]] = [
        (1, {"tags": {"build": "1"}, "boards": ["alps"]}),
        (2, {"tags": {"build": "1", "track": "ice"}, "boards": ["alps", "form"]}),
        (3, {"tags": {"track": "sand", "build": "1"}}),
        (3, {"tags": {"build": "1 "}}),
        (2, {"tags": {"build": 'a"\\é'}}),
        (1, {"boards": ["form", "alps"]}),
        (1, {}),
    ]
    ids = []
    for number, (user_id, rest) in enumerate(said, 1):
        ids.append((await submit(leaderboard, accounts.new(user_id=user_id), 10 * number, **rest))["session_id"])
    rows(mysql, "UPDATE game_sessions SET submitted_at = '2026-01-01' WHERE id <= %s", ids[1])
    rows(mysql, "UPDATE game_sessions SET played_at = '2026-02-01' WHERE id = %s", ids[2])
    rows(mysql, "UPDATE game_sessions SET places = NULL WHERE id = %s", ids[6])
    return ids


async def test_a_session_is_found_that_fits_every_member(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, played: list[int]
) -> None:
    staff = moderator(accounts)
    for wanted, expected in FOUND:
        found = await preview(leaderboard, staff, **wanted)
        assert [played.index(each["session_id"]) for each in found["first"]] == expected, wanted
        assert found["sessions"] == len(expected)
    # And by a job, which writes it down in another way.
    await void(leaderboard, staff, played[0])
    for wanted in ({"tags": {"build": 'a"\\é'}}, {"user_id": 2, "until": "2026-02-01T00:00:00Z"}, {"board": "alps"}):
        await void_many(leaderboard, staff, **wanted)
    voided = rows(mysql, "SELECT id FROM game_sessions WHERE state = 1 ORDER BY id")
    assert [played.index(session_id) for (session_id,) in voided] == [0, 1, 4, 5]
    assert rows(mysql, "SELECT voided FROM void_jobs ORDER BY id") == [(1,), (1,), (1,)]


async def test_what_is_no_filter_is_told_with_its_place(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    staff = moderator(accounts)
    for wanted, at in NO_FILTERS:
        for path, body in (("void-jobs/preview", {"filter": wanted}), ("void-jobs", {"filter": wanted, "reason": WHY})):
            answer = await leaderboard.post(f"{API}/{path}", json=body, headers=staff)
            assert_problem(answer, 422, "invalid-request")
            assert answer.json()["errors"][0]["pointer"].startswith(at), answer.text
    assert rows(mysql, "SELECT COUNT(*) FROM void_jobs") == [(0,)]


async def test_a_job_is_not_begun_without_a_reason(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    for body in ({"filter": {"user_id": 1}}, {"filter": {"user_id": 1}, "reason": " "}, {"reason": WHY}):
        assert_problem(await leaderboard.post(f"{API}/void-jobs", json=body, headers=moderator(accounts)), 422)
