"""A score on its way to the board: answers that are lost, servers that are away, sessions that end in between."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx
import pytest
from playwright.async_api import BrowserContext, Locator, Page, Route, expect

from services.common.tokens import Scope
from tests.e2e.visitor import (
    create_account,
    dialog,
    expect_signed_in,
    expect_signed_out,
    fill_in,
    submit_score,
    take_clock,
    until_much_later,
)
from tests.playing import API
from tests.system import PASSWORD, Accounts

Fate = Callable[[Route], Awaitable[object]]


async def lose_answer(route: Route) -> None:
    """Have the board store the score, and the page not hear of it."""
    assert (await route.fetch()).status == 201
    await route.abort("internetdisconnected")


async def lose_question(route: Route) -> None:
    await route.abort("internetdisconnected")


async def answer_503(route: Route) -> None:
    await refuse(route, 503)


async def answer_401(route: Route) -> None:
    await refuse(route, 401)


async def answer_429(route: Route) -> None:
    await refuse(route, 429)


async def refuse(route: Route, status: int) -> None:
    body = json.dumps({"type": "urn:problem:test", "title": "Refused", "status": status, "detail": "Not now."})
    await route.fulfill(status=status, headers={"Retry-After": "1"}, content_type="application/problem+json", body=body)


async def submissions(page: Page, *fates: Fate) -> list[str]:
    """Let the first submissions meet these fates and the rest pass; gives the list that their keys are noted in."""
    keys: list[str] = []

    async def meet(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) <= len(fates):
            await fates[len(keys) - 1](route)
        else:
            await route.continue_()

    await page.route("**/api/leaderboard/submit", meet)
    return keys


def total(page: Page) -> Locator:
    return page.get_by_role("region", name="You").get_by_role("definition")


def field(page: Page) -> Locator:
    return page.get_by_label("Score", exact=True)


def said(page: Page, text: str) -> Locator:
    return page.locator("[data-component=score-form]").get_by_role("status").filter(has_text=text)


async def end_game(page: Page, score: int) -> None:
    """What the game tells at its end. (Nobody stops its clock twice at the same millisecond for a test.)"""
    await page.locator("[data-component=game]").evaluate(
        "(game, score) => game.dispatchEvent(new CustomEvent('game:end', { bubbles: true, detail: { score } }))", score
    )


@pytest.fixture
async def player(page: Page) -> str:
    username = await create_account(page)
    await expect_signed_in(page, username)
    return username


async def test_a_score_whose_answer_was_lost_is_sent_again_and_counts_once(page: Page, player: str) -> None:
    keys = await submissions(page, lose_answer)
    await submit_score(page, "870")
    await expect(said(page, "870 points had counted already.")).to_be_visible()
    await expect(total(page)).to_have_text("870")
    await expect(field(page)).to_have_value("")
    assert keys == [keys[0]] * 2


async def test_a_score_that_is_held_is_not_said_to_be_added(
    page: Page, player: str, gateway_url: str, accounts: Accounts
) -> None:
    path, admin = f"{API}/boards/main", accounts.new(scopes=tuple(Scope))
    async with httpx.AsyncClient(base_url=gateway_url, headers=admin) as client:
        board = (await client.get(path)).json()
        ours = {"current", "next_starts_at", "counts_from"}
        board["windows"] = [{name: each[name] for name in each.keys() - ours} for each in board["windows"]]
        assert (await client.put(path, json=board | {"hold": {"score_over": 800_000}})).status_code == 200
        try:
            await submit_score(page, "870000")
            await expect(said(page, "870,000 points will be added once somebody has looked at them.")).to_be_visible()
        finally:
            assert (await client.put(path, json=board)).status_code == 200
    await expect(total(page)).to_have_text("0")


@pytest.mark.parametrize("fate", [lose_question, answer_503])
async def test_a_score_that_did_not_arrive_is_sent_again(page: Page, player: str, fate: Fate) -> None:
    keys = await submissions(page, fate, fate)
    await submit_score(page, "870")
    await expect(
        said(page, "No answer came. Your 870 points will be sent again until one does, and count once.")
    ).to_be_visible()
    await expect(said(page, "870 points added.")).to_be_visible()
    await expect(total(page)).to_have_text("870")
    assert keys == [keys[0]] * 3


async def test_a_refusal_after_a_lost_answer_does_not_end_the_sending(page: Page, player: str) -> None:
    """Too many at once says nothing about the submission before."""
    await submissions(page, lose_answer, answer_429)
    await submit_score(page, "870")
    await expect(said(page, "870 points had counted already.")).to_be_visible()
    await expect(total(page)).to_have_text("870")


async def test_a_score_that_is_refused_is_not_sent_again_by_itself(page: Page, player: str) -> None:
    keys = await submissions(page, answer_429)
    await submit_score(page, "870")
    form = page.locator("[data-component=score-form]")
    await expect(form.get_by_role("alert")).to_contain_text("Too many attempts in a row.")
    await expect(said(page, "You can try again now.")).to_be_visible()
    assert len(keys) == 1
    await page.get_by_role("button", name="Submit score").click()
    await expect(said(page, "870 points added.")).to_be_visible()


async def test_a_score_sent_offline_is_sent_when_the_network_is_back(page: Page, player: str, context: BrowserContext) -> None:
    await context.set_offline(True)
    await submit_score(page, "870")
    await expect(said(page, "You are offline. Your 870 points will be sent when you are back.")).to_be_visible()
    await context.set_offline(False)
    await expect(said(page, "870 points added.")).to_be_visible()
    await expect(total(page)).to_have_text("870")


async def test_two_games_that_end_alike_count_twice_whatever_answer_was_lost(page: Page, player: str) -> None:
    keys = await submissions(page, lose_answer)
    await end_game(page, 870)
    await page.get_by_role("button", name="Submit score").click()
    await expect(said(page, "No answer came.")).to_be_visible()
    await end_game(page, 870)  # the next game is over before the score of the first has been heard of
    await expect(said(page, "870 points had counted already.")).to_be_visible()
    await expect(field(page)).to_have_value("870")
    await page.get_by_role("button", name="Submit score").click()
    await expect(said(page, "870 points added.")).to_be_visible()
    await expect(total(page)).to_have_text("1,740")
    assert keys[0] == keys[1] != keys[2]


async def test_what_is_typed_while_a_score_is_sent_again_stays(page: Page, player: str) -> None:
    await submissions(page, lose_answer)
    await submit_score(page, "870")
    await field(page).fill("12")
    await expect(said(page, "870 points had counted already.")).to_be_visible()
    await expect(field(page)).to_have_value("12")
    await page.get_by_role("button", name="Submit score").click()
    await expect(total(page)).to_have_text("882")
    await expect(field(page)).to_have_value("")


@pytest.mark.parametrize("dismissed", [False, True])
async def test_a_session_that_ends_after_a_lost_answer_does_not_count_the_score_twice(
    page: Page, player: str, context: BrowserContext, dismissed: bool
) -> None:
    async def end_session(route: Route) -> None:
        await context.clear_cookies()
        await answer_401(route)

    keys = await submissions(page, lose_answer, end_session)
    await submit_score(page, "870")
    await expect(dialog(page)).to_contain_text("Sign in again and your 870 points will be added.")
    if dismissed:
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Submit score").click()
    await fill_in(page, player, PASSWORD)
    await expect(said(page, "870 points had counted already.")).to_be_visible()
    await expect(total(page)).to_have_text("870")
    assert keys == [keys[0]] * 3


async def test_a_game_that_ends_alike_after_a_session_ended_counts_as_well(
    page: Page, player: str, context: BrowserContext
) -> None:
    async def end_session(route: Route) -> None:
        await context.clear_cookies()
        await answer_401(route)

    await submissions(page, lose_answer, end_session)
    await submit_score(page, "870")
    await expect(dialog(page)).to_contain_text("Sign in again and your 870 points will be added.")
    await page.keyboard.press("Escape")
    await end_game(page, 870)
    await page.get_by_role("button", name="Submit score").click()
    await fill_in(page, player, PASSWORD)
    await expect(said(page, "870 points added.")).to_be_visible()
    await expect(total(page)).to_have_text("1,740")


async def test_signing_out_ends_the_sending(page: Page, player: str) -> None:
    await take_clock(page)
    await expect_signed_in(page, player)
    keys = await submissions(page, *[lose_question] * 100)
    await submit_score(page, "870")
    await expect(said(page, "No answer came.")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect_signed_out(page)
    await expect(page.get_by_role("button", name="Submit score")).to_have_attribute("aria-disabled", "false")
    await expect(said(page, "No answer came.")).to_have_count(0)
    await expect(dialog(page)).to_be_hidden()
    sent = len(keys)
    for _ in range(2):
        await until_much_later(page)
    assert len(keys) == sent


async def test_a_score_is_not_sent_in_the_name_of_who_signs_in_meanwhile(
    page: Page, player: str, context: BrowserContext
) -> None:
    """The first player's token is refused only when the second one's is there."""
    sent, answer = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        sent.set()
        await answer.wait()
        await answer_401(route)

    keys = await submissions(page, hold)
    await submit_score(page, "870")
    await sent.wait()
    other = await context.new_page()
    await other.goto("/")
    await other.get_by_role("button", name="Sign out").click()
    await expect_signed_out(other)
    username = await create_account(other)
    await expect_signed_in(page, username)
    answer.set()
    await expect(page.get_by_role("button", name="Submit score")).to_have_attribute("aria-disabled", "false")
    await submit_score(page, "12")
    await expect(said(page, "12 points added.")).to_be_visible()
    await expect(total(page)).to_have_text("12")
    assert len(keys) == 2
