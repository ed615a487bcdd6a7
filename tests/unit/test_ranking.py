"""The rules of ranking, held against their definitions."""

from hypothesis import given
from hypothesis import strategies as st

from services.leaderboard.rules.ranking import Session, Tally, fold, ranks

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
