"""What a hostile client, and a hostile page in the same browser, can do to somebody who is signed in: nothing."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser, Error, Page, expect

from tests.e2e.conftest import PATIENCE_MS
from tests.e2e.visitor import create_account, dialog, expect_signed_in, new_name
from tests.system import PASSWORD, sign_up

MARKUP = '<svg/onload="document.title=1"><img src=x onerror=document.title=1>'


@pytest.fixture
async def victim(browser: Browser, gateway_url: str) -> AsyncIterator[Page]:
    """A browser whose errors are not the test's: it is told to do what is refused."""
    context = await browser.new_context(base_url=gateway_url)
    context.set_default_timeout(PATIENCE_MS)
    yield await context.new_page()
    await context.close()


async def test_what_a_client_calls_itself_is_shown_as_text(page: Page, gateway_url: str) -> None:
    username = await create_account(page)
    await expect_signed_in(page, username)
    title = await page.title()
    async with httpx.AsyncClient(base_url=gateway_url, headers={"User-Agent": MARKUP}) as client:
        answer = await client.post("/auth/login", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 200
    await page.get_by_role("button", name="Your account").click()
    await dialog(page).get_by_role("heading", name=re.compile("^Devices")).get_by_role("button").click()
    shown = dialog(page).get_by_text("<svg", exact=True)
    await expect(shown).to_be_visible()
    await expect(shown).to_have_attribute("title", MARKUP)
    assert await dialog(page).locator("li img, li svg[onload]").count() == 0
    assert await page.title() == title


@pytest.mark.parametrize("sink", ["document.body.innerHTML = '<b>'", "document.createElement('script').text = '1'"])
async def test_no_script_of_the_page_can_turn_text_into_markup(victim: Page, sink: str) -> None:
    await victim.goto("/")
    with pytest.raises(Error, match="requires 'Trusted"):
        await victim.evaluate(sink)


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "http://127.0.0.1:8099"], ids=["another site", "another port"])
async def test_another_page_can_neither_end_nor_use_nor_begin_a_session(victim: Page, gateway_url: str, origin: str) -> None:
    """From another port of the same host even a SameSite=Strict cookie is sent: it is the check of the request that refuses."""
    await victim.goto("/")
    username = await create_account(victim)
    await expect_signed_in(victim, username)
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        attacker = new_name()
        await sign_up(client, attacker)

    async def submit(path: str, **fields: str) -> tuple[int, bool]:
        """Have the other page post a form; gives how it was answered, and whether the cookie was sent along."""
        inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
        html = f'<form method="post" action="{gateway_url}{path}">{inputs}<button>Win a prize</button></form>'
        await victim.route(f"{origin}/", lambda route: route.fulfill(content_type="text/html", body=html), times=1)
        await victim.goto(f"{origin}/")
        async with victim.expect_response(f"{gateway_url}{path}") as told:
            await victim.get_by_role("button").click()
        answer = await told.value
        return answer.status, "cookie" in await answer.request.all_headers()

    same_host = origin.startswith("http://127.")
    assert await submit("/auth/refresh") == ((403, True) if same_host else (401, False))
    assert await submit("/auth/logout") == (403, same_host)
    assert await submit("/auth/login", username=attacker, password=PASSWORD) == (403, same_host)

    await victim.goto("/")
    await expect_signed_in(victim, username)
