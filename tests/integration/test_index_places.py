"""The index of many places on a real Redis: epochs, expiry, all places in one round trip, and boards that go either way."""

import asyncio
from collections.abc import Awaitable, Sequence
from itertools import chain, combinations
from random import Random
from time import time
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from services.leaderboard.index.layout import DAY_MS, keys
from services.leaderboard.index.pages import PageCache
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.index.writer import IndexWriter, State
from services.leaderboard.reads import TOP
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import MAIN, MAIN_RANKED, Place, Ranked
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.rules.standings import Neighbours, PlayerScore, Span, StandingRow
from services.leaderboard.settings import LeaderboardSettings
from tests.ranked import EPOCH, aheads_told, begin, change, fill, indexing, tell

NEWER = "a7" * 8
HOUR_MS = 3_600_000
NOW_MS = int(time() * 1000)
WEEK = Ranked(Place(2, 7), Direction.ASCENDING, NOW_MS + HOUR_MS)
ENDED = Ranked(Place(2, 6), Direction.ASCENDING, NOW_MS - HOUR_MS)
PLACES = [MAIN_RANKED, WEEK, Ranked(Place(3, 0), Direction.DESCENDING, None)]


async def is_read(reads: RankingIndex, place: Ranked = MAIN_RANKED) -> bool:
    """Whether every way of reading finds an index. They agree."""
    answers = (
        await reads.page(place, "top", Span(10, 0), b""),
        await reads.rank(place, 1),
        await reads.ahead(place, 1, 5),
        await reads.around(place, 1, 5),
        await reads.placing(place, 1),
        await reads.own_placing(place, PlayerScore(1, "player1", 5)),
        await reads.positions(place, (1, 2)),
        await reads.distribution(place, 3),
    )
    assert len({answer is None for answer in answers}) == 1
    return answers[0] is not None


# Epochs.


@pytest.mark.parametrize("other", [NEWER, ""])
async def test_an_index_of_another_epoch_is_not_read(
    settings: LeaderboardSettings, index: IndexWriter, reads: RankingIndex, other: str
) -> None:
    await fill(index, [change(1, 10)])
    assert await is_read(reads)
    async with indexing(settings, other) as (_, others):
        assert not await is_read(others)
    assert (await index.status(MAIN, other)).state is State.NONE
    assert await index.entries(MAIN, [1], other) is None
    assert await index.sizes(MAIN, other) is None


async def test_a_change_that_meets_an_index_of_another_epoch_does_not_count_as_told(
    settings: LeaderboardSettings, index: IndexWriter, reads: RankingIndex
) -> None:
    """The index may be of a newer one, whose builder had read MySQL before the change was committed."""
    wanted: list[Ranked] = []
    async with indexing(settings, NEWER, wanted.append) as (_, others):
        assert await aheads_told(others, [(MAIN_RANKED, [change(1, 10)])]) == [[None]]  # there is nothing to tell
        await begin(index, "test")
        assert await aheads_told(others, [(MAIN_RANKED, [change(1, 10)])]) == [None]
        assert await index.finish(MAIN_RANKED, EPOCH, "test") == "OK"
        assert await aheads_told(others, [(MAIN_RANKED, [change(1, 10)])]) == [None]
        assert wanted == [MAIN_RANKED] * 3
    assert await index.sizes(MAIN, EPOCH) == (0, 0)
    assert await aheads_told(reads, [(MAIN_RANKED, [change(1, 10)])]) == [[0]]


@pytest.mark.parametrize("newer_is", ["begun", "complete"])
@pytest.mark.parametrize("there_was", ["nothing", "an older index", "an older build"])
async def test_a_process_with_an_old_epoch_does_not_undo_a_newer_index(
    settings: LeaderboardSettings, index: IndexWriter, redis: Redis, there_was: str, newer_is: str
) -> None:
    if there_was == "an older index":
        await fill(index, [change(1, 10)], epoch="00" * 8)
    elif there_was == "an older build":
        assert await begin(index, "dead", epoch="00" * 8) == "BEGUN"
    found = await index.status(MAIN, "")  # who then asks MySQL for the epoch, and is held up
    await begin(index, "newer", epoch=NEWER)
    if newer_is == "complete":
        assert await index.finish(MAIN_RANKED, NEWER, "newer") == "OK"
    assert await index.begin(MAIN_RANKED, EPOCH, "older", found.build) == "OVERTAKEN"
    assert await index.drop(MAIN_RANKED, EPOCH, found.build) == "OVERTAKEN"
    if newer_is == "begun":
        assert await index.apply(MAIN_RANKED, [change(1, 10)], NEWER, "newer") == "OK"
        assert await index.finish(MAIN_RANKED, EPOCH, "newer") == "STALE"
        assert await index.finish(MAIN_RANKED, NEWER, "newer") == "OK"
    assert (await index.status(MAIN, NEWER)).state is State.COMPLETE


async def test_a_build_serves_its_epoch_and_gives_way_to_another(index: IndexWriter) -> None:
    assert await begin(index, "first") == "BEGUN"
    assert await begin(index, "second") == "HELD"
    assert (await index.status(MAIN, EPOCH)).state is State.BUILDING
    assert await begin(index, "third", epoch=NEWER) == "BEGUN"  # though the first is alive
    assert await index.apply(MAIN_RANKED, [change(1, 10)], EPOCH, "first") == "STALE"
    assert await index.finish(MAIN_RANKED, EPOCH, "first") == "STALE"
    assert await index.finish(MAIN_RANKED, NEWER, "third") == "OK"
    assert await begin(index, "fourth", epoch=NEWER) == "COMPLETE"


async def test_what_is_there_of_another_epoch_can_be_dropped_and_nothing_else(index: IndexWriter, redis: Redis) -> None:
    await fill(index, [change(1, 10)])
    build = (await index.status(MAIN, EPOCH)).build
    assert await index.drop(MAIN_RANKED, EPOCH, build) == "COMPLETE"
    assert await index.drop(MAIN_RANKED, NEWER, build) == "DROPPED"
    assert not redis.exists(*keys(MAIN))


# Expiry.


def expiries(redis: Redis, place: Ranked) -> set[Any]:
    """When the keys expire that there are, in milliseconds since 1970; -1: never."""
    return {redis.pexpiretime(key) for key in keys(place.at) if redis.exists(key)}


async def test_after_every_script_both_keys_expire_a_day_after_the_period_closes(
    index: IndexWriter, reads: RankingIndex, redis: Redis
) -> None:
    def expires_in_time() -> bool:
        """And does not any more, so that the next script has to see to it."""
        found = expiries(redis, WEEK)
        for key in keys(WEEK.at):
            redis.persist(key)
        return found == {(WEEK.closes_at_ms or 0) + DAY_MS}

    assert await begin(index, "test", WEEK) == "BEGUN"
    assert expires_in_time()
    await index.apply(WEEK, [change(1, 10)], EPOCH, "test")
    assert expires_in_time()
    assert await index.finish(WEEK, EPOCH, "test") == "OK"
    assert expires_in_time()
    for version, score in ((2, 20), (3, None), (4, 5)):  # the last member goes, and with it its key; it is made again
        assert await tell(index, change(1, score, version), place=WEEK) == "OK"
        assert expires_in_time()
        assert redis.exists(keys(WEEK.at)[1]) == (score is not None)
    assert await is_read(reads, WEEK)


async def test_an_index_of_all_time_never_expires(index: IndexWriter, redis: Redis) -> None:
    await fill(index, [change(1, 10)])
    await tell(index, change(2, 10), change(1, None, 2))
    assert expiries(redis, MAIN_RANKED) == {-1}


@pytest.mark.parametrize("key", [0, 1])
async def test_an_index_of_which_either_key_was_evicted_is_not_read(
    index: IndexWriter, reads: RankingIndex, redis: Redis, key: int
) -> None:
    await fill(index, [change(1, 10)], WEEK)
    redis.delete(keys(WEEK.at)[key])
    assert not await is_read(reads, WEEK)
    assert await tell(index, change(2, 10), place=WEEK) == "INCOMPLETE"
    assert not await is_read(reads, WEEK)
    await fill(index, [change(1, 10), change(2, 10)], WEEK)
    assert await is_read(reads, WEEK)


async def test_an_index_of_an_ended_period_lives_for_a_day_after_it_was_built_or_changed(
    index: IndexWriter, redis: Redis
) -> None:
    await fill(index, [change(1, 10)], ENDED)
    [built] = expiries(redis, ENDED)
    assert built >= NOW_MS + DAY_MS
    await asyncio.sleep(0.002)
    await tell(index, change(1, 11, 2), place=ENDED)
    [changed] = expiries(redis, ENDED)
    assert changed > built


async def test_an_index_of_an_ended_period_is_built_for_who_reads_it_and_not_for_who_judges_its_sessions(
    settings: LeaderboardSettings, redis: Redis
) -> None:
    wanted: list[Ranked] = []
    async with indexing(settings, want=wanted.append) as (_, reads):
        for place in (ENDED, WEEK):
            assert await reads.ahead_after_change(place, 1, 5) is None
            assert await aheads_told(reads, [(place, [change(1, 5)])]) == [[None]]
        assert wanted == [WEEK, WEEK]
        assert await reads.ahead(ENDED, 1, 5) is None
        assert wanted == [WEEK, WEEK, ENDED]


async def test_who_reads_an_ended_period_keeps_its_index_once_a_minute(
    settings: LeaderboardSettings, index: IndexWriter, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(index, [change(1, 10)], ENDED)
    await fill(index, [change(1, 10)], WEEK)
    of_week = expiries(redis, WEEK)

    def nearly_over() -> None:
        for key in keys(ENDED.at):
            redis.pexpireat(key, NOW_MS + HOUR_MS)

    async def kept() -> bool:
        return bool(min(expiries(redis, ENDED)) >= NOW_MS + DAY_MS)

    nearly_over()
    async with indexing(settings) as (_, reads):
        await is_read(reads, WEEK)
        await is_read(reads, ENDED)
        await reads.aclose()
        assert await kept()
        assert len(expiries(redis, ENDED)) == 1
        nearly_over()
        await is_read(reads, ENDED)
        await reads.aclose()
        assert not await kept()  # it was said less than a minute ago
        monkeypatch.setattr("services.leaderboard.index.reader.RENEWED_SECONDS", 0.0)
        await is_read(reads, ENDED)
        await reads.aclose()
        assert await kept()
    assert expiries(redis, WEEK) == of_week


# All places in one round trip.


async def test_places_are_told_together_and_each_answers_for_itself(index: IndexWriter, reads: RankingIndex) -> None:
    main, week, third = PLACES
    await fill(index, [change(1, 10), change(2, 20)], main)
    await fill(index, [change(1, 10), change(2, 20)], week)
    standings = [(main, [change(3, 15)]), (week, [change(3, 15), change(4, 30)]), (third, [change(3, 15)])]
    assert await aheads_told(reads, standings) == [[1], [1, 3], [None]]
    many = [change(user_id, 50) for user_id in range(1000, 1450)]
    assert await index.tell([(main, many), (week, [])], EPOCH) == [("OK", [0] * 450, 453), ("OK", [], 4)]
    assert await index.sizes(main.at, EPOCH) == (453, 453)
    assert await aheads_told(reads, []) == []


async def test_a_server_that_forgot_the_scripts_is_taught_them_again(
    index: IndexWriter, reads: RankingIndex, redis: Redis
) -> None:
    for place in PLACES:
        await fill(index, [change(1, 10)], place)
    for _ in range(2):
        redis.script_flush()
        assert await aheads_told(reads, [(place, [change(1, 10)]) for place in PLACES]) == [[0]] * 3
    redis.script_flush()
    assert await aheads_told(reads, [(MAIN_RANKED, [change(1, 10)])]) == [[0]]


async def test_many_places_are_told_and_read_in_one_round_trip(index: IndexWriter, reads: RankingIndex, redis: Redis) -> None:
    places = [Ranked(Place(2, period), Direction.ASCENDING, None) for period in range(20)]
    for number, place in enumerate(places):
        await fill(index, [change(1, number), change(2, -number)], place)

    async def round_trips(questions: Sequence[Awaitable[object]]) -> tuple[list[Any], int]:
        """Their answers, and how often the server has read something from a connection meanwhile. We ask it once."""
        before = redis.info("stats")["total_reads_processed"]
        answers = await asyncio.gather(*questions)
        return answers, redis.info("stats")["total_reads_processed"] - before - 1

    for _ in range(2):  # the scripts are known, the connections are open
        told, trips = await round_trips([aheads_told(reads, [(place, [change(2, 100, 2)]) for place in places])])
    assert (told, trips) == ([[[1]] * 20], 1)
    for _ in range(2):
        ranks, trips = await round_trips([reads.rank(place, user_id) for place in places for user_id in (1, 2)])
    assert [(answer[0].player.score, answer[0].ahead) for answer in ranks] == [
        each for number in range(20) for each in ((number, 0), (100, 1))
    ]
    assert trips <= 2  # one for each lane


@pytest.mark.parametrize("failing", list(chain.from_iterable(combinations(range(3), number) for number in range(4))))
async def test_only_what_every_place_has_heard_counts_as_told(
    index: IndexWriter, reads: RankingIndex, redis: Redis, failing: Sequence[int]
) -> None:
    for number, place in enumerate(PLACES):
        await fill(index, [change(1, 10)], place)
        if number in failing:
            redis.set(keys(place.at)[0], "not a hash")
    answers = await aheads_told(reads, [(place, [change(2, 10)]) for place in PLACES])
    assert [number for number, aheads in enumerate(answers) if aheads is None] == list(failing)
    for number, place in enumerate(PLACES):
        if number not in failing:  # also after one that failed
            assert await index.sizes(place.at, EPOCH) == (2, 2)
    outcomes = await index.tell([(place, [change(2, 10)]) for place in PLACES], EPOCH)
    assert [isinstance(outcome, ResponseError) for outcome in outcomes] == [number in failing for number in range(3)]
    if failing:  # the breaker is open now
        assert await aheads_told(reads, [(place, [change(2, 10)]) for place in PLACES]) == [None] * 3


# Boards that go either way.


def random_scores(players: int, random: Random) -> list[StandingRow]:
    """With negative scores, ties, zeros, the greatest there are, and some who were removed."""
    few = [0, -1, 1, -999, 999, MAX_TOTAL, -MAX_TOTAL, MAX_TOTAL - 1, -MAX_TOTAL + 1]
    reached = random.sample(range(1, 50 * players), players)
    return [
        change(user_id, None if random.random() < 0.05 else random.choice([*few, random.randrange(-50, 50)]), reached=session)
        for user_id, session in enumerate(reached, 1)
    ]


@pytest.mark.parametrize("direction", Direction)
async def test_pages_ranks_and_neighbours_are_in_order_whichever_way_a_board_goes(
    settings: LeaderboardSettings, index: IndexWriter, reads: RankingIndex, direction: Direction
) -> None:
    rows = random_scores(600, Random(14))
    place = Ranked(Place(5, 3), direction, WEEK.closes_at_ms)
    await fill(index, rows, place)
    sign = 1 if direction is Direction.ASCENDING else -1
    scores = {row.user_id: row.score for row in rows if row.score is not None}
    expected = [
        (row.user_id, row.score)
        for row in sorted(rows, key=lambda row: (sign * (row.score or 0), row.reached_session_id))
        if row.score is not None
    ]
    ahead = {user: sum(sign * other < sign * score for other in scores.values()) for user, score in scores.items()}

    def shown(found: Neighbours | None) -> list[tuple[int, int]]:
        return [(player.user_id, player.score) for player in found.players] if found else []

    cache = PageCache(settings, reads)
    for offset in (0, 7, 100, len(expected) - 3, len(expected)):
        page = await reads.page(place, "top", Span(50, offset), b"")
        assert page is not None
        assert shown(page.neighbours) == expected[offset : offset + 50]
        rendered = await cache.find(place, TOP, Span(50, offset))
        assert rendered is not None
        for user_id, score in expected[offset : offset + 50]:
            rank = f'"rank":{1 + ahead[user_id]},"user_id":{user_id},'
            assert rank in rendered.body.decode()
            assert f'"username":"player{user_id}","total_score":{score}}}' in rendered.body.decode()
    await cache.aclose()
    for number, (user_id, score) in list(enumerate(expected))[::13]:
        found = await reads.rank(place, user_id)
        assert found is not None
        assert found[0] is not None
        assert (found[0].player.score, found[0].ahead) == (score, ahead[user_id])
        around = await reads.around(place, user_id, 5)
        assert around is not None
        assert shown(around[0]) == expected[max(0, number - 5) : number + 6]
    aheads = [await reads.ahead(place, *each) for each in expected]
    assert [each and each[0] for each in aheads] == [ahead[user_id] for user_id, _ in expected]
    better = expected[0][1] - sign
    told = await aheads_told(reads, [(place, [change(1000, better), change(1001, expected[-1][1] + sign)])])
    assert told == [[0, len(expected) + 1]]
