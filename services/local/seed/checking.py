"""Holds the standings against the log they follow from."""

from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection

from services.leaderboard.rules.places import ALL_TIME, MAIN_BOARD_ID


@dataclass(frozen=True)
class Agreement:
    """What the log has, and how many players' standings say something else. Removed players are left out."""

    players: int
    sessions: int
    wrong_totals: int
    wrong_counts: int
    wrong_order: int
    nameless: int
    without_log: int

    @property
    def holds(self) -> bool:
        """Whether every standing is what the log says."""
        return not any((self.wrong_totals, self.wrong_counts, self.wrong_order, self.nameless, self.without_log))

    def __str__(self) -> str:
        if self.holds:
            return (
                f"Checked {self.players:,} players against {self.sessions:,} game sessions: "
                "each total is the sum of its sessions, and every count and place agrees"
            )
        return (
            f"The standings of {self.players:,} players do not agree with {self.sessions:,} game sessions: "
            f"{self.wrong_totals:,} totals are wrong, {self.wrong_counts:,} counts, {self.wrong_order:,} reached_session_id; "
            f"{self.nameless:,} players have no name and {self.without_log:,} standings no session"
        )


def check_agreement(connection: "Connection[Any]") -> Agreement:
    """Compare every standing of the main board with its fold. One statement, so one moment: submissions may go on."""
    with connection.cursor() as cursor:
        cursor.execute(_AGREEMENT)
        row = cursor.fetchone()
    assert row is not None
    return Agreement(*(int(value or 0) for value in row))


_STANDING = f"st.board_id = {MAIN_BOARD_ID} AND st.period_id = {ALL_TIME} AND st.user_id"
# NOT <=>: a standing that is missing differs too. USE INDEX (): one pass over the table, where its indexes would lead to each
# row by itself.
_AGREEMENT = f"""
SELECT COUNT(*), SUM(log.sessions),
       SUM(NOT st.score <=> log.total),
       SUM(NOT st.sessions <=> log.sessions),
       SUM(NOT st.reached_session_id <=> log.reached),
       SUM(p.user_id IS NULL),
       (SELECT COUNT(*) FROM standings st WHERE {_STANDING} > 0 AND st.score IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM game_sessions s WHERE s.user_id = st.user_id))
FROM (SELECT user_id, SUM(score) AS total, COUNT(*) AS sessions,
             COALESCE(MAX(CASE WHEN score <> 0 THEN id END), MIN(id)) AS reached
      FROM game_sessions USE INDEX () GROUP BY user_id) AS log
LEFT JOIN standings st ON {_STANDING} = log.user_id
LEFT JOIN players p ON p.user_id = log.user_id
WHERE st.user_id IS NULL OR st.score IS NOT NULL
"""
