"""The rules of ranking, held against their definitions."""

from hypothesis import given
from hypothesis import strategies as st

from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.ranking import Aggregate, Counting, Session, Tally, fold, fold_in_order, merge, ranks

scores = st.integers(0, 3) | st.integers(0, 10**9)


@st.composite
def logs(draw: st.DrawFn) -> list[Session]:
    """A player's sessions: distinct ids, many zeros, in any order."""
    ids = draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=12, unique=True))
    return [Session(session_id, draw(scores)) for session_id in ids]


@given(logs(), st.randoms())
def test_a_standing_is_a_function_of_its_sessions_whatever_their_order(log: list[Session], random: object) -> None:
    shuffled = list(log)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types it as object
    assert fold(shuffled) == fold(log)


@given(logs())
def test_the_fold_is_its_definition(log: list[Session]) -> None:
    changed = [session.session_id for session in log if session.score]
    reached = max(changed) if changed else min(session.session_id for session in log)
    assert fold(log) == Tally(sum(session.score for session in log), len(log), reached)


def test_no_sessions_are_no_standing() -> None:
    assert fold([]) is None


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 30), st.integers(1, 30))
def test_ranks_of_any_window_are_one_and_the_number_strictly_ahead(unordered: list[int], offset: int, limit: int) -> None:
    board = sorted(unordered, reverse=True)
    window = board[offset : offset + limit]
    ahead = sum(score > window[0] for score in board) if window else 0
    assert ranks(window, offset, ahead) == [1 + sum(other > score for other in board) for score in window]


# Merging, which is how sessions are counted, is folding, which is what a standing is.

countings = st.builds(Counting, st.sampled_from(Aggregate), st.sampled_from(Direction))


@st.composite
def logs_of(draw: st.DrawFn) -> tuple[Counting, list[Session]]:
    """How a board counts, and a player's sessions on it: a total is of values that are not negative."""
    counting = draw(countings)
    least = 0 if counting.aggregate is Aggregate.TOTAL else -3
    values = st.integers(least, 3) | st.integers(least * 10**9, 10**9)
    ids = draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=12, unique=True))
    return counting, [Session(session_id, draw(values)) for session_id in ids]


@given(logs_of(), st.data())
def test_merging_what_parts_of_a_log_fold_to_is_folding_the_log(
    log: tuple[Counting, list[Session]], data: st.DataObject
) -> None:
    """Whatever parts it is cut into, and in whatever order they are merged."""
    counting, sessions = log
    parts: list[list[Session]] = [[] for _ in range(data.draw(st.integers(1, 4)))]
    for session in data.draw(st.permutations(sessions)):
        data.draw(st.sampled_from(parts)).append(session)
    merged: Tally | None = None
    for part in parts:
        tally = fold(part, counting)
        merged = merged if tally is None else merge(merged, tally, counting)
    assert merged == fold(sessions, counting)


@given(logs_of())
def test_every_fold_is_its_definition(log: tuple[Counting, list[Session]]) -> None:
    counting, sessions = log
    if counting.aggregate is Aggregate.LATEST:
        last = max(sessions)
        expected = Tally(last.score, len(sessions), last.session_id)
    elif counting.aggregate is Aggregate.BEST:
        values = [session.score for session in sessions]
        best = max(values) if counting.direction is Direction.DESCENDING else min(values)
        reached = min(session.session_id for session in sessions if session.score == best)
        expected = Tally(best, len(sessions), reached)
    else:
        changed = [session.session_id for session in sessions if session.score]
        reached = max(changed) if changed else min(session.session_id for session in sessions)
        expected = Tally(sum(session.score for session in sessions), len(sessions), reached)
    assert fold(sessions, counting) == expected


@given(logs_of())
def test_the_fold_of_a_log_in_its_order_is_the_fold(log: tuple[Counting, list[Session]]) -> None:
    counting, sessions = log
    ids, values = zip(*sorted(sessions), strict=True)
    assert fold_in_order(values, ids, counting) == fold(sessions, counting)


@given(logs_of(), st.data())
def test_a_score_only_ever_gets_better_where_the_best_one_counts(
    log: tuple[Counting, list[Session]], data: st.DataObject
) -> None:
    counting, sessions = log
    best = Counting(Aggregate.BEST, counting.direction)
    part = fold(data.draw(st.lists(st.sampled_from(sessions), min_size=1, unique=True)), best)
    whole = fold(sessions, best)
    assert part is not None
    assert whole is not None
    assert counting.direction.sort(whole.score) <= counting.direction.sort(part.score)
