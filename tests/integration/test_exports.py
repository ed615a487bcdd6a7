"""Exports of standings and of sessions: whole, of one moment, and gone from the server when they end."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.common.tokens import Scope
from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.transfers import exports
from services.leaderboard.transfers import rows as sql
from services.leaderboard.transfers.exports import BulkExports
from services.leaderboard.transfers.formats import Format
from services.leaderboard.transfers.rows import Wanted
from tests.boards import ALL, DAY, WEEK, define, make
from tests.moderating import ban, moderator, void
from tests.playing import API, get, play, submit
from tests.system import Accounts, assert_problem, rows, serving
from tests.transfers import CSV, NDJSON, add_accounts, admin, bring_in, counts, importer, take_out

STANDING = ["rank", "user_id", "username", "score", "sessions", "reached_session_id"]


@pytest.fixture
def paged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three rows."""
    monkeypatch.setattr(sql, "AT_ONCE", 3)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
async def test_standings_are_whole_and_in_order_wherever_pages_end(
    leaderboard: httpx.AsyncClient, accounts: Accounts, paged: None, count: int
) -> None:
    ids = [await play(leaderboard, accounts.new(f"p{user_id}", user_id), 1, user_id // 2) for user_id in range(1, count + 1)]
    found = await take_out(leaderboard, moderator(accounts), "export")
    expected = []
    for user_id in sorted(range(1, count + 1), key=lambda user_id: (-(user_id // 2), user_id)):
        score = 1 + user_id // 2
        rank = 1 + sum(other // 2 >= score for other in range(1, count + 1))
        reached = ids[user_id - 1][1 if user_id > 1 else 0]
        expected.append(dict(zip(STANDING, (rank, user_id, f"p{user_id}", score, 2, reached), strict=True)))
    assert found == expected


async def test_standings_are_of_the_window_and_period_that_are_asked_for(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts
) -> None:
    await make(
        leaderboard_database, define("alps", direction="ascending", windows=(ALL, WEEK)), define("empty", windows=(DAY,))
    )
    staff, key = moderator(accounts), importer(accounts)
    for user_id in (1, 2, 3):
        await submit(leaderboard, accounts.new(f"p{user_id}", user_id), 10 * user_id, boards=["alps"])
    await ban(leaderboard, staff, 3)
    assert [each["user_id"] for each in await take_out(leaderboard, staff, "export", board="alps")] == [1, 2]
    week = await take_out(leaderboard, accounts.new_key(Scope.BOARDS), "export", board="alps", window="week")
    assert [each["score"] for each in week] == [10, 20]
    assert await take_out(leaderboard, staff, "export", board="empty") == []
    for query, status in (("board=none", 404), ("window=none", 404), ("period=9", 404), ("format=xml", 422), ("board=A", 422)):
        assert_problem(await leaderboard.get(f"{API}/export?{query}", headers=staff), status)
    for headers, status in (({}, 401), (accounts.new("Eve", 9), 403), (key, 403)):
        assert_problem(await leaderboard.get(f"{API}/export", headers=headers), status)


async def test_a_csv_is_quoted_and_chosen_by_format_or_by_what_accept_names_first(
    leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    staff = moderator(accounts)
    await submit(
        leaderboard, accounts.new('"Zoë", é', 1), 5, 'k"', tags={"track": 'a,"b'}, extra=[1, "\n"], metrics={"laps": 3}
    )
    answer = await leaderboard.get(f"{API}/sessions/export?format=csv", headers=staff)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="sessions.csv"'
    [row] = csv.DictReader(io.StringIO(answer.text, newline=""), strict=True)
    assert (row["username"], row["score"], row["submission"], row["state"]) == ('"Zoë", é', "5", 'c:k"', "counted")
    assert [json.loads(row[name]) for name in ("boards", "metrics", "tags", "extra")] == [
        ["main"],
        {"laps": 3},
        {"track": 'a,"b'},
        [1, "\n"],
    ]
    for accept, expected in ((CSV, CSV), (f"{NDJSON}, {CSV}", NDJSON), (f"{CSV};q=1, {NDJSON}", CSV), ("*/*", NDJSON)):
        answer = await leaderboard.get(f"{API}/export", headers={**staff, "Accept": accept})
        assert answer.headers["content-type"].partition(";")[0] == expected
    head = await leaderboard.head(f"{API}/export?format=csv", headers=staff)
    assert (head.status_code, head.content) == (200, b"")


async def test_sessions_are_chosen_by_board_player_and_time(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any, paged: None
) -> None:
    await make(leaderboard_database, define("alps", windows=(ALL, WEEK)))
    ada, bob, staff = accounts.new("Ada", 1), accounts.new("Bob", 2), moderator(accounts)
    ids = [(await submit(leaderboard, bob, score, boards=["alps"]))["session_id"] for score in range(4)]
    ids += await play(leaderboard, ada, 5, 6, 7)
    await void(leaderboard, staff, ids[-1])

    async def found(**query: Any) -> list[int]:
        return [each["session_id"] for each in await take_out(leaderboard, staff, "sessions/export", **query)]

    assert await found() == ids
    assert await found(board="alps") == ids[:4]
    assert await found(board="main", user_id=1) == ids[4:]
    assert await found(user_id=3) == []
    now = datetime.now(UTC).replace(tzinfo=None)
    rows(mysql, "UPDATE game_sessions SET submitted_at = %s WHERE id < %s", now - timedelta(days=2), ids[2])
    yesterday = f"{now - timedelta(days=1):%FT%TZ}"
    assert await found(to=yesterday) == ids[:2]
    assert await found(**{"from": yesterday}) == ids[2:]
    assert await found(**{"from": yesterday}, board="alps") == ids[2:4]
    states = [each["state"] for each in await take_out(leaderboard, staff, "sessions/export")]
    assert states == [*["counted"] * 6, "voided"]
    for query, status in (("from=x", 422), ("to=2026-01-01", 422), ("user_id=0", 422), ("board=none", 404)):
        assert_problem(await leaderboard.get(f"{API}/sessions/export?{query}", headers=staff), status)
    assert_problem(await leaderboard.get(f"{API}/sessions/export", headers=accounts.new_key(Scope.BOARDS)), 403)


@pytest.fixture
async def bulk(
    leaderboard_settings: LeaderboardSettings, mysql: object
) -> AsyncIterator[tuple[httpx.AsyncClient, BulkExports]]:
    app = create_app(leaderboard_settings)
    async with serving(app) as client:
        yield client, app.state.transfers.exports


async def test_an_export_is_of_one_moment_whatever_is_played_meanwhile(
    bulk: tuple[httpx.AsyncClient, BulkExports], accounts: Accounts, mysql: Any, paged: None
) -> None:
    client, under_test = bulk
    for user_id in range(1, 8):
        await play(client, accounts.new(f"p{user_id}", user_id), 10 - user_id)
    pieces = [
        under_test.standings(Format.NDJSON, "main", None, None),
        under_test.sessions(Format.NDJSON, Wanted(), None),
    ]
    begun = [await anext(each) for each in pieces]
    assert begun == [b"", b""]
    for user_id in range(1, 10):
        await play(client, accounts.new(f"p{user_id}", user_id), 100 * user_id)
    rows(mysql, "DELETE FROM game_sessions WHERE user_id = 7")
    standings, sessions = [
        [json.loads(line) for piece in [p async for p in each] for line in piece.splitlines()] for each in pieces
    ]
    assert [(each["rank"], each["user_id"], each["score"]) for each in standings] == [(n, n, 10 - n) for n in range(1, 8)]
    assert [(each["user_id"], each["score"]) for each in sessions] == [(n, 10 - n) for n in range(1, 8)]


async def test_few_are_under_way_at_once_and_one_that_ends_makes_room(
    bulk: tuple[httpx.AsyncClient, BulkExports], accounts: Accounts
) -> None:
    client, under_test = bulk
    staff = moderator(accounts)
    await play(client, accounts.new("Ada", 1), 1)
    begun = [under_test.sessions(Format.NDJSON, Wanted(), None) for _ in range(exports.AT_ONCE)]
    for each in begun:
        await anext(each)
    for path in ("export", "sessions/export"):
        refused = await client.get(f"{API}/{path}", headers=staff)
        assert_problem(refused, 503, "too-many-transfers")
        assert refused.headers["retry-after"] == "5"
    await play(client, accounts.new("Ada", 1), 1)  # nobody else waits for them
    assert (await get(client, "rank/1"))["total_score"] == 2
    for each in begun:
        await each.aclose()
    assert len(await take_out(client, staff, "sessions/export")) == 2


async def test_one_that_takes_too_long_is_ended(
    bulk: tuple[httpx.AsyncClient, BulkExports], accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, under_test = bulk
    await play(client, accounts.new("Ada", 1), 1)
    monkeypatch.setattr(exports, "MOST_SECONDS", 0.2)
    pieces = under_test.sessions(Format.NDJSON, Wanted(), None)
    await anext(pieces)
    await asyncio.sleep(0.25)  # a client that reads so slowly
    with pytest.raises(TimeoutError):
        await anext(pieces)
    assert len(await take_out(client, moderator(accounts), "sessions/export")) == 1


async def test_what_is_exported_is_imported_where_it_comes_from_as_what_it_is_and_elsewhere_as_new(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    await make(leaderboard_database, define("alps", windows=(ALL, WEEK)))
    add_accounts(mysql, {1: "Ada", 2: "Bob"})
    staff, key, ada = moderator(accounts), importer(accounts), accounts.new("Ada", 1)
    await submit(leaderboard, ada, 5, "k", boards=["alps"], tags={"track": "é"}, extra={"car": ["é"]}, metrics={"laps": -3})
    await submit(leaderboard, ada, 6)
    await submit(leaderboard, key, 7, "k", user_id=2, played_at="2019-05-04T03:02:01Z")
    [voided] = await play(leaderboard, ada, 9)
    await void(leaderboard, staff, voided)
    file = (await leaderboard.get(f"{API}/sessions/export", headers=staff)).content
    assert counts(await bring_in(leaderboard, key, file)) == (0, 3, 1, 0)
    before = [await take_out(leaderboard, staff, "export", board=board) for board in ("main", "alps")]
    said = (
        "SELECT user_id, score, metrics, tags, submission_key, extra FROM game_sessions"
        " LEFT JOIN session_extras ON session_id = id"
    )
    log = rows(mysql, f"{said} WHERE state = 0 ORDER BY id")
    for table in ("game_sessions", "session_extras", "standings", "players", "outbox"):
        rows(mysql, f"TRUNCATE TABLE {table}")
    assert counts(await bring_in(leaderboard, admin(accounts), file)) == (3, 0, 1, 0)
    assert rows(mysql, f"{said} ORDER BY id") == log
    after = [await take_out(leaderboard, staff, "export", board=board) for board in ("main", "alps")]
    without = [[{**each, "reached_session_id": 0} for each in standings] for standings in before]
    assert [[{**each, "reached_session_id": 0} for each in standings] for standings in after] == without
    assert counts(await bring_in(leaderboard, key, file)) == (0, 3, 1, 0)
