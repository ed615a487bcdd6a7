"""The page in a real browser, on the whole system: with a mouse, by keyboard, on a phone."""

import re
import secrets

import httpx
import pytest
from playwright.async_api import Locator, Page, ViewportSize, expect

from tests.e2e.visitor import (
    create_account,
    dialog,
    expect_signed_in,
    expect_signed_out,
    fill_in,
    new_name,
    own_row,
    place,
    sign_in,
    submit_score,
)
from tests.system import PASSWORD, bearer, sign_up

PHONE: ViewportSize = {"width": 360, "height": 740}


async def test_a_new_player_signs_up_submits_and_stands_on_the_board(page: Page) -> None:
    username = await create_account(page)
    await expect_signed_in(page, username)
    card = page.get_by_role("region", name="You")
    await expect(card).to_contain_text("No rank yet")

    await submit_score(page, "870")
    await expect(page.get_by_text("870 points added.")).to_be_visible()
    await expect(card.get_by_role("definition")).to_have_text("870")
    await expect(card).to_contain_text(re.compile(r"\d(st|nd|rd|th)"))
    await submit_score(page, "130")
    await expect(card.get_by_role("definition")).to_have_text("1,000")

    await card.get_by_role("button", name="Jump to my rank").click()
    await expect(own_row(page)).to_contain_text(username)
    await expect(own_row(page)).to_contain_text("1,000")
    await expect(own_row(page)).to_be_focused()
    await expect(own_row(page)).to_be_in_viewport()


async def test_a_wrong_password_is_said(page: Page) -> None:
    username = await create_account(page)
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, username, "not the password")
    await expect(dialog(page).get_by_role("alert")).to_have_text("That username and password do not match.")
    await expect(dialog(page).get_by_role("textbox", name="Password").filter(visible=True)).to_be_focused()
    await fill_in(page, username, PASSWORD)
    await expect_signed_in(page, username)


async def test_a_taken_name_is_said_next_to_the_field(page: Page) -> None:
    username = await create_account(page)
    await page.get_by_role("button", name="Sign out").click()
    await create_account(page, username.upper())
    field = dialog(page).get_by_label("Username").filter(visible=True)
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_accessible_description(re.compile("^That name is taken."))
    await expect(field).to_be_focused()


@pytest.mark.parametrize(
    ("username", "password", "wrong"),
    [
        ("ab", PASSWORD, "Username"),
        ("two  spaces", PASSWORD, "Username"),
        ("", PASSWORD, "Username"),
        (None, "short", "Password"),
    ],
)
async def test_what_the_rules_forbid_is_said_next_to_the_field(
    page: Page, username: str | None, password: str, wrong: str
) -> None:
    await create_account(page, username, password)
    field = dialog(page).get_by_role("textbox", name=wrong).filter(visible=True)
    await expect(field).to_have_attribute("aria-invalid", "true")
    error = dialog(page).locator(".field-error:visible")
    await expect(error).to_have_count(1)
    await expect(error).to_have_text(re.compile(r"^[A-Z][^:#]+[.!]$"))


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ("", "Enter a score"),
        ("1.5", "whole number"),
        ("-1", "below zero"),
        ("1000000001", "1,000,000,000"),
    ],
)
async def test_a_bad_score_is_said_next_to_the_field(page: Page, score: str, message: str) -> None:
    await submit_score(page, score)
    field = page.get_by_label("Score", exact=True)
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_accessible_description(re.compile(message))
    await expect(field).to_be_focused()


async def test_a_board_that_moves_takes_no_message_away(page: Page, gateway_url: str) -> None:
    await expect_signed_out(page)
    await submit_score(page, "1.5")
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        token = await sign_up(client, username := new_name())
        await client.post("/api/leaderboard/submit", json={"score": 600_000}, headers=bearer(token))
    await expect(page.get_by_role("table").get_by_text(username)).to_be_visible()
    await expect(page.get_by_label("Score", exact=True)).to_have_attribute("aria-invalid", "true")


async def test_a_score_from_before_signing_up_is_added_afterwards(page: Page) -> None:
    await expect_signed_out(page)
    await submit_score(page, "321")
    await expect(dialog(page)).to_contain_text("Your 321 points will go on the board")
    await fill_in(page, new_name(), PASSWORD)
    await expect(page.get_by_text("321 points added.")).to_be_visible()


async def test_the_game_is_played_with_one_key_and_offers_its_score(page: Page) -> None:
    toggle = page.get_by_role("button", name="Start the clock")
    await toggle.focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="Stop")).to_be_focused()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="Play again")).to_be_focused()
    await expect(page.get_by_text(re.compile(r"ms early: [\d,]+ points?"))).to_be_visible()
    await expect(page.get_by_label("Score", exact=True)).to_have_value(re.compile(r"^\d+$"))


async def test_anybody_turns_the_pages_of_the_board(page: Page, crowd: list[str]) -> None:
    await page.reload()
    pages = page.get_by_role("navigation", name="Pages of the board")
    rows = page.get_by_role("table").locator("tbody tr:not(.waiting-row)")
    await expect(place(page)).to_have_text(re.compile("^Page 1 of "))
    await expect(pages.get_by_role("button", name="Previous page")).to_have_attribute("aria-disabled", "true")
    await expect(rows).to_have_count(10)
    first = await rows.first.inner_text()

    await pages.get_by_role("button", name="Next page").click()
    await expect(place(page)).to_have_text(re.compile("^Page 2 of "))
    await expect(rows.first).not_to_have_text(first)
    await page.reload()
    await expect(place(page)).to_have_text(re.compile("^Page 2 of "))
    await page.go_back()
    await expect(place(page)).to_have_text(re.compile("^Page 1 of "))

    await pages.get_by_role("button", name="Last page").click()
    await expect(place(page)).to_have_text(re.compile(r"^Page ([\d,]+) of \1$"))
    await expect(pages.get_by_role("button", name="Next page")).to_have_attribute("aria-disabled", "true")
    await pages.get_by_role("button", name="First page").click()
    await expect(place(page)).to_have_text(re.compile("^Page 1 of "))


async def test_a_page_past_the_end_shows_the_last(page: Page, crowd: list[str]) -> None:
    await page.goto("/?page=200000000")
    await expect(place(page)).to_have_text(re.compile(r"^Page ([\d,]+) of \1$"))


async def test_jumping_to_the_own_rank_finds_the_row_among_equals(page: Page, crowd: list[str]) -> None:
    """Twelve others with the same score came first: the row is not on the page that its rank begins."""
    username = await create_account(page)
    await expect_signed_in(page, username)
    await submit_score(page, "7")
    await expect(page.get_by_text("7 points added.")).to_be_visible()
    await page.get_by_role("button", name="Jump to my rank").click()
    await expect(own_row(page)).to_be_focused()
    await expect(own_row(page)).to_contain_text(username)
    await expect(place(page)).not_to_have_text(re.compile("^Page 1 of "))


async def test_scores_of_others_appear_by_themselves(page: Page, gateway_url: str) -> None:
    username = await create_account(page)
    await expect_signed_in(page, username)
    await submit_score(page, "1")
    await expect(page.get_by_text("1 point added.")).to_be_visible()
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        answer = await client.post("/auth/login", json={"username": username, "password": PASSWORD})
        token = answer.json()["access_token"]
        await client.post("/api/leaderboard/submit", json={"score": 41}, headers=bearer(token))
    await expect(page.get_by_role("region", name="You").get_by_role("definition")).to_have_text("42")


async def test_everything_works_by_keyboard_alone(page: Page) -> None:
    async def tab_to(target: Locator) -> None:
        for _ in range(30):
            await page.keyboard.press("Tab")
            if await target.evaluate("element => element === document.activeElement"):
                return
        pytest.fail(f"Tab does not reach {target}")

    await expect_signed_out(page)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the board")).to_be_focused()
    await tab_to(page.get_by_role("button", name="Create account"))
    await page.keyboard.press("Enter")
    await page.keyboard.type(username := new_name())
    await tab_to(dialog(page).get_by_role("textbox", name="Password").filter(visible=True))
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect_signed_in(page, username)
    await expect(page.get_by_role("heading", name="Your rank")).to_be_focused()
    await tab_to(page.get_by_label("Score", exact=True))
    await page.keyboard.type("55")
    await tab_to(page.get_by_role("button", name="Submit score"))
    await page.keyboard.press("Space")
    await expect(page.get_by_text("55 points added.")).to_be_visible()


async def test_escape_closes_the_form_and_gives_the_focus_back(page: Page) -> None:
    opener = page.get_by_role("button", name="Create account")
    await opener.press("Enter")
    await expect(dialog(page)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog(page)).to_be_hidden()
    await expect(opener).to_be_focused()


async def test_nothing_overflows_on_a_phone(page: Page, crowd: list[str]) -> None:
    async def expect_no_overflow() -> None:
        wide = await page.evaluate(
            """() => [document.documentElement, ...document.querySelectorAll("main *, header *, dialog *")]
                .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
                .filter((element) => !element.closest(".standing-card, .visually-hidden"))
                .map((element) => element.outerHTML.slice(0, 120))"""
        )
        assert wide == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    await page.set_viewport_size(PHONE)
    await page.goto("/")
    await expect(page.get_by_role("table").locator(".player-row").first).to_be_visible()
    await expect_no_overflow()
    await page.get_by_role("button", name="Create account").click()
    await expect_no_overflow()
    await fill_in(page, "W" * 20 + secrets.token_hex(6), PASSWORD)
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    for _ in range(3):
        await submit_score(page, "1000000000")
        await expect(page.get_by_text("1,000,000,000 points added.")).to_be_visible()
    await page.get_by_role("button", name="Jump to my rank").click()
    await expect(own_row(page)).to_be_focused()
    await expect_no_overflow()


async def test_the_footer_leads_to_both_api_documents(page: Page) -> None:
    for name in ("Accounts API", "Leaderboard API"):
        await page.goto("/")
        await page.get_by_role("link", name=name).click()
        await expect(page.locator("#swagger-ui .info .title")).to_be_visible()
