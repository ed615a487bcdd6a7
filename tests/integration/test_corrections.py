"""Staff change what was played in a period that is settled: its results stay, and whose rewards are others now is told."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.leaderboard.players import changes
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.rewards import Reward, find_reward
from services.leaderboard.seasons import corrections, settling
from tests.moderating import ban, moderator, restore, unban, undo, void, void_many
from tests.playing import play, remove, submit
from tests.seasons import REWARDS, Cup, make_cup, over, results_of
from tests.system import Accounts, eventually, rows, rows_are_awaited
from tests.timing import states

RANKED = "SELECT user_id, RANK() OVER (ORDER BY sort) FROM standings WHERE period_id = %s AND sort IS NOT NULL"
HAVE = text(
    "UPDATE standings SET score = :score, sort = :sort"
    " WHERE board_id = :board_id AND period_id = :period_id AND user_id = :user_id"
)


async def settle(database: Database, period_id: int) -> None:
    assert await database.transaction(lambda connection: settling.settle(connection, period_id, 10_000, wait=True))


async def is_settled(mysql: Any, period_id: int) -> None:
    """Return when a service has done it."""

    async def settled() -> bool:
        return states(mysql, period_id) == ["settled"]

    await eventually(settled)


def told(mysql: Any) -> list[dict[str, Any]]:
    return [json.loads(data) for (data,) in rows(mysql, "SELECT data FROM events WHERE kind = 'period.corrected' ORDER BY id")]


def rewarded(mysql: Any, period_id: int, rewards: Sequence[Reward]) -> dict[int, str | None]:
    """Who would get what, had the period been settled now."""
    ranked = rows(mysql, RANKED, period_id)
    return {user_id: find_reward(rewards, len(ranked), rank) for user_id, rank in ranked}


def differences(before: Mapping[int, str | None], after: Mapping[int, str | None]) -> dict[int, tuple[str | None, str | None]]:
    both = {user_id: (before.get(user_id), after.get(user_id)) for user_id in {*before, *after}}
    return {user_id: (was, became) for user_id, (was, became) in both.items() if was != became}


def changed(event: Mapping[str, Any]) -> dict[int, tuple[str | None, str | None]]:
    """Whose rewards an event says are others, each of whom it tells once."""
    listed = {each["user_id"]: (each["was"], each["became"]) for each in event["changed"]}
    assert len(listed) == len(event["changed"])
    return listed


async def change(
    connection: AsyncConnection, cup: Cup, period_id: int, user_id: int, before: int | None, after: int | None
) -> None:
    """As folding a player anew does it."""
    sort = None if after is None else cup.direction.sort(after)
    at = {"board_id": cup.board_id, "period_id": period_id, "user_id": user_id}
    await connection.execute(HAVE, {"score": after, "sort": sort, **at})
    await corrections.tell(connection, user_id, [(Place(cup.board_id, period_id), before, after)])


async def commit_change(
    database: Database, cup: Cup, period_id: int, user_id: int, before: int | None, after: int | None
) -> None:
    await database.transaction(lambda connection: change(connection, cup, period_id, user_id, before, after))


@pytest.mark.parametrize("direction", ["ascending", "descending"])
@pytest.mark.parametrize(
    "rewards",
    [
        REWARDS,
        (Reward("first", ranks=(1, 1)), Reward("last", ranks=(3, 4)), Reward("best", percent=30), Reward("half", percent=55)),
        (Reward("few", percent=1), Reward("all", percent=100)),
    ],
)
async def test_it_is_told_of_exactly_those_whose_rewards_are_others(
    leaderboard_database: Database, mysql: Any, rewards: Sequence[Reward], direction: str
) -> None:
    cup = await make_cup(leaderboard_database, mysql, direction=direction, rewards=rewards)
    random = Random(f"{direction} {len(rewards)}")
    scores: dict[int, int | None] = {user_id: random.randrange(7) for user_id in range(1, 13)}
    period_id = over(mysql, cup, *(score for score in scores.values() if score is not None))
    await settle(leaderboard_database, period_id)
    results = results_of(mysql, period_id)
    for _ in range(60):
        user_id, after = random.choice(list(scores)), random.choice([None, None, *range(7)])
        before, had, events = scores[user_id], rewarded(mysql, period_id, rewards), len(told(mysql))
        await commit_change(leaderboard_database, cup, period_id, user_id, before, after)
        scores[user_id] = after
        expected = differences(had, rewarded(mysql, period_id, rewards))
        new = told(mysql)[events:]
        assert [changed(each) for each in new] == ([expected] if expected else []), (user_id, before, after, had)
        for each in new:
            assert (each["board"], each["window"], each["period_id"], each["more"]) == ("cup", "hours", period_id, False)
    assert len(told(mysql)) > 20
    assert results_of(mysql, period_id) == results


async def test_voids_and_bans_tell_of_it_and_undoing_them_does_too(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    cup = await make_cup(leaderboard_database, mysql, rewards=(Reward("gold", ranks=(1, 1)), Reward("silver", ranks=(2, 2))))
    players = {name: accounts.new(name, user_id) for user_id, name in enumerate(("Ada", "Bob", "Cy"), 1)}
    sessions = {
        name: (await submit(leaderboard, header, score, boards=["cup"]))["session_id"]
        for score, (name, header) in enumerate(players.items(), 7)
    }
    await play(leaderboard, players["Cy"], 5)
    staff = moderator(accounts)
    await void(leaderboard, staff, sessions["Cy"])
    await restore(leaderboard, staff, sessions["Cy"])
    assert told(mysql) == []  # of what is not settled yet, settling tells
    [(period_id,)] = rows(mysql, "SELECT id FROM periods WHERE board_id = %s", cup.board_id)
    rows(mysql, "UPDATE periods SET state = 'closed' WHERE id = %s", period_id)
    await is_settled(mysql, period_id)
    results = results_of(mysql, period_id)
    for _ in range(2):  # done again, nothing is told again
        await void(leaderboard, staff, sessions["Cy"])
    await restore(leaderboard, staff, sessions["Cy"])
    without_cy = {3: ("gold", None), 2: ("silver", "gold"), 1: (None, "silver")}
    with_cy = {user_id: (became, was) for user_id, (was, became) in without_cy.items()}
    assert [changed(each) for each in told(mysql)] == [without_cy, with_cy]
    for _ in range(2):
        await ban(leaderboard, staff, 2)
    await unban(leaderboard, staff, 2)
    assert [changed(each) for each in told(mysql)[2:]] == [
        {2: ("silver", None), 1: (None, "silver")},
        {2: (None, "silver"), 1: ("silver", None)},
    ]
    await void(leaderboard, staff, sessions["Ada"])  # who had no reward
    await remove(leaderboard, players["Cy"])  # who leaves takes nothing from anybody
    assert len(told(mysql)) == 4
    assert results_of(mysql, period_id) == results
    rows(mysql, "UPDATE periods SET state = 'expired'")
    await ban(leaderboard, staff, 2)
    assert len(told(mysql)) == 4


async def test_a_job_that_voids_many_tells_of_each_player_once(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, mysql: Any
) -> None:
    cup = await make_cup(leaderboard_database, mysql, rewards=(Reward("gold", ranks=(1, 1)),))
    for user_id, scores in ((1, (5,)), (2, (7, 8)), (3, (6, 9))):
        for score in scores:
            await submit(leaderboard, accounts.new(user_id=user_id), score, boards=["cup"])
    [(period_id,)] = rows(mysql, "SELECT id FROM periods WHERE board_id = %s", cup.board_id)
    rows(mysql, "UPDATE periods SET state = 'closed' WHERE id = %s", period_id)
    await is_settled(mysql, period_id)
    job = await void_many(leaderboard, moderator(accounts), board="cup", min_score=6)
    assert [changed(each) for each in told(mysql)] == [{3: ("gold", None), 1: (None, "gold")}]
    await undo(leaderboard, moderator(accounts), job["job_id"])
    assert [changed(each) for each in told(mysql)[1:]] == [
        {2: (None, "gold"), 1: ("gold", None)},
        {3: (None, "gold"), 2: ("gold", None)},
    ]


async def test_an_event_stays_short_however_many_share_a_rank(leaderboard_database: Database, mysql: Any) -> None:
    cup = await make_cup(leaderboard_database, mysql, rewards=(Reward("gold", ranks=(2, 3)),))
    period_id = over(mysql, cup, 9, *[5] * 80, 1)
    await settle(leaderboard_database, period_id)
    await commit_change(leaderboard_database, cup, period_id, 1, 9, None)
    [event] = told(mysql)
    assert event["more"]
    assert event["changed"] == [{"user_id": user_id, "was": "gold", "became": None} for user_id in range(2, 52)]


async def test_of_two_at_once_the_second_sees_what_the_first_has_done(leaderboard_database: Database, mysql: Any) -> None:
    rewards = (Reward("gold", ranks=(1, 2)),)
    cup = await make_cup(leaderboard_database, mysql, rewards=rewards)
    period_id = over(mysql, cup, 9, 8, 7, 6, 5)
    await settle(leaderboard_database, period_id)
    first_is_done, go_on = asyncio.Event(), asyncio.Event()

    async def first(connection: AsyncConnection) -> None:
        await change(connection, cup, period_id, 1, 9, None)
        first_is_done.set()
        await go_on.wait()

    one = asyncio.create_task(leaderboard_database.transaction(first))
    await first_is_done.wait()
    two = asyncio.create_task(commit_change(leaderboard_database, cup, period_id, 2, 8, None))
    await eventually(lambda: rows_are_awaited(mysql))
    go_on.set()
    await asyncio.gather(one, two)
    assert [changed(each) for each in told(mysql)] == [
        {1: ("gold", None), 3: (None, "gold")},
        {2: ("gold", None), 4: (None, "gold")},
    ]


async def test_what_is_folded_in_a_later_transaction_is_told_as_well(leaderboard_database: Database, mysql: Any) -> None:
    cup = await make_cup(leaderboard_database, mysql, rewards=(Reward("gold", ranks=(1, 1)),))
    period_id = over(mysql, cup, 9, 8)
    await settle(leaderboard_database, period_id)
    await leaderboard_database.transaction(lambda connection: changes.fold(connection, 1))  # who has no sessions any more
    assert [changed(each) for each in told(mysql)] == [{1: ("gold", None), 2: (None, "gold")}]


async def test_who_changes_other_periods_is_not_waited_for(leaderboard_database: Database, mysql: Any, other: Any) -> None:
    cup = await make_cup(leaderboard_database, mysql)
    ids = [over(mysql, cup, *range(9), hours_ago=hours) for hours in (1, 2, 3, 4)]
    for period_id in ids:
        await settle(leaderboard_database, period_id)
    other.execute("SELECT * FROM results FORCE INDEX (PRIMARY) WHERE period_id = %s FOR UPDATE", (ids[1],))
    places = [(Place(cup.board_id, period_id), 9, None) for period_id in (ids[0], ids[2], ids[3])]
    async with asyncio.timeout(10):
        await leaderboard_database.transaction(lambda connection: corrections.tell(connection, 99, places))
    other.connection.rollback()
