"""The player's row is the lock of all of the player's standings and sessions, and nothing else is waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest

from services.common.http.problems import ServiceUnavailable
from services.common.mysql.database import CommitUnknown, Database, error_code
from services.leaderboard.boards.clock import utc_now
from services.leaderboard.errors import SessionErased
from services.leaderboard.players import changes
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, WEEK, define, make, tagged
from tests.faults.proxy import COMMIT, Fault, Proxy, proxying
from tests.system import eventually, rows, rows_are_awaited
from tests.writing import Process, Watched, check_standings, counting

STORES = b"INSERT INTO game_sessions"
ALPS = tagged("alps", "alps", direction="ascending", windows=(ALL, DAY))
TAGS = {"track": "alps"}


@pytest.fixture
async def processes(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database
) -> AsyncIterator[tuple[Process, Process]]:
    """Two processes that count for a few boards."""
    await make(leaderboard_database, ALPS, define("laps", metric="laps", windows=(ALL,)))
    async with counting(leaderboard_settings) as one, counting(leaderboard_settings) as other:
        yield one, other


async def leave(database: Database, user_id: int) -> None:
    """Take a player off every board."""
    await database.transaction(lambda connection: changes.remove(connection, user_id, utc_now(), 1000))


async def test_who_leaves_between_the_two_packets_of_a_group_has_its_session_erased_with_the_others(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, processes: tuple[Process, Process]
) -> None:
    _, other = processes
    await other.submit(1, 50, tags=TAGS)
    async with proxying(leaderboard_settings.mysql_host, leaderboard_settings.mysql_port) as proxy:
        behind = leaderboard_settings.model_copy(update={"mysql_port": proxy.port})
        async with counting(behind) as process:
            await process.submit(2, 1, tags=TAGS)
            proxy.strike(Fault.DELAYED, COMMIT, after=STORES)
            asking = asyncio.create_task(process.submit(1, 40, tags=TAGS))
            await proxy.struck.wait()
            leaving = asyncio.create_task(leave(leaderboard_database, 1))
            await eventually(lambda: rows_are_awaited(mysql))
            proxy.release()
            submitted = await asking
            await leaving
    assert {rank.score for rank in submitted.ranks} == {40, 90}
    assert rows(mysql, "SELECT score, sessions, version FROM standings WHERE user_id = 1") == [(None, 0, 3)] * 3
    assert rows(mysql, "SELECT user_id FROM game_sessions") == [(2,)]
    assert await check_standings(leaderboard_settings) == []


@pytest.mark.parametrize("known", [False, True])
async def test_a_players_first_sessions_in_a_place_are_counted_one_group_after_the_other(
    leaderboard_settings: LeaderboardSettings, mysql: Any, processes: tuple[Process, Process], known: bool
) -> None:
    """There is no standing yet that could be locked, nor a player perhaps."""
    _, other = processes
    if known:
        await other.submit(1, 0, boards=["laps"], metrics={"laps": 1})
    async with proxying(leaderboard_settings.mysql_host, leaderboard_settings.mysql_port) as proxy:
        behind = leaderboard_settings.model_copy(update={"mysql_port": proxy.port})
        async with counting(behind) as process:
            await process.submit(2, 1, tags=TAGS)
            proxy.strike(Fault.DELAYED, COMMIT, after=STORES)
            first = asyncio.create_task(process.submit(1, 40, tags=TAGS))
            await proxy.struck.wait()
            second = asyncio.create_task(other.submit(1, 30, tags=TAGS))
            await eventually(lambda: rows_are_awaited(mysql))
            proxy.release()
            one, two = await asyncio.gather(first, second)
    assert one.session_id < two.session_id
    assert [rank.score for rank in one.ranks] == [40, 40, 40]
    assert [rank.score for rank in two.ranks] == [30, 30, 70]
    first_places = "SELECT score, sessions, reached_session_id, version FROM standings WHERE user_id = 1 AND board_id < %s"
    standings = rows(mysql, first_places, *rows(mysql, "SELECT id FROM boards WHERE name = 'laps'")[0])
    assert standings == [(70, 2, two.session_id, 2), (30, 2, two.session_id, 2), (30, 2, two.session_id, 2)]
    assert await check_standings(leaderboard_settings) == []


class Crowd:
    """Players who play, again and again until they are told that a session is stored; some of them leave meanwhile."""

    leaving = 1, 2
    staying = range(3, 13)

    def __init__(self) -> None:
        self.acknowledged: list[tuple[int, int]] = []
        """Players and their sessions."""

    async def play(self, process: Process, random: Random) -> None:
        """A few groups of sessions."""
        for _ in range(16):
            players = [random.choice([*self.leaving, *self.staying]) for _ in range(random.randrange(1, 12))]
            await asyncio.gather(*(self._play(process, user_id, random) for user_id in players))

    async def _play(self, process: Process, user_id: int, random: Random) -> None:
        score, key = random.randrange(50), f"{random.getrandbits(64)}"
        while True:
            try:
                submitted = await process.submit(user_id, score, key, tags=TAGS, metrics={"laps": 3})
            except ServiceUnavailable:
                continue  # its connection was broken twice
            except SessionErased:
                assert user_id in self.leaving
            else:
                self.acknowledged.append((user_id, submitted.session_id))
            return


@pytest.mark.parametrize("kills", [False, True])
@pytest.mark.timeout(300)  # much is waited for, on a machine that may be busy
async def test_eight_writers_and_players_who_leave_have_every_standing_the_fold_of_its_sessions(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, kills: bool
) -> None:
    """Groups never wait for each other in a circle, unless they are repeated, nor find a row that was not there before."""
    await make(
        leaderboard_database,
        ALPS,
        define("latest", aggregate="latest", rule=ALPS.rule, windows=(ALL, WEEK)),
        define("laps", metric="laps", aggregate="total", rule=ALPS.rule),
    )
    crowd, over = Crowd(), asyncio.Event()

    async def kill(proxy: Proxy, random: Random) -> None:
        """Break connections, mostly while their transactions are committed."""
        while not over.is_set():
            proxy.strike(random.choice([Fault.LOST, Fault.HELD, Fault.REPLY_LOST]), random.choice([COMMIT, COMMIT, STORES]))
            await asyncio.sleep(0.1)
            proxy.release()

    async def come_and_go() -> None:
        while not over.is_set():
            for user_id in crowd.leaving:
                await leave(leaderboard_database, user_id)
            await asyncio.sleep(0.02)

    async with AsyncExitStack() as exits, asyncio.TaskGroup() as meanwhile:
        proxy = await exits.enter_async_context(proxying(leaderboard_settings.mysql_host, leaderboard_settings.mysql_port))
        watched = [Watched(leaderboard_settings.model_copy(update={"mysql_port": proxy.port})) for _ in range(8)]
        for transactions in watched:
            exits.push_async_callback(transactions.dispose)
        writers = [
            await exits.enter_async_context(counting(leaderboard_settings, transactions=transactions))
            for transactions in watched
        ]
        meanwhile.create_task(come_and_go())
        if kills:
            meanwhile.create_task(kill(proxy, Random(47)))
        await asyncio.gather(*(crowd.play(writer, Random(number)) for number, writer in enumerate(writers)))
        over.set()
    stored = set(rows(mysql, "SELECT user_id, id FROM game_sessions"))
    assert len(set(crowd.acknowledged)) == len(crowd.acknowledged)
    told = {each for each in crowd.acknowledged if each[0] in crowd.staying}
    assert told == {each for each in stored if each[0] in crowd.staying}
    assert stored <= set(crowd.acknowledged)
    assert await check_standings(leaderboard_settings) == []
    errors = [error for transactions in watched for error in transactions.errors]
    codes = {error_code(error) for error in errors} - {None}
    if kills:
        assert any(isinstance(error, CommitUnknown) for error in errors), "no COMMIT was lost"
        assert 1062 not in codes
    else:
        assert (errors, codes) == ([], set())
