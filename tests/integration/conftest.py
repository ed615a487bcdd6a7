"""What tests of the writer, of the ranking index, and of what auth keeps, share."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pymysql.cursors
import pytest
from redis import Redis

from services.auth.settings import AuthSettings
from services.common.mysql.database import Database
from services.common.mysql.multistatement import Transactions
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.index.writer import IndexWriter
from services.leaderboard.settings import LeaderboardSettings
from services.local.redis import RedisServer
from services.local.stack import Stack
from tests.playing import own_database
from tests.processes import CLOSES_MS, PERIOD, UPWARDS, Process, processing
from tests.ranked import indexing
from tests.reading import Both, Weeks, both_ways, drive_two_weeks, indexed
from tests.servers import pair
from tests.system import Accounts
from tests.writing import Board, connect


@pytest.fixture
async def transactions(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Transactions]:
    transactions = connect(leaderboard_settings)
    yield transactions
    await transactions.dispose()


@pytest.fixture
async def board(transactions: Transactions, leaderboard_settings: LeaderboardSettings) -> AsyncIterator[Board]:
    board = Board(transactions, leaderboard_settings)
    yield board
    await board.writer.drain()


@pytest.fixture
async def database(auth_settings: AuthSettings, mysql: object) -> AsyncIterator[Database]:
    """MySQL as the auth service sees it."""
    database = Database(auth_settings, auth_settings.auth_mysql_user, auth_settings.auth_mysql_password.get_secret_value())
    yield database
    await database.dispose()


@pytest.fixture
async def leaderboard_database(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Database]:
    """MySQL as the leaderboard service sees it."""
    async with own_database(leaderboard_settings) as database:
        yield database


@pytest.fixture
def other(stack: Stack, leaderboard_settings: LeaderboardSettings) -> Iterator["pymysql.cursors.Cursor"]:
    """A transaction of somebody else's, which holds what the test has it lock."""
    connection = stack.mysql.connect(database=leaderboard_settings.mysql_database)
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


# The ranking index, on a Redis of the module's own.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, secrets: Mapping[str, str]) -> Iterator[RedisServer]:
    server = pair().redis(tmp_path_factory.mktemp("redis"), secrets["REDIS_PASSWORD"])
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    with server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def settings(leaderboard_settings: LeaderboardSettings, server: RedisServer) -> LeaderboardSettings:
    return leaderboard_settings.model_copy(update={"redis_url": server.url})


@pytest.fixture
async def both(settings: LeaderboardSettings, redis: Redis) -> AsyncIterator[tuple[IndexWriter, RankingIndex]]:
    async with indexing(settings) as both:
        yield both


@pytest.fixture
def index(both: tuple[IndexWriter, RankingIndex]) -> IndexWriter:
    return both[0]


@pytest.fixture
def reads(both: tuple[IndexWriter, RankingIndex]) -> RankingIndex:
    return both[1]


# More places than one.


@pytest.fixture
def boards(mysql: Any) -> Iterator[Any]:
    """MySQL, with a second board and a period of it."""
    with mysql.cursor() as cursor:
        cursor.execute(
            "INSERT INTO boards (id, version, name, title, metric, aggregate, direction, rule, min_score, max_score,"
            " show_extra, state) VALUES (%s, 1, 'upwards', '', 'score', 'best', 'ascending', NULL, -1000, 1000, 0, 'active')",
            (UPWARDS,),
        )
        cursor.execute(
            "INSERT INTO periods (id, board_id, window_id, number, starts_at, ends_at, closes_at, state)"
            " VALUES (%s, %s, 1, 0, NOW(6), FROM_UNIXTIME(%s), FROM_UNIXTIME(%s), 'open')",
            (PERIOD, UPWARDS, CLOSES_MS / 1000, CLOSES_MS / 1000),
        )
    yield mysql
    with mysql.cursor() as cursor:
        cursor.execute("DELETE FROM boards WHERE id <> 1")
        cursor.execute("TRUNCATE TABLE periods")


@pytest.fixture
async def process(settings: LeaderboardSettings, boards: object, redis: Redis) -> AsyncIterator[Process]:
    async with processing(settings) as process:
        yield process


# Boards with two weeks behind them.


@pytest.fixture
async def weeks(leaderboard_settings: LeaderboardSettings, mysql: object, accounts: Accounts) -> Weeks:
    return await drive_two_weeks(leaderboard_settings, mysql, accounts)


@pytest.fixture
async def services(leaderboard_settings: LeaderboardSettings, weeks: Weeks) -> AsyncIterator[Both]:
    """Two services on them: one with Redis and an index of each place of the alps, one without Redis."""
    async with both_ways(leaderboard_settings) as both:
        for place in ({}, {"period": "previous"}, {"window": "all"}):
            await indexed(both, "alps", **place)
        yield both
