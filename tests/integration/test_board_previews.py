"""What a board would do is told, and nothing is changed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from services.common.mysql.database import Database
from services.common.tokens import Scope
from tests.boards import ALL, SEASON, WEEK, define, make
from tests.moderating import moderator, void
from tests.playing import API, play, submit
from tests.system import Accounts, assert_problem, rows

TABLES = "boards", "windows", "boards_version", "periods", "game_sessions", "standings", "events"
BODY: dict[str, Any] = {
    "aggregate": "best",
    "max_score": 1000,
    "windows": [{"name": "all"}, {"name": "week"}],
}


async def preview(client: httpx.AsyncClient, headers: dict[str, str], board: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(f"{API}/boards/{board}/preview", json=BODY | body, headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def times(window: dict[str, Any]) -> list[tuple[datetime, datetime]]:
    pairs = [(each["starts_at"], each["ends_at"]) for each in window["periods"]]
    return [(datetime.fromisoformat(starts_at), datetime.fromisoformat(ends_at)) for starts_at, ends_at in pairs]


async def test_it_tells_what_would_be_made_or_changed_and_what_stands_against_it(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    await make(leaderboard_database, define("alps"))
    await submit(leaderboard, accounts.new("Ada", 1), 5, boards=["alps"])
    key = accounts.new_key(Scope.BOARDS)
    before = [rows(mysql, f"SELECT * FROM {table}") for table in TABLES]
    told = await preview(leaderboard, key, "new")
    assert (told["outcome"], told["differences"], told["conflicts"]) == ("created", [], [])
    assert (await preview(leaderboard, key, "alps"))["outcome"] == "unchanged"
    told = await preview(leaderboard, key, "alps", title="Alps", windows=[*BODY["windows"], {"name": "day"}])
    assert (told["outcome"], told["differences"]) == ("changed", ["title '' → 'Alps'", "window day added"])
    told = await preview(leaderboard, key, "alps", aggregate="total", windows=[{"name": "all"}])
    assert told["outcome"] == "refused"
    assert [each["pointer"] for each in told["conflicts"]] == ["#/aggregate", "#/windows"]
    refused = await leaderboard.put(
        f"{API}/boards/alps", json=BODY | {"aggregate": "total", "windows": [{"name": "all"}]}, headers=key
    )
    assert_problem(refused, 409, "board-conflict")
    assert refused.json()["errors"] == told["conflicts"]
    assert_problem(await leaderboard.post(f"{API}/boards/alps/preview", json={}, headers=key), 422, "invalid-request")
    named = await leaderboard.post(f"{API}/boards/alps/preview", json=BODY | {"name": "other"}, headers=key)
    assert_problem(named, 422, "invalid-request")
    assert [rows(mysql, f"SELECT * FROM {table}") for table in TABLES] == before


async def test_it_tells_the_period_that_goes_on_and_those_that_come_next(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    await make(leaderboard_database, define("alps", windows=(ALL, WEEK, SEASON)))
    key = accounts.new_key(Scope.BOARDS)
    season = {"starts_at": "2031-01-01T00:00:00Z", "ends_at": "2031-02-01T00:00:00Z"}
    written = await leaderboard.post(f"{API}/boards/alps/windows/season/periods", json=season, headers=key)
    await submit(leaderboard, accounts.new("Ada", 1), 5, boards=["alps"])
    later = {"name": "later", "first": "2031-01-01T00:00:00", "every": "2 days", "zone": "Europe/Berlin", "grace": 10}
    windows = [*BODY["windows"], {"name": "season", "listed": True}, later, {"name": "day"}]
    forever, week, listed, after, day = (await preview(leaderboard, key, "alps", windows=windows))["windows"]
    assert forever["periods"] == []
    [(period_id, starts_at)] = rows(mysql, "SELECT id, starts_at FROM periods WHERE opened_at IS NOT NULL")
    assert [each["period_id"] for each in week["periods"]] == [period_id, None, None]
    weeks = times(week)
    assert weeks[0][0].replace(tzinfo=None) == starts_at
    assert [ends_at - begins_at for begins_at, ends_at in weeks] == [timedelta(weeks=1)] * 3
    assert [weeks[1][0], weeks[2][0]] == [weeks[0][1], weeks[1][1]]
    assert [each["period_id"] for each in listed["periods"]] == [written.json()["period_id"]]
    assert times(after)[0][0] == datetime.fromisoformat("2030-12-31T23:00:00+00:00")
    assert after["periods"][2]["closes_at"] == "2031-01-06T23:00:10Z"
    # The board has sessions: a window that is added counts from its next period.
    assert times(day)[0][0] > datetime.now(UTC)
    assert (await preview(leaderboard, key, "alps", state="closed"))["windows"][1]["periods"] == []


async def test_it_tells_which_of_the_newest_sessions_would_count_and_why_others_would_not(
    leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    ada, key = accounts.new("Ada", 1), accounts.new_key(Scope.BOARDS, Scope.SCORES)
    await submit(leaderboard, ada, 5, tags={"track": "alps"}, metrics={"laps": 3})
    await submit(leaderboard, ada, 6, tags={"track": "moor"}, metrics={"laps": 4})
    await submit(leaderboard, ada, 7, tags={"track": "alps"})
    await submit(leaderboard, ada, 8, tags={"track": "alps"}, metrics={"laps": 1001})
    [voided] = await play(leaderboard, ada, 9)
    await void(leaderboard, moderator(accounts), voided)
    rule = {"where": {"track": "alps"}}
    told = await preview(leaderboard, key, "new", metric="laps", rule=rule)
    assert [(each["score"], each["value"], each["reason"]) for each in told["sessions"]] == [
        (9, None, "state"),
        (8, 1001, "bounds"),
        (7, None, "metric"),
        (6, 4, "rule"),
        (5, 3, None),
    ]
    assert [each["counts"] for each in told["sessions"]] == [False] * 4 + [True]
    assert told["counting"] == 1
    reasons = [each["reason"] for each in (await preview(leaderboard, key, "new"))["sessions"]]
    assert reasons == ["state", *["rule"] * 4]
    everything: dict[str, Any] = {"where": {}}
    assert (await preview(leaderboard, key, "new", rule=everything))["counting"] == 4
    assert (await preview(leaderboard, key, "new", rule=everything, submitters="servers"))["counting"] == 0
    assert (await preview(leaderboard, key, "new", rule=everything, state="closed"))["counting"] == 0
