"""The page while others play: the board moves by itself, over one stream for all tabs of a browser."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import jwt
import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, Request, Route, expect

from services.auth.sessions.tokens import AccessTokenIssuer
from services.local.stack import Stack
from tests.e2e.conftest import PATIENCE_MS
from tests.e2e.visitor import LIVE, new_name, new_player, own_row, refuse_stream, submit_score
from tests.gateways import gateway_before
from tests.system import AUDIENCE, ISSUER, Accounts, bearer, sign_up

# From the answer to a submission until it is seen.
SOON_MS = 2_000
# Each more than all before it, for the first place: others than the ten best are not on the page.
_TOPS = count(900_000_000, 1_000_000)


class Other:
    """Somebody else who plays."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self._token: str | None = None
        self.name = new_name()

    async def submit(self, score: int) -> None:
        self._token = self._token or await sign_up(self.client, self.name)
        answer = await self.client.post("/api/leaderboard/submit", json={"score": score}, headers=bearer(self._token))
        assert answer.status_code == 201, answer.text

    async def leave(self) -> None:
        if self._token:
            answer = await self.client.delete("/api/leaderboard/me", headers=bearer(self._token))
            assert answer.status_code == 204, answer.text


class Traffic:
    """What the tabs of a browser ask the leaderboard for."""

    def __init__(self, context: BrowserContext) -> None:
        self._asked: list[Request] = []
        self._over: list[Request] = []
        context.on("request", self._begin)
        context.on("requestfinished", self._end)
        context.on("requestfailed", self._end)

    def _begin(self, request: Request) -> None:
        self._asked.append(request)

    def _end(self, request: Request) -> None:
        self._over.append(request)

    @property
    def streams(self) -> list[Request]:
        return [request for request in self._asked if _path(request).endswith("/live")]

    @property
    def open_streams(self) -> list[Request]:
        return [request for request in self.streams if request not in self._over]

    @property
    def looks(self) -> list[str]:
        """What was asked of boards besides."""
        paths = [_path(request) for request in self._asked if request not in self.streams]
        return [path for path in paths if path.startswith("/api/leaderboard/boards/")]


def _path(request: Request) -> str:
    return urlsplit(request.url).path


@pytest.fixture
def traffic(context: BrowserContext) -> Traffic:
    return Traffic(context)


@pytest.fixture
async def other(gateway_url: str) -> AsyncIterator[Other]:
    """Somebody who is off the board when the test is over: there is room for ten on a page."""
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        yield (other := Other(client))
        await other.leave()


def row(page: Page, who: Other) -> Locator:
    return page.get_by_role("table").get_by_text(who.name)


async def show(page: Page, state: str) -> None:
    """Have a tab be "visible" or "hidden". To a browser without windows each is visible."""
    await page.evaluate(
        """(state) => {
            Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )


async def expect_live(page: Page) -> None:
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()


async def test_others_scores_are_seen_soon_and_without_asking(traffic: Traffic, page: Page, other: Other) -> None:
    await expect_live(page)
    for _ in range(2):
        await other.submit(score := next(_TOPS))
        await expect(row(page, other)).to_be_visible(timeout=SOON_MS)
    await expect(page.get_by_role("table").get_by_text(f"{2 * score - 1_000_000:,}")).to_be_visible(timeout=SOON_MS)
    assert len(traffic.streams) == 1
    assert traffic.looks == []


async def test_a_token_goes_in_the_header_and_the_own_rank_comes_without_asking(
    traffic: Traffic, page: Page, other: Other
) -> None:
    await new_player(page)
    await submit_score(page, str(score := next(_TOPS)))
    card = page.get_by_role("region", name="You")
    await expect(card.get_by_role("definition")).to_have_text(f"{score:,}")
    await page.reload()
    await expect(card.get_by_role("definition")).to_have_text(f"{score:,}")
    stream = traffic.streams[-1]
    assert (await stream.all_headers())["authorization"].startswith("Bearer ")
    assert urlsplit(stream.url).query == "window=all&limit=10"
    assert not any(path.endswith("/rank/me") for path in traffic.looks)


async def test_who_passed_the_player_is_said_and_a_row_that_moves_keeps_the_focus(page: Page, other: Other) -> None:
    await new_player(page)
    await submit_score(page, str(score := next(_TOPS)))
    await expect(own_row(page)).to_be_visible()
    await page.reload()
    await page.get_by_role("button", name="Jump to my rank").click()
    await expect(own_row(page)).to_be_focused()
    await page.evaluate("addEventListener('focusout', () => { document.title = 'lost' })")
    card = page.get_by_role("region", name="You")
    alone = await card.locator("[data-part=of]").inner_text()
    await other.submit(score - 1)
    await expect(card.locator("[data-part=of]")).not_to_have_text(alone)  # looked up together with who is close behind

    await other.submit(2)
    passed = card.get_by_role("status")
    await expect(passed).to_have_text(f"{other.name} passed you")
    await expect(own_row(page)).to_be_focused()
    assert await page.title() != "lost"
    await submit_score(page, "10")
    await expect(passed).to_have_text("")


async def test_tabs_share_one_stream_and_go_on_when_the_one_that_has_it_is_closed(
    traffic: Traffic, page: Page, context: BrowserContext, other: Other
) -> None:
    await expect_live(page)
    second = await context.new_page()
    await second.goto("/")
    await expect_live(second)
    await other.submit(next(_TOPS))
    for tab in (page, second):
        await expect(row(tab, other)).to_be_visible(timeout=SOON_MS)
    assert len(traffic.streams) == 1

    async with context.expect_event("request", lambda request: request in traffic.streams):
        await page.close()
    await other.submit(score := next(_TOPS))
    await expect(second.get_by_role("table").get_by_text(f"{2 * score - 1_000_000:,}")).to_be_visible(timeout=SOON_MS)
    assert len(traffic.streams) == 2
    assert "last-event-id" in await traffic.streams[1].all_headers()
    assert traffic.looks == []


async def test_a_hidden_tab_has_no_stream_and_is_right_when_it_is_seen_again(
    traffic: Traffic, page: Page, context: BrowserContext, other: Other
) -> None:
    await expect_live(page)
    second = await context.new_page()
    await second.goto("/")
    await expect_live(second)
    async with second.expect_request(LIVE):
        await show(page, "hidden")
    await other.submit(next(_TOPS))
    for tab in (second, page):
        await expect(row(tab, other)).to_be_visible(timeout=SOON_MS)
    assert [stream.frame.page for stream in traffic.open_streams] == [second]

    async with context.expect_event("requestfailed", lambda request: request in traffic.streams):
        await show(second, "hidden")
    late = Other(other.client)
    await late.submit(next(_TOPS))
    await show(page, "visible")
    await expect(row(page, late)).to_be_visible(timeout=SOON_MS)
    await late.leave()
    assert [stream.frame.page for stream in traffic.open_streams] == [page]


async def test_without_locks_each_tab_has_a_stream(traffic: Traffic, context: BrowserContext, other: Other) -> None:
    """Browsers keep locks from pages that come over plain http from elsewhere."""
    await context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })")
    tabs = [await context.new_page() for _ in range(2)]
    for tab in tabs:
        await tab.goto("/")
        await expect_live(tab)
    await other.submit(next(_TOPS))
    for tab in tabs:
        await expect(row(tab, other)).to_be_visible(timeout=SOON_MS)
    assert len(traffic.streams) == 2


async def test_where_no_stream_can_be_had_the_board_is_asked_for(traffic: Traffic, page: Page, other: Other) -> None:
    await page.clock.install()
    await refuse_stream(page)
    await page.reload()
    await expect_live(page)
    await other.submit(first := next(_TOPS))
    await page.clock.fast_forward(6_000)
    await expect(row(page, other)).to_be_visible()
    await expect_live(page)
    await expect(page.get_by_role("button", name="Try now")).to_be_hidden()

    await page.unroute(LIVE)
    while not traffic.open_streams:
        await page.clock.fast_forward(1_000)
    looks = len(traffic.looks)
    late = next(_TOPS)
    await other.submit(late)
    await expect(page.get_by_role("table").get_by_text(f"{first + late:,}")).to_be_visible()
    assert len(traffic.looks) == looks


async def test_a_page_whose_stream_is_cut_is_right_again(browser: Browser, stack: Stack, tmp_path: Path, other: Other) -> None:
    with gateway_before(stack, tmp_path) as gateway:
        context = await browser.new_context(base_url=gateway.url)
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        await page.goto("/")
        await expect_live(page)
        gateway.kill()
        await other.submit(next(_TOPS))
        await expect(page.get_by_text("The server is not answering right now.")).to_be_visible()
        gateway.start()
        await expect(row(page, other)).to_be_visible()
        await expect(page.get_by_text("The server is not answering right now.")).to_be_hidden()
        await expect_live(page)
        await context.close()


async def test_a_stream_that_ends_with_the_token_is_opened_again_with_another(
    traffic: Traffic, page: Page, accounts: Accounts, other: Other
) -> None:
    await new_player(page)
    issuer = AccessTokenIssuer(accounts.keys, ISSUER, AUDIENCE, timedelta(seconds=2))

    async def shorten(route: Route) -> None:
        """Have the page take for usable what is so for some seconds: it uses no token in its last ten."""
        answer = await route.fetch()
        body = await answer.json()
        claims = jwt.decode(body["access_token"], options={"verify_signature": False})
        token = issuer.issue(int(claims["sub"]), claims["name"], UUID(claims["sid"]), datetime.now(UTC))
        await route.fulfill(response=answer, json=body | {"access_token": token, "expires_in": 13})

    await page.route("**/auth/refresh", shorten, times=1)
    async with page.expect_request(LIVE):
        await page.reload()
    short = await (traffic.streams[-1]).all_headers()
    async with page.expect_request(LIVE) as again:
        pass
    headers = await (await again.value).all_headers()
    assert headers["authorization"].startswith("Bearer ")
    assert headers["authorization"] != short["authorization"]
    await other.submit(next(_TOPS))
    await expect(row(page, other)).to_be_visible(timeout=SOON_MS)
    await expect_live(page)


# Every line end, a field without a value, and what is to be ignored; the last event is not whole.
PIECES = (
    "\ufeff: a comment\r\nretry: 1500\n\nevent: top\rid: 1\rdata: {\r\ndata:\t1}\r\n\r\ndata\n\n"
    "id\0: 2\nid: a\0b\nretry: soon\nevent:x\n\nid\ndata:  ä\r\rdata: lost"
)
EVENTS = [
    {"type": "top", "id": "1", "data": "{\n\t1}"},
    {"type": "message", "id": "1", "data": ""},
    {"type": "message", "id": "", "data": " ä"},
]


async def test_a_stream_is_read_alike_wherever_it_was_cut(page: Page) -> None:
    """By each byte, and by each two bytes: with each line end that there is, in the middle of a letter too."""
    found = await page.evaluate(
        """async (text) => {
            const { EventStream } = await import("/clients/leaderboard.js");
            const bytes = new TextEncoder().encode(text);
            const read = async (size, first) => {
                const stream = new ReadableStream({
                    start(controller) {
                        controller.enqueue(bytes.slice(0, first));
                        for (let at = first; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
                        controller.close();
                    },
                });
                const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
                const parser = new EventStream();
                const events = [];
                for (;;) {
                    const { done, value } = await reader.read();
                    if (done) return JSON.stringify([events, parser.retryMs]);
                    events.push(...parser.push(value));
                }
            };
            const cuts = Array.from({ length: bytes.length }, (_, at) => read(bytes.length, at));
            return [...new Set([...(await Promise.all(cuts)), await read(1, 0), await read(2, 1)])].map(JSON.parse);
        }""",
        PIECES,
    )
    assert found == [[EVENTS, 1500]]
