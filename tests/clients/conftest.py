"""What the tests of the clients share: the system behind a proxy that loses answers, and what the server has counted.

`stack` and `gateway_url` (tests/conftest.py) are the whole system, and where it answers.
"""

from collections.abc import AsyncIterator, Sequence

import pytest

from services.local.stack import Stack
from tests.clients.counted import Counted, find_counted
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
