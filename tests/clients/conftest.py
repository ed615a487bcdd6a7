"""What the tests of the clients share: the system behind a proxy that loses answers, and what the server has counted.

`stack` and `gateway_url` (tests/conftest.py) are the whole system, and where it answers.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from services.local.stack import Stack
from tests.clients.counted import Counted, find_counted
from tests.clients.godot import Driver, driving
from tests.clients.killing import FindCounted
from tests.clients.losing import Losing, losing_before


@pytest.fixture
async def losing(gateway_url: str) -> AsyncIterator[Losing]:
    """The whole system behind a proxy, which loses nothing until it is told to. It is there from test to test anew."""
    async with losing_before(gateway_url) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def counted(stack: Stack) -> FindCounted:
    """Looks up, by the keys of some sessions, what the server has of their player: each session in its log, and the total."""

    async def find(keys: Sequence[str]) -> Counted:
        return await find_counted(stack, keys)

    return find


@pytest.fixture(scope="module")
def godot_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder whose files Godot shares with the tests."""
    return tmp_path_factory.mktemp("godot")


@pytest.fixture(scope="module")
def godot_engine(godot_folder: Path) -> Iterator[Driver]:
    """One for a module's tests: it takes seconds to begin, and a fourth of a core for as long as it is there."""
    with driving(godot_folder) as driver:
        yield driver


@pytest.fixture
async def godot(godot_engine: Driver, losing: Losing) -> Driver:
    """Godot with no client in it, where `begin()` makes one that plays behind the proxy."""
    await godot_engine.begin(losing.url)
    return godot_engine
