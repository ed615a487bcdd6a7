"""Each process knows the boards there are: at once, or within a second of a change, however many there are."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import pytest

from services.common.http.problems import ServiceUnavailable
from services.common.mysql.database import Database
from services.leaderboard.boards import deletion
from services.leaderboard.boards.board import Rule
from services.leaderboard.boards.catalogue import INTERVAL_SECONDS, Catalogue
from services.leaderboard.errors import BoardNotFound
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, WEEK, catalogue_of, define, make, tagged, without_indexes
from tests.playing import own_database
from tests.system import eventually, rows

MANY = 10_000


@pytest.fixture
async def database(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Database]:
    """MySQL as the leaderboard service sees it."""
    async with own_database(leaderboard_settings) as database:
        yield database


@pytest.fixture
async def still(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Catalogue]:
    """The catalogue of a process that looks for changes only when it is told to."""
    async with catalogue_of(leaderboard_settings, interval=3600) as catalogue:
        yield catalogue


def names(boards: Any) -> list[str]:
    return [board.name for board in boards]


async def test_changes_are_seen_within_a_second(
    database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    async with catalogue_of(leaderboard_settings, interval=INTERVAL_SECONDS) as catalogue:

        async def seen(change: Any, *expected: str) -> None:
            await change
            began = monotonic()

            async def shown() -> bool:
                return names(catalogue.matching({"track": "alps"})) == list(expected)

            await eventually(shown)
            assert monotonic() - began < 2 * INTERVAL_SECONDS

        assert names(catalogue.matching({})) == ["main"]
        await seen(make(database, tagged("alps", "alps"), define("named")), "alps", "main")
        await seen(make(database, define("named", rule=Rule())), "alps", "main", "named")
        await seen(make(database, define("alps", state="closed"), define("named")), "main")
        await seen(make(database, tagged("alps", "alps")), "alps", "main")
        await make(database, tagged("alps", "alps", state="closed"))
        await seen(deletion.delete(database, "alps", without_indexes), "main")


async def test_a_name_that_is_not_known_is_looked_up(still: Catalogue, database: Database) -> None:
    await make(database, tagged("alps", "alps"), define("coast"))
    found = await asyncio.gather(*(still.find(name) for name in ("alps", "coast", "nowhere", "alps", "", "A B", "x" * 65)))
    assert [board and board.name for board in found] == ["alps", "coast", None, "alps", None, None, None]
    with pytest.raises(BoardNotFound):
        await still.get("nowhere")
    # Known by name, it is known altogether.
    assert names(still.matching({"track": "alps"})) == ["alps", "main"]
    board = await still.get("alps")
    assert still.by_id(board.board_id) is board


async def test_what_was_looked_up_is_not_older_than_what_is_known(still: Catalogue, database: Database) -> None:
    await make(database, define("alps"))
    first = await still.get("alps")
    await make(database, define("alps", title="New", windows=(ALL, WEEK, DAY)))
    await still.refresh()
    second = await still.get("alps")
    assert (second.definition.title, len(second.windows)) == ("New", 3)
    assert second.version > first.version
    assert second.windows[:2] == first.windows


async def test_a_board_that_went_and_came_again_is_the_new_one(still: Catalogue, database: Database) -> None:
    await make(database, define("alps"))
    first = await still.get("alps")
    await make(database, define("alps", state="closed"))
    await deletion.delete(database, "alps", without_indexes)
    await make(database, define("alps", metric="laps"), define("beside"))
    await still.refresh()
    second = await still.get("alps")
    assert second.definition.metric == "laps"
    assert still.by_id(first.board_id) is None
    assert names(still.page("", "", 10)) == ["alps", "beside", "main"]


async def test_a_database_that_is_older_is_read_anew(still: Catalogue, database: Database, mysql: Any) -> None:
    await make(database, define("alps"))
    await still.refresh()
    with mysql.cursor() as cursor:  # as a restore leaves it
        cursor.execute("DELETE FROM boards WHERE name = 'alps'")
        cursor.execute("UPDATE boards_version SET version = version - 1")
    await still.refresh()
    assert names(still.page("", "", 10)) == ["main"]
    assert [still.version] == [rows(mysql, "SELECT version FROM boards_version")[0][0]]


async def test_without_mysql_what_is_known_stays(database: Database, leaderboard_settings: LeaderboardSettings) -> None:
    await make(database, define("alps"))
    async with own_database(leaderboard_settings) as reads:
        catalogue = Catalogue(reads, interval=0.01)
        await catalogue.start()
        reads.reachable = False
        for _ in range(10):
            await asyncio.sleep(0.01)
        assert names(catalogue.matching({})) == ["main"]
        assert (await catalogue.get("alps")).name == "alps"
        with pytest.raises(TimeoutError):
            await catalogue.get("beta")
        await make(database, define("beta"))
        reads.reachable = True

        async def found() -> bool:
            return names(catalogue.page("", "", 10)) == ["alps", "beta", "main"]

        await eventually(found)
        await catalogue.stop()


async def test_boards_that_were_never_read_are_not_said_to_be_none(
    leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    async with own_database(leaderboard_settings) as reads:
        catalogue = Catalogue(reads)
        reads.reachable = False
        await catalogue.start()
        with pytest.raises(ServiceUnavailable):
            catalogue.matching({})
        with pytest.raises(ServiceUnavailable):
            catalogue.page("", "", 10)
        await catalogue.stop()


async def test_a_zone_that_is_not_known_here_takes_one_board_away_and_no_other(
    still: Catalogue, database: Database, mysql: Any
) -> None:
    await make(database, define("alps"), define("coast"))
    with mysql.cursor() as cursor:  # as another release of the zones' data has it
        cursor.execute("UPDATE windows SET zone = 'Mars/Base' WHERE name = 'week' ORDER BY id LIMIT 1")
    assert await still.find("alps") is None
    assert await still.find("coast")
    await still.refresh()
    assert names(still.page("", "", 10)) == ["coast", "main"]


async def test_ten_thousand_boards_are_known_soon_and_one_change_is_read_alone(
    database: Database, leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    definitions = [tagged(f"level{number:05d}", str(number), windows=(ALL, DAY, WEEK)) for number in range(MANY)]
    await make(database, *definitions)
    began = monotonic()
    async with catalogue_of(leaderboard_settings, interval=3600) as catalogue:
        started = monotonic() - began
        assert names(catalogue.matching({"track": "7777"})) == ["level07777", "main"]
        await make(database, tagged("level00003", "new", windows=(ALL, DAY, WEEK)))
        began = monotonic()
        await catalogue.refresh()
        changed = monotonic() - began
        assert names(catalogue.matching({"track": "new"})) == ["level00003", "main"]
        assert names(catalogue.matching({"track": "3"})) == ["main"]
    assert started < 6  # 2 on a machine that has nothing else to do
    assert changed < started / 4
