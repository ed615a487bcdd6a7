"""The JavaScript client on a game's own page, which another origin serves, in a real browser."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

from services.local import ROOT
from tests.clients.losing import Losing, losing_before
from tests.e2e.visitor import new_name
from tests.system import PASSWORD

SITE = "http://localhost:8080"
SAMPLE = (ROOT / "frontend/clients/samples/javascript/index.html").read_text(encoding="utf-8")
SUBMIT = "/api/leaderboard/submit"
OPENED = """async ([url, options]) => {
    const client = await import(`${url}/clients/leaderboard.js`);
    window.leaderboard = new client.Leaderboard(url, options);
    window.failure = (promise) => promise.then(() => null, (error) => error.name);
}"""
Open = Callable[..., Awaitable[None]]


@pytest.fixture
async def losing_open(open_url: str) -> AsyncIterator[Losing]:
    """The proxy before a gateway that lets the game ask."""
    async with losing_before(open_url) as proxy:
        yield proxy


@pytest.fixture
def connect(losing_open: Losing) -> Open:
    """Has a page load the client, as `leaderboard`."""

    async def connect(page: Page, **options: Any) -> None:
        await page.evaluate(OPENED, [losing_open.url, options])

    return connect


async def second_tab(page: Page) -> Page:
    tab = await page.context.new_page()
    await tab.goto(page.url)
    return tab


async def test_the_sample_is_played_and_its_player_comes_back_and_keeps_the_account(game: Page, open_url: str) -> None:
    assert len(SAMPLE.splitlines()) < 100
    assert SAMPLE.count(f'"{SITE}') == 2
    errors: list[str] = []
    game.on("pageerror", lambda error: errors.append(str(error)))
    # Written into the page that is there: what a test answers itself is from nowhere, and asks no machine's own servers.
    await game.set_content(sample := SAMPLE.replace(SITE, open_url))
    said, button = game.get_by_role("status"), game.locator("#click")
    player = game.get_by_text("You play as")
    await expect(player).to_be_visible()
    name = await player.inner_text()
    await button.click(click_count=3)
    await expect(said).to_have_text(re.compile(r"^2 points are on the board\. You are number \d+\.$"))

    await game.reload()
    await game.set_content(sample)
    await expect(player).to_have_text(name)
    await game.context.set_offline(True)
    await button.click(click_count=2)
    await expect(said).to_have_text("Your points are sent when you are back.")
    await game.context.set_offline(False)
    await expect(said).to_have_text(re.compile(r"^1 points are on the board\."))

    await game.get_by_label("Name").fill(kept := new_name())
    await game.get_by_label("Password").fill(PASSWORD)
    await game.get_by_role("button", name="Keep").click()
    await expect(player).to_have_text(f"You play as {kept}.")
    assert errors == []


async def test_tabs_renew_their_session_once_and_one_of_them_sends(game: Page, connect: Open, losing_open: Losing) -> None:
    tabs = [game, await second_tab(game)]
    for tab in tabs:
        await connect(tab)
    await game.evaluate("leaderboard.playAsGuest()")
    await game.evaluate("""() => {
        const held = JSON.parse(localStorage.getItem("leaderboard:session"));
        localStorage.setItem("leaderboard:session", JSON.stringify({ ...held, expires_at: 0 }));
    }""")
    asked = "() => { window.asked = Promise.all([leaderboard.rank(), leaderboard.mySessions()]); }"
    for tab in tabs:
        await tab.evaluate(asked)
    for tab in tabs:
        [rank, _] = await tab.evaluate("window.asked")
        assert rank["score"] is None
    assert len(losing_open.asked("/auth/refresh")) == 1

    losing_open.path = SUBMIT
    losing_open.answers = 0.5
    for tab in tabs:
        await tab.evaluate("""async () => {
            const kept = [];
            for (const score of [1, 2, 3]) kept.push((await leaderboard.submit(score)).result);
            window.results = Promise.all(kept);
        }""")
    totals = [result["total_score"] for tab in tabs for result in await tab.evaluate("window.results")]
    assert max(totals) == 12
    keys = {seen.headers["idempotency-key"] for seen in losing_open.asked(SUBMIT)}
    assert len(keys) == 6
    sessions = await game.evaluate("leaderboard.mySessions()")
    assert sorted(session["score"] for session in sessions["sessions"]) == [1, 1, 2, 2, 3, 3]


async def test_a_score_outlives_its_page_and_counts_once(game: Page, connect: Open, losing_open: Losing) -> None:
    await connect(game)
    await game.evaluate("leaderboard.playAsGuest()")
    losing_open.path = SUBMIT
    losing_open.lose_answers(1)
    async with game.expect_event("requestfailed", lambda request: request.url.endswith(SUBMIT)):
        await game.evaluate("leaderboard.submit(870).then(() => null)")
    await game.reload()
    await connect(game)
    await game.evaluate("leaderboard.flush()")
    sessions = await game.evaluate("leaderboard.mySessions()")
    assert [session["score"] for session in sessions["sessions"]] == [870]
    keys = [seen.headers["idempotency-key"] for seen in losing_open.asked(SUBMIT)]
    assert len(keys) >= 2
    assert len(set(keys)) == 1
    assert await game.evaluate("leaderboard.queued()") == []


async def test_a_page_without_storage_or_locks_plays_all_the_same(game: Page, connect: Open) -> None:
    await game.add_init_script("""
        Object.defineProperty(Navigator.prototype, "locks", { value: undefined });
        Object.defineProperty(window, "localStorage", { get() { throw new DOMException("no", "SecurityError"); } });
    """)
    await game.reload()
    await connect(game)
    result = await game.evaluate("""async () => {
        await leaderboard.playAsGuest();
        return (await leaderboard.submit(5)).result;
    }""")
    assert result["total_score"] == 5


async def test_it_is_told_of_changes_from_the_moment_on_that_somebody_signs_in(
    game: Page, connect: Open, losing_open: Losing
) -> None:
    await connect(game)
    heard = await game.evaluate("""async () => {
        const heard = [];
        const own = (score) => new Promise((found) => {
            const look = () => (heard.includes(score) ? found() : setTimeout(look, 10));
            look();
        });
        const watch = leaderboard.watch({ limit: 3 }, {
            top: () => heard.push("top"),
            me: ({ score }) => heard.push(score),
        });
        await own("top");
        await leaderboard.playAsGuest();
        await own(null);
        await leaderboard.submit(10);
        await own(10);
        watch.close();
        return heard;
    }""")
    assert heard[0] == "top"
    streams = losing_open.asked("/api/leaderboard/boards/main/live")
    assert "authorization" not in streams[0].headers
    assert "authorization" in streams[-1].headers
