"""Figures for who runs a game: how much is played, what is in use, and what waits."""

from typing import Any

import httpx

from services.leaderboard.staff.figures import COUNTED, KEPT_SECONDS
from tests.moderating import begin, moderator
from tests.playing import get, play
from tests.system import Accounts, eventually, rows


async def test_they_tell_what_is_played_and_what_waits(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, other: Any
) -> None:
    staff = moderator(accounts)
    for user_id in (1, 2):
        await play(leaderboard, accounts.new(user_id=user_id), 1, 2, 3)
    rows(mysql, "UPDATE game_sessions SET submitted_at = NOW(6) - INTERVAL 2 MINUTE WHERE user_id = 1")
    rows(mysql, "INSERT INTO erasures (user_id, upto_session_id) VALUES (9, 1)")
    other.execute("SELECT * FROM players WHERE user_id = 2 FOR UPDATE")
    await begin(leaderboard, staff, user_id=2)
    told = await get(leaderboard, "figures", staff)
    assert told["submissions_per_second"] == 0.1  # three in a minute, rounded
    assert (told["players"], told["sessions"]) == ({"count": 2, "exact": True}, {"count": 6, "exact": True})
    assert (told["index"]["in_use"], told["index"]["places"]) == (True, 1)
    backlog = told["backlog"]
    assert (backlog["submissions"], backlog["periods"], backlog["players"], backlog["void_jobs"]) == (0, 0, 1, 1)
    assert backlog["outbox"] <= 6  # Redis has heard of all, and the notes go a moment later
    assert await get(leaderboard, "figures", staff) == told  # nobody measures again so soon
    other.execute("ROLLBACK")


async def test_of_very_many_rows_there_is_an_estimate(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    numbers = f"WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < {COUNTED + 2000}) "
    rows(
        mysql,
        f"SET max_recursive_iterations = {2 * COUNTED}"
        if _is_mariadb(mysql)
        else f"SET cte_max_recursion_depth = {2 * COUNTED}",
    )
    rows(
        mysql,
        "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at)"
        f" {numbers} SELECT i, 'k', REPEAT('0', 16), 1, NOW(6) FROM n",
    )
    told = await get(leaderboard, "figures", moderator(accounts))
    assert told["players"] == {"count": 0, "exact": True}
    assert not told["sessions"]["exact"]
    assert told["sessions"]["count"] > COUNTED
    assert told["submissions_per_second"] > 1000 / 60


async def test_a_complete_index_is_counted(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    staff = moderator(accounts)
    await play(leaderboard, accounts.new("Ada", 1), 1)

    async def is_told() -> bool:
        index: dict[str, Any] = (await get(leaderboard, "figures", staff))["index"]
        return index == {"in_use": True, "places": 1, "complete": 1}

    await eventually(is_told, 10 + KEPT_SECONDS)


def _is_mariadb(mysql: Any) -> bool:
    return "MariaDB" in rows(mysql, "SELECT VERSION()")[0][0]
