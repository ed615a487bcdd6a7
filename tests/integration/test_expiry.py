"""Of settled periods those that a window keeps stay; of the others the results do, and nothing brings a standing back."""

import asyncio
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.players import changes
from services.leaderboard.seasons import expiry, settling
from services.leaderboard.seasons.ends import PeriodEnds
from services.leaderboard.settings import LeaderboardSettings
from tests.playing import API
from tests.seasons import Cup, make_cup, over, results_of
from tests.system import assert_problem, eventually, rows, rows_are_awaited, serving
from tests.timing import mysql_now, states
from tests.writing import check_standings

STANDINGS = "SELECT COUNT(*) FROM standings WHERE period_id = %s"


async def expire(database: Database, mysql: Any, limit: int = 500) -> int:
    now = mysql_now(mysql)
    return await database.transaction(lambda connection: expiry.expire(connection, now, limit))


async def drop(database: Database, mysql: Any) -> int:
    now = mysql_now(mysql)
    return await database.transaction(lambda connection: expiry.drop_standings(connection, now, 500))


def due(mysql: Any, *period_ids: int) -> None:
    """Ten seconds are over."""
    rows(mysql, "UPDATE periods SET drop_at = NOW(6) WHERE drop_at IS NOT NULL AND id IN %s", period_ids)


@pytest.fixture
async def cup(leaderboard_database: Database, mysql: Any) -> Cup:
    """A board that keeps two settled periods."""
    return await make_cup(leaderboard_database, mysql, keep=2)


async def settled(database: Database, mysql: Any, cup: Cup, *hours_ago: int) -> list[int]:
    """Periods that were settled so many hours ago."""
    ids = [over(mysql, cup, 5, 4, 3, hours_ago=hours) for hours in hours_ago]
    for period_id in ids:
        await database.transaction(lambda connection: settling.settle(connection, period_id, 10_000, wait=True))  # noqa: B023 - run here
    return ids


async def test_a_window_keeps_its_newest_settled_periods(leaderboard_database: Database, mysql: Any, cup: Cup) -> None:
    other = await make_cup(leaderboard_database, mysql, "other", keep=None)
    ids = await settled(leaderboard_database, mysql, cup, 5, 4, 3, 2)
    closed, running = over(mysql, cup, 1), over(mysql, cup, 1, hours_ago=0, state="open")
    elsewhere = await settled(leaderboard_database, mysql, other, 3, 2, 1)
    assert [await expire(leaderboard_database, mysql, 1) for _ in range(3)] == [1, 1, 0]
    assert states(mysql, *ids, closed, running) == ["expired", "expired", "settled", "settled", "closed", "open"]
    assert states(mysql, *elsewhere) == ["settled"] * 3


async def test_a_process_expires_what_a_settled_period_takes_the_place_of(
    leaderboard_database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any, cup: Cup
) -> None:
    ids = await settled(leaderboard_database, mysql, cup, 4, 3)
    newest = over(mysql, cup, 1)
    ends = PeriodEnds(leaderboard_settings)
    await ends.round()
    await ends.stop()
    assert states(mysql, *ids, newest) == ["expired", "settled", "settled"]


async def test_standings_go_later_a_thousand_at_once_and_whoever_comes_next_goes_on(
    leaderboard_database: Database, mysql: Any, cup: Cup
) -> None:
    big = over(mysql, cup, *range(2400), hours_ago=5)
    await leaderboard_database.transaction(lambda connection: settling.settle(connection, big, 10, wait=True))
    small, *kept = await settled(leaderboard_database, mysql, cup, 4, 3, 2)
    assert await expire(leaderboard_database, mysql) == 2
    assert await drop(leaderboard_database, mysql) == 0
    assert rows(mysql, STANDINGS, big) == [(2400,)]
    due(mysql, big, small)
    counts = []
    for _ in range(4):
        await drop(leaderboard_database, mysql)
        counts.append(rows(mysql, STANDINGS, big)[0][0])
    assert counts == [1400, 400, 0, 0]
    assert rows(mysql, "SELECT period_id, COUNT(*) FROM standings GROUP BY 1 ORDER BY 1") == [(each, 3) for each in kept]
    assert rows(mysql, "SELECT COUNT(*) FROM periods WHERE drop_at IS NOT NULL") == [(0,)]
    assert len(results_of(mysql, big)) == 10


async def test_one_process_at_a_time_drops_a_period(leaderboard_database: Database, mysql: Any, cup: Cup, other: Any) -> None:
    ids = await settled(leaderboard_database, mysql, cup, 5, 4, 3, 2)
    await expire(leaderboard_database, mysql)
    due(mysql, *ids)
    other.execute("SELECT * FROM periods FORCE INDEX (PRIMARY) WHERE id = %s FOR UPDATE", (ids[0],))
    await drop(leaderboard_database, mysql)
    assert [rows(mysql, STANDINGS, each) for each in ids] == [[(3,)], [(0,)], [(3,)], [(3,)]]
    other.connection.commit()
    await drop(leaderboard_database, mysql)
    assert rows(mysql, STANDINGS, ids[0]) == [(0,)]


async def test_who_leaves_meanwhile_brings_no_standing_back(
    leaderboard_database: Database, mysql: Any, cup: Cup, other: Any
) -> None:
    ids = await settled(leaderboard_database, mysql, cup, 4, 3, 2)
    now = mysql_now(mysql)
    # They wait for who expires it, and find it expired.
    other.execute("UPDATE periods SET state = 'expired', drop_at = NOW(6) WHERE id = %s", (ids[0],))
    leaving = asyncio.create_task(leaderboard_database.transaction(lambda each: changes.remove(each, 1, now, 10)))
    await eventually(lambda: rows_are_awaited(mysql))
    other.connection.commit()
    change = await leaving
    standings = "SELECT period_id, score, version FROM standings WHERE user_id = 1 ORDER BY 1"
    assert rows(mysql, standings) == [(ids[0], 5, 1), (ids[1], None, 2), (ids[2], None, 2)]
    [(noted,)] = rows(mysql, "SELECT changed FROM outbox WHERE id = %s", change.note)
    assert str(ids[0]) not in noted.replace(" ", "").split(",")[1::3]
    await drop(leaderboard_database, mysql)
    await leaderboard_database.transaction(lambda each: changes.remove(each, 2, now, 10))
    assert rows(mysql, STANDINGS, ids[0]) == [(0,)]


async def test_the_check_does_not_miss_what_is_expired(
    leaderboard_database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any, cup: Cup
) -> None:
    """Neither while its standings are there nor when they are gone."""
    period_id = over(mysql, cup, 5)
    place = f"{cup.board_id:08x}{period_id:08x}"
    with mysql.cursor() as cursor:
        cursor.execute(
            "INSERT INTO game_sessions (id, user_id, submission_key, group_id, score, submitted_at, places) "
            "VALUES (1, 1, 'key', REPEAT('g', 16), 5, NOW(6), UNHEX(%s))",
            (place,),
        )
    assert await check_standings(leaderboard_settings) == []
    rows(mysql, "UPDATE periods SET state = 'expired', drop_at = NOW(6) WHERE id = %s", period_id)
    rows(mysql, "UPDATE standings SET score = 7, sort = -7")
    assert await check_standings(leaderboard_settings) == []
    await drop(leaderboard_database, mysql)
    assert await check_standings(leaderboard_settings) == []
    rows(mysql, "UPDATE periods SET state = 'settled'")
    assert len(await check_standings(leaderboard_settings)) == 1


async def test_an_expired_period_is_not_read_but_its_results_are(
    leaderboard_database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any, cup: Cup
) -> None:
    """A player whose result was not kept cannot be told of any more."""
    period_id = over(mysql, cup, 5, 4, 3, hours_ago=9)
    await leaderboard_database.transaction(lambda connection: settling.settle(connection, period_id, 2, wait=True))
    await settled(leaderboard_database, mysql, cup, 3, 2)
    settings = leaderboard_settings.model_copy(update={"upkeep_seconds": 0.05})
    async with serving(create_app(settings)) as client:
        path = f"{API}/boards/cup/periods/{period_id}"

        async def is_expired() -> bool:
            return states(mysql, period_id) == ["expired"]

        await eventually(is_expired)
        for read in ("top", "rank/1", "around/1"):
            await eventually(lambda read=read: _is_gone(client, f"{API}/boards/cup/{read}?period={period_id}"))  # type: ignore[misc]
        assert [each["user_id"] for each in (await client.get(f"{path}/results")).json()["results"]] == [1, 2]
        assert (await client.get(f"{path}/results/2")).status_code == 200
        assert_problem(await client.get(f"{path}/results/3"), 410, "period-expired")
        due(mysql, period_id)

        async def is_dropped() -> bool:
            return rows(mysql, STANDINGS, period_id) == [(0,)]

        await eventually(is_dropped)
        assert_problem(await client.get(f"{path}/results/3"), 410, "period-expired")


async def _is_gone(client: httpx.AsyncClient, path: str) -> bool:
    answer = await client.get(path)
    return answer.status_code == 410
