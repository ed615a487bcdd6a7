"""Boards and listed periods written down over HTTP, by whom has the scope for it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.common.tokens import Scope
from services.leaderboard.app import create_app
from services.leaderboard.boards import deletion
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.staff import board_writes
from tests.boards import play_on
from tests.playing import API, submit
from tests.system import Accounts, assert_problem, eventually, rows, serving

Client = httpx.AsyncClient

ALPS: dict[str, Any] = {
    "title": "The Alps",
    "aggregate": "best",
    "rule": {"where": {"track": "alps"}},
    "windows": [{"name": "all"}, {"name": "week"}, {"name": "season", "listed": True, "grace": 10}],
}
SEASONS = "/boards/alps/windows/season/periods"


@pytest.fixture
def studio(accounts: Accounts) -> dict[str, str]:
    """The header of a key that may write boards."""
    return accounts.new_key(Scope.BOARDS)


@pytest.fixture
async def second(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Client]:
    """Another process of the same service."""
    async with serving(create_app(leaderboard_settings)) as client:
        yield client


async def put(client: Client, headers: dict[str, str], board: str, /, **body: Any) -> httpx.Response:
    return await client.put(f"{API}/boards/{board}", json=body, headers=headers)


async def make_alps(client: Client, headers: dict[str, str]) -> None:
    assert (await put(client, headers, "alps", **ALPS)).status_code == 201


def season(starts_at: datetime, days: float = 1, title: str | None = "Summer") -> dict[str, Any]:
    return {"title": title, "starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(days=days)).isoformat()}


def boards(mysql: Any) -> list[tuple[Any, ...]]:
    return rows(mysql, "SELECT name, title, submitters, state, version FROM boards WHERE id <> 1 ORDER BY name")


@pytest.mark.parametrize("caller", ["key", "admin"])
async def test_a_board_is_made_left_alone_and_changed(leaderboard: Client, accounts: Accounts, mysql: Any, caller: str) -> None:
    headers = accounts.new_key(Scope.BOARDS) if caller == "key" else accounts.new(scopes=tuple(Scope))
    made = await put(leaderboard, headers, "alps", name="alps", **ALPS)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    again = await put(leaderboard, headers, "alps", **ALPS)
    assert (again.status_code, again.json()) == (200, made.json())
    [before] = boards(mysql)
    changed = await put(leaderboard, headers, "alps", **ALPS | {"title": "Alpen", "submitters": "servers"})
    assert changed.status_code == 200
    assert changed.json() == made.json() | {"title": "Alpen", "submitters": "servers"}
    assert boards(mysql) == [("alps", "Alpen", "servers", "active", before[-1] + 1)]
    shown = (await leaderboard.get(f"{API}/boards/alps")).json()
    windows = [{k: v for k, v in each.items() if k not in {"current", "next_starts_at"}} for each in shown["windows"]]
    assert shown | {"windows": windows} == changed.json()


async def test_what_was_answered_can_be_sent_again(leaderboard: Client, studio: dict[str, str]) -> None:
    made = (await put(leaderboard, studio, "alps", **ALPS)).json()
    body = made | {"windows": [{k: v for k, v in each.items() if k != "counts_from"} for each in made["windows"]]}
    again = await put(leaderboard, studio, "alps", **body)
    assert (again.status_code, again.json()) == (200, made)


async def test_a_board_is_played_on_as_soon_as_it_is_made_and_everywhere_within_a_second(
    leaderboard: Client, second: Client, studio: dict[str, str], accounts: Accounts
) -> None:
    await make_alps(leaderboard, studio)
    answer = await submit(leaderboard, accounts.new(), 5, tags={"track": "alps"})
    assert {each["board"] for each in answer["standings"]} == {"main", "alps"}

    async def counts_elsewhere() -> bool:
        answer = await submit(second, accounts.new(), 5, tags={"track": "alps"})
        return "alps" in {each["board"] for each in answer["standings"]}

    await eventually(counts_elsewhere, seconds=10)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["#/windows"]),
        ({"windows": []}, ["#/windows"]),
        (ALPS | {"name": "fjord"}, ["#/name"]),
        (ALPS | {"name": None}, ["#/name"]),
        (ALPS | {"metric": ""}, ["#/metric"]),
        (ALPS | {"aggregate": "sum"}, ["#/aggregate"]),
        (ALPS | {"submitters": "staff"}, ["#/submitters"]),
        (ALPS | {"state": "deleting"}, ["#/state"]),
        (ALPS | {"title": "a\0"}, ["#/title"]),
        (ALPS | {"title": "a" * 101}, ["#/title"]),
        (ALPS | {"rule": {"where": {"a": "1", "b": "2"}}}, ["#/rule/where"]),
        (ALPS | {"min_score": 2, "max_score": 1}, ["#/max_score"]),
        (ALPS | {"aggregate": "total", "min_score": -1}, ["#/min_score"]),
        (ALPS | {"min_score": 1.5}, ["#/min_score"]),
        (ALPS | {"colour": "red"}, ["#/colour"]),
        (ALPS | {"windows": [{"name": "cup"}]}, ["#/windows/0/first", "#/windows/0/every"]),
        (ALPS | {"windows": [{"name": "all"}, {"name": "week", "zone": "Nowhere/City"}]}, ["#/windows/1/zone"]),
        (ALPS | {"windows": [{"name": "all"}, {"name": "all"}]}, ["#/windows/1/name"]),
    ],
)
async def test_faults_of_a_board_are_told_with_their_places_and_nothing_is_stored(
    leaderboard: Client, studio: dict[str, str], mysql: Any, body: dict[str, Any], pointers: list[str]
) -> None:
    answer = await put(leaderboard, studio, "alps", **body)
    assert_problem(answer, 422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert boards(mysql) == []


async def test_bodies_that_are_no_board_and_names_that_are_none_are_refused(
    leaderboard: Client, studio: dict[str, str], mysql: Any
) -> None:
    for content in (b"", b"[", b"[]", b'"\\ud800"', b"\xff", b"null", b'{"max_score": 1e400}'):
        answer = await leaderboard.put(
            f"{API}/boards/alps", content=content, headers={**studio, "content-type": "application/json"}
        )
        assert_problem(answer, 422, "invalid-request")
    form = await leaderboard.put(f"{API}/boards/alps", data={"title": "x"}, headers=studio)
    assert_problem(form, 415)
    large = await put(leaderboard, studio, "alps", **ALPS | {"title": "x" * 100_000})
    assert_problem(large, 413)
    for name in ("Alps", "-a", "a" * 65, "a%20b", "%C3%A4"):
        answer = await put(leaderboard, studio, name, **ALPS)
        assert_problem(answer, 422, "invalid-request")
        assert [error["parameter"] for error in answer.json()["errors"]] == ["board"]
    assert boards(mysql) == []


async def test_what_cannot_be_changed_is_told_with_its_place_and_nothing_is_changed(
    leaderboard: Client, studio: dict[str, str], mysql: Any
) -> None:
    await make_alps(leaderboard, studio)
    before = boards(mysql)
    windows = [{"name": "all"}, {"name": "week", "grace": 61}, ALPS["windows"][2]]
    answer = await put(leaderboard, studio, "alps", **ALPS | {"title": "x", "metric": "laps", "windows": windows})
    assert_problem(answer, 409, "board-conflict")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/metric", "#/windows/1"]
    assert boards(mysql) == before


async def test_a_board_is_deleted_once_it_is_closed_and_its_name_is_free(
    leaderboard: Client, studio: dict[str, str], accounts: Accounts, mysql: Any
) -> None:
    await make_alps(leaderboard, studio)
    await submit(leaderboard, accounts.new(), 5, tags={"track": "alps"})
    assert_problem(await leaderboard.delete(f"{API}/boards/alps", headers=studio), 409, "board-conflict")
    assert (await put(leaderboard, studio, "alps", **ALPS | {"state": "closed"})).status_code == 200
    answer = await leaderboard.delete(f"{API}/boards/alps", headers=studio)
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(await leaderboard.get(f"{API}/boards/alps"), 404, "board-not-found")
    assert_problem(await leaderboard.delete(f"{API}/boards/alps", headers=studio), 404, "board-not-found")
    assert rows(mysql, "SELECT COUNT(*) FROM standings WHERE board_id <> 1") == [(0,)]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(1,)]
    assert (await put(leaderboard, studio, "alps", **ALPS)).status_code == 201


async def test_the_main_board_is_not_deleted(leaderboard: Client, studio: dict[str, str]) -> None:
    assert_problem(await leaderboard.delete(f"{API}/boards/main", headers=studio), 409, "board-conflict")


async def test_a_large_board_is_not_shown_any_more_and_goes_by_itself(
    leaderboard_settings: LeaderboardSettings, studio: dict[str, str], mysql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_writes, "_DELETING_SECONDS", 0.0)
    app = create_app(leaderboard_settings)
    async with serving(app) as client:
        assert (await put(client, studio, "alps", **ALPS | {"state": "closed"})).status_code == 201
        play_on(mysql, "alps", *range(1, deletion.ROWS_AT_ONCE + 2))

        async def upkeep_rests() -> bool:
            return bool(app.state.upkeep.rounds)

        await eventually(upkeep_rests)
        answer = await client.delete(f"{API}/boards/alps", headers=studio)
        assert (answer.status_code, answer.content) == (202, b"")
        assert_problem(await client.get(f"{API}/boards/alps"), 404, "board-not-found")
    # Upkeep begins when a process starts.
    async with serving(create_app(leaderboard_settings)):

        async def gone() -> bool:
            return not rows(mysql, "SELECT 1 FROM boards WHERE name = 'alps'")

        await eventually(gone)
    assert rows(mysql, "SELECT COUNT(*) FROM standings") == [(0,)]


async def test_a_season_is_written_down_played_in_and_written_again(
    leaderboard: Client, studio: dict[str, str], accounts: Accounts
) -> None:
    await make_alps(leaderboard, studio)
    body = season(datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1))
    written = await leaderboard.post(f"{API}{SEASONS}", json=body, headers=studio)
    assert written.status_code == 201
    period = written.json()
    assert (period["window"], period["title"], period["state"], period["number"]) == ("season", "Summer", "open", 1)
    times = [datetime.fromisoformat(period[name]) for name in ("starts_at", "ends_at", "closes_at")]
    assert times == [datetime.fromisoformat(body["starts_at"]), times[1], times[1] + timedelta(seconds=10)]
    again = await leaderboard.post(f"{API}{SEASONS}", json=body, headers=studio)
    assert (again.status_code, again.json()) == (201, period)
    answer = await submit(leaderboard, accounts.new(), 5, boards=["alps"])
    assert period["period_id"] in {each["period_id"] for each in answer["standings"]}
    [listed] = (await leaderboard.get(f"{API}/boards/alps/periods", params={"window": "season"})).json()["periods"]
    assert listed == period | {"players": 1}


async def test_seasons_do_not_overlap_and_are_not_of_the_past(leaderboard: Client, studio: dict[str, str], mysql: Any) -> None:
    await make_alps(leaderboard, studio)
    now = datetime.now(UTC).replace(microsecond=0)
    assert (await leaderboard.post(f"{API}{SEASONS}", json=season(now), headers=studio)).status_code == 201
    for body in (
        season(now, title="Another"),
        season(now - timedelta(hours=1)),
        season(now + timedelta(hours=23)),
        season(now - timedelta(days=1), 3),
        season(now - timedelta(days=9)),
    ):
        answer = await leaderboard.post(f"{API}{SEASONS}", json=body, headers=studio)
        assert_problem(answer, 409, "period-conflict")
    follows = season(now + timedelta(days=1), title=None)
    assert (await leaderboard.post(f"{API}{SEASONS}", json=follows, headers=studio)).json()["number"] == 2
    assert rows(mysql, "SELECT COUNT(*) FROM periods") == [(2,)]


NOON = datetime(2999, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["#/starts_at", "#/ends_at"]),
        (season(NOON, 0), ["#/ends_at"]),
        (season(NOON, -1), ["#/ends_at"]),
        (season(NOON) | {"starts_at": "2999-01-01"}, ["#/starts_at"]),
        (season(NOON) | {"starts_at": "2999-01-01T12:00:00"}, ["#/starts_at"]),
        (season(NOON) | {"starts_at": 32_472_144_000}, ["#/starts_at"]),
        (season(NOON) | {"ends_at": "9999-12-31T23:59:59Z"}, ["#/ends_at"]),
        (season(NOON) | {"starts_at": "0001-01-01T00:00:00+14:00"}, ["#/starts_at"]),
        (season(NOON, title="a" * 101), ["#/title"]),
        (season(NOON, title="a\n"), ["#/title"]),
        (season(NOON) | {"grace": 5}, ["#/grace"]),
    ],
)
async def test_faults_of_a_season_are_told_with_their_places(
    leaderboard: Client, studio: dict[str, str], mysql: Any, body: dict[str, Any], pointers: list[str]
) -> None:
    await make_alps(leaderboard, studio)
    answer = await leaderboard.post(f"{API}{SEASONS}", json=body, headers=studio)
    assert_problem(answer, 422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert rows(mysql, "SELECT COUNT(*) FROM periods") == [(0,)]


async def test_a_season_that_has_not_begun_is_taken_back_and_another_stays(
    leaderboard: Client, studio: dict[str, str], mysql: Any
) -> None:
    await make_alps(leaderboard, studio)
    now = datetime.now(UTC).replace(microsecond=0)
    ids = []
    for starts_at in (now, now + timedelta(days=2)):
        answer = await leaderboard.post(f"{API}{SEASONS}", json=season(starts_at), headers=studio)
        ids.append(answer.json()["period_id"])
    running, coming = ids
    assert_problem(await leaderboard.delete(f"{API}{SEASONS}/{running}", headers=studio), 409, "period-conflict")
    answer = await leaderboard.delete(f"{API}{SEASONS}/{coming}", headers=studio)
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(await leaderboard.delete(f"{API}{SEASONS}/{coming}", headers=studio), 404, "period-not-found")
    assert rows(mysql, "SELECT id FROM periods") == [(running,)]


async def test_periods_are_those_of_their_window_and_only_listed_ones_are_written(
    leaderboard: Client, studio: dict[str, str], mysql: Any
) -> None:
    await make_alps(leaderboard, studio)
    windows = [{"name": "season", "listed": True}]
    assert (await put(leaderboard, studio, "fjord", windows=windows)).status_code == 201
    body = season(NOON)
    written = await leaderboard.post(f"{API}{SEASONS}", json=body, headers=studio)
    period_id = written.json()["period_id"]
    for path, kind in (
        ("/boards/nowhere/windows/season/periods", "board-not-found"),
        ("/boards/alps/windows/cup/periods", "window-not-found"),
    ):
        assert_problem(await leaderboard.post(f"{API}{path}", json=body, headers=studio), 404, kind)
        assert_problem(await leaderboard.delete(f"{API}{path}/{period_id}", headers=studio), 404, kind)
    for window in ("all", "week"):
        path = f"{API}/boards/alps/windows/{window}/periods"
        assert_problem(await leaderboard.post(path, json=body, headers=studio), 409, "period-conflict")
        assert_problem(await leaderboard.delete(f"{path}/{period_id}", headers=studio), 409, "period-conflict")
    for path in (f"/boards/fjord/windows/season/periods/{period_id}", f"{SEASONS}/{period_id + 1}", f"{SEASONS}/{2**63 - 1}"):
        assert_problem(await leaderboard.delete(f"{API}{path}", headers=studio), 404, "period-not-found")
    for number in ("0", "-1", "1.0", "x", str(2**63)):
        assert_problem(await leaderboard.delete(f"{API}{SEASONS}/{number}", headers=studio), 422, "invalid-request")
    assert rows(mysql, "SELECT id FROM periods") == [(period_id,)]


async def test_a_window_that_another_process_added_just_now_is_written_to(
    leaderboard: Client, second: Client, studio: dict[str, str]
) -> None:
    assert (await put(leaderboard, studio, "alps", **ALPS | {"windows": [{"name": "all"}]})).status_code == 201
    assert (await second.get(f"{API}/boards/alps")).status_code == 200
    windows = [{"name": "all"}, {"name": "season", "listed": True}]
    assert (await put(leaderboard, studio, "alps", **ALPS | {"windows": windows})).status_code == 200
    assert (await second.post(f"{API}{SEASONS}", json=season(NOON), headers=studio)).status_code == 201
