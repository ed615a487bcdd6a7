"""Deleting an account on the page: one call, and nothing without the password. The board follows by itself."""

import re
from collections.abc import AsyncIterator

import httpx
import jwt
import pytest
from playwright.async_api import Page, Request, Route, expect

from services.local.stack import Stack
from tests.e2e.visitor import (
    dialog,
    expect_signed_in,
    expect_signed_out,
    expect_wrong,
    new_player,
    submit_score,
    unfold,
)
from tests.system import PASSWORD


@pytest.fixture
async def client(gateway_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        yield client


async def confirm_deletion(page: Page, password: str) -> None:
    await dialog(page).get_by_role("textbox", name="Your password").fill(password)
    await dialog(page).get_by_role("button", name="Delete my account").click()


async def test_an_account_is_deleted_with_its_password_alone(page: Page, client: httpx.AsyncClient) -> None:
    username = await new_player(page)
    await submit_score(page, "700000")
    await expect(page.get_by_role("table").get_by_text(username)).to_be_visible()

    await unfold(page, "Delete account")
    await confirm_deletion(page, "not the password")
    await expect_wrong(dialog(page).get_by_role("textbox", name="Your password"), "^That is not your password.")
    # A slip of the finger costs nothing.
    await expect(page.get_by_role("region", name="You").get_by_role("definition")).to_have_text("700,000")
    top = (await client.get("/api/leaderboard/top")).json()["top"]
    assert username in {player["username"] for player in top}

    await confirm_deletion(page, PASSWORD)
    await expect_signed_out(page)
    await expect(page.get_by_role("heading", name="Your account is deleted")).to_be_focused()
    await expect(page.get_by_role("table").get_by_text(username)).to_have_count(0)
    answer = await client.post("/auth/login", json={"username": username, "password": PASSWORD})
    assert answer.status_code == 401
    await page.reload()
    await expect_signed_out(page)


async def test_who_signed_in_long_ago_deletes_the_account_by_giving_the_password_once(page: Page, stack: Stack) -> None:
    username = await new_player(page)
    await submit_score(page, "870")
    await expect(page.get_by_text("870 points added.")).to_be_visible()
    with stack.mysql.connect(database=stack.database, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE refresh_families JOIN users ON users.id = user_id SET authenticated_at = NOW(6) - INTERVAL 1 DAY"
            " WHERE username = %s",
            (username,),
        )
    await page.reload()  # its token says so from now on
    await expect_signed_in(page, username)

    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.method in {"POST", "DELETE"} else None)
    await unfold(page, "Delete account")
    await confirm_deletion(page, PASSWORD)
    await expect_signed_out(page)
    steps = [request for request in asked if not request.url.endswith("/auth/refresh")]
    assert [(step.method, re.sub(r"^https?://[^/]+", "", step.url)) for step in steps] == [("POST", "/auth/me/deletion")]
    [token] = [(await step.all_headers())["authorization"].removeprefix("Bearer ") for step in steps]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iat"] - claims["auth_time"] > 80_000


async def test_a_deletion_that_is_not_done_is_said_and_costs_nothing(page: Page) -> None:
    await new_player(page)
    await submit_score(page, "870")
    await expect(page.get_by_text("870 points added.")).to_be_visible()

    async def unavailable(route: Route) -> None:
        await route.fulfill(status=503, headers={"Retry-After": "1"}, content_type="application/problem+json", body="{}")

    await page.route("**/auth/me/deletion", unavailable, times=1)
    await unfold(page, "Delete account")
    await confirm_deletion(page, PASSWORD)
    await expect(dialog(page).get_by_role("alert").filter(visible=True)).to_be_visible()
    await expect(page.get_by_role("region", name="You").get_by_role("definition")).to_have_text("870")
    await confirm_deletion(page, PASSWORD)
    await expect_signed_out(page)
