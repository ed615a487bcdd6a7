"""A server that ends each connection as it is made, as one does that is being stopped: its errors are not taken for ours."""

import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from services.common.http.problems import response_to
from services.common.mysql.database import Database
from services.common.mysql.multistatement import Transaction, Transactions
from services.common.mysql.retries import is_away
from services.leaderboard.settings import LeaderboardSettings

# Of three such connections about one is gone before the driver looks at its socket.
TIMES = 100
RESET = struct.pack("ii", 1, 0)

Ask = Callable[[], Awaitable[None]]


@pytest.fixture
def settings(leaderboard_settings: LeaderboardSettings) -> Iterator[LeaderboardSettings]:
    listening = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.close()

    thread = threading.Thread(target=refuse)
    thread.start()
    yield leaderboard_settings.model_copy(update={"mysql_host": "127.0.0.1", "mysql_port": listening.getsockname()[1]})
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@asynccontextmanager
async def asking_in_groups(settings: LeaderboardSettings) -> AsyncIterator[Ask]:
    async def nothing(_: Transaction) -> None: ...

    transactions = Transactions(settings, "someone", "secret", connections=1)
    yield lambda: transactions.attempt(nothing)
    await transactions.dispose()


@asynccontextmanager
async def asking(settings: LeaderboardSettings) -> AsyncIterator[Ask]:
    database = Database(settings, "someone", "secret")
    yield database.ping
    await database.dispose()


@asynccontextmanager
async def looking(settings: LeaderboardSettings) -> AsyncIterator[Ask]:
    async def look() -> None:
        await database.look("SELECT 1")

    database = Database(settings, "someone", "secret")
    yield look
    await database.dispose()


@pytest.mark.parametrize("way", [asking_in_groups, asking, looking])
def test_a_connection_that_ends_at_once_says_that_the_database_is_away(settings: LeaderboardSettings, way: object) -> None:
    async def ask_often() -> list[Exception]:
        errors: list[Exception] = []
        async with way(settings) as ask:  # type: ignore[operator]  # a parameter of pytest's has no type
            for _ in range(TIMES):
                try:
                    await ask()
                except Exception as error:  # noqa: BLE001 - which one it is, is looked at below
                    errors.append(error)
        return errors

    errors = uvloop.run(ask_often())  # under asyncio's own loop a socket is told of as long as the transport lives
    assert len(errors) == TIMES
    assert {type(error) for error in errors if not is_away(error)} == set()
    assert {response.status_code if response else 500 for response in map(response_to, errors)} == {503}
