"""Playing as a guest on the page, and keeping the account."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from playwright.async_api import Page, Request, Route, expect

from tests.e2e.visitor import (
    dialog,
    expect_signed_in,
    expect_signed_out,
    expect_wrong,
    new_name,
    own_row,
    section_toggle,
    sign_in,
    submit_score,
    unfold,
)
from tests.system import PASSWORD, sign_up


@pytest.fixture
async def client(gateway_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        yield client


async def play(page: Page) -> str:
    """Play as a guest; gives the name."""
    await page.get_by_role("region", name="You").get_by_role("button", name="Play as guest").click()
    await expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()
    name = await page.get_by_role("button", name="Your account").locator("bdi").text_content()
    assert name is not None
    assert re.fullmatch(r"([A-Z][a-z]+){2}[0-9]+", name)
    return name


async def keep(page: Page, username: str | None = None, password: str = PASSWORD) -> None:
    if username is not None:
        await dialog(page).get_by_label("Username").filter(visible=True).fill(username)
    field = dialog(page).get_by_role("textbox", name="Password").filter(visible=True)
    await field.fill(password)
    await field.press("Enter")


async def test_a_guest_plays_and_keeps_the_account_with_its_scores(page: Page, client: httpx.AsyncClient) -> None:
    guest = await play(page)
    await expect(page.get_by_role("heading", name="Your rank")).to_be_focused()
    await submit_score(page, "800000000")
    await expect(own_row(page)).to_contain_text(guest)
    await page.reload()
    await expect_signed_in(page, guest)

    await page.get_by_role("button", name="Keep this account").click()
    await expect(dialog(page).get_by_role("heading", name="Keep this account")).to_be_visible()
    await expect(dialog(page).get_by_label("Username").filter(visible=True)).to_have_value(guest)
    name = new_name()
    await keep(page, name)
    await expect_signed_in(page, name)
    await expect(own_row(page)).to_contain_text(name)
    await expect(page.get_by_role("region", name="You").get_by_role("definition")).to_have_text("800,000,000")
    await expect(page.get_by_role("button", name="Keep this account")).to_have_count(0)

    await page.get_by_role("button", name="Sign out", exact=True).click()
    await expect_signed_out(page)
    await sign_in(page, name)
    await expect_signed_in(page, name)
    await expect(own_row(page)).to_contain_text(name)


async def test_a_score_that_waits_goes_on_the_board_of_a_guest(page: Page) -> None:
    await submit_score(page, "790000001")
    await expect(dialog(page).get_by_text("790,000,001 points")).to_be_visible()
    await dialog(page).get_by_role("button", name="Play as guest").click()
    await expect(dialog(page)).to_have_count(0)
    await expect(own_row(page)).to_contain_text("790,000,001")


async def test_all_of_it_is_done_by_keyboard(page: Page) -> None:
    await page.get_by_role("region", name="You").get_by_role("button", name="Create account").focus()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("region", name="You").get_by_role("button", name="Play as guest")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Your rank")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Keep this account")).to_be_focused()
    await page.keyboard.press("Enter")
    field = dialog(page).get_by_role("textbox", name="Password").filter(visible=True)
    await expect(field).to_be_focused()
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Your rank")).to_be_focused()
    await expect(page.get_by_role("button", name="Keep this account")).to_have_count(0)


async def test_what_is_wrong_is_told_at_its_field(page: Page, client: httpx.AsyncClient) -> None:
    taken = new_name()
    await sign_up(client, taken)
    guest = await play(page)
    await page.get_by_role("button", name="Keep this account").click()
    username = dialog(page).get_by_label("Username").filter(visible=True)
    password = dialog(page).get_by_role("textbox", name="Password").filter(visible=True)
    await keep(page, taken)
    await expect_wrong(username, "^That name is taken, or was until lately.")
    await keep(page, guest, "short")
    await expect_wrong(password, "^A password has at least 8 characters.")
    await keep(page, "", PASSWORD)
    await expect_wrong(username, "^Enter a username.")
    await expect_signed_in(page, guest)


async def test_a_guest_is_asked_before_the_account_is_out_of_reach(page: Page) -> None:
    guest = await play(page)
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await expect(dialog(page).get_by_text("nobody can come back to this guest")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect_signed_in(page, guest)
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await dialog(page).get_by_role("button", name="Sign out for good").click()
    await expect_signed_out(page)
    await expect(page.get_by_role("region", name="You").get_by_role("button", name="Play as guest")).to_be_visible()


async def test_a_guest_deletes_the_account_without_a_password_and_has_none_to_change(page: Page) -> None:
    guest = await play(page)
    await submit_score(page, "780000000")
    await expect(own_row(page)).to_contain_text(guest)
    await page.get_by_role("button", name="Your account").click()
    await expect(section_toggle(page, "Name")).to_be_visible()
    await expect(section_toggle(page, "Password")).to_have_count(0)
    await unfold(page, "Delete account")
    await expect(dialog(page).get_by_role("textbox")).to_have_count(0)
    await dialog(page).get_by_role("button", name="Delete my account").click()
    await expect(page.get_by_role("heading", name="Your account is deleted")).to_be_focused()
    await expect(page.get_by_role("table").get_by_text(guest)).to_have_count(0)


async def test_a_refusal_is_told_where_the_other_ways_in_are(page: Page) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=429, body="Too Many Requests")

    await page.route("**/auth/guest", refuse)
    await page.get_by_role("region", name="You").get_by_role("button", name="Play as guest").click()
    await expect(dialog(page).get_by_role("alert").filter(visible=True)).to_contain_text("Too many attempts in a row")
    await page.unroute("**/auth/guest")
    await dialog(page).get_by_role("button", name="Play as guest").click()
    await expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()


async def keep_twice(page: Page, name: str, lose: Callable[[Route], Awaitable[None]]) -> None:
    """Keep the account: ``lose`` loses the first answer, and the player tries again."""
    await page.route("**/auth/me/credentials", lose)
    await page.get_by_role("button", name="Keep this account").click()
    await keep(page, name)
    await expect(dialog(page).get_by_role("alert").filter(visible=True)).to_contain_text("The server is not answering")
    await page.unroute("**/auth/me/credentials")
    await dialog(page).get_by_role("textbox", name="Password").filter(visible=True).press("Enter")


async def test_an_account_that_was_kept_while_the_answer_was_lost_is_signed_in_to(page: Page) -> None:
    await play(page)
    name = new_name()
    lost: list[Request] = []

    async def lose(route: Route) -> None:
        lost.append(route.request)
        sent = route.request
        async with httpx.AsyncClient() as client:  # else the browser would have the cookie of the answer
            answer = await client.post(sent.url, content=sent.post_data, headers=await sent.all_headers())
            assert answer.status_code == 200
        await route.abort("internetdisconnected")

    await keep_twice(page, name, lose)
    await expect(dialog(page).get_by_text("If you have chosen a password already, sign in with it.")).to_be_visible()
    await dialog(page).get_by_label("Username").filter(visible=True).fill(name)
    field = dialog(page).get_by_role("textbox", name="Password").filter(visible=True)
    await field.fill(PASSWORD)
    await field.press("Enter")
    await expect_signed_in(page, name)
    assert len(lost) == 1


async def test_what_another_try_has_kept_is_kept(page: Page) -> None:
    await play(page)
    name = new_name()

    async def lose(route: Route) -> None:
        await route.fetch()  # whose cookie the browser has
        await route.abort("internetdisconnected")

    await keep_twice(page, name, lose)
    await expect_signed_in(page, name)
    await expect(page.get_by_role("button", name="Keep this account")).to_have_count(0)
