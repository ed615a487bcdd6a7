"""What the follower reads: as much as it is to tell, and not more, however much there is."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.leaderboard.index import outbox
from services.leaderboard.index.follower import NOTES_A_ROUND, STANDINGS_AT_ONCE
from services.leaderboard.rules.places import MAIN, Place
from services.leaderboard.settings import LeaderboardSettings
from tests.ranked import database_of
from tests.system import rows

PLAYERS = 10_000


READ = "SHOW SESSION STATUS LIKE 'Handler_read%'"


@pytest.fixture
async def database(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Database]:
    database = database_of(leaderboard_settings)
    yield database
    await database.dispose()


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[AsyncConnection]:
    async with database.reading() as connection:
        yield connection


def sum_up(status: Iterable[Any]) -> int:
    return sum(int(value) for _, value in status)


async def rows_read(connection: AsyncConnection) -> int:
    """How many rows the server has read for this connection."""
    return sum_up(await connection.execute(text(READ)))


@pytest.mark.parametrize("notes", [0, 1, 10, 5_000])
async def test_of_many_notes_the_first_are_read_and_the_epoch_with_them(database: Database, mysql: Any, notes: int) -> None:
    with mysql.cursor() as cursor:
        cursor.executemany("INSERT INTO outbox (changed) VALUES (%s)", [("[[1, 0, 7]]",)] * notes)
        cursor.execute("UPDATE outbox SET created_at = NOW(6) - INTERVAL 1 MINUTE")
        cursor.execute("INSERT INTO outbox (changed) VALUES ('[[1, 0, 8]]')")  # which is too young
    before = sum_up(await database.look(READ))
    epoch, found = await outbox.list_notes(database, 30_000, NOTES_A_ROUND)
    assert sum_up(await database.look(READ)) - before < 5 * NOTES_A_ROUND + 500  # with those of its own
    assert rows(mysql, "SELECT LOWER(HEX(epoch)) FROM index_epoch") == [(epoch,)]
    oldest = rows(mysql, "SELECT id FROM outbox ORDER BY id")[: min(notes, NOTES_A_ROUND)]
    assert sorted(note.id for note in found) == [number for (number,) in oldest]
    assert all(note.changed == [(MAIN, 7)] for note in found)
    assert (await outbox.list_notes(database, 0, 10_000))[1][-1:] != []


@pytest.mark.parametrize(("places", "players"), [(1, 1), (1, STANDINGS_AT_ONCE), (30, 30), (300, 3)])
async def test_the_standings_of_changed_players_are_read_and_no_others(
    connection: AsyncConnection, mysql: Any, places: int, players: int
) -> None:
    columns = "board_id, period_id, user_id, score, sessions, reached_session_id, version"
    with mysql.cursor() as cursor:
        for period in range(places):
            everybody = range(1, PLAYERS + 1) if period == 0 else range(1, players + 1)
            values = ",".join(f"(1,{period},{user_id},{user_id},1,{user_id},1)" for user_id in everybody)
            cursor.execute(f"INSERT INTO standings ({columns}) VALUES {values}")
        cursor.execute("ANALYZE TABLE standings")
        cursor.fetchall()
    changed = {Place(1, period): range(1, players + 1) for period in range(places)}
    before = await rows_read(connection)
    found = await outbox.list_changed(connection, changed)
    # Each with a look at its board, its period and its player.
    assert await rows_read(connection) - before < 5 * places * players + 500
    assert {place.at: [row.user_id for row in standings] for place, standings in found} == {
        at: [*user_ids] for at, user_ids in changed.items()
    }
