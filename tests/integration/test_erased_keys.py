"""Sessions that their players had erased are not stored again, for as long as a repeat of one may come."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.errors import SessionErased
from services.leaderboard.log import erased_keys
from services.leaderboard.settings import LeaderboardSettings
from tests.ranked import database_of
from tests.system import rows
from tests.writing import Board, session


async def erase(
    connection: AsyncConnection, sent: Sequence[tuple[int, bytes, datetime]], now: datetime, *, twice: bool = False
) -> None:
    """Store sessions of these players, keys and times, and remember them as erased, once or twice."""
    stored = [
        f"({number}, {user_id}, 0x{key.hex()}, REPEAT('0', 16), 1, '{at:%Y-%m-%d %H:%M:%S.%f}')"
        for number, (user_id, key, at) in enumerate(sent, 1)
    ]
    columns = "id, user_id, submission_key, group_id, score, submitted_at"
    await connection.exec_driver_sql(f"INSERT INTO game_sessions ({columns}) VALUES {','.join(stored)}")
    for _ in range(2 if twice else 1):
        await erased_keys.remember(connection, range(1, len(sent) + 1), now)
    await connection.exec_driver_sql("DELETE FROM game_sessions")


async def test_a_repeat_of_an_erased_session_is_refused_alone(
    board: Board, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    now, database = datetime.now(UTC), database_of(leaderboard_settings)
    odd, longest = b"c:\\ '\"%s", b"c:" + b"~" * 64
    sent = [(1, b"c:erased", now), (1, b"s:erased", now), (3, b"c:old", now - erased_keys.REMEMBERED)]
    async with database.engine.begin() as connection:
        await erase(connection, [*sent, (1, odd, now), (2**63 - 1, longest, now)], now)
    await database.dispose()
    answers = await board.submit(
        session(1, 5, "c:erased"),
        session(1, 1, "c:other"),
        session(2, 2, "c:erased"),
        session(3, 3, "c:old"),
        session(1, 1, "s:erased"),
        session(1, 7, odd.decode()),
        session(2**63 - 1, 7, longest.decode()),
    )
    assert [isinstance(answer, SessionErased) for answer in answers] == [True, False, False, False, False, True, True]
    assert rows(mysql, "SELECT user_id, score, version FROM standings") == [(1, 2, 1), (2, 2, 1), (3, 3, 1)]
    assert rows(mysql, "SELECT user_id, submission_key FROM game_sessions ORDER BY user_id, submission_key") == [
        (1, b"c:other"),
        (1, b"s:erased"),
        (2, b"c:erased"),
        (3, b"c:old"),
    ]


async def test_what_was_erased_long_ago_is_forgotten(leaderboard_settings: LeaderboardSettings, mysql: Any) -> None:
    database = database_of(leaderboard_settings)
    now = datetime.now(UTC)
    async with database.engine.begin() as connection:
        await erase(connection, [(1, b"c:%d" % age, now - timedelta(days=age)) for age in range(29)], now, twice=True)
        assert await erased_keys.forget(connection, now, 500) == 0
        assert await erased_keys.forget(connection, now + timedelta(days=3), 1) == 1
        assert await erased_keys.forget(connection, now + timedelta(days=3), 500) == 1
    assert rows(mysql, "SELECT COUNT(*) FROM erased_keys") == [(27,)]
    await database.dispose()
