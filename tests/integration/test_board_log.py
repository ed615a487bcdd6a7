"""What staff and keys did to boards and to listed periods is in the log of moderation, with what they were and became."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from services.common.tokens import Scope
from services.leaderboard.app import create_app
from services.leaderboard.boards import deletion
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.staff import board_writes
from tests.boards import play_on
from tests.moderating import moderator
from tests.playing import API, get
from tests.system import Accounts, rows, serving

ADMIN_ID = 902
ALPS: dict[str, Any] = {
    "aggregate": "best",
    "rule": {"where": {"track": "alps"}},
    "windows": [{"name": "all"}, {"name": "season", "listed": True, "grace": 10}],
}
HELD: dict[str, Any] = {"title": "Alpen", "hold": {"gain_over": 5}}
WEEK: dict[str, Any] = {"name": "week", "rewards": [{"name": "gold", "ranks": [1, 3]}]}
SEASONS = f"{API}/boards/alps/windows/season/periods"


@pytest.fixture
def admin(accounts: Accounts) -> dict[str, str]:
    return accounts.new("Root", ADMIN_ID, scopes=list(Scope))


async def put(client: httpx.AsyncClient, headers: dict[str, str], status: int, **body: Any) -> Any:
    """Make or change the board, which must be answered so. Gives the board as it is answered."""
    answer = await client.put(f"{API}/boards/alps", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def log_of(client: httpx.AsyncClient, accounts: Accounts) -> list[dict[str, Any]]:
    """The log, oldest first."""
    entries: list[dict[str, Any]] = (await get(client, "audit", moderator(accounts)))["entries"]
    return entries[::-1]


async def test_who_made_changed_and_deleted_a_board_is_told_with_what_it_was_and_became(
    leaderboard: httpx.AsyncClient, accounts: Accounts, admin: dict[str, str], mysql: Any
) -> None:
    key = accounts.new_key(Scope.BOARDS)
    made = await put(leaderboard, key, 201, **ALPS)
    assert await put(leaderboard, admin, 200, **ALPS) == made
    play_on(mysql, "alps", 1)
    windows = [*ALPS["windows"], WEEK]
    changed = await put(leaderboard, admin, 200, **ALPS | HELD | {"windows": windows})
    assert changed["windows"][2]["counts_from"] is not None
    await put(leaderboard, key, 409, **ALPS | {"metric": "laps"})
    assert (await leaderboard.delete(f"{API}/boards/alps", headers=key)).status_code == 409
    closed = await put(leaderboard, admin, 200, **ALPS | HELD | {"windows": windows, "state": "closed"})
    assert (await leaderboard.delete(f"{API}/boards/alps", headers=admin)).status_code == 204
    assert (await leaderboard.delete(f"{API}/boards/alps", headers=admin)).status_code == 404
    entries = await log_of(leaderboard, accounts)
    assert [(each["act"], each["was"], each["became"]) for each in entries] == [
        ("board_made", {}, made),
        ("board_changed", made, changed),
        ("board_changed", changed, closed),
        ("board_deleted", closed, {}),
    ]
    assert [each["by"]["user_id"] for each in entries] == [None, ADMIN_ID, ADMIN_ID, ADMIN_ID]
    assert entries[0]["by"]["client_id"].startswith("key-")
    assert {(each["user_id"], each["session_id"], each["reason"]) for each in entries} == {(None, None, None)}


async def test_a_deletion_that_is_gone_on_with_is_told_once(
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
    admin: dict[str, str],
    mysql: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(board_writes, "_DELETING_SECONDS", 0.0)
    async with serving(create_app(leaderboard_settings)) as client:
        await put(client, admin, 201, **ALPS | {"state": "closed"})
        play_on(mysql, "alps", *range(1, 2 * deletion.ROWS_AT_ONCE + 2))
        for _ in range(2):
            assert (await client.delete(f"{API}/boards/alps", headers=admin)).status_code in {202, 204}
        assert [each["act"] for each in await log_of(client, accounts)] == ["board_made", "board_deleted"]


async def test_what_the_log_cannot_have_is_not_done(leaderboard: httpx.AsyncClient, admin: dict[str, str], mysql: Any) -> None:
    rows(mysql, "RENAME TABLE moderation_log TO moderation_log_away")
    try:
        with pytest.raises(DBAPIError, match="moderation_log"):
            await leaderboard.put(f"{API}/boards/alps", json=ALPS, headers=admin)
    finally:
        rows(mysql, "RENAME TABLE moderation_log_away TO moderation_log")
    assert rows(mysql, "SELECT name FROM boards WHERE id <> 1") == []


async def test_who_wrote_a_period_down_and_took_it_back_is_told(
    leaderboard: httpx.AsyncClient, accounts: Accounts, admin: dict[str, str]
) -> None:
    await put(leaderboard, admin, 201, **ALPS)
    starts_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    body = {"title": "Summer", "starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(days=1)).isoformat()}
    written = [await leaderboard.post(SEASONS, json=body, headers=admin) for _ in range(2)]
    assert [each.status_code for each in written] == [201, 201]
    assert (await leaderboard.post(SEASONS, json=body | {"title": "Other"}, headers=admin)).status_code == 409
    period = written[0].json()
    begun = body | {"starts_at": datetime.now(UTC).isoformat(), "ends_at": starts_at.isoformat()}
    running = (await leaderboard.post(SEASONS, json=begun, headers=admin)).json()
    assert (await leaderboard.delete(f"{SEASONS}/{running['period_id']}", headers=admin)).status_code == 409
    key = accounts.new_key(Scope.BOARDS)
    assert (await leaderboard.delete(f"{SEASONS}/{period['period_id']}", headers=key)).status_code == 204
    assert (await leaderboard.delete(f"{SEASONS}/{period['period_id']}", headers=key)).status_code == 404
    entries = (await log_of(leaderboard, accounts))[1:]
    on_alps = {"board": "alps"}
    assert [(each["act"], each["was"], each["became"]) for each in entries] == [
        ("period_written", {}, on_alps | period),
        ("period_written", {}, on_alps | running),
        ("period_taken_back", on_alps | period, {}),
    ]
    assert [each["by"]["user_id"] for each in entries] == [ADMIN_ID, ADMIN_ID, None]
    assert {each["user_id"] for each in entries} == {None}
