"""The account on the page: signing up with help, guessing refused, devices, password, name, data."""

import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, Route, expect

from tests.e2e.conftest import PATIENCE_MS
from tests.e2e.visitor import (
    dialog,
    expect_signed_in,
    expect_signed_out,
    expect_wrong,
    fill_in,
    new_name,
    new_player,
    own_row,
    section_toggle,
    sign_in,
    submit_score,
    unfold,
)
from tests.system import PASSWORD, sign_up

NEW_PASSWORD = "a longer horse battery"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
async def phone(browser: Browser, gateway_url: str) -> AsyncIterator[Page]:
    """The page on another device of the same person."""
    context = await browser.new_context(base_url=gateway_url, user_agent=IPHONE)
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    await page.goto("/")
    yield page
    await context.close()


@pytest.fixture
async def client(gateway_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        yield client


def devices(page: Page) -> Locator:
    return dialog(page).get_by_role("list", name="Your devices").get_by_role("listitem")


async def change_password(page: Page, current: str, new: str) -> None:
    await dialog(page).get_by_role("textbox", name="Current password").fill(current)
    field = dialog(page).get_by_role("textbox", name="New password")
    await field.fill(new)
    await field.press("Enter")


async def change_name(page: Page, username: str) -> None:
    field = dialog(page).get_by_label("New name")
    await field.fill(username)
    await field.press("Enter")


async def test_a_new_password_is_rated_while_it_is_typed(page: Page) -> None:
    await page.get_by_role("button", name="Create account").click()
    await dialog(page).get_by_label("Username").filter(visible=True).fill("grace.hopper")
    field = dialog(page).get_by_role("textbox", name="Password").filter(visible=True)
    hint = dialog(page).get_by_role("status").filter(visible=True)
    for password, words in (
        ("horse", "Too short so far"),
        ("P@ssw0rd123!", "Easy to guess. Add a word or two."),
        ("gracehopper1!", "Could be stronger. One more word helps."),
        ("Grace.Hopper1", "Easy to guess. Add a word or two."),
        ("aaaaaaaaaaaaaaaaaaaa", "Easy to guess. Add a word or two."),
        ("qwertyuiop123456", "Easy to guess. Add a word or two."),
        ("correct horse battery", "Good"),
        ("correct horse battery staple", "Strong"),
        ("kX9$mQ2p!vR7", "Strong"),
    ):
        await field.fill(password)
        await expect(hint).to_have_text(words)
    await field.fill("")
    await expect(hint).to_have_count(0)


async def test_a_password_can_be_looked_at_and_is_hidden_when_it_is_sent(page: Page) -> None:
    await page.get_by_role("button", name="Create account").click()
    field = dialog(page).get_by_role("textbox", name="Password").filter(visible=True)
    await field.fill("short")
    await dialog(page).get_by_role("button", name="Show password").filter(visible=True).click()
    await expect(field).to_have_attribute("type", "text")
    await field.press("Enter")
    await expect(field).to_have_attribute("type", "password")


async def test_password_managers_are_told_what_each_field_is(page: Page) -> None:
    async def fields(form: str) -> list[list[str]]:
        found: list[list[str]] = await page.evaluate(
            "form => [...document.querySelector(form).elements].filter((each) => each.autocomplete)"
            ".map((each) => [each.autocomplete, each.value])",
            form,
        )
        return found

    username = await new_player(page)
    await page.get_by_role("button", name="Your account").click()
    await expect(dialog(page)).to_be_visible()
    # Forms about a password name its account, unseen, so that the right entry is offered and changed.
    passwords = [["current-password", ""], ["new-password", ""]]
    assert await fields("form[data-part=password-form]") == [["username", username], *passwords]
    assert await fields("form[data-part=deletion-form]") == [["username", username], ["current-password", ""]]
    assert await fields("form[data-part=name-form]") == [["username", username]]
    assert await fields("[data-part=recovery] form") == [["username", username], ["current-password", ""]]
    assert await fields("form[data-part=recover]") == [["username", ""], ["off", ""], ["new-password", ""]]
    assert await fields("form[data-part=sign-up]") == [["username", ""], ["new-password", ""]]
    assert await fields("form[data-part=sign-in]") == [["username", ""], ["current-password", ""]]


async def test_a_password_manager_is_led_to_the_change_of_the_password(page: Page) -> None:
    username = await new_player(page)
    await page.goto("/.well-known/change-password")
    await expect(section_toggle(page, "Password")).to_have_attribute("aria-expanded", "true")
    await expect(dialog(page).get_by_role("textbox", name="Current password")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Sign out").click()
    await expect_signed_out(page)

    await page.goto("/.well-known/change-password")
    await expect(dialog(page)).to_contain_text("Sign in to change your password.")
    await fill_in(page, username, PASSWORD)
    await expect(dialog(page).get_by_role("textbox", name="Current password")).to_be_visible()


async def test_too_many_wrong_passwords_are_told_with_when_to_try_again(page: Page, client: httpx.AsyncClient) -> None:
    username = new_name()
    await sign_up(client, username)
    client.cookies.clear()  # a stranger's guesses, not those of a browser that has signed in
    wrong = {"username": username, "password": "not the password"}
    while (answer := await client.post("/auth/login", json=wrong)).status_code == 401:
        pass
    assert answer.status_code == 429
    await sign_in(page, username)
    alert = dialog(page).get_by_role("alert").filter(visible=True)
    await expect(alert).to_have_text(re.compile(r"^Too many wrong passwords in a row\. Try again in \d+ (second|minute)s?\.$"))
    await expect(dialog(page).get_by_text(re.compile(r"^Try again in \d+:\d\d$"))).to_be_visible()
    button = dialog(page).get_by_role("button", name="Sign in", exact=True)
    await expect(button).to_have_attribute("aria-disabled", "true")

    # Another name is another account, which nobody has guessed at.
    await dialog(page).get_by_label("Username").filter(visible=True).fill(new_name())
    await expect(alert).to_have_count(0)
    await expect(button).to_have_attribute("aria-disabled", "false")

    await fill_in(page, username, PASSWORD)
    await expect(dialog(page).get_by_text("You can try again now.")).to_be_visible()
    await fill_in(page, username, PASSWORD)
    await expect_signed_in(page, username)


async def test_a_device_that_is_signed_out_here_is_signed_out_there(page: Page, phone: Page) -> None:
    username = await new_player(page)
    await sign_in(phone, username)
    await expect_signed_in(phone, username)

    await unfold(page, "Devices")
    await expect(devices(page)).to_have_count(2)
    own = dialog(page).locator("li[aria-current=true]")
    await expect(own).to_contain_text("Chrome on Linux")
    await expect(own.get_by_text("This device")).to_be_visible()
    await expect(own.get_by_role("button")).to_have_count(0)
    await expect(devices(page).first).to_have_attribute("aria-current", "true")  # although the other was used later
    other = devices(page).filter(has_text="Safari on iPhone")
    await expect(other).to_contain_text(re.compile(r"Last used just now from (127\.0\.0\.1|::1)"))
    await other.get_by_role("button", name="Sign out Safari on iPhone").press("Enter")
    await expect(devices(page)).to_have_count(1)
    await expect(dialog(page).get_by_text("Safari on iPhone is signed out.")).to_be_visible()
    # The button is gone, the keyboard is not lost.
    await expect(dialog(page).get_by_role("list", name="Your devices")).to_be_focused()

    await phone.reload()
    await expect_signed_out(phone)


async def test_all_other_devices_are_signed_out_at_once(page: Page, client: httpx.AsyncClient) -> None:
    username = await new_player(page)
    for _ in range(2):
        answer = await client.post("/auth/login", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 200
    await unfold(page, "Devices")
    await expect(devices(page)).to_have_count(3)
    await expect(devices(page).filter(has_text="python-httpx")).to_have_count(2)
    everywhere_else = dialog(page).get_by_role("button", name="Sign out all other devices")
    await everywhere_else.click()
    await expect(devices(page)).to_have_count(1)
    await expect(everywhere_else).to_be_hidden()
    await page.reload()
    await expect_signed_in(page, username)


async def test_a_changed_password_signs_the_other_devices_out(page: Page, phone: Page, client: httpx.AsyncClient) -> None:
    username = await new_player(page)
    await sign_in(phone, username)
    await expect_signed_in(phone, username)

    await unfold(page, "Password")
    await change_password(page, "not the password", NEW_PASSWORD)
    await expect_wrong(dialog(page).get_by_role("textbox", name="Current password"), "^That is not your password.")
    await change_password(page, PASSWORD, "short")
    await expect_wrong(dialog(page).get_by_role("textbox", name="New password"), "at least 8 characters")
    await change_password(page, PASSWORD, NEW_PASSWORD)
    await expect(dialog(page).get_by_text("Your password is changed.")).to_be_visible()
    await expect(dialog(page).get_by_role("textbox", name="New password")).to_have_value("")

    await phone.reload()
    await expect_signed_out(phone)
    await page.reload()
    await expect_signed_in(page, username)
    for password, status in ((PASSWORD, 401), (NEW_PASSWORD, 200)):
        answer = await client.post("/auth/login", json={"username": username, "password": password})
        assert answer.status_code == status


async def test_the_board_and_other_tabs_show_a_new_name_at_once(
    page: Page, context: BrowserContext, client: httpx.AsyncClient
) -> None:
    before = await new_player(page)
    await submit_score(page, "500000")
    await expect(page.get_by_text("500,000 points added.")).to_be_visible()
    tab = await context.new_page()
    await tab.goto("/")
    await expect_signed_in(tab, before)
    await sign_up(client, taken := new_name())

    await unfold(page, "Name")
    await change_name(page, before)
    await expect_wrong(dialog(page).get_by_label("New name"), "^That is your name already.")
    await change_name(page, taken)
    await expect_wrong(dialog(page).get_by_label("New name"), "^That name is taken")
    after = new_name()
    await change_name(page, after)
    await expect(dialog(page).get_by_text(f"You are {after} now.")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect_signed_in(page, after)
    await expect_signed_in(tab, after)
    await page.get_by_role("button", name="Jump to my rank").click()
    await expect(own_row(page)).to_contain_text(after)
    await page.reload()
    await expect_signed_in(page, after)


async def test_a_board_that_missed_the_new_name_is_told_again(page: Page) -> None:
    await new_player(page)
    await submit_score(page, "600000")
    await expect(page.get_by_text("600,000 points added.")).to_be_visible()

    async def unavailable(route: Route) -> None:
        await route.fulfill(status=503, headers={"Retry-After": "1"}, content_type="application/problem+json", body="{}")

    await page.route("**/api/leaderboard/me", unavailable, times=1)
    await unfold(page, "Name")
    await change_name(page, after := new_name())
    await expect(dialog(page).get_by_text(f"You are {after} now.")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("table").get_by_text(after)).to_be_visible()


async def test_a_person_saves_all_that_is_kept_of_them(page: Page) -> None:
    username = await new_player(page)
    await submit_score(page, "870")
    await expect(page.get_by_text("870 points added.")).to_be_visible()
    await unfold(page, "Your data")
    for button, name, mark in (("Download account", "account.json", username), ("Download games", "leaderboard.json", "870")):
        async with page.expect_download() as download:
            await dialog(page).get_by_role("button", name=button).click()
        file = await download.value
        assert file.suggested_filename == name
        assert mark in json.dumps(json.loads((await file.path()).read_text(encoding="utf-8")))
        await expect(dialog(page).get_by_text(f"{name} is in your downloads.")).to_be_visible()


async def test_a_session_that_ended_elsewhere_asks_to_sign_in_again(page: Page, context: BrowserContext) -> None:
    username = await new_player(page)
    await context.clear_cookies()

    async def refuse(route: Route) -> None:
        await route.fulfill(status=401, content_type="application/problem+json", body='{"type": "urn:problem:unauthenticated"}')

    await page.route("**/auth/sessions", refuse, times=1)
    await unfold(page, "Devices")
    await expect(dialog(page)).to_contain_text("Your session has ended. Sign in again to go on.")
    await fill_in(page, username, PASSWORD)
    await expect_signed_in(page, username)


async def test_the_account_is_used_by_keyboard_alone(page: Page) -> None:
    username = await new_player(page)
    opener = page.get_by_role("button", name="Your account")
    await opener.press("Enter")
    toggle = section_toggle(page, "Name")
    await expect(toggle).to_have_attribute("aria-expanded", "false")
    await toggle.press("Enter")
    await expect(toggle).to_have_attribute("aria-expanded", "true")
    await page.keyboard.press("Tab")
    await expect(dialog(page).get_by_label("New name")).to_be_focused()
    await page.keyboard.type("not sent")
    await page.keyboard.press("Escape")
    await expect(dialog(page)).to_be_hidden()
    await expect(opener).to_be_focused()
    # The browser tells the page of it a moment later.
    await expect(page.locator("[data-section=name] button[aria-expanded]")).to_have_attribute("aria-expanded", "false")

    await opener.press("Enter")
    await expect(section_toggle(page, "Name")).to_have_attribute("aria-expanded", "false")
    await section_toggle(page, "Name").press("Space")
    await expect(dialog(page).get_by_label("New name")).to_have_value(username)


async def test_the_account_fits_on_a_phone(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await new_player(page)
    for section in ("Name", "Password", "Devices", "Your data", "Delete account"):
        await unfold(page, section)
        await expect(section_toggle(page, section)).to_have_attribute("aria-expanded", "true")
        wide = await page.evaluate(
            """() => [...document.querySelectorAll("header *, dialog[open] *")]
                .filter((element) => element.getBoundingClientRect().right > innerWidth && !element.closest(".visually-hidden"))
                .map((element) => element.outerHTML.slice(0, 120))"""
        )
        assert wide == [], section
