"""A period that is over is settled once, as it was at one moment, whoever does it and whatever happens to them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from services.common.mysql.database import Database
from services.leaderboard.boards import deletion, periods
from services.leaderboard.players import changes
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.rewards import Reward
from services.leaderboard.seasons import outcome, settling
from services.leaderboard.seasons.ends import PeriodEnds
from services.leaderboard.seasons.settling import Settled
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import SEASON, define, make, without_indexes
from tests.playing import own_database
from tests.seasons import EVENTS, REWARDS, digest_of, make_cup, over, results_of
from tests.system import eventually, rows, rows_are_awaited
from tests.timing import HOUR, mysql_now, put, states

SHARE = "SELECT state FROM periods FORCE INDEX (PRIMARY) WHERE id = %s LOCK IN SHARE MODE"
LOCK = "SELECT state FROM periods FORCE INDEX (PRIMARY) WHERE id = %s FOR UPDATE"
SCORES = 9, 7, 9, 3, 7, 1
EXPECTED = [
    (1, 1, 9, "gold"),
    (1, 3, 9, "gold"),
    (3, 2, 7, "silver"),
    (3, 5, 7, "silver"),
    (5, 4, 3, "present"),
    (6, 6, 1, "present"),
]


async def settle(database: Database, period_id: int, kept: int = 10_000, *, wait: bool = True) -> Settled | None:
    return await database.transaction(lambda connection: settling.settle(connection, period_id, kept, wait=wait))


@asynccontextmanager
async def ending(settings: LeaderboardSettings) -> AsyncIterator[PeriodEnds]:
    """What ends periods in a process, whose rounds the test makes."""
    ends = PeriodEnds(settings)
    try:
        yield ends
    finally:
        await ends.stop()


def told(mysql: Any) -> list[dict[str, Any]]:
    return [json.loads(data) for (data,) in rows(mysql, EVENTS)]


async def test_it_keeps_who_stood_where_how_far_rewards_reached_and_tells_of_it(
    leaderboard_database: Database, mysql: Any
) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    period_id = over(mysql, cup, *SCORES)
    assert await settle(leaderboard_database, period_id) == Settled(cup.board_id, cup.window_id, None)
    assert await settle(leaderboard_database, period_id) is None
    assert results_of(mysql, period_id) == EXPECTED
    [(state, players, settled_at, rewards, digest)] = rows(
        mysql, "SELECT state, players, settled_at, rewards, HEX(digest) FROM periods WHERE id = %s", period_id
    )
    assert (state, players, digest.lower()) == ("settled", 6, digest_of(EXPECTED))
    assert json.loads(rewards) == [
        {"name": "gold", "ranks": [1, 2], "last_rank": 1, "score": 9},
        {"name": "silver", "percent": 50, "last_rank": 3, "score": 7},
        {"name": "present", "everyone": True, "last_rank": 6, "score": 1},
    ]
    assert told(mysql) == [
        {
            "board": "cup",
            "window": "hours",
            "period_id": period_id,
            "settled_at": f"{settled_at:%Y-%m-%dT%H:%M:%S.%fZ}",
            "players": 6,
            "digest": digest_of(EXPECTED),
        }
    ]


async def test_only_the_first_are_kept_and_rewards_reach_beyond_them(leaderboard_database: Database, mysql: Any) -> None:
    cup = await make_cup(leaderboard_database, mysql, direction="ascending")
    period_id = over(mysql, cup, 5, -2, 5, 5, 8, 9)
    await settle(leaderboard_database, period_id, 3)
    expected = [(1, 2, -2, "gold"), (2, 1, 5, "gold"), (2, 3, 5, "gold")]
    assert results_of(mysql, period_id) == expected
    [(players, rewards, digest)] = rows(mysql, "SELECT players, rewards, HEX(digest) FROM periods WHERE id = %s", period_id)
    assert (players, digest.lower()) == (6, digest_of(expected))
    assert [(each["last_rank"], each["score"]) for each in json.loads(rewards)] == [(2, 5), (2, 5), (6, 9)]


@pytest.mark.parametrize("scores", [(), (4,), (4, 4, 4, 4)])
async def test_periods_of_few_players_are_settled_too(
    scores: tuple[int, ...], leaderboard_database: Database, mysql: Any
) -> None:
    second = Reward("second", ranks=(2, 2))
    cup = await make_cup(leaderboard_database, mysql, rewards=(second, *REWARDS))
    period_id = over(mysql, cup, *scores)
    await settle(leaderboard_database, period_id)
    assert results_of(mysql, period_id) == [(1, user_id, 4, "gold") for user_id in range(1, len(scores) + 1)]
    [(rewards,)] = rows(mysql, "SELECT rewards FROM periods WHERE id = %s", period_id)
    reached = (1, 4) if scores else (None, None)
    assert [(each["last_rank"], each["score"]) for each in json.loads(rewards)] == [(None, None), reached, reached, reached]


async def test_a_rehearsal_gives_what_settling_gives(leaderboard_database: Database, mysql: Any) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    period_id = over(mysql, cup, *(number * 7919 % 40 for number in range(100)))
    async with leaderboard_database.reading() as connection:
        would = await outcome.read(connection, Place(cup.board_id, period_id), REWARDS, 60)
    assert rows(mysql, "SELECT COUNT(*) FROM results") == [(0,)]
    await settle(leaderboard_database, period_id, 60)
    [(players, rewards, digest)] = rows(mysql, "SELECT players, rewards, digest FROM periods WHERE id = %s", period_id)
    assert (players, outcome.parse_cutoffs(json.loads(rewards)), digest) == (would.players, would.cutoffs, would.digest)
    assert [tuple(outcome.Line.parse(line)) for line in would.lines.split("\n")] == results_of(mysql, period_id)


async def test_rewards_may_change_until_a_period_is_settled(leaderboard_database: Database, mysql: Any) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    before, after = over(mysql, cup, *SCORES, hours_ago=2), over(mysql, cup, *SCORES)
    await settle(leaderboard_database, before)
    changed = await make_cup(leaderboard_database, mysql, rewards=(Reward("rest"),))
    assert changed == cup
    await settle(leaderboard_database, after)
    assert results_of(mysql, before) == EXPECTED
    assert {reward for *_, reward in results_of(mysql, after)} == {"rest"}


@contextmanager
def killed_before(database: Database, mysql: Any, step: int) -> Iterator[list[str]]:
    """The connection is ended before so many statements of it have been run, or before COMMIT if there are no more."""
    statements: list[str] = []

    def kill(connection: Connection) -> None:
        thread = connection.connection.driver_connection.thread_id()  # type: ignore[union-attr]
        rows(mysql, f"KILL {thread}")

    def count(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)
        if len(statements) == step:
            kill(connection)

    def commit(connection: Connection) -> None:
        if len(statements) < step:
            statements.append("COMMIT")
            kill(connection)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", count)
    event.listen(engine, "commit", commit)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", count)
        event.remove(engine, "commit", commit)


async def test_a_process_that_fails_at_any_step_leaves_the_period_to_the_next(
    leaderboard_database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    period_id = over(mysql, cup, *SCORES)
    steps: list[str] = []
    while "COMMIT" not in steps:
        async with own_database(leaderboard_settings) as database:
            with killed_before(database, mysql, len(steps) + 1) as steps, pytest.raises((DBAPIError, TimeoutError)):
                await settle(database, period_id)
        assert states(mysql, period_id) == ["closed"], steps[-1]
        assert rows(mysql, "SELECT (SELECT COUNT(*) FROM results), (SELECT COUNT(*) FROM events)") == [(0, 0)], steps[-1]
    assert len(steps) > 8
    assert await settle(leaderboard_database, period_id)
    assert results_of(mysql, period_id) == EXPECTED
    assert len(told(mysql)) == 1


async def test_of_two_processes_one_settles_and_tells(
    leaderboard_database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any, other: Any
) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    period_id = over(mysql, cup, *SCORES)
    other.execute(SHARE, (period_id,))
    assert await settle(leaderboard_database, period_id, wait=False) is None
    async with own_database(leaderboard_settings) as another:
        settlings = [asyncio.create_task(settle(each, period_id)) for each in (leaderboard_database, another)]
        await eventually(lambda: rows_are_awaited(mysql, 2))
        other.connection.commit()
        outcomes = await asyncio.gather(*settlings)
    assert sorted(each is None for each in outcomes) == [False, True]
    assert results_of(mysql, period_id) == EXPECTED
    assert len(told(mysql)) == 1


async def test_who_leaves_meanwhile_is_there_before_or_gone_and_the_results_stay(
    leaderboard_database: Database, mysql: Any, other: Any
) -> None:
    """They share the period: so they wait for a settling, and it for them."""
    cup = await make_cup(leaderboard_database, mysql)
    period_id = over(mysql, cup, *SCORES)
    now = mysql_now(mysql)
    other.execute(LOCK, (period_id,))
    leaving = asyncio.create_task(leaderboard_database.transaction(lambda connection: changes.remove(connection, 1, now, 10)))
    await eventually(lambda: rows_are_awaited(mysql))
    other.connection.commit()
    await leaving
    await settle(leaderboard_database, period_id)
    expected = [(1, 3, 9, "gold"), (2, 2, 7, "gold"), (2, 5, 7, "gold"), (4, 4, 3, "present"), (5, 6, 1, "present")]
    assert results_of(mysql, period_id) == expected
    await leaderboard_database.transaction(lambda connection: changes.remove(connection, 3, now, 10))
    assert results_of(mysql, period_id) == expected


async def test_a_settling_waits_for_who_changes_standings(leaderboard_database: Database, mysql: Any, other: Any) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    period_id = over(mysql, cup, *SCORES)
    other.execute(SHARE, (period_id,))
    other.execute("UPDATE standings SET score = NULL, sort = NULL WHERE user_id = 1")
    waiting = asyncio.create_task(settle(leaderboard_database, period_id))
    await eventually(lambda: rows_are_awaited(mysql))
    other.connection.commit()
    await waiting
    assert [user_id for _, user_id, *_ in results_of(mysql, period_id)] == [3, 2, 5, 4, 6]


# Processes.


async def test_whatever_ended_while_nothing_ran_is_settled_at_the_start(
    leaderboard_database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    ended = [over(mysql, cup, *SCORES, hours_ago=hours, state="open") for hours in (3, 2, 1)]
    now = mysql_now(mysql)
    running = put(mysql, now, now + HOUR, board_id=cup.board_id, window_id=cup.window_id)
    async with ending(leaderboard_settings) as ends:
        await ends.round()
        assert ends.waiting == 0
        await ends.round()
    assert states(mysql, *ended, running) == ["settled"] * 3 + ["open"]
    assert [each["period_id"] for each in told(mysql)] == ended
    assert all(results_of(mysql, period_id) == EXPECTED for period_id in ended)


async def test_processes_that_end_the_same_periods_settle_each_once(
    leaderboard_database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    ended = [over(mysql, cup, *SCORES, hours_ago=hours, state="open") for hours in range(1, 13)]
    async with ending(leaderboard_settings) as one, ending(leaderboard_settings) as two:
        await asyncio.gather(one.round(), two.round())
    assert states(mysql, *ended) == ["settled"] * 12
    assert sorted(each["period_id"] for each in told(mysql)) == ended


async def test_a_period_that_is_held_keeps_no_other_from_being_settled(
    leaderboard_database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any, other: Any
) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    ended = [over(mysql, cup, *SCORES, hours_ago=hours) for hours in (3, 2, 1)]
    other.execute(SHARE, (ended[0],))
    async with ending(leaderboard_settings) as ends:
        round_ = asyncio.create_task(ends.round())
        await eventually(lambda: rows_are_awaited(mysql))
        assert states(mysql, *ended) == ["closed", "settled", "settled"]
        assert ends.waiting == 1
        other.connection.commit()
        await round_
    assert states(mysql, *ended) == ["settled"] * 3


async def test_the_periods_of_a_board_that_is_closed_are_settled(
    leaderboard_database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    now = mysql_now(mysql)
    running = put(mysql, now - HOUR, now + HOUR, board_id=cup.board_id, window_id=cup.window_id)
    await leaderboard_database.transaction(lambda connection: periods.end_all(connection, [cup.board_id]))
    async with ending(leaderboard_settings) as ends:
        await ends.round()
    assert states(mysql, running) == ["settled"]


async def test_the_results_of_a_board_go_with_it(leaderboard_database: Database, mysql: Any) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    settled, closed = over(mysql, cup, *range(1200), hours_ago=2), over(mysql, cup, *SCORES)
    await settle(leaderboard_database, settled)
    rows(mysql, "UPDATE boards SET state = 'closed' WHERE id = %s", cup.board_id)
    assert await deletion.delete(leaderboard_database, "cup", without_indexes)
    assert await settle(leaderboard_database, closed) is None
    for table in ("results", "periods", "standings"):
        assert rows(mysql, f"SELECT COUNT(*) FROM {table}") == [(0,)]


# Beginnings.


async def test_a_listed_period_is_told_to_have_begun_when_it_begins_and_once(
    leaderboard_database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    await make(leaderboard_database, define("cup", windows=(SEASON,)))
    [(board_id, window_id)] = rows(mysql, "SELECT board_id, id FROM windows WHERE name = 'season'")
    now = mysql_now(mysql)
    begun = put(mysql, now - HOUR, now + HOUR, board_id=board_id, window_id=window_id)
    put(mysql, now + HOUR, now + 2 * HOUR, board_id=board_id, window_id=window_id)
    rows(mysql, "UPDATE periods SET title = 'Winter ❄' WHERE id = %s", begun)
    async with ending(leaderboard_settings) as one, ending(leaderboard_settings) as two:
        await asyncio.gather(one.round(), two.round())
        await one.round()
    [(kind, data)] = rows(mysql, "SELECT kind, data FROM events")
    assert kind == "period.opened"
    assert json.loads(data) == {
        "board": "cup",
        "window": "season",
        "period_id": begun,
        "title": "Winter ❄",
        "starts_at": f"{now - HOUR:%Y-%m-%dT%H:%M:%S.%fZ}",
        "ends_at": f"{now + HOUR:%Y-%m-%dT%H:%M:%S.%fZ}",
    }
