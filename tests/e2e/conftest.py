"""A real browser on the whole system, and players for it to see."""

import re
from collections.abc import AsyncIterator, Generator, Iterator

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, ViewportSize, async_playwright, expect

from services.local.gateway import GatewaySettings
from services.local.prerequisites import find_browser
from services.local.stack import Stack
from tests.e2e.games import serving_game
from tests.e2e.visitor import new_name
from tests.gateways import gateway_before
from tests.system import bearer, sign_up

# Long enough for a busy machine; what is there sooner is seen sooner.
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
# Chromium reports these as errors of the page's; the page expects them and tells people what they mean.
EXPECTED = re.compile(
    r"^(Failed to load resource: (.* status of (401|403|409|422|429|503) |net::ERR_(INTERNET_DISCONNECTED|NETWORK_CHANGED))"
    r"|Failed to fetch dynamically imported module)"
)

_NETWORK_CHANGES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_browser(), args=["--disable-gpu"])
        yield browser
        await browser.close()


@pytest.fixture
def network_changes(request: pytest.FixtureRequest) -> list[str]:
    """Requests that Chromium dropped because an interface of this machine came or went: somebody started a container."""
    changes: list[str] = []
    request.node.stash[_NETWORK_CHANGES] = changes
    return changes


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with a failure that it may be the machine's."""
    report = yield
    if report.failed and item.stash.get(_NETWORK_CHANGES, []):
        report.sections.append(("network", "an interface of this machine came or went: Chromium dropped requests"))
    return report


@pytest.fixture
async def context(browser: Browser, gateway_url: str, network_changes: list[str]) -> AsyncIterator[BrowserContext]:
    """A browser of its own, which fails the test on errors of the page: exceptions, console errors, refusals by the CSP."""
    errors: list[str] = []

    def on_failure(request: Request) -> None:
        if request.failure == "net::ERR_NETWORK_CHANGED":
            network_changes.append(request.url)

    def note(text: str) -> None:
        if not EXPECTED.match(text):
            errors.append(text)

    def on_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            note(message.text)

    context = await browser.new_context(base_url=gateway_url, viewport=DESKTOP)
    context.set_default_timeout(PATIENCE_MS)
    context.on("requestfailed", on_failure)
    context.on("console", on_console)
    context.on("weberror", lambda error: note(str(error.error)))
    yield context
    await context.close()
    assert not errors, errors


@pytest.fixture
async def page(context: BrowserContext, network_changes: list[str]) -> Page:
    page = await context.new_page()
    await page.goto("/")
    if network_changes:
        await page.goto("/")
    return page


@pytest.fixture(scope="session")
async def crowd(gateway_url: str) -> list[str]:
    """A dozen players with seven points each, enough for a second page of the board."""
    names = [new_name() for _ in range(12)]
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        for name in names:
            token = await sign_up(client, name)
            answer = await client.post("/api/leaderboard/submit", json={"score": 7}, headers=bearer(token))
            assert answer.status_code == 201, answer.text
    return names


@pytest.fixture(scope="module")
def game_origin() -> Iterator[str]:
    """A game that is served from elsewhere."""
    with serving_game() as origin:
        yield origin


@pytest.fixture(scope="module")
def neighbour_origin(game_origin: str) -> str:
    """The same game on the gateway's own host: another origin still, but no other site, so that cookies reach the gateway."""
    return game_origin.replace("localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def open_url(stack: Stack, game_origin: str, neighbour_origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway that knows the game, and none but the game."""
    settings = GatewaySettings(allowed_origins=f"{game_origin},{neighbour_origin}")
    with gateway_before(stack, tmp_path_factory.mktemp("open"), settings=settings) as gateway:
        yield gateway.url


@pytest.fixture
async def game(browser: Browser, game_origin: str) -> AsyncIterator[Page]:
    """The game's page."""
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    await page.goto(game_origin)
    yield page
    await context.close()
