"""docs/connect.md's page has scores on the board, also those that were made while the leaderboard was away."""

import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from services.local import ROOT
from services.local.gateway import GatewaySettings
from services.local.ports import free_port
from services.local.stack import Stack
from services.local.web import Gateway
from tests.gateways import gateway_before
from tests.snippets import take
from tests.system import eventually

[FOLDER] = take("docs/connect.md", "sh", having="mkdir")
[SERVE] = take("docs/connect.md", "sh", having="http.server")
[PAGE] = take("docs/connect.md", "html")
DOCUMENT = (ROOT / "docs" / "connect.md").read_text(encoding="utf-8")
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def port() -> int:
    """In the place of 5173."""
    return free_port()


@pytest.fixture(scope="module")
def gateway(stack: Stack, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Of a leaderboard that was started with ALLOWED_ORIGINS, as the document says."""
    settings = GatewaySettings(allowed_origins=f"http://localhost:{port}")
    with gateway_before(stack, tmp_path_factory.mktemp("gateway"), settings=settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def served(gateway: Gateway, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The page, in a folder and by a server as the document has them."""
    folder = tmp_path_factory.mktemp("games")
    subprocess.run(["bash", "-euc", FOLDER], cwd=folder, check=True)
    (folder / "my-game" / "index.html").write_text(PAGE.replace("http://localhost:8080", gateway.url))
    command = ["bash", "-c", f"exec {SERVE.replace('5173', str(port))}"]
    with subprocess.Popen(command, cwd=folder / "my-game", env=os.environ, stderr=subprocess.DEVNULL) as server:
        yield
        server.send_signal(signal.SIGTERM)


@pytest.fixture
async def page(browser: Browser, served: None, port: int) -> AsyncIterator[Page]:
    context = await browser.new_context()
    page = await context.new_page()

    async def is_there() -> bool:
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"http://localhost:{port}")).status_code == 200
            except httpx.TransportError:
                return False

    await eventually(is_there)
    await page.goto(f"http://localhost:{port}")
    yield page
    await context.close()


async def test_a_score_comes_from_the_page_and_one_that_was_made_offline_comes_later(page: Page, gateway: Gateway) -> None:
    told, play = page.locator("#told"), page.get_by_role("button", name="Play")
    await play.click()
    await expect(told).to_have_text(
        re.compile(r"^\w+ scored (\d+)\. That makes \1 points and rank \d+\.$"), timeout=PATIENCE_MS
    )
    [name, first] = re.findall(r"^(\w+) scored (\d+)", await told.inner_text())[0]
    await expect(page.locator("#board")).not_to_be_empty()

    gateway.stop()
    await play.click()
    await expect(told).to_have_text(re.compile(r"^\w+ scored \d+\.$"))
    [second] = re.findall(r"scored (\d+)", await told.inner_text())
    gateway.start()
    total = f"{name} scored {second}. That makes {int(first) + int(second)} points"
    await expect(told).to_contain_text(total, timeout=PATIENCE_MS)

    await page.reload()
    await play.click()
    await expect(told).to_contain_text(f"{name} scored", timeout=PATIENCE_MS)


@pytest.mark.parametrize("origins", re.findall("ALLOWED_ORIGINS=([^` \n]+)", DOCUMENT))
def test_what_is_to_be_set_can_be_set(origins: str) -> None:
    assert GatewaySettings(allowed_origins=origins).allowed_origins == origins
