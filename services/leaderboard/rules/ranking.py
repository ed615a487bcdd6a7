"""The rules of ranking, with no I/O: how sessions make a standing, how standings are ordered, who has which rank.

MySQL computes the same in SQL; tests hold the two against each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_SESSION_SCORE = 1_000_000_000
MAX_TOTAL = 2**53 - 1
"""The greatest integer below which a double, and so every JSON reader, counts exactly."""


@dataclass(frozen=True, slots=True)
class Session:
    session_id: int
    score: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What a standing on a total board says: the sum, of how many sessions, and the session that reached it."""

    score: int
    sessions: int
    reached_session_id: int


def fold(sessions: Iterable[Session]) -> Tally | None:
    """The tally of a player's sessions on a total board: a function of the set, whatever order they are seen in.

    The total was reached by the greatest id that changed it; when all are zeros, by the least id. None without sessions.
    """
    tally: Tally | None = None
    for session in sessions:
        tally = add(tally, session)
    return tally


def add(tally: Tally | None, session: Session) -> Tally:
    """``tally`` with one more session. Adding in any order gives the same."""
    return merge(tally, Tally(session.score, 1, session.session_id))


def merge(tally: Tally | None, more: Tally) -> Tally:
    """The tally of two sets of sessions that have none in common."""
    if tally is None:
        return more
    if more.score == 0:
        reached = tally.reached_session_id if tally.score else min(tally.reached_session_id, more.reached_session_id)
    else:
        reached = max(tally.reached_session_id, more.reached_session_id) if tally.score else more.reached_session_id
    return Tally(tally.score + more.score, tally.sessions + more.sessions, reached)


def ranks(scores: Sequence[int], offset: int, ahead: int) -> list[int]:
    """Ranks of a page whose ``scores`` are in board order: standard competition ranking, equal scores share a rank.

    ``offset`` is the place of the page's first row, counted from 0; ``ahead`` how many players are strictly ahead of it,
    which is less than the offset when the row before shares its score.
    """
    found: list[int] = []
    rank, shared = 1 + ahead, scores[0] if scores else None
    for place, score in enumerate(scores, offset):
        if score != shared:
            rank, shared = 1 + place, score
        found.append(rank)
    return found
