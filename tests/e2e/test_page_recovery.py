"""Recovery codes on the page: making them, and coming back with one."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.e2e.visitor import (
    dialog,
    expect_signed_in,
    expect_signed_out,
    expect_wrong,
    new_name,
    new_player,
    section_toggle,
    sign_in,
    unfold,
)
from tests.system import PASSWORD, bearer, sign_up

SECTION = "Recovery codes"
NEW_PASSWORD = "a longer horse battery"


@pytest.fixture
async def client(gateway_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        yield client


async def player_with_codes(client: httpx.AsyncClient) -> tuple[str, list[str]]:
    """A player who made codes once, and is signed in nowhere here."""
    username = new_name()
    token = await sign_up(client, username)
    made = await client.post("/auth/me/recovery-codes", json={"password": PASSWORD}, headers=bearer(token))
    client.cookies.clear()
    return username, made.json()["codes"]


async def make_codes(page: Page, password: str = PASSWORD) -> None:
    field = dialog(page).get_by_role("textbox", name="Your password")
    await field.fill(password)
    await field.press("Enter")


async def shown_codes(page: Page) -> list[str]:
    items = dialog(page).get_by_role("list", name="Your recovery codes").get_by_role("listitem")
    await expect(items).to_have_count(8)
    return await items.all_text_contents()


async def open_recovery(page: Page) -> None:
    await page.get_by_role("banner").get_by_role("button", name="Sign in").click()
    await dialog(page).get_by_role("button", name="Forgot your password?").click()
    await expect(dialog(page).get_by_role("heading", name="Set a new password")).to_be_visible()


async def recover(page: Page, username: str, code: str, password: str = NEW_PASSWORD) -> None:
    await dialog(page).get_by_label("Username").filter(visible=True).fill(username)
    await dialog(page).get_by_label("Recovery code").filter(visible=True).fill(code)
    field = dialog(page).get_by_role("textbox", name="New password").filter(visible=True)
    await field.fill(password)
    await field.press("Enter")


async def test_signing_up_says_that_only_recovery_codes_replace_a_forgotten_password(page: Page) -> None:
    await page.get_by_role("button", name="Create account").click()
    await expect(dialog(page)).to_contain_text("nobody can send you a forgotten password")
    await expect(dialog(page)).to_contain_text("recovery codes")


async def test_a_player_makes_codes_and_is_shown_them_once(page: Page) -> None:
    await new_player(page)
    await unfold(page, SECTION)
    await expect(dialog(page)).to_contain_text("You have no codes left.")
    await make_codes(page, "not the password")
    field = dialog(page).get_by_role("textbox", name="Your password")
    await expect_wrong(field, "That is not your password")
    await make_codes(page)
    codes = await shown_codes(page)
    assert len(set(codes)) == 8
    assert all(re.fullmatch(r"(?:\w{4}-){3}\w{4}", code) for code in codes)
    await expect(dialog(page).get_by_role("group", name=re.compile("^These are your codes"))).to_be_focused()
    await section_toggle(page, SECTION).click()
    await section_toggle(page, SECTION).click()
    await expect(dialog(page)).to_contain_text("You have 8 codes left, made on ")
    await expect(dialog(page)).to_contain_text("The codes that you have now will stop working.")
    assert await page.get_by_text(codes[0]).count() == 0
    await make_codes(page)
    assert set(codes).isdisjoint(await shown_codes(page))


async def test_the_codes_are_copied_and_saved(page: Page, context: BrowserContext, gateway_url: str, tmp_path: Path) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=gateway_url)
    username = await new_player(page)
    await unfold(page, SECTION)
    await make_codes(page)
    codes = await shown_codes(page)
    await dialog(page).get_by_role("button", name="Copy codes").click()
    await expect(dialog(page)).to_contain_text("The codes are copied.")
    assert await page.evaluate("navigator.clipboard.readText()") == "\n".join(codes)
    async with page.expect_download() as download:
        await dialog(page).get_by_role("button", name="Download codes").click()
    file = tmp_path / "codes.txt"
    await (await download.value).save_as(file)
    assert (await download.value).suggested_filename == "recovery-codes.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    assert username in lines[0]
    assert lines[-8:] == codes


async def test_whoever_forgot_the_password_comes_back_with_a_code(page: Page, client: httpx.AsyncClient) -> None:
    username, codes = await player_with_codes(client)
    await open_recovery(page)
    await recover(page, username, codes[0].lower().replace("-", " "))
    await expect_signed_in(page, username)
    await unfold(page, SECTION)
    await expect(dialog(page)).to_contain_text("You have 7 codes left, made on ")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Sign out").click()
    await expect_signed_out(page)
    await sign_in(page, username, NEW_PASSWORD)
    await expect_signed_in(page, username)


async def test_a_wrong_code_and_a_used_one_are_told_at_the_code(page: Page, client: httpx.AsyncClient) -> None:
    username, codes = await player_with_codes(client)
    used = {"username": username, "code": codes[0], "new_password": NEW_PASSWORD}
    assert (await client.post("/auth/recover", json=used)).status_code == 204
    await open_recovery(page)
    code = dialog(page).get_by_label("Recovery code").filter(visible=True)
    for tried in ("0000-0000-0000-0000", codes[0]):
        await recover(page, username, tried, PASSWORD)
        await expect_wrong(code, "That is no code of this username, or it was used before")
    await recover(page, username, codes[1], "short")
    await expect_wrong(dialog(page).get_by_role("textbox", name="New password").filter(visible=True), "at least 8 characters")
    await recover(page, username, codes[1], PASSWORD)
    await expect_signed_in(page, username)


async def test_what_is_missing_is_told_and_too_many_tries_are_told_with_a_wait(page: Page, client: httpx.AsyncClient) -> None:
    username, codes = await player_with_codes(client)
    await open_recovery(page)
    await recover(page, username, "")
    await expect_wrong(dialog(page).get_by_label("Recovery code").filter(visible=True), "Enter one of your recovery codes")
    for _ in range(6):
        wrong = {"username": username, "code": "0", "new_password": NEW_PASSWORD}
        assert (await client.post("/auth/recover", json=wrong)).status_code == 401
    await recover(page, username, codes[0])
    await expect(dialog(page)).to_contain_text("Too many wrong codes or passwords in a row.")
    await expect(dialog(page)).to_contain_text("You can try again now.")
    await recover(page, username, codes[0])
    await expect_signed_in(page, username)


async def test_a_guest_is_offered_no_codes(page: Page) -> None:
    await page.get_by_role("banner").get_by_role("button", name="Sign in").click()
    await dialog(page).get_by_role("button", name="Play as guest").click()
    await page.get_by_role("button", name="Your account").click()
    await expect(section_toggle(page, "Devices")).to_be_visible()
    await expect(section_toggle(page, SECTION)).to_have_count(0)
