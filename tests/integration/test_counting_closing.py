"""Periods and boards close while sessions go on: nothing is counted after it, and nobody waits longer than a group takes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from services.common.mysql.database import Database
from services.leaderboard.boards import periods
from services.leaderboard.boards.board import Rule, WindowDefinition
from services.leaderboard.rules.calendar import Schedule
from services.leaderboard.rules.places import Place, unpack
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, SEASON, define, make
from tests.system import eventually, rows
from tests.timing import MINUTE, mysql_now, plain
from tests.writing import Process, check_standings, counting

GROUPS_A_SECOND = 50
# A group takes a hundredth of that on a machine that does nothing else.
LONGEST_SECONDS = 1.5
# How exactly a process knows MySQL's time: to half of the round trip that it was asked in, on a machine that may be busy.
DOUBT = timedelta(seconds=0.5)


class Load:
    """Groups of sessions, begun so many times a second, whatever became of those before."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._over = asyncio.Event()
        self.slowest = 0.0
        self.stored = 0

    async def run(self) -> None:
        user_id = 0
        async with asyncio.TaskGroup() as groups:
            while not self._over.is_set():
                groups.create_task(self._group(range(user_id, user_id + 3)))
                user_id = (user_id + 3) % 60
                await asyncio.sleep(1 / GROUPS_A_SECOND)

    async def more(self) -> None:
        """Return when sessions are stored that were not begun before."""
        enough = self.stored + GROUPS_A_SECOND

        async def stored() -> bool:
            return self.stored >= enough

        await eventually(stored, 20)

    def end(self) -> None:
        self._over.set()

    async def _group(self, players: range) -> None:
        began = monotonic()
        await asyncio.gather(*(self._process.submit(1 + user_id, 5) for user_id in players))
        self.slowest = max(self.slowest, monotonic() - began)
        self.stored += len(players)


def counted(mysql: Any, board_id: int) -> dict[Place, int]:
    """How many sessions count in each place of a board, as its standings have it."""
    where = "WHERE board_id = %s GROUP BY period_id"
    found = rows(mysql, f"SELECT period_id, CAST(SUM(sessions) AS UNSIGNED) FROM standings {where}", board_id)
    return {Place(board_id, period_id): sessions for period_id, sessions in found}


async def close_under_load(
    settings: LeaderboardSettings, mysql: Any, board_id: int, close: Callable[[], Awaitable[None]], *closed: Place
) -> None:
    """Have ``close`` end places while two processes count, and hold that nothing counts there after it."""
    async with AsyncExitStack() as exits, asyncio.TaskGroup() as playing:
        loads = [Load(await exits.enter_async_context(counting(settings))) for _ in range(2)]
        for load in loads:
            playing.create_task(load.run())
        await asyncio.gather(*(load.more() for load in loads))
        began = monotonic()
        await close()
        waited = monotonic() - began
        at_its_end = counted(mysql, board_id)
        await asyncio.gather(*(load.more() for load in loads))
        for load in loads:
            load.end()
    after = counted(mysql, board_id)
    for place in closed:
        assert at_its_end[place] > 0
        assert after[place] == at_its_end[place]
    logged = [unpack(packed) for (packed,) in rows(mysql, "SELECT places FROM game_sessions")]
    assert {place: sum(place in each for each in logged) for place in closed} == {place: after[place] for place in closed}
    assert len(logged) == sum(load.stored for load in loads)  # the others count on
    assert waited < LONGEST_SECONDS
    assert max(load.slowest for load in loads) < LONGEST_SECONDS
    assert await check_standings(settings) == []


async def test_a_period_is_closed_while_sessions_go_on(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    await make(leaderboard_database, define("cup", aggregate="total", rule=Rule(), windows=(ALL, SEASON)))
    [(board_id, window_id)] = rows(mysql, "SELECT board_id, id FROM windows WHERE name = 'season'")
    now = mysql_now(mysql)
    season = await periods.write_listed(
        leaderboard_database,
        board_id,
        window_id,
        title=None,
        starts_at=now - MINUTE,
        ends_at=now + MINUTE,
        grace=timedelta(seconds=10),
    )

    async def close() -> None:
        rows(mysql, "UPDATE periods SET closes_at = NOW(6) WHERE id = %s", season.period_id)
        assert await leaderboard_database.transaction(lambda connection: periods.close(connection, season.period_id))

    await close_under_load(leaderboard_settings, mysql, board_id, close, Place(board_id, season.period_id))


async def test_a_board_is_closed_while_sessions_go_on(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    cup = define("cup", aggregate="total", rule=Rule(), windows=(ALL, DAY))
    await make(leaderboard_database, cup)
    [(board_id,)] = rows(mysql, "SELECT id FROM boards WHERE name = 'cup'")
    async with counting(leaderboard_settings) as process:
        first = await process.submit(1000, 1)
    assert len(first.ranks) == 3
    closed = define("cup", aggregate="total", rule=Rule(), windows=(ALL, DAY), state="closed")
    places = [rank.at for rank in first.ranks if rank.at.board_id == board_id]
    rows(mysql, "DELETE FROM game_sessions")
    rows(mysql, "DELETE FROM standings")
    await close_under_load(leaderboard_settings, mysql, board_id, lambda: make(leaderboard_database, closed), *places)


async def test_at_a_boundary_sessions_are_in_the_new_period_at_once_whatever_the_clocks_of_processes_say(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    """One process's clock is a second ahead of the other's boundary, and one behind it: both go by MySQL's."""
    boundary = (mysql_now(mysql) + timedelta(seconds=4)).replace(microsecond=0)
    schedule = Schedule(plain(boundary - 2 * MINUTE), 60, "seconds")
    minutes = WindowDefinition("minute", schedule, grace_seconds=10)
    await make(leaderboard_database, define("sprint", aggregate="total", rule=Rule(), windows=(minutes,)))
    current = "SELECT MAX(id), NOW(6) FROM periods WHERE starts_at <= NOW(6) AND ends_at > NOW(6)"
    sides: set[bool] = set()

    async def play(process: Process, user_id: int) -> None:
        while mysql_now(mysql) < boundary + timedelta(seconds=2):
            before = mysql_now(mysql)
            submitted = await process.submit(user_id, 1)
            after = mysql_now(mysql)
            [(period_id, starts_at)] = rows(
                mysql,
                "SELECT period_id, starts_at FROM standings JOIN periods ON id = period_id"
                " WHERE user_id = %s AND reached_session_id = %s AND period_id > 0",
                user_id,
                submitted.session_id,
            )
            # It is there with the answer, in the period of the time between question and answer.
            assert period_id in {rank.at.period_id for rank in submitted.ranks}
            assert before - DOUBT < starts_at.replace(tzinfo=UTC) + MINUTE
            assert starts_at.replace(tzinfo=UTC) <= after + DOUBT
            if before >= boundary + DOUBT:
                assert [(period_id,)] == [row[:1] for row in rows(mysql, current)]
            sides.add(starts_at.replace(tzinfo=UTC) == boundary)
            await asyncio.sleep(0.02)

    def off(seconds: float) -> Callable[[], datetime]:
        return lambda: datetime.now(UTC) + timedelta(seconds=seconds)

    async with (
        counting(leaderboard_settings, clock=off(1)) as ahead,
        counting(leaderboard_settings, clock=off(-1)) as behind,
    ):
        assert ahead.catalogue.clock.own() - behind.catalogue.clock.own() > timedelta(seconds=1.9)
        await asyncio.gather(play(ahead, 1), play(behind, 2))
    assert sides == {False, True}
    tiles = rows(mysql, "SELECT starts_at, ends_at FROM periods ORDER BY starts_at")
    assert tiles == [(plain(boundary) - MINUTE, plain(boundary)), (plain(boundary), plain(boundary) + MINUTE)]
    assert await check_standings(leaderboard_settings) == []
