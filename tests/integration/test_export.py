"""Everything that is kept of a player, as one JSON document."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.http.schemas import Export
from services.leaderboard.players import exports
from services.leaderboard.players.exports import Exports
from services.leaderboard.settings import LeaderboardSettings
from tests.playing import API, add_sessions, play, submit
from tests.ranked import database_of
from tests.seasons import make_cup, over
from tests.system import Accounts, eventually, rows, serving
from tests.timing import states

NAME = 'Ada "the first" \\ é'


async def export(client: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, Any]:
    """The document, which is held to its schema."""
    answer = await client.get(f"{API}/me/export", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="leaderboard.json"'
    assert answer.headers["cache-control"] == "no-store"
    document: dict[str, Any] = answer.json()
    assert Export.model_validate(document).model_dump(mode="json").keys() == document.keys()
    return document


async def test_it_holds_the_player_the_standings_and_every_session(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada = accounts.new(NAME, 1)
    began = datetime.now(UTC)
    await play(leaderboard, accounts.new("Bob", 2), 9)
    ids = await play(leaderboard, ada, 5, 0)
    ids.append((await submit(leaderboard, ada, 7, '"k\\'))["session_id"])
    document = await export(leaderboard, ada)
    assert document["player"] == {"user_id": 1, "username": NAME}
    assert document["standings"] == [{"board": "main", "period_id": 0, "total_score": 12, "sessions": 3}]
    for each in document["sessions"]:
        submitted = datetime.fromisoformat(each.pop("submitted_at"))
        assert began - timedelta(seconds=1) < submitted < datetime.now(UTC) + timedelta(seconds=1)
    assert document["sessions"] == [
        {"session_id": ids[0], "score": 5, "idempotency_key": None},
        {"session_id": ids[1], "score": 0, "idempotency_key": None},
        {"session_id": ids[2], "score": 7, "idempotency_key": '"k\\'},
    ]


async def test_it_holds_whatever_was_said_of_a_session(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    ada = accounts.new(NAME, 1)
    said: dict[str, Any] = {
        "metrics": {"laps": -3, "coins": 0},
        "tags": {"track": 'é"\\'},
        "extra": {"car": ["é", None, '"\\']},
    }
    sent = [said, {"extra": 0}, {"tags": {"track": "a"}}, {"metrics": {}, "tags": {}, "extra": None}]
    for each in sent:
        await submit(leaderboard, ada, 5, **each)
    sessions = (await export(leaderboard, ada))["sessions"]
    kept = [{name: each[name] for name in ("metrics", "tags", "extra") if name in each} for each in sessions]
    assert kept == [*sent[:3], {}]


async def test_it_holds_the_results_of_periods_that_have_ended(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    periods = [over(mysql, cup, 5, 9, hours_ago=hours) for hours in (2, 1)]
    rows(mysql, "UPDATE windows SET rewards = NULL")

    async def are_settled() -> bool:
        return states(mysql, *periods) == ["settled", "settled"]

    await eventually(are_settled)
    rows(mysql, "UPDATE results SET reward = 'gold' WHERE period_id = %s", periods[0])
    expected = {"board": "cup", "rank": 2, "score": 5}
    assert (await export(leaderboard, accounts.new(NAME, 1)))["results"] == [
        expected | {"period_id": periods[0], "reward": "gold"},
        expected | {"period_id": periods[1], "reward": None},
    ]


async def test_of_one_who_is_on_no_board_it_says_so(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    ada = accounts.new(NAME, 1)
    assert await export(leaderboard, ada) == {"player": None, "standings": [], "results": [], "reports": [], "sessions": []}
    await play(leaderboard, ada, 5)
    assert (await leaderboard.delete(f"{API}/me", headers=ada)).status_code == 204
    removed = {"board": "main", "period_id": 0, "total_score": None, "sessions": 0}
    assert await export(leaderboard, ada) == {
        "player": None,
        "standings": [removed],
        "results": [],
        "reports": [],
        "sessions": [],
    }


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7])
async def test_it_is_whole_wherever_its_pages_end(
    leaderboard: httpx.AsyncClient, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(exports, "PAGE", 3)
    ada = accounts.new("Ada", 1)
    ids = await play(leaderboard, ada, *range(count))
    await play(leaderboard, accounts.new("Bob", 2), 9)
    document = await export(leaderboard, ada)
    assert [each["session_id"] for each in document["sessions"]] == ids


async def test_it_is_read_as_it_is_taken_and_a_piece_is_a_page(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    await play(leaderboard, accounts.new("Ada", 1), 1)
    add_sessions(mysql, 1, 3 * exports.PAGE)
    database = database_of(leaderboard_settings)
    pieces = Exports(database).export(1)
    sizes = [(await anext(pieces)).count(b"session_id")]
    with mysql.cursor() as cursor:  # nobody has looked at these yet
        cursor.execute("DELETE FROM game_sessions ORDER BY id DESC LIMIT 1001")
    sizes += [piece.count(b"session_id") async for piece in pieces]
    assert sizes == [exports.PAGE, exports.PAGE, 0]
    await database.dispose()


async def test_who_reads_slowly_holds_no_connection(
    accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    ada = accounts.new("Ada", 1)
    add_sessions(mysql, 1, 2 * exports.PAGE)
    app = create_app(leaderboard_settings.model_copy(update={"ranking_pool_size": 1, "mysql_timeout": 2.0}))
    async with serving(app) as client:
        slow = [app.state.exports.export(1) for _ in range(3)]
        for pieces in slow:
            await anext(pieces)
        page = await asyncio.wait_for(client.get(f"{API}/sessions/me", headers=ada), 2)
        assert len(page.json()["sessions"]) == 20
        for pieces in slow:
            await pieces.aclose()
