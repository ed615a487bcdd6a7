"""Sessions of a group that their boards' rules hold: what they are compared with, and how they wait to be looked at.

All of it is said in the group's own packets, and only where a board has such rules. The players are locked: nobody stores or
counts a session of theirs meanwhile.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from services.leaderboard import events
from services.leaderboard.log import statements
from services.leaderboard.rules import holds
from services.leaderboard.rules.holds import HoldReason
from services.leaderboard.rules.played import SessionState
from services.leaderboard.rules.ranking import Count

EVERY_BOARD = 0
"""The board of the queue that has every session which waits to be looked at."""

# The best of all the scores that the player has on the board, whatever periods they are of.
_BESTS = """
SELECT GROUP_CONCAT(CONCAT_WS(' ', board_id, user_id, best) SEPARATOR '\\n') FROM (
  SELECT board_id, user_id, MIN(sort) AS best FROM standings FORCE INDEX (ix_standings_user_id)
  WHERE sort IS NOT NULL AND ({players}) GROUP BY board_id, user_id
) AS bests"""
# As many of the player's newest sessions as the rule allows in a minute. Those of this group are compared as they are judged.
_RECENT = """
SELECT GROUP_CONCAT(CONCAT_WS('\\t', user_id, time) ORDER BY id DESC SEPARATOR '\\n') FROM ({players}) AS recent"""
_RECENT_OF = """
(SELECT id, user_id, COALESCE(played_at, submitted_at) AS time FROM game_sessions FORCE INDEX (ix_game_sessions_user_id_id)
WHERE user_id = {user_id:d} AND group_id <> {group_id} ORDER BY id DESC LIMIT {sessions:d})"""
_NOTHING = "NULL"
_COMPARED = "SELECT CONCAT(COALESCE(({bests}), ''), ';', COALESCE(({recent}), ''))"
_HOLD = f"UPDATE game_sessions SET state = {SessionState.HELD:d} WHERE id IN ({{ids}})"
_QUEUE = "INSERT INTO reviews (session_id, board_id, sort, reason) VALUES {rows}"


class Candidate(NamedTuple):
    """A new session, in the order in which they came. ``time``: when it was played."""

    session_id: int
    user_id: int
    time: datetime
    counts: Sequence[Count]


class Held(NamedTuple):
    """A session that is held: by which board, and why. ``boards``: those where it would count."""

    session_id: int
    user_id: int
    board_id: int
    reason: HoldReason
    boards: Collection[int]


def compared(watched: Iterable[tuple[int, Count]], group_id: str) -> list[str]:
    """The statement that reads what sessions are compared with; none if their boards' rules compare them with nothing.

    ``watched``: the players, and where their sessions count on boards that have such rules.
    """
    bests: dict[int, set[int]] = {}
    recent: dict[int, int] = {}
    for user_id, count in watched:
        assert count.hold is not None
        if count.hold.gain_over is not None:
            bests.setdefault(user_id, set()).add(count.place.at.board_id)
        if count.hold.sessions_per_minute_over is not None:
            recent[user_id] = max(recent.get(user_id, 0), count.hold.sessions_per_minute_over)
    if not bests and not recent:
        return []
    players = [f"(user_id = {user_id:d} AND board_id IN ({statements.ids(each)}))" for user_id, each in bests.items()]
    sessions = [_RECENT_OF.format(user_id=user_id, group_id=group_id, sessions=most) for user_id, most in recent.items()]
    return [
        _COMPARED.format(
            bests=_BESTS.format(players=" OR ".join(players)) if players else _NOTHING,
            recent=_RECENT.format(players=" UNION ALL ".join(sessions)) if sessions else _NOTHING,
        )
    ]


def judge(added: Sequence[Candidate], listed: str | None) -> dict[int, Held]:
    """Those that are held, by their ids. ``listed``: what `compared` has read, None if it read nothing."""
    bests, recent = _parse(listed)
    held: dict[int, Held] = {}
    for session_id, user_id, time, counts in added:
        before = recent.setdefault(user_id, [])
        watched = [count for count in counts if count.hold is not None]
        for count in watched:
            assert count.hold is not None
            board_id, direction = count.place.at.board_id, count.place.direction
            sort = bests.get((board_id, user_id))
            best = None if sort is None else direction.score(sort)
            reason = holds.judge(count.hold, direction, count.score, best, time, before)
            if reason is not None:
                held[session_id] = Held(session_id, user_id, board_id, reason, {each.place.at.board_id for each in counts})
                break
        else:
            for count in watched:
                key, now = (count.place.at.board_id, user_id), count.place.direction.sort(count.score)
                bests[key] = min(now, bests.get(key, now))
        before.insert(0, time)
    return held


def keep(held: Collection[Held]) -> Iterator[str]:
    """What holds these sessions, puts them into the queue, and tells of them."""
    if not held:
        return
    yield _HOLD.format(ids=statements.ids([each.session_id for each in held]))
    rows = []
    for session_id, _, board_id, reason, boards in held:
        said = statements.text(json.dumps({"board_id": board_id, **reason._asdict()}))
        rows += [f"({session_id:d},{EVERY_BOARD},0,{said})", *(f"({session_id:d},{each:d},0,NULL)" for each in sorted(boards))]
    yield _QUEUE.format(rows=",".join(rows))
    for session_id, user_id, board_id, reason, _ in held:
        yield from events.adding_held(session_id, user_id, board_id, reason.rule)


def _parse(listed: str | None) -> tuple[dict[tuple[int, int], int], dict[int, list[datetime]]]:
    """The best of each player on each board, as it is ordered by, and when each one's newest sessions were played."""
    bests: dict[tuple[int, int], int] = {}
    recent: dict[int, list[datetime]] = {}
    best_lines, _, recent_lines = (listed or "").partition(";")
    for line in statements.lines(best_lines):
        board_id, user_id, best = line.split(" ")
        bests[int(board_id), int(user_id)] = int(best)
    for line in statements.lines(recent_lines):
        user, time = line.split("\t")
        recent.setdefault(int(user), []).append(datetime.fromisoformat(time).replace(tzinfo=UTC))
    return bests, recent
