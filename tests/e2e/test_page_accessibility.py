"""Every screen of the page, held against the rules of axe (WCAG and its own good practice): light and dark, on a phone and on a
desktop.
"""

import re
from typing import Literal

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from services.local import ROOT
from tests.e2e.visitor import (
    create_account,
    dialog,
    expect_signed_in,
    expect_signed_out,
    own_row,
    place,
    refuse_stream,
    submit_score,
)
from tests.system import PASSWORD

AXE = ROOT / "tests/frontend/node_modules/axe-core/axe.min.js"
VIOLATIONS = """async () => (await axe.run()).violations
    .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}`))"""
Scheme = Literal["light", "dark"]
# Colours are of the scheme, and what is where is of the width: each of either once.
LOOKS: tuple[tuple[int, Scheme], ...] = ((360, "light"), (1280, "dark"))


class Auditor:
    """Holds what a page shows against all of axe's rules."""

    def __init__(self, page: Page) -> None:
        assert AXE.exists(), "axe-core is not installed: `make lint` does it"
        self._page = page
        self.violations: list[str] = []

    async def look(self, screen: str) -> None:
        """Note what breaks a rule, and go on: one run names all of it."""
        if not await self._page.evaluate("'axe' in window"):
            await self._page.evaluate(AXE.read_text(encoding="utf-8"))
        for width, scheme in LOOKS:
            await self._page.set_viewport_size({"width": width, "height": 800})
            await self._page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = await self._page.evaluate(VIOLATIONS)
            self.violations += [f"{screen}, {width} {scheme}: {violation}" for violation in found]


@pytest.fixture
async def page(context: BrowserContext) -> Page:
    """A page that is not open yet, and on which nothing moves."""
    page = await context.new_page()
    await page.emulate_media(reduced_motion="reduce")
    return page


async def test_what_a_visitor_sees_breaks_no_rule(page: Page, crowd: list[str]) -> None:
    auditor = Auditor(page)
    await page.goto("/")
    await expect_signed_out(page)
    await expect(place(page)).to_have_text(re.compile("^Page 1 of "))
    await auditor.look("the board")
    await submit_score(page, "1.5")
    await auditor.look("a bad score")
    await page.get_by_role("button", name="Start the clock").click()
    await auditor.look("the running game")
    await page.get_by_role("button", name="Stop").click()
    await auditor.look("the end of the game")

    await page.get_by_role("button", name="Create account").click()
    await auditor.look("signing up")
    await dialog(page).get_by_label("Username").filter(visible=True).fill("two  spaces")
    password = dialog(page).get_by_role("textbox", name="Password").filter(visible=True)
    await password.fill("horse battery")
    await password.press("Enter")
    await expect(dialog(page).locator(".field-error:visible")).to_have_count(1)
    await auditor.look("signing up with a bad name")
    await page.get_by_role("button", name="Sign in instead").click()
    await auditor.look("signing in")
    await page.get_by_role("button", name="Forgot your password?").click()
    await auditor.look("a forgotten password")
    await page.get_by_role("button", name="Set new password").click()
    await expect(dialog(page).locator(".field-error:visible")).to_have_count(1)
    await auditor.look("a forgotten password without a code")
    assert auditor.violations == []


async def test_what_a_player_sees_breaks_no_rule(page: Page, crowd: list[str]) -> None:
    auditor = Auditor(page)
    await page.goto("/")
    username = await create_account(page)
    await expect_signed_in(page, username)
    await expect(page.get_by_role("region", name="You")).to_contain_text("No rank yet")
    await auditor.look("no rank yet")
    await submit_score(page, "7")
    await expect(page.get_by_text("7 points added.")).to_be_visible()
    await page.get_by_role("button", name="Jump to my rank").click()
    await expect(own_row(page)).to_be_focused()
    await auditor.look("the own row")

    await page.get_by_role("button", name="Your account").click()
    for section in ("Name", "Password", "Recovery codes", "Devices", "Your data", "Delete account"):
        toggle = dialog(page).get_by_role("heading", name=re.compile(f"^{section}")).get_by_role("button")
        await toggle.click()
        await expect(toggle).to_have_attribute("aria-expanded", "true")
        if section == "Devices":
            await expect(dialog(page).get_by_role("listitem")).to_have_count(1)
        if section == "Recovery codes":
            await auditor.look("the account: no recovery codes")
            await dialog(page).get_by_role("textbox", name="Your password").fill(PASSWORD)
            await dialog(page).get_by_role("button", name="Make 8 new codes").click()
            await expect(dialog(page).get_by_role("list", name="Your recovery codes").get_by_role("listitem")).to_have_count(8)
        await auditor.look(f"the account: {section}")
    await dialog(page).get_by_role("button", name="Delete my account").click()
    await auditor.look("the account: a missing password")
    assert auditor.violations == []


async def test_what_shows_when_something_fails_breaks_no_rule(page: Page, context: BrowserContext) -> None:
    auditor = Auditor(page)
    await page.goto("/")
    username = await create_account(page)
    await expect_signed_in(page, username)
    await context.set_offline(True)
    await submit_score(page, "7")
    await expect(page.get_by_text("Your 7 points will be sent when you are back.")).to_be_visible()
    await expect(page.get_by_role("button", name="Try now")).to_be_visible()
    await auditor.look("offline")
    await context.set_offline(False)
    await expect(page.get_by_text("7 points added.")).to_be_visible()

    async def answer_with_nobody(route: Route) -> None:
        await route.fulfill(json={"top": [], "limit": 10, "offset": 0, "total_players": 0})

    await refuse_stream(page)
    await page.route("**/boards/main/top?*", answer_with_nobody)
    await page.goto("/")
    await expect(page.get_by_text("Nobody is on the board yet")).to_be_visible()
    await auditor.look("an empty board")

    await page.route("**/scripts/*.js", lambda route: route.abort("internetdisconnected"))
    await page.goto("/")
    await auditor.look("before the scripts have come")
    await expect(page.get_by_role("link", name="Load the page again")).to_be_visible()
    await auditor.look("without scripts")
    assert auditor.violations == []


async def test_the_answer_for_what_is_not_there_breaks_no_rule(browser: Browser, gateway_url: str) -> None:
    async with await browser.new_context(base_url=gateway_url) as context:
        page = await context.new_page()
        auditor = Auditor(page)
        await page.goto("/nowhere")
        await auditor.look("not found")
    assert auditor.violations == []
