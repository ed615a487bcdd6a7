"""What the fault tests share: processes of their own, and proxies before their servers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from services.local.stack import Stack
from services.local.web import Service
from tests.faults.proxy import Proxy, proxying

API = "/api/leaderboard"

StartProcess = Callable[..., Awaitable[Service]]
"""Starts a leaderboard process; settings of its own go by keyword, and anything but their case is the environment's."""


@pytest.fixture
async def mysql_proxy(stack: Stack) -> AsyncIterator[Proxy]:
    """Between a process and MySQL."""
    async with proxying(stack.mysql.host, stack.mysql.port) as proxy:
        yield proxy


@pytest.fixture
def start_process(stack: Stack, tmp_path: Path) -> Iterator[StartProcess]:
    """Starts leaderboard processes of the test's own beside the stack's, on the stack's servers unless told otherwise."""
    started: list[Service] = []

    async def start(**settings: object) -> Service:
        named: Mapping[str, str] = {name.upper(): str(value) for name, value in settings.items()}
        service = Service(
            f"leaderboard-of-test-{len(started)}",
            module="services.leaderboard",
            ready_path=f"{API}/health/ready",
            log=tmp_path / f"service-{len(started)}.log",
            environment={**stack.leaderboard.environment(), **named},
        )
        started.append(service)
        service.launch()
        await asyncio.to_thread(service.wait_ready)  # a proxy before its servers runs in this loop
        return service

    yield start
    for service in started:
        service.kill()
