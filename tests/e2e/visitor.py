"""What a visitor of the page does, and where a visitor looks."""

import re
import secrets

from playwright.async_api import Locator, Page, expect

from tests.system import PASSWORD

LIVE = "**/boards/main/live?*"


def new_name() -> str:
    return f"e2e_{secrets.token_hex(6)}"


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


async def fill_in(page: Page, username: str, password: str) -> None:
    """Fill in the form that is open and send it with Enter."""
    await dialog(page).get_by_label("Username").filter(visible=True).fill(username)
    field = dialog(page).get_by_role("textbox", name="Password").filter(visible=True)
    await field.fill(password)
    await field.press("Enter")


async def create_account(page: Page, username: str | None = None, password: str = PASSWORD) -> str:
    username = new_name() if username is None else username
    await page.get_by_role("button", name="Create account").click()
    await fill_in(page, username, password)
    return username


async def sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    await page.get_by_role("banner").get_by_role("button", name="Sign in").click()
    await fill_in(page, username, password)


async def submit_score(page: Page, score: str) -> None:
    await page.get_by_label("Score", exact=True).fill(score)
    await page.get_by_role("button", name="Submit score").click()


async def expect_signed_in(page: Page, username: str) -> None:
    await expect(page.get_by_role("banner").get_by_text(username)).to_be_visible()
    await expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()


async def expect_signed_out(page: Page) -> None:
    await expect(page.get_by_role("banner").get_by_role("button", name="Sign in")).to_be_visible()


def own_row(page: Page) -> Locator:
    return page.get_by_role("table").locator("tr[aria-current=true]")


def place(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Pages of the board").locator("p")


async def take_clock(page: Page) -> None:
    """Load the page again with timers that `until_much_later` can hasten."""
    await page.clock.install()
    await page.reload()


async def until_much_later(page: Page) -> None:
    """Let all the pauses end in which the page waits for something: it takes its stream for dead then, and asks for another."""
    async with page.expect_request(LIVE):
        await page.clock.fast_forward(60_000)


async def refuse_stream(page: Page) -> None:
    """Have the page go on without a stream."""
    await page.route(LIVE, lambda route: route.fulfill(status=429, content_type="application/problem+json", body="{}"))


async def new_player(page: Page) -> str:
    username = await create_account(page)
    await expect_signed_in(page, username)
    return username


async def unfold(page: Page, section: str) -> None:
    """Open the account at one of its sections."""
    if not await dialog(page).is_visible():
        await page.get_by_role("button", name="Your account").click()
    await section_toggle(page, section).click()


def section_toggle(page: Page, section: str) -> Locator:
    return dialog(page).get_by_role("heading", name=re.compile(f"^{section}")).get_by_role("button")


async def expect_wrong(field: Locator, message: str) -> None:
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_accessible_description(re.compile(message))
    await expect(field).to_be_focused()
