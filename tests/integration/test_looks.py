"""Looks: what a process asks MySQL again and again costs one round trip, and no connection that was lost costs a look."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from services.common.mysql.database import Database, DatabaseAway, error_code
from services.leaderboard.settings import LeaderboardSettings
from tests.ranked import database_of
from tests.system import rows

OWN = "SELECT CONNECTION_ID()"
QUESTIONS = "SHOW SESSION STATUS LIKE 'Questions'"
_NO_SUCH_COLUMN = 1054


@pytest.fixture
async def database(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Database]:
    database = database_of(leaderboard_settings)
    yield database
    await database.dispose()


async def test_a_look_is_one_question_to_the_server(database: Database) -> None:
    [(_, before)] = await database.look(QUESTIONS)
    assert await database.look("SELECT %s, NOW(6) > %s", "drôle 'o\"", "2020-01-01") == (("drôle 'o\"", 1),)
    [(_, after)] = await database.look(QUESTIONS)
    assert int(after) - int(before) == 2


async def test_what_was_committed_before_a_look_is_seen_by_it(database: Database, mysql: Any) -> None:
    for number in range(1, 4):
        rows(mysql, "INSERT INTO outbox (changed) VALUES ('[]')")
        assert await database.look("SELECT COUNT(*) FROM outbox") == ((number,),)


async def test_no_look_fails_because_its_connection_was_lost(database: Database, mysql: Any) -> None:
    lost = await asyncio.gather(*(database.look("SELECT CONNECTION_ID(), SLEEP(0.05)") for _ in range(3)))
    assert len({number for [(number, _)] in lost}) == 3
    for [(number, _)] in lost:
        rows(mysql, f"KILL {number}")
    [(another,)] = await database.look(OWN)
    assert another not in {number for [(number, _)] in lost}
    assert await database.look(OWN) == ((another,),)


async def test_an_error_of_the_server_is_raised_as_of_any_other_question(database: Database) -> None:
    for _ in range(2):
        with pytest.raises(DBAPIError) as caught:
            await database.look("SELECT nothing")
        assert error_code(caught.value) == _NO_SUCH_COLUMN


async def test_a_look_that_takes_too_long_is_given_up_and_so_is_one_at_a_server_that_is_away(
    leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    database = database_of(leaderboard_settings.model_copy(update={"mysql_timeout": 0.5}))
    with pytest.raises(TimeoutError):
        await database.look("SELECT SLEEP(20)")
    sleeping = asyncio.create_task(database.look("SELECT SLEEP(0.4), 'cut short'"))
    await asyncio.sleep(0.1)
    database.reachable = False
    with pytest.raises(DatabaseAway):
        await sleeping
    with pytest.raises(DatabaseAway):
        await database.look(OWN)
    database.reachable = True
    assert await database.look(OWN)
    await database.dispose()
