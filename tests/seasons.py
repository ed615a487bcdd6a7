"""Boards whose periods are over, in tests: standings put straight into MySQL, and what settling makes of them."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from services.common.mysql.database import Database
from services.leaderboard.boards.board import WindowDefinition
from services.leaderboard.rules.calendar import Schedule
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.rewards import Reward
from tests.boards import ALL, define, make
from tests.system import rows
from tests.timing import HOUR, mysql_now, plain, put

REWARDS = Reward("gold", ranks=(1, 2)), Reward("silver", percent=50), Reward("present")
EVENTS = "SELECT data FROM events WHERE kind = 'period.settled' ORDER BY id"


class Cup(NamedTuple):
    """A board with a window of hours."""

    name: str
    board_id: int
    window_id: int
    direction: Direction


async def make_cup(database: Database, mysql: Any, name: str = "cup", *, direction: str = "descending", **window: Any) -> Cup:
    """A board with a window of hours, of which more may be said."""
    first = plain(mysql_now(mysql)).replace(minute=0, second=0, microsecond=0) - timedelta(days=300)
    hours = WindowDefinition("hours", Schedule(first, 3600, "seconds"), grace_seconds=10, **{"rewards": REWARDS, **window})
    await make(database, define(name, direction=direction, windows=(hours, ALL), max_score=10**9))
    [(board_id, window_id)] = rows(
        mysql,
        "SELECT b.id, w.id FROM boards AS b JOIN windows AS w ON w.board_id = b.id AND w.name = 'hours' WHERE b.name = %s",
        name,
    )
    return Cup(name, board_id, window_id, Direction(direction))


def over(mysql: Any, cup: Cup, *scores: int, hours_ago: int = 1, state: str = "closed", first: int = 1) -> int:
    """A period of the cup that is over, in which players from the ``first`` on have these scores, in the order of their
    sessions. Gives its id.
    """
    ends_at = mysql_now(mysql) - (hours_ago - 1) * HOUR
    period_id = put(mysql, ends_at - HOUR, ends_at, state=state, board_id=cup.board_id, window_id=cup.window_id)
    rows(mysql, "UPDATE periods SET opened_at = starts_at WHERE id = %s", period_id)
    stand(mysql, cup, period_id, dict(enumerate(scores, first)))
    return period_id


def stand(mysql: Any, cup: Cup, period_id: int, scores: Mapping[int, int]) -> None:
    """Standings of players, who have names."""
    with mysql.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO players (user_id, username) VALUES (%s, %s) ON DUPLICATE KEY UPDATE user_id = VALUES(user_id)",
            [(user_id, f"player{user_id}") for user_id in scores],
        )
        cursor.executemany(
            "INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (cup.board_id, period_id, user_id, score, cup.direction.sort(score), 1, number, 1)
                for number, (user_id, score) in enumerate(scores.items(), 1)
            ],
        )


def results_of(mysql: Any, period_id: int) -> list[tuple[int, int, int, str | None]]:
    """What was kept of a period, in its order: rank, player, score and reward."""
    return rows(mysql, "SELECT `rank`, user_id, score, reward FROM results WHERE period_id = %s ORDER BY position", period_id)


def digest_of(results: Sequence[tuple[int, int, int, str | None]]) -> str:
    """As docs/boards.md tells it."""
    return hashlib.sha256("\n".join(f"{a} {b} {c} {d or ''}" for a, b, c, d in results).encode()).hexdigest()
