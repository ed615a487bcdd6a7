"""A session counts in the places that its transaction decided, whatever becomes of boards and periods later."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.boards import periods
from services.leaderboard.boards.board import Rule
from services.leaderboard.boards.catalogue import INTERVAL_SECONDS
from services.leaderboard.operate.check import check
from services.leaderboard.rules.places import Place, unpack
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, SEASON, WEEK, define, make, tagged
from tests.playing import API, remove, send, submit
from tests.system import Accounts, assert_problem, eventually, rows, serving
from tests.timing import MINUTE, mysql_now
from tests.writing import check_standings, counting

ALPS = tagged("alps", "alps", direction="ascending", windows=(ALL, DAY))
NAMED = define("named", metric="laps", aggregate="latest", min_score=-5, windows=(ALL, WEEK))
EVERY = define("every", metric="sessions", aggregate="total", rule=Rule(), windows=(ALL,))


@pytest.fixture
async def service(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database
) -> AsyncIterator[httpx.AsyncClient]:
    """The service, on a database with boards beside the main one."""
    await make(leaderboard_database, ALPS, NAMED, EVERY)
    async with serving(create_app(leaderboard_settings)) as client:
        yield client


def counted(answer: dict[str, Any]) -> dict[tuple[str, str], int | None]:
    """Where a session counts, by board and window, and the scores there."""
    assert all(standing["counted"] for standing in answer["standings"])
    return {(standing["board"], standing["window"]): standing["score"] for standing in answer["standings"]}


def kept(mysql: Any, answer: dict[str, Any]) -> set[Place]:
    """Where a session counts, as the log has it; which must be what its answer said."""
    [(packed,)] = rows(mysql, "SELECT places FROM game_sessions WHERE id = %s", answer["session_id"])
    ids = dict(rows(mysql, "SELECT name, id FROM boards"))
    told = {Place(ids[each["board"]], each["period_id"]) for each in answer["standings"]}
    assert set(unpack(packed)) == told
    return told


async def heard(client: httpx.AsyncClient, name: str, **fields: Any) -> None:
    """Return when the service knows a board as it is now."""

    async def knows() -> bool:
        board = (await client.get(f"{API}/boards/{name}")).json()
        return all(board[field] == value for field, value in fields.items())

    await eventually(knows, 5 * INTERVAL_SECONDS)


async def test_a_session_counts_on_every_board_that_takes_it_as_the_board_counts(
    service: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    first = await submit(service, ada, 50, tags={"track": "alps"})
    assert counted(first) == {("alps", "all"): 50, ("alps", "day"): 50, ("every", "all"): 1, ("main", "all"): 50}
    second = await submit(service, ada, 70, tags={"track": "alps", "car": "red"}, metrics={"laps": 3})
    assert counted(second) == {("alps", "all"): 50, ("alps", "day"): 50, ("every", "all"): 2, ("main", "all"): 120}
    improved = {(each["board"], each["window"]): each["improved"] for each in second["standings"]}
    assert improved == {("alps", "all"): False, ("alps", "day"): False, ("every", "all"): True, ("main", "all"): True}
    named = await submit(service, ada, 1, metrics={"laps": -2}, boards=["named"])
    assert counted(named) == {("named", "all"): -2, ("named", "week"): -2}
    assert (named["total_score"], named["rank"]) == (None, None)
    assert counted(await submit(service, ada, 1, metrics={"laps": -5}, boards=["named", "alps"])) == {
        ("named", "all"): -5,
        ("named", "week"): -5,
        ("alps", "all"): 1,
        ("alps", "day"): 1,
    }
    # Less is better: who has 40 is second to who has 1.
    theirs = await submit(service, bob, 40, tags={"track": "alps"})
    ranks = {(each["board"], each["window"]): (each["rank"], each["total_players"]) for each in theirs["standings"]}
    assert ranks == {("alps", "all"): (2, 2), ("alps", "day"): (2, 2), ("every", "all"): (2, 2), ("main", "all"): (2, 2)}
    for answer in (first, second, named, theirs):
        kept(mysql, answer)
    assert rows(mysql, "SELECT score, sort, sessions, version FROM standings WHERE board_id = 1 AND user_id = 1") == [
        (120, -120, 2, 2)
    ]
    assert await check(leaderboard_settings) == []


async def test_what_counted_stays_when_its_period_and_its_board_are_closed_and_its_rule_is_another(
    service: httpx.AsyncClient,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    leaderboard_database: Database,
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    open_ = await submit(service, ada, 50, tags={"track": "alps"})
    places = kept(mysql, open_)
    [day] = [place for place in places if place.period_id]
    rows(mysql, "UPDATE periods SET closes_at = NOW(6) WHERE id = %s", day.period_id)
    after = await submit(service, ada, 40, tags={"track": "alps"})
    assert counted(after) == {("alps", "all"): 40, ("every", "all"): 2, ("main", "all"): 90}
    assert kept(mysql, after) == places - {day}
    assert rows(mysql, "SELECT score, version FROM standings WHERE period_id = %s", day.period_id) == [(50, 1)]
    assert await check(leaderboard_settings) == []

    await make(leaderboard_database, define("alps", direction="ascending", rule=Rule(("track", "fjord")), windows=(ALL, DAY)))
    await heard(service, "alps", rule={"where": {"track": "fjord"}})
    another = await submit(service, bob, 30, tags={"track": "alps"})
    assert counted(another) == {("every", "all"): 1, ("main", "all"): 30}
    assert await check(leaderboard_settings) == []

    await make(leaderboard_database, define("alps", state="closed", direction="ascending", windows=(ALL, DAY)))
    await heard(service, "alps", state="closed")
    closed = await submit(service, bob, 20, tags={"track": "fjord"})
    assert counted(closed) == {("every", "all"): 2, ("main", "all"): 50}
    assert_problem(await send(service, bob, 20, boards=["alps"]), 422, "invalid-request")
    assert kept(mysql, open_) == places
    assert await check(leaderboard_settings) == []

    # Who leaves is taken off where they counted, and only there.
    await remove(service, ada)
    standings = rows(mysql, "SELECT board_id, period_id FROM standings WHERE user_id = 1 AND score IS NULL")
    assert {Place(*row) for row in standings} == places
    assert await check(leaderboard_settings) == []


async def test_a_session_that_would_make_a_total_too_large_on_one_of_its_boards_is_counted_on_none(
    service: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    ada = accounts.new("Ada", 1)
    await submit(service, ada, 5)
    where = "board_id = (SELECT id FROM boards WHERE name = 'every')"
    rows(mysql, f"UPDATE standings SET score = %s, sort = -score WHERE {where}", MAX_TOTAL)
    before = rows(mysql, "SELECT * FROM standings")
    refused = await send(service, ada, 5)
    assert_problem(refused, 409, "total-too-large")
    assert str(MAX_TOTAL + 1) in refused.json()["detail"]
    assert rows(mysql, "SELECT * FROM standings") == before
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(1,)]
    assert counted(await submit(service, ada, 5, boards=["main"])) == {("main", "all"): 10}


async def test_of_boards_whose_rule_takes_a_session_the_first_by_name_count_it_up_to_24_places(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    names = [f"board{number}" for number in range(9)]
    await make(leaderboard_database, *(tagged(name, "alps", windows=(ALL, DAY, WEEK)) for name in reversed(names)))
    async with counting(leaderboard_settings) as process:
        submitted = await process.submit(1, 5, tags={"track": "alps"})
        ids = dict(rows(mysql, "SELECT name, id FROM boards"))
        assert [rank.at.board_id for rank in submitted.ranks] == [ids[name] for name in names[:8] for _ in range(3)]
    assert rows(mysql, "SELECT COUNT(*) FROM standings") == [(24,)]
    assert await check_standings(leaderboard_settings) == []


async def test_a_board_that_is_closed_before_a_process_has_heard_of_it_counts_nothing_more(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    await make(leaderboard_database, ALPS)
    async with counting(leaderboard_settings) as process:
        before = await process.submission(1, 5, tags={"track": "alps"})
        assert len(before.counts) == 3
        rows(mysql, "UPDATE boards SET state = 'closed' WHERE name = 'alps'")
        assert [rank.at for rank in (await process.writer.submit(before)).ranks] == [Place(1, 0)]
        # For a second it is known; then it may have been opened again.
        assert [count.place.at for count in (await process.submission(2, 5, tags={"track": "alps"})).counts] == [Place(1, 0)]
        rows(mysql, "UPDATE boards SET state = 'active' WHERE name = 'alps'")

        async def counts_again() -> bool:
            return Place(1, 0) != (await process.submission(2, 5, tags={"track": "alps"})).counts[0].place.at

        await eventually(counts_again)
    assert await check_standings(leaderboard_settings) == []


async def test_a_session_at_the_first_moment_of_a_listed_period_counts_there_also_beside_one_of_the_moment_before(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    await make(leaderboard_database, define("cup", rule=Rule(), windows=(SEASON,)))
    [(board_id, window_id)] = rows(mysql, "SELECT board_id, id FROM windows WHERE name = 'season'")
    start = mysql_now(mysql) + timedelta(seconds=30)
    written = {"board_id": board_id, "window_id": window_id, "title": None, "grace": MINUTE}
    season = await periods.write_listed(leaderboard_database, **written, starts_at=start, ends_at=start + MINUTE)

    async def counts(*offsets: float) -> list[bool]:
        """Whether sessions that come together count, by how many microseconds after the start they come."""
        times = [start + timedelta(microseconds=offset) for offset in offsets]
        counts = [await asking for asking in [asyncio.create_task(process.submission(1, 5, time=time)) for time in times]]
        return [any(count.place.at.period_id == season.period_id for count in each.counts) for each in counts]

    async with counting(leaderboard_settings) as process:
        # What is found out for the one is not true of the others.
        assert await counts(-1, 0, 1) == [False, True, True]
    async with counting(leaderboard_settings) as process:
        assert await counts(-1) == [False]
        assert await counts(-1) == [False]  # which is known for a second
        assert await counts(0) == [True]
    async with counting(leaderboard_settings) as process:
        assert await counts(60_000_000, 59_999_999, -1) == [False, True, False]
    async with counting(leaderboard_settings) as process:
        assert await counts(-1) == [False]
        again = start + timedelta(seconds=90)
        await periods.write_listed(leaderboard_database, **written, starts_at=again, ends_at=again + MINUTE)
        assert await counts(59_999_999, 60_000_000) == [True, False]


async def test_a_new_name_shows_on_every_board_wherever_the_session_counts_that_brings_it(
    service: httpx.AsyncClient, accounts: Accounts, leaderboard_settings: LeaderboardSettings
) -> None:
    await submit(service, accounts.new("Ada", 1), 5, tags={"track": "alps"})
    await submit(service, accounts.new("Bob", 2), 9, tags={"track": "alps"})
    await submit(service, accounts.new("Lovelace", 1), 5, boards=["named"], metrics={"laps": 3})

    async def renamed() -> bool:
        tops = [(await service.get(f"{API}/boards/{board}/top")).json()["top"] for board in ("alps", "every", "main", "named")]
        return {row["username"] for top in tops for row in top if row["user_id"] == 1} == {"Lovelace"}

    await eventually(renamed, 5)
    assert await check(leaderboard_settings) == []
