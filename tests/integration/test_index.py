"""The ranking index on a real Redis: MySQL's order and ranks, what is newer wins, and nothing is read that may be wrong."""

import asyncio
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ResponseError

from services.leaderboard.index.connection import RedisConnection
from services.leaderboard.index.layout import keys, sort_key
from services.leaderboard.index.pages import PageCache
from services.leaderboard.index.questions import CLOSE, Close
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.index.writer import APPLY, IndexWriter
from services.leaderboard.reads import TOP
from services.leaderboard.rules.places import MAIN, MAIN_RANKED
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.rules.standings import Span
from services.leaderboard.settings import LeaderboardSettings
from tests.ranked import EPOCH, aheads_told, begin, change, fill, tell

PLAYERS, ORDER = keys(MAIN)


async def top(reads: RankingIndex) -> list[tuple[int, int]] | None:
    """Users and scores in the index's order; None when it is not to be read."""
    page = await reads.page(MAIN_RANKED, "top", Span(100, 0), b"")
    return None if page is None else [(p.user_id, p.score) for p in page.neighbours.players] if page.neighbours else []


async def test_scores_next_to_the_greatest_are_told_apart(index: IndexWriter, reads: RankingIndex) -> None:
    scores = [MAX_TOTAL, MAX_TOTAL - 1, MAX_TOTAL - 2, 5 * 10**15, 0]
    await fill(index, [change(number, score) for number, score in enumerate(scores, 1)])
    assert await top(reads) == list(enumerate(scores, 1))
    aheads = [await reads.ahead(MAIN_RANKED, *each) for each in enumerate(scores, 1)]
    assert [each and each[0] for each in aheads] == [0, 1, 2, 3, 4]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2))
def test_keys_sort_by_their_bytes_as_the_numbers_do(numbers: list[int]) -> None:
    written = [sort_key(number).encode() + b"7" for number in numbers]
    assert sorted(written) == [sort_key(number).encode() + b"7" for number in sorted(numbers)]


async def test_what_is_not_newer_is_refused(index: IndexWriter, reads: RankingIndex) -> None:
    await fill(index, [change(1, 10, 5), change(2, 20, 5)])
    for version in (4, 5):
        await tell(index, change(1, 99, version), change(2, None, version))
    assert await top(reads) == [(2, 20), (1, 10)]
    await tell(index, change(1, 30, 6), change(1, 25, 10), change(1, 40, 9))
    assert await top(reads) == [(1, 25), (2, 20)]


async def test_a_change_is_answered_with_how_many_are_ahead_of_it(index: IndexWriter, reads: RankingIndex) -> None:
    assert await aheads_told(reads, [(MAIN_RANKED, [change(1, 10)])]) == [[None]]  # no index yet
    await fill(index, [change(1, 10, 5), change(2, 20, 5), change(3, 30, 5)])
    changes = [change(4, 30, 1), change(1, 25, 6), change(2, None, 6), change(5, 0, 1)]
    assert await aheads_told(reads, [(MAIN_RANKED, changes)]) == [[0, 2, None, 3]]
    # The index has a later, greater score of the player, who is not ahead of themselves.
    assert await aheads_told(reads, [(MAIN_RANKED, [change(1, 10, 5), change(4, 30, 1)])]) == [[2, 0]]
    assert await top(reads) == [(3, 30), (4, 30), (1, 25), (5, 0)]


async def test_versions_compare_as_numbers(index: IndexWriter, reads: RankingIndex) -> None:
    await fill(index, [change(1, 10, 9)])
    await tell(index, change(1, 11, 10))
    assert await top(reads) == [(1, 11)]


async def test_a_removed_player_is_absent_and_an_older_state_does_not_bring_them_back(
    index: IndexWriter, reads: RankingIndex, redis: Redis
) -> None:
    await fill(index, [change(1, 10, 1), change(2, 20, 1)])
    held = [change(2, 25, 2)]  # what a follower has read, and is about to tell
    await tell(index, change(2, None, 3))
    await tell(index, *held)
    assert await top(reads) == [(1, 10)]
    assert await reads.rank(MAIN_RANKED, 2) == (None, 1)
    assert await reads.around(MAIN_RANKED, 2, 5) == (None, 1)
    assert (redis.hget(PLAYERS, "2"), redis.hget(PLAYERS, "#count")) == (b"3", b"1")
    await tell(index, change(2, 5, 4))
    assert await top(reads) == [(1, 10), (2, 5)]


async def test_only_what_changes_something_makes_a_new_generation(index: IndexWriter, redis: Redis) -> None:
    await fill(index, [change(1, 10, 2)])
    seen = [redis.hget(PLAYERS, "#generation")]
    await tell(index, change(1, 9, 1))
    assert redis.hget(PLAYERS, "#generation") == seen[0]
    for row in (change(1, 11, 3), change(1, None, 4), change(2, 1, 1)):
        await tell(index, row)
        seen.append(redis.hget(PLAYERS, "#generation"))
    assert len(set(seen)) == 4


@pytest.mark.parametrize(
    "row",
    [
        ["x", "1", "-5", "11", "name"],
        ["#count", "1", "-5", "11", "name"],
        ["1", "1.5", "-5", "11", "name"],
        ["1", "1", "nan", "11", "name"],
        ["1", "1", "-5", "31", "name"],
        ["1", "1", "-5", "1 ", "name"],
        ["1", "1", "-5", "", "name"],
        ["1", "1", "-5"],
    ],
)
async def test_a_malformed_row_changes_nothing_at_all(
    settings: LeaderboardSettings, index: IndexWriter, redis: Redis, row: list[str]
) -> None:
    await fill(index, [change(1, 10)])
    before = redis.hgetall(PLAYERS), redis.zrange(ORDER, 0, -1, withscores=True)
    connection = RedisConnection(settings, 2.0)
    rows = ["1", "2", "-50", "11", "name", *row]
    with pytest.raises(ResponseError):
        await connection.run(APPLY, keys(MAIN), [EPOCH, "", "nonce", 5000, "", json.dumps(rows)])
    await connection.aclose()
    assert (redis.hgetall(PLAYERS), redis.zrange(ORDER, 0, -1, withscores=True)) == before


async def test_a_call_takes_two_hundred_players_and_a_longer_list_takes_more_calls(
    settings: LeaderboardSettings, index: IndexWriter, reads: RankingIndex
) -> None:
    connection = RedisConnection(settings, 2.0)
    row = ["1", "1", "-5", "11", "name"]
    with pytest.raises(ResponseError):
        await connection.run(APPLY, keys(MAIN), [EPOCH, "", "nonce", 5000, "", json.dumps(row * 201)])
    await connection.aclose()
    await fill(index, [change(user_id, user_id) for user_id in range(1, 402)])
    page = await reads.page(MAIN_RANKED, "top", Span(1, 0), b"")
    assert page is not None
    assert page.total_players == 401


async def test_without_an_index_there_is_nothing_to_tell_and_nothing_to_read(index: IndexWriter, reads: RankingIndex) -> None:
    assert await tell(index, change(1, 10)) == "INCOMPLETE"
    assert await index.apply(MAIN_RANKED, [change(1, 10)], EPOCH, "nobody's") == "STALE"
    assert await index.finish(MAIN_RANKED, EPOCH, "nobody's") == "STALE"
    assert await top(reads) is None
    assert await reads.rank(MAIN_RANKED, 1) is None
    assert await reads.ahead(MAIN_RANKED, 1, 5) is None
    assert await reads.around(MAIN_RANKED, 1, 5) is None


@pytest.mark.parametrize("lost", [[PLAYERS], [ORDER], [PLAYERS, ORDER]])
async def test_half_an_index_is_not_read_and_is_built_again(
    index: IndexWriter, reads: RankingIndex, redis: Redis, lost: list[str]
) -> None:
    await fill(index, [change(1, 10), change(2, 20)])
    redis.delete(*lost)
    assert await top(reads) is None
    # What is told meanwhile must not make the halves look whole.
    await tell(index, change(3, 30), change(2, 21, 2))
    assert await top(reads) is None
    await fill(index, [change(1, 10), change(2, 21, 2), change(3, 30)])
    assert await top(reads) == [(3, 30), (2, 21), (1, 10)]


@pytest.mark.parametrize("lost", [PLAYERS, ORDER])
@pytest.mark.parametrize("step", ["begun", "told"])
async def test_a_key_that_is_lost_during_a_build_ends_it(
    index: IndexWriter, reads: RankingIndex, redis: Redis, lost: str, step: str
) -> None:
    await begin(index, "mine")
    if step == "told":
        await index.apply(MAIN_RANKED, [change(1, 10)], EPOCH, "mine")
    redis.delete(lost)
    await index.apply(MAIN_RANKED, [change(2, 20)], EPOCH, "mine")
    finished = await index.finish(MAIN_RANKED, EPOCH, "mine")
    assert (finished == "OK") == ((step, lost) == ("begun", ORDER))  # there was nothing yet that could be lost
    assert await top(reads) == ([(2, 20)] if finished == "OK" else None)


@pytest.mark.parametrize("other", ["replication id", "layout"])
async def test_what_another_server_or_another_layout_made_complete_is_not_read(
    index: IndexWriter, reads: RankingIndex, redis: Redis, other: str
) -> None:
    await fill(index, [change(1, 10)])
    complete: Any = redis.hget(PLAYERS, "#complete")
    layout, replication_id = complete.decode().split(":")
    assert replication_id == redis.info("replication")["master_replid"]
    redis.hset(PLAYERS, "#complete", f"{layout}:{'0' * 40}" if other == "replication id" else replication_id)
    assert await top(reads) is None
    assert await tell(index, change(1, 11, 2)) == "INCOMPLETE"
    assert await begin(index, "mine") == "BEGUN"


async def test_a_new_name_replaces_the_old_one_everywhere(index: IndexWriter, reads: RankingIndex, redis: Redis) -> None:
    await fill(index, [change(1, 10, name="before"), change(2, 20)])
    await tell(index, change(1, 10, 2, name="after all"))
    found, around = await reads.rank(MAIN_RANKED, 1), await reads.around(MAIN_RANKED, 2, 5)
    assert found is not None
    assert found[0] is not None
    assert found[0].player.username == "after all"
    assert around is not None
    assert around[0] is not None
    assert [player.username for player in around[0].players] == ["player2", "after all"]
    assert redis.zcard(ORDER) == 2


async def test_who_knows_what_stands_around_a_player_is_told_so_until_it_is_not(
    index: IndexWriter, reads: RankingIndex
) -> None:
    async def close(user_id: int, known: str) -> Close | None:
        answers = await reads.look_up_each(CLOSE, {MAIN_RANKED: [(user_id, 1, known)]})
        [answer] = answers[MAIN_RANKED] or ()
        return answer

    await fill(index, [change(number, 10 * number) for number in range(1, 7)])
    nobody = await close(7, "0" * 40)
    assert nobody == Close(None, 6, "")
    for told in (
        change(6, 55, 2),  # nothing near the player, and nobody more or less
        change(4, 45, 2),  # a neighbour's score
        change(2, 20, 2, name="another"),
        change(1, 70, 2),  # from behind, past all of them
        change(6, None, 3),
    ):
        before = await close(3, "")
        assert before is not None
        await tell(index, told)
        after, now = await close(3, before.digest), await close(3, "")
        assert now is not None
        assert after == (None if now.digest == before.digest else now)
        assert (after is None) == (told.score == 55) == (now == before)


async def test_one_builds_others_are_told_so_and_one_who_dies_is_replaced(index: IndexWriter, redis: Redis) -> None:
    assert await begin(index, "first") == "BEGUN"
    assert await begin(index, "second") == "HELD"
    redis.hset(PLAYERS, "#until", "1")
    assert await index.apply(MAIN_RANKED, [change(1, 10)], EPOCH, "first") == "OK"  # which says that it is alive
    assert await begin(index, "second") == "HELD"
    redis.hset(PLAYERS, "#until", "1")
    assert await begin(index, "second") == "BEGUN"
    assert await index.apply(MAIN_RANKED, [change(1, 10)], EPOCH, "first") == "STALE"
    assert await index.finish(MAIN_RANKED, EPOCH, "first") == "STALE"
    assert await index.finish(MAIN_RANKED, EPOCH, "second") == "OK"
    assert await begin(index, "third") == "COMPLETE"


async def test_who_asks_the_same_at_once_is_answered_by_one_round_trip(
    index: IndexWriter, reads: RankingIndex, redis: Redis
) -> None:
    await fill(index, [change(user_id, user_id) for user_id in range(1, 51)])
    await reads.rank(MAIN_RANKED, 1)  # the script is known, the connection is open
    before = redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    places = await asyncio.gather(*(reads.rank(MAIN_RANKED, user_id) for user_id in [*range(1, 51)] * 2))
    assert [place[0].ahead for place in places if place and place[0]] == [50 - user_id for user_id in range(1, 51)] * 2
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] - before <= 2


async def test_a_player_takes_no_more_memory_than_is_promised(index: IndexWriter, redis: Redis) -> None:
    random = Random(7)
    base = redis.info("memory")["used_memory"]
    rows = [
        change(n, random.randrange(10**6), 12, reached=10 * n, name=f"BraveOtter{n % 100}")
        for n in range(10**6, 10**6 + 16_384)
    ]
    await fill(index, rows)
    assert (redis.info("memory")["used_memory"] - base) / len(rows) <= 250


async def test_a_page_is_good_under_its_own_generation_only(
    settings: LeaderboardSettings, index: IndexWriter, reads: RankingIndex, redis: Redis
) -> None:
    await fill(index, [change(1, 10), change(2, 20)])
    here, there = PageCache(settings, reads), PageCache(settings, reads)
    first = await here.find(MAIN_RANKED, TOP, Span(10, 0))
    assert first is not None
    await here.aclose()  # which another process finds in Redis now
    stored: Any = redis.get("lb:{1:0}:top:10:0")
    generation: Any = redis.hget(PLAYERS, "#generation")
    assert stored == generation + b" " + first.body
    assert await here.find(MAIN_RANKED, TOP, Span(10, 0)) is first
    assert await there.find(MAIN_RANKED, TOP, Span(10, 0)) == first
    await tell(index, change(1, 30, 2))
    second = await there.find(MAIN_RANKED, TOP, Span(10, 0))
    assert second is not None
    assert second.body != first.body
    await there.aclose()
    redis.set("lb:{1:0}:top:10:0", stored)  # by a process that was slow
    assert await here.find(MAIN_RANKED, TOP, Span(10, 0)) == second
    assert await PageCache(settings, reads).find(MAIN_RANKED, TOP, Span(10, 0)) == second


async def test_who_asks_for_the_same_page_at_once_has_it_rendered_once(
    settings: LeaderboardSettings, index: IndexWriter, reads: RankingIndex
) -> None:
    await fill(index, [change(1, 10)])
    cache = PageCache(settings, reads)
    pages = await asyncio.gather(*(cache.find(MAIN_RANKED, TOP, Span(10, 0)) for _ in range(20)))
    assert len({id(page) for page in pages}) == 1
    await cache.aclose()


async def test_a_process_keeps_so_many_pages_and_no_more(
    settings: LeaderboardSettings, index: IndexWriter, reads: RankingIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.leaderboard.index.pages.MOST_PAGES", 3)
    await fill(index, [change(1, 10)])
    cache = PageCache(settings, reads)
    for offset in range(10):
        assert await cache.find(MAIN_RANKED, TOP, Span(10, offset)) is not None
    assert cache.pages == 3
    await cache.aclose()
