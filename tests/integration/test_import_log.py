"""What staff and keys imported is in the log of moderation, once for each file, however its import ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pymysql
import pytest

from services.common.tokens import KeyPrincipal
from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.transfers.formats import Format
from services.leaderboard.transfers.imports import GROUP
from tests.playing import API, submit
from tests.system import Accounts, eventually, rows, rows_are_awaited, serving
from tests.transfers import CSV, NDJSON, STAFF_ID, add_accounts, admin, bring_in, importer, ndjson

LINE = {"user_id": 1, "score": 5}
ENTRIES = "SELECT act, user_id, by_user_id, LEFT(by_client_id, 4), was FROM moderation_log ORDER BY id"
COUNTS = ", ".join(f"JSON_VALUE(became, '$.{name}')" for name in ("lines", "stored", "repeated", "skipped", "refused"))
STOPPED = "SELECT JSON_VALUE(became, '$.stopped') FROM moderation_log ORDER BY id"


@pytest.fixture
def people(mysql: Any) -> Any:
    """MySQL, with an account."""
    add_accounts(mysql, {1: "Ada"})
    return mysql


def logged(mysql: Any) -> list[tuple[int, ...]]:
    """The counts of the log: lines, and how many of them were stored, stored before, skipped and refused."""
    return [tuple(map(int, row)) for row in rows(mysql, f"SELECT {COUNTS} FROM moderation_log ORDER BY id")]


async def test_each_import_is_in_the_log_with_its_counts_and_a_dry_run_is_not(
    leaderboard: httpx.AsyncClient, accounts: Accounts, people: Any
) -> None:
    file = ndjson(LINE, LINE, LINE | {"state": "voided"}, LINE | {"user_id": 9})
    await bring_in(leaderboard, admin(accounts), file, dry_run=True)
    assert rows(people, ENTRIES) == []
    await bring_in(leaderboard, admin(accounts), file)
    await bring_in(leaderboard, importer(accounts), file)
    by_staff, by_key = ("sessions_imported", None, STAFF_ID, None, "{}"), ("sessions_imported", None, None, "key-", "{}")
    assert rows(people, ENTRIES) == [by_staff, by_key]
    assert logged(people) == [(4, 2, 0, 1, 1), (4, 0, 2, 1, 1)]
    assert rows(people, STOPPED) == [(None,), (None,)]


async def test_what_cannot_be_read_is_no_import(leaderboard: httpx.AsyncClient, accounts: Accounts, people: Any) -> None:
    headers = {**importer(accounts), "Content-Type": CSV}
    assert (await leaderboard.post(f"{API}/import", content=b"score,name\n5,Ada\n", headers=headers)).status_code == 422
    assert rows(people, ENTRIES) == []


async def test_an_import_whose_client_goes_away_is_in_the_log_with_all_that_was_stored(
    leaderboard: httpx.AsyncClient, accounts: Accounts, people: Any, other: "pymysql.cursors.Cursor"
) -> None:
    await submit(leaderboard, accounts.new("Ada", 1), 1)
    other.execute("BEGIN")
    other.execute("SELECT user_id FROM players WHERE user_id = 1 FOR UPDATE")
    headers = {**importer(accounts), "Content-Type": NDJSON}
    file = ndjson(*[LINE] * (GROUP + 1))
    client = asyncio.create_task(leaderboard.post(f"{API}/import", content=file, headers=headers))
    await eventually(lambda: rows_are_awaited(people))
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client
    assert rows(people, ENTRIES) == []
    other.execute("ROLLBACK")

    async def is_logged() -> bool:
        return bool(rows(people, ENTRIES))

    await eventually(is_logged, 60)
    assert logged(people) == [(GROUP, GROUP, 0, 0, 0)]
    assert rows(people, STOPPED) == [("Who sent the file went away.",)]
    assert rows(people, "SELECT COUNT(*) FROM game_sessions") == [(GROUP + 1,)]


async def test_an_import_that_the_process_stops_is_in_the_log_before_the_process_ends(
    leaderboard_settings: LeaderboardSettings, people: Any
) -> None:
    app = create_app(leaderboard_settings)
    go_on = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield ndjson(*[LINE] * GROUP)
        await go_on.wait()
        yield ndjson(*[LINE] * GROUP)

    async with serving(app):
        imports = app.state.session_imports
        caller = KeyPrincipal("key-of-the-test", frozenset())
        async with aclosing(imports.run(chunks(), Format.NDJSON, caller, dry_run=False)) as groups:
            assert (await anext(groups)).stored == GROUP
            app.state.transfers.leave()
        go_on.set()
    assert logged(people) == [(GROUP, GROUP, 0, 0, 0)]
    assert rows(people, STOPPED) == [("The service is being stopped.",)]
