"""The API documentation pages, in a browser, under the gateway's content security policy."""

import httpx
import pytest
from playwright.async_api import BrowserContext, expect

from tests.system import PASSWORD


@pytest.mark.parametrize("prefix", ["/auth", "/api/leaderboard"])
async def test_authorize_takes_a_name_and_a_password(context: BrowserContext, gateway_url: str, prefix: str) -> None:
    username = f"docs{prefix.replace('/', '-')}"
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        answer = await client.post("/auth/register", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 201
    page = await context.new_page()
    await page.goto(f"{gateway_url}{prefix}/docs")
    await page.get_by_role("button", name="Authorize").click()
    dialog = page.locator(".modal-ux")
    # Of the two ways to a token that it shows, the other is for keys.
    form = dialog.locator(".auth-container").filter(has=page.locator("#oauth_username"))
    await form.locator("#oauth_username").fill(username)
    await form.locator("#oauth_password").fill(PASSWORD)
    await form.get_by_role("button", name="Apply given OAuth2 credentials").click()
    await expect(dialog.get_by_role("button", name="Remove authorization").first).to_be_visible()
