"""The writer's groups on real MySQL: what each costs, what each member gets, and what one member does to the others."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.http.problems import ServiceUnavailable
from services.common.mysql.multistatement import Transactions
from services.leaderboard.errors import KeyReused, QueueFull, TotalTooLarge
from services.leaderboard.rules.ranking import MAX_TOTAL, Session, fold
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.settings import LeaderboardSettings
from tests.system import eventually, rows, rows_are_awaited
from tests.writing import Answer, Board, connect, session


async def test_a_group_is_one_transaction_and_a_players_sessions_in_it_are_one_change(board: Board, mysql: Any) -> None:
    answers = await board.store(*(session(user_id, score) for score in (0, 5, 2, 0) for user_id in (3, 1, 2)))
    assert rows(mysql, "SELECT COUNT(DISTINCT group_id), COUNT(*) FROM game_sessions") == [(1, 12)]
    ids = [answer.session_id for answer in answers]
    assert ids == sorted(ids)  # in order of arrival
    standings = rows(mysql, "SELECT user_id, score, sessions, reached_session_id, version FROM standings")
    assert standings == [(1, 7, 4, ids[7], 1), (2, 7, 4, ids[8], 1), (3, 7, 4, ids[6], 1)]
    assert {answer.total_score for answer in answers} == {7}
    assert {answer.rank for answer in answers} == {1_000_000 - 7}
    [(changed,)] = rows(mysql, "SELECT JSON_EXTRACT(changed, '$') FROM outbox")
    assert changed.replace(" ", "") == "[[1,0,1],[1,0,2],[1,0,3]]"


async def test_redis_is_handed_the_rows_as_the_commit_left_them(board: Board, mysql: Any) -> None:
    await board.store(session(1, 5, username="before"))
    await board.store(session(1, 0), session(2, 3, username="bob"), session(1, 4, username="after"))
    [_, changes] = board.redis.heard
    assert changes == [
        StandingRow(*row)
        for row in rows(
            mysql,
            "SELECT user_id, username, score, reached_session_id, version FROM standings JOIN players USING (user_id)"
            " ORDER BY user_id",
        )
    ]
    assert [(change.username, change.score, change.version) for change in changes] == [("after", 9, 2), ("bob", 3, 1)]
    assert board.redis.told == [note for (note,) in rows(mysql, "SELECT id FROM outbox ORDER BY id")]


async def test_what_redis_was_not_told_stays_in_the_outbox_and_is_stored_all_the_same(board: Board, mysql: Any) -> None:
    board.redis.away = True
    [answer] = await board.store(session(1, 5))
    assert answer.total_score == 5
    assert board.redis.told == []
    assert rows(mysql, "SELECT COUNT(*) FROM outbox") == [(1,)]


async def test_a_session_whose_rank_cannot_be_told_is_acknowledged_without(board: Board, mysql: Any) -> None:
    board.ranks_are_known = False
    [answer] = await board.store(session(1, 5))
    assert (answer.total_score, answer.rank) == (5, None)
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(1,)]


@pytest.fixture
def outdated_statistics(mysql: Any) -> Iterator[Callable[[], None]]:
    """Has the optimizer go on believing what is true of the tables when it is called."""

    def hold() -> None:
        rows(mysql, "ALTER TABLE game_sessions STATS_AUTO_RECALC = 0")
        rows(mysql, "ANALYZE TABLE game_sessions, standings, players")

    yield hold
    rows(mysql, "ALTER TABLE game_sessions STATS_AUTO_RECALC = DEFAULT")


async def test_a_player_of_many_sessions_costs_what_another_does(
    board: Board, mysql: Any, outdated_statistics: Callable[[], None]
) -> None:
    await board.store(*(session(user_id, 1) for user_id in range(1, 31)))
    outdated_statistics()
    for _ in range(10):
        await board.store(*(session(1, 1) for _ in range(150)))

    def rows_read() -> int:
        [(_, count)] = rows(mysql, "SHOW GLOBAL STATUS LIKE 'Handler_read_next'")
        return int(count)

    async def cost(user_id: int) -> int:
        before = rows_read()
        await board.store(session(user_id, 1), session(user_id, 2))
        return rows_read() - before

    assert await cost(1) <= await cost(2) + 20


async def test_ranks_come_with_redis_answer_to_the_change_and_only_else_are_asked_for(board: Board, mysql: Any) -> None:
    board.redis.aheads = [6, 0]
    answers = await board.store(session(1, 5), session(2, 7), session(1, 1))
    assert [answer.rank for answer in answers] == [7, 1, 7]
    board.redis.aheads = [6, None]
    answers = await board.store(session(1, 5), session(2, 7))
    assert [answer.rank for answer in answers] == [1_000_000 - 11, 1_000_000 - 14]


async def test_a_replay_changes_nothing_and_tells_redis_again_how_the_player_stands(board: Board, mysql: Any) -> None:
    await board.store(session(1, 5, "key"), session(1, 1))
    board.redis.heard.clear()
    [again] = await board.store(session(1, 5, "key"))
    assert again.replayed
    assert again.total_score == 6
    [[change]] = board.redis.heard
    assert (change.user_id, change.score, change.version) == (1, 6, 1)
    assert rows(mysql, "SELECT COUNT(*) FROM outbox") == [(1,)]


async def test_a_bad_row_fails_alone(board: Board, mysql: Any) -> None:
    answers = await board.submit(session(1, 5), session(2, 5, username="x" * 33), session(3, 5))
    assert [isinstance(answer, Answer) for answer in answers] == [True, False, True]
    assert rows(mysql, "SELECT user_id, score, sessions, version FROM standings") == [(1, 5, 1, 1), (3, 5, 1, 1)]
    assert rows(mysql, "SELECT user_id FROM game_sessions ORDER BY id") == [(1,), (3,)]


async def test_a_total_that_would_be_too_large_is_refused_alone_and_in_order_of_arrival(board: Board, mysql: Any) -> None:
    await board.store(session(1, 1), session(2, 1))
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE standings SET score = %s, sort = -score WHERE user_id = 1", (MAX_TOTAL - 5,))
    answers = await board.submit(session(1, 3), session(2, 7), session(1, 3), session(1, 2), session(1, 1))
    refused = [isinstance(answer, TotalTooLarge) for answer in answers]
    assert refused == [False, False, True, False, True]
    assert rows(mysql, "SELECT score, sessions, version FROM standings") == [(MAX_TOTAL, 3, 2), (8, 2, 2)]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(5,)]


async def test_one_key_in_one_group_is_one_session_and_another_score_for_it_is_refused(board: Board, mysql: Any) -> None:
    first, same, other = await board.submit(session(1, 5, "key"), session(1, 5, "key"), session(1, 6, "key"))
    assert isinstance(first, Answer)
    assert isinstance(same, Answer)
    assert (first.replayed, same.replayed) == (False, True)
    assert first.session_id == same.session_id
    assert isinstance(other, KeyReused)
    assert rows(mysql, "SELECT score, sessions, version FROM standings") == [(5, 1, 1)]


async def test_a_connection_that_was_lost_while_idle_costs_nothing(board: Board, mysql: Any) -> None:
    await board.store(session(1, 1))
    ours = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    for (connection_id,) in rows(mysql, ours):
        rows(mysql, f"KILL {connection_id:d}")
    [answer] = await board.store(session(1, 4))
    assert answer.total_score == 5
    assert rows(mysql, "SELECT score, sessions, version FROM standings") == [(5, 2, 2)]


@pytest.mark.parametrize(("first", "second"), [(5, 3), (0, 3), (5, 0), (0, 0)])
async def test_a_players_sessions_have_ids_in_the_order_in_which_they_are_counted(
    board: Board, transactions: Transactions, leaderboard_settings: LeaderboardSettings, mysql: Any, first: int, second: int
) -> None:
    await board.store(session(1, 1))
    mysql.begin()
    rows(mysql, "SELECT * FROM players WHERE user_id = 1 FOR UPDATE")
    overtaken = asyncio.create_task(board.store(session(1, 1), session(2, first)))
    await eventually(lambda: rows_are_awaited(mysql))
    [answer] = await Board(transactions, leaderboard_settings).store(session(2, second))
    mysql.rollback()
    [_, late] = await overtaken
    assert late.session_id > answer.session_id  # who waits for a player has no id yet
    assert late.total_score == first + second
    folded = fold([Session(late.session_id, first), Session(answer.session_id, second)])
    assert folded is not None
    [standing] = rows(mysql, "SELECT score, sessions, reached_session_id, version FROM standings WHERE user_id = 2")
    assert standing == (folded.score, folded.sessions, folded.reached_session_id, 2)


async def test_a_deadlock_is_run_again_whole(board: Board, mysql: Any) -> None:
    await board.store(session(1, 1), session(2, 1))
    with mysql.cursor() as cursor:
        cursor.execute("INSERT INTO outbox (changed) " + " UNION ALL ".join(["SELECT '[]'"] * 200))
    mysql.begin()
    with mysql.cursor() as cursor:
        cursor.execute("DELETE FROM outbox")  # so much that InnoDB rolls the other one back
        cursor.execute("SELECT * FROM players WHERE user_id = 2 FOR UPDATE")
        asking = asyncio.create_task(board.store(session(1, 4), session(2, 4), session(3, 4)))
        await eventually(lambda: rows_are_awaited(mysql))
        # It waits for our row of player 2, and we now ask for its row of player 1.
        await asyncio.to_thread(cursor.execute, "SELECT * FROM players WHERE user_id = 1 FOR UPDATE")
        assert not asking.done()
    mysql.commit()
    assert [answer.total_score for answer in await asking] == [5, 5, 4]
    assert rows(mysql, "SELECT score, sessions, version FROM standings") == [(5, 2, 2), (5, 2, 2), (4, 1, 1)]


async def test_a_lock_that_is_held_too_long_is_waited_for_again(board: Board, mysql: Any) -> None:
    await board.store(session(1, 1))
    mysql.begin()
    rows(mysql, "SELECT * FROM players WHERE user_id = 1 FOR UPDATE")
    asking = asyncio.create_task(board.store(session(1, 4)))
    # MySQL gives the statement up after three seconds (1205), with the session's INSERT still in the transaction.
    done, _ = await asyncio.wait([asking], timeout=3.5)
    assert not done
    mysql.rollback()
    [answer] = await asking
    assert answer.total_score == 5
    assert rows(mysql, "SELECT score, sessions, version FROM standings") == [(5, 2, 2)]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(2,)]


async def test_many_writers_at_once_leave_every_standing_the_fold_of_its_sessions(
    transactions: Transactions, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    """As many processes do: the same players, in another order each, some keys twice."""
    boards = [Board(transactions, leaderboard_settings) for _ in range(4)]

    async def play(board: Board, number: int) -> list[Answer]:
        answers = []
        for round_ in range(10):
            players = [(number * 7 + step * 3) % 11 + 1 for step in range(11)]
            group = [session(user_id, (round_ * user_id) % 4, f"{user_id}:{round_}:{number // 2}") for user_id in players]
            answers += await board.store(*group)
        return answers

    answers = [answer for each in await asyncio.gather(*map(play, boards, range(4))) for answer in each]
    stored = rows(mysql, "SELECT id, user_id, score FROM game_sessions")
    assert len(stored) == 2 * 10 * 11
    assert Counter(answer.session_id for answer in answers) == {session_id: 2 for session_id, *_ in stored}
    assert Counter(answer.session_id for answer in answers if not answer.replayed) == {row[0]: 1 for row in stored}
    sessions = defaultdict(list)
    for session_id, user_id, score in stored:
        sessions[user_id].append(Session(session_id, score))
    for user_id, *tally in rows(mysql, "SELECT user_id, score, sessions, reached_session_id FROM standings"):
        folded = fold(sessions[user_id])
        assert folded is not None
        assert tally == [folded.score, folded.sessions, folded.reached_session_id]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.lists(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), min_size=1, max_size=6), max_size=4))
async def test_groups_are_merged_as_the_rules_fold(board: Board, mysql: Any, groups: list[list[tuple[int, int]]]) -> None:
    with mysql.cursor() as cursor:
        cursor.execute("DELETE FROM standings")
    expected: dict[int, list[Session]] = defaultdict(list)
    changes: Counter[int] = Counter()
    for group in groups:
        answers = await board.store(*(session(user_id, score) for user_id, score in group))
        for (user_id, score), answer in zip(group, answers, strict=True):
            expected[user_id].append(Session(answer.session_id, score))
        changes.update({user_id for user_id, _ in group})
    for user_id, *tally, version in rows(mysql, "SELECT user_id, score, sessions, reached_session_id, version FROM standings"):
        folded = fold(expected.pop(user_id))
        assert folded is not None
        assert tally == [folded.score, folded.sessions, folded.reached_session_id]
        assert version == changes[user_id]
    assert not expected


async def test_who_leaves_has_their_session_stored_and_draining_waits_for_it(board: Board, mysql: Any) -> None:
    await board.store(session(1, 0))
    mysql.begin()
    rows(mysql, "SELECT * FROM players WHERE user_id = 1 FOR UPDATE")
    asking = [asyncio.create_task(board.writer.submit(session(1, 1))) for _ in range(2)]
    await asyncio.sleep(0)
    for task in asking:
        task.cancel()
    draining = asyncio.create_task(board.writer.drain())
    done, _ = await asyncio.wait([draining, *asking], timeout=0.2)
    assert draining not in done
    with pytest.raises(ServiceUnavailable):
        await board.writer.submit(session(1, 100))
    mysql.rollback()
    await draining
    assert rows(mysql, "SELECT score, sessions FROM standings") == [(2, 3)]


async def test_a_full_queue_refuses_at_once(
    transactions: Transactions, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    small = leaderboard_settings.model_copy(update={"submission_queue": 3})
    board = Board(transactions, small)
    answers = await board.submit(*(session(user_id, 1) for user_id in range(1, 11)))
    assert [isinstance(answer, Answer) for answer in answers] == [True] * 3 + [False] * 7
    for refused in answers[3:]:
        assert isinstance(refused, QueueFull)
        assert int(refused.headers["Retry-After"]) >= 1
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(3,)]


async def test_what_waited_longer_than_a_transaction_may_take_is_refused_without_being_tried(
    leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    impatient = leaderboard_settings.model_copy(update={"mysql_timeout": 0.3, "submission_group": 1})
    transactions = connect(impatient)
    board = Board(transactions, impatient)
    await board.store(session(1, 0))
    mysql.begin()
    rows(mysql, "SELECT * FROM players WHERE user_id = 1 FOR UPDATE")
    # Two lanes: the first two are tried until their time is over, and then the others have waited as long.
    answers = await board.submit(*(session(1, 1) for _ in range(4)))
    mysql.rollback()
    assert [type(answer) for answer in answers] == [ServiceUnavailable] * 4
    assert ["waited too long" in str(answer) for answer in answers] == [False, False, True, True]
    assert rows(mysql, "SELECT sessions FROM standings") == [(1,)]
    await transactions.dispose()
