"""Staying signed in, in one tab and in several, and what the page does when the network or the session fails."""

import asyncio
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, Page, Request, Route, expect

from services.local.stack import Stack
from tests.e2e.visitor import create_account, dialog, expect_signed_in, expect_signed_out, fill_in, sign_in, submit_score
from tests.system import PASSWORD


async def refuse(route: Route) -> None:
    """Answer as the leaderboard does when the access token has expired."""
    await route.fulfill(status=401, content_type="application/problem+json", body='{"type": "urn:problem:unauthenticated"}')


async def test_a_reload_keeps_the_player_signed_in(page: Page) -> None:
    username = await create_account(page)
    await expect_signed_in(page, username)
    await page.reload()
    await expect_signed_in(page, username)


async def test_a_reload_while_the_session_is_being_renewed_keeps_the_player_signed_in(page: Page, stack: Stack) -> None:
    """The page is gone before the answer with the next cookie has come; the one after it must not send the old cookie."""
    username = await create_account(page)
    await expect_signed_in(page, username)
    with closing(stack.mysql.connect(database="leaderboard")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM refresh_tokens FOR UPDATE")
        async with page.expect_request("**/auth/refresh"):
            await page.reload()
        await page.reload()
        connection.rollback()
    await expect_signed_in(page, username)


async def test_a_reload_shows_the_own_rank_without_asking_for_it(page: Page) -> None:
    username = await create_account(page)
    await expect_signed_in(page, username)
    await submit_score(page, "870")
    await expect(page.get_by_text("870 points added.")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/rank/me" in request.url else None)
    await page.reload()
    await expect(page.get_by_role("region", name="You")).to_contain_text(re.compile(r"\d(st|nd|rd|th)"))
    assert asked == []


async def test_signing_in_elsewhere_shows_the_own_rank_at_once(page: Page, context: BrowserContext) -> None:
    """Without waiting for the next look at the board: this tab's clock stands still."""
    username = await create_account(page)
    await expect_signed_in(page, username)
    await submit_score(page, "870")
    await expect(page.get_by_text("870 points added.")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect_signed_out(page)

    still = await context.new_page()
    await still.clock.install()
    await still.goto("/")
    await expect_signed_out(still)
    await still.clock.pause_at(datetime.now(UTC) + timedelta(seconds=8))
    await sign_in(page, username)
    await expect_signed_in(still, username)
    await expect(still.get_by_role("region", name="You")).to_contain_text(re.compile(r"\d(st|nd|rd|th)"))


async def test_a_player_signs_out_and_in_again(page: Page) -> None:
    username = await create_account(page)
    await page.get_by_role("button", name="Sign out").click()
    await expect_signed_out(page)
    await page.reload()
    await expect_signed_out(page)
    await sign_in(page, username)
    await expect_signed_in(page, username)


async def test_tokens_are_kept_from_storage_and_from_scripts(page: Page) -> None:
    async with page.expect_response("**/auth/login") as login:
        username = await create_account(page)
    await expect_signed_in(page, username)
    token = (await (await login.value).json())["access_token"]
    stored = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert token not in stored
    assert "eyJ" not in stored
    cookies = {cookie["name"]: cookie for cookie in await page.context.cookies(page.url + "auth/refresh")}
    port = urlsplit(page.url).port
    assert cookies[f"refresh_token_{port}"]["httpOnly"] is True
    assert cookies[f"refresh_token_{port}"]["sameSite"] == "Strict"
    assert await page.evaluate("document.cookie") == f"signed_in_{port}=1"


async def test_where_nobody_is_signed_in_no_token_is_asked_for(page: Page, stack: Stack) -> None:
    """Not at a first visit, nor after signing out, nor more than once when the session has ended elsewhere."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/auth/" in request.url else None)

    async def reload() -> None:
        await page.reload()
        await expect_signed_out(page)
        await expect(page.get_by_text("Live", exact=True)).to_be_visible()

    await reload()
    assert asked == []
    username = await create_account(page)
    await expect_signed_in(page, username)
    await page.get_by_role("button", name="Sign out").click()
    await expect_signed_out(page)
    asked.clear()
    await reload()
    assert asked == []

    await sign_in(page, username)
    await expect_signed_in(page, username)
    with closing(stack.mysql.connect(database="leaderboard", autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE f FROM refresh_families f JOIN users u ON u.id = f.user_id WHERE u.username = %s", (username,))
    asked.clear()
    await reload()
    await reload()
    assert [urlsplit(url).path for url in asked] == ["/auth/refresh"]


async def test_a_session_from_before_the_page_was_told_of_it_is_found_when_signing_in(page: Page) -> None:
    """The refresh cookie has the name that it had then, and there is no other."""
    username = await create_account(page)
    await expect_signed_in(page, username)
    name = f"refresh_token_{urlsplit(page.url).port}"
    [own] = [cookie for cookie in await page.context.cookies(page.url + "auth/refresh") if cookie["name"] == name]
    await page.context.clear_cookies()
    await page.context.add_cookies(
        [{"name": "refresh_token", "value": own["value"], "domain": own["domain"], "path": "/auth", "httpOnly": True}]
    )
    await page.reload()
    await expect_signed_out(page)
    await page.get_by_role("banner").get_by_role("button", name="Sign in").click()
    await expect_signed_in(page, username)
    await expect(dialog(page)).to_be_hidden()
    await page.reload()
    await expect_signed_in(page, username)


async def test_tabs_share_who_is_signed_in(page: Page, context: BrowserContext) -> None:
    username = await create_account(page)
    await expect_signed_in(page, username)
    second = await context.new_page()
    await second.goto("/")
    await expect_signed_in(second, username)
    await expect_signed_in(page, username)
    await second.get_by_role("button", name="Sign out").click()
    await expect_signed_out(second)
    await expect_signed_out(page)


async def test_an_expired_access_token_is_renewed_unseen(page: Page) -> None:
    username = await create_account(page)
    await expect_signed_in(page, username)
    refreshes: list[str] = []
    page.on("request", lambda request: refreshes.append(request.url) if request.url.endswith("/auth/refresh") else None)

    await page.route("**/api/leaderboard/submit", refuse, times=1)
    await submit_score(page, "12")
    await expect(page.get_by_text("12 points added.")).to_be_visible()
    assert len(refreshes) == 1


@pytest.mark.parametrize("locks", [True, False], ids=["with locks", "without locks"])
async def test_tabs_that_renew_at_once_all_stay_signed_in(page: Page, context: BrowserContext, *, locks: bool) -> None:
    """Each renewal uses up the cookie they share. Browsers keep locks from pages that come over plain http from elsewhere."""
    if not locks:
        await context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })")
        await page.reload()
        assert await page.evaluate("navigator.locks") is None
    username = await create_account(page)
    await expect_signed_in(page, username)
    tabs = [page, *[await context.new_page() for _ in range(2)]]
    for tab in tabs[1:]:
        await tab.goto("/")
        await expect_signed_in(tab, username)

    refused: list[Route] = []
    all_refused = asyncio.Event()

    async def refuse_and_count(route: Route) -> None:
        await refuse(route)
        refused.append(route)
        if len(refused) == len(tabs):
            all_refused.set()

    async def renew_after_all_were_refused(route: Route) -> None:
        await all_refused.wait()
        await route.continue_()

    await context.route("**/auth/refresh", renew_after_all_were_refused)
    for tab in tabs:
        await tab.route("**/api/leaderboard/submit", refuse_and_count, times=1)
    await asyncio.gather(*[submit_score(tab, "5") for tab in tabs])
    for tab in tabs:
        await expect(tab.get_by_text("5 points added.")).to_be_visible()


async def test_a_session_that_ended_asks_to_sign_in_again_and_keeps_the_score(page: Page, context: BrowserContext) -> None:
    username = await create_account(page)
    await expect_signed_in(page, username)

    await context.clear_cookies()
    await page.route("**/api/leaderboard/submit", refuse, times=1)
    await submit_score(page, "77")
    await expect(dialog(page)).to_contain_text("Your session has ended. Sign in again and your 77 points will be added.")
    await fill_in(page, username, PASSWORD)
    await expect(page.get_by_text("77 points added.")).to_be_visible()


async def test_being_offline_is_said_and_heals_by_itself(page: Page, context: BrowserContext) -> None:
    username = await create_account(page)
    await expect_signed_in(page, username)
    await context.set_offline(True)
    await expect(page.get_by_text("You are offline.")).to_be_visible()
    await expect_signed_in(page, username)
    await context.set_offline(False)
    await expect(page.get_by_text("You are offline.")).to_be_hidden()


async def test_a_server_that_does_not_answer_is_said_and_tried_again(page: Page) -> None:
    async def unavailable(route: Route) -> None:
        await route.fulfill(status=503, headers={"Retry-After": "1"}, content_type="application/problem+json", body="{}")

    await page.route("**/boards/main/**", unavailable)
    await page.reload()
    await expect(page.get_by_text("The server is not answering right now.")).to_be_visible()
    await page.unroute("**/boards/main/**")
    await expect(page.get_by_text("The server is not answering right now.")).to_be_hidden()
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()


async def test_a_module_lost_on_the_way_is_fetched_again(page: Page) -> None:
    starts = 0

    def count_navigation(request: Request) -> None:
        nonlocal starts
        starts += request.is_navigation_request()

    async def lose_the_first(route: Route) -> None:
        await (route.abort("internetdisconnected") if starts < 2 else route.continue_())

    page.on("request", count_navigation)
    await page.route("**/scripts/board.js", lose_the_first)
    await page.goto("/")
    await expect_signed_out(page)
    assert starts == 2


async def test_an_account_whose_module_was_lost_opens_on_the_page_that_is_loaded_again(page: Page) -> None:
    username = await create_account(page)
    await expect_signed_in(page, username)
    await page.route("**/scripts/settings-dialog.js", lambda route: route.abort("internetdisconnected"), times=1)
    async with page.expect_event("load"):
        await page.get_by_role("button", name="Your account").click()
    await expect_signed_in(page, username)
    await page.get_by_role("button", name="Your account").click()
    await expect(dialog(page)).to_be_visible()


async def test_a_page_that_cannot_start_offers_to_be_loaded_again(context: BrowserContext) -> None:
    page = await context.new_page()
    await page.route("**/scripts/board.js", lambda route: route.abort("internetdisconnected"))
    await page.goto("/")
    await expect(page.get_by_text("This page did not load completely.")).to_be_visible()
    again = page.get_by_role("button", name="Load again")
    await page.unroute("**/scripts/board.js")
    await again.click()
    await expect_signed_out(page)


async def test_a_page_starts_without_the_script_that_watches_over_the_start(page: Page) -> None:
    await page.route("**/scripts/start.js", lambda route: route.abort("internetdisconnected"))
    await page.goto("/")
    await expect_signed_out(page)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()


async def test_a_page_whose_scripts_never_come_does_not_call_itself_live(context: BrowserContext) -> None:
    page = await context.new_page()
    await page.route("**/scripts/*.js", lambda route: route.abort("internetdisconnected"))
    await page.goto("/")
    await expect(page.get_by_role("heading", name="All-time board")).to_be_visible()
    await expect(page.get_by_text("Live", exact=True)).to_be_hidden()


async def test_a_page_whose_scripts_never_come_offers_to_be_loaded_again(context: BrowserContext) -> None:
    page = await context.new_page()
    await page.route("**/scripts/*.js", lambda route: route.abort("internetdisconnected"))
    await page.goto("/")
    again = page.get_by_role("link", name="Load the page again")
    await expect(again).to_be_visible()
    await page.unroute("**/scripts/*.js")
    await again.click()
    await expect_signed_out(page)
    await expect(again).to_be_hidden()
