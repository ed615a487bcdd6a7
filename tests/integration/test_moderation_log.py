"""What staff and keys did is written down with it, for good; and staff read everything that a player has played."""

from typing import Any

import httpx
import pymysql
import pytest

from migrations.settings import MigrationSettings
from services.common.mysql.database import Database
from services.common.tokens import Scope
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, define, make
from tests.histories import connect
from tests.moderating import STAFF_ID, WHY, act, ban, moderator, restore, unban, void
from tests.playing import API, get, play, remove, submit
from tests.system import Accounts, assert_problem, rows


async def test_every_act_tells_who_did_it_when_why_and_what_was_before_and_after(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    staff, key, ada = moderator(accounts), accounts.new_key(Scope.MODERATE), accounts.new("Ada", 1)
    _, session_id = await play(leaderboard, ada, 5, 6)
    await void(leaderboard, staff, session_id)
    await act(leaderboard, staff, f"sessions/{session_id}/restore", "it was a shortcut of ours")
    await ban(leaderboard, key, 1)
    await unban(leaderboard, staff, 1)
    page = await get(leaderboard, "audit", staff)
    assert page["next_cursor"] is None
    entries = page["entries"]
    assert [(each["act"], each["user_id"], each["session_id"], each["reason"]) for each in entries] == [
        ("player_unbanned", 1, None, None),
        ("player_banned", 1, None, WHY),
        ("session_restored", 1, session_id, "it was a shortcut of ours"),
        ("session_voided", 1, session_id, WHY),
    ]
    assert [each["by"]["user_id"] for each in entries] == [STAFF_ID, None, STAFF_ID, STAFF_ID]
    assert [(each["by"]["client_id"] or "")[:4] for each in entries] == ["", "key-", "", ""]
    place = {"board_id": 1, "period_id": 0}
    assert [(each["was"], each["became"]) for each in entries] == [
        ({"banned": True}, {"banned": False}),
        ({"banned": False}, {"banned": True}),
        ({"voided": True, "scores": [{**place, "score": 5}]}, {"voided": False, "scores": [{**place, "score": 11}]}),
        ({"voided": False, "scores": [{**place, "score": 11}]}, {"voided": True, "scores": [{**place, "score": 5}]}),
    ]
    times = [each["done_at"] for each in entries]
    assert times == sorted(times, reverse=True)
    assert rows(mysql, "SELECT COUNT(*) FROM moderation_log WHERE ABS(TIMESTAMPDIFF(SECOND, done_at, NOW(6))) < 60") == [(4,)]


async def test_the_log_is_read_page_by_page_and_by_player(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    staff = moderator(accounts)
    for user_id in (1, 2, 3):
        await play(leaderboard, accounts.new(user_id=user_id), 1)
        await ban(leaderboard, staff, user_id)
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await leaderboard.get(f"{API}/audit?limit=2{cursor}", headers=staff)).json()
        found += [each["user_id"] for each in page["entries"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert found == [3, 2, 1]
    assert [each["user_id"] for each in (await get(leaderboard, "audit", staff, user_id=2))["entries"]] == [2]
    assert (await get(leaderboard, "audit", staff, user_id=9)) == {"entries": [], "next_cursor": None}
    others = (await leaderboard.get(f"{API}/audit?limit=1", headers=staff)).json()["next_cursor"]
    for query in ("limit=0", "limit=101", "user_id=0", "user_id=x", "cursor=x", f"user_id=2&cursor={others}"):
        assert_problem(await leaderboard.get(f"{API}/audit?{query}", headers=staff), 422, "invalid-request")


async def test_the_service_can_add_to_the_log_and_nothing_else(
    leaderboard: httpx.AsyncClient,
    accounts: Accounts,
    migration_settings: MigrationSettings,
    leaderboard_settings: LeaderboardSettings,
) -> None:
    await play(leaderboard, accounts.new("Ada", 1), 1)
    await ban(leaderboard, moderator(accounts), 1)
    account = leaderboard_settings.leaderboard_mysql_user, leaderboard_settings.leaderboard_mysql_password
    with connect(migration_settings, *account) as connection:
        for statement in (
            "UPDATE moderation_log SET reason = NULL",
            "DELETE FROM moderation_log",
            "TRUNCATE TABLE moderation_log",
            "INSERT INTO moderation_log (id, act, user_id, was, became) VALUES (1, 'x', 1, '{}', '{}')",
            "INSERT INTO moderation_log (done_at, act, user_id, was, became) VALUES (NOW(6), 'x', 1, '{}', '{}')",
        ):
            with pytest.raises(pymysql.err.MySQLError, match="denied"):
                rows(connection, statement)
        assert rows(connection, "SELECT act FROM moderation_log") == [("player_banned",)]


async def test_staff_read_everything_about_each_session_of_a_player(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts
) -> None:
    await make(leaderboard_database, define("laps", metric="laps", windows=(ALL,)))
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    said: dict[str, Any] = {
        "metrics": {"laps": 3},
        "tags": {"build": "1.2"},
        "extra": {"car": "näme"},
        "boards": ["laps", "main"],
    }
    first = (await submit(leaderboard, ada, 7, "round-1", **said))["session_id"]
    second = (await submit(leaderboard, ada, 8))["session_id"]
    await void(leaderboard, staff, first)
    newest = await get(leaderboard, "players/1/sessions", staff, limit=1)
    assert (newest["user_id"], newest["username"], newest["banned_at"]) == (1, "Ada", None)
    [shown] = newest["sessions"]
    assert shown == {
        "session_id": second,
        "score": 8,
        "submitted_at": shown["submitted_at"],
        "played_at": None,
        "idempotency_key": None,
        "metrics": {},
        "tags": {},
        "extra": None,
        "places": [{"board": "main", "window": "all", "period_id": 0}],
        "voided": False,
        "held": False,
    }
    query = f"limit=1&cursor={newest['next_cursor']}"
    page = (await leaderboard.get(f"{API}/players/1/sessions?{query}", headers=staff)).json()
    [older] = page["sessions"]
    places = [{"board": "laps", "window": "all", "period_id": 0}, {"board": "main", "window": "all", "period_id": 0}]
    assert page["next_cursor"] is None
    assert (older["session_id"], older["idempotency_key"], older["voided"]) == (first, "round-1", True)
    assert (older["metrics"], older["tags"], older["extra"]) == (said["metrics"], said["tags"], said["extra"])
    assert older["places"] == places
    assert_problem(await leaderboard.get(f"{API}/players/2/sessions?{query}", headers=staff), 422, "invalid-request")
    await restore(leaderboard, staff, first)
    await remove(leaderboard, ada)
    nobody: dict[str, Any] = {"user_id": 1, "username": None, "banned_at": None, "sessions": [], "next_cursor": None}
    assert await get(leaderboard, "players/1/sessions", staff) == nobody
