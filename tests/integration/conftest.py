"""What tests of the writer, and of what auth keeps, share."""

from collections.abc import AsyncIterator, Iterator

import pymysql.cursors
import pytest

from services.auth.settings import AuthSettings
from services.common.mysql.database import Database
from services.common.mysql.multistatement import Transactions
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.playing import own_database
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
