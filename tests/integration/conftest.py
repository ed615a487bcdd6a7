"""What tests of the writer share."""

from collections.abc import AsyncIterator

import pytest

from services.common.multistatement import Transactions
from services.leaderboard.settings import LeaderboardSettings
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
