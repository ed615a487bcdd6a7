"""What players saw go wrong: own rank after a reload, answers that were lost, numbers that were not true or not to be read."""

import asyncio
import re

from playwright.async_api import Page, Route, expect

from tests.e2e.visitor import (
    create_account,
    expect_signed_in,
    refuse_stream,
    submit_score,
    take_clock,
)

SUBMIT = "**/api/leaderboard/submit"


async def enter(page: Page) -> str:
    """Sign up, and wait for it."""
    username = await create_account(page)
    await expect_signed_in(page, username)
    return username


async def total_is(page: Page, total: str) -> None:
    await expect(page.get_by_role("region", name="You").get_by_role("definition")).to_have_text(total)


async def test_after_a_reload_the_own_rank_is_there_as_soon_as_it_is_answered(page: Page) -> None:
    username = await enter(page)
    await submit_score(page, "870")
    await total_is(page, "870")
    await refuse_stream(page)
    await page.reload()
    async with page.expect_response("**/boards/main/rank/me?*"):
        await expect_signed_in(page, username)
    # Well before the next look at the board, which would bring it too.
    await expect(page.get_by_role("region", name="You").get_by_role("definition")).to_have_text("870", timeout=2_000)


async def lose_answers(page: Page, how_many: int) -> list[str]:
    """Let so many submissions arrive and lose their answers. Gives the keys of all that are sent."""
    keys: list[str] = []

    async def handle(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) <= how_many:
            await route.fetch()
            await route.abort("internetdisconnected")
        else:
            await route.continue_()

    await page.route(SUBMIT, handle)
    return keys


async def test_a_score_whose_answer_was_lost_is_sent_again_by_itself_and_counts_once(page: Page) -> None:
    await enter(page)
    await submit_score(page, "100")
    await total_is(page, "100")
    keys = await lose_answers(page, 1)
    await submit_score(page, "50")
    await expect(page.get_by_text("50 points had counted already.")).to_be_visible()
    await total_is(page, "150")
    assert len(keys) == 2
    assert len(set(keys)) == 1
    await submit_score(page, "50")
    await expect(page.get_by_text("50 points added.")).to_be_visible()
    await total_is(page, "200")
    assert len(set(keys)) == 2


async def test_while_no_answer_comes_it_is_said_that_the_score_counts_once(page: Page) -> None:
    await take_clock(page)
    await enter(page)
    await submit_score(page, "100")
    await total_is(page, "100")
    keys = await lose_answers(page, 3)
    await submit_score(page, "50")
    await expect(
        page.get_by_role("status").filter(has_text="will be sent again until one does, and count once")
    ).to_be_visible()
    while len(keys) < 4:
        await page.clock.fast_forward(5_000)
        await asyncio.sleep(0.2)  # the page takes a moment to see that an answer is lost
    await expect(page.get_by_text("50 points had counted already.")).to_be_visible()
    await total_is(page, "150")
    assert len(keys) == 4
    assert len(set(keys)) == 1


async def play_a_round(page: Page) -> int:
    """Play and stop at some moment; gives the score that the game has brought into the form."""
    before = await page.get_by_label("Score", exact=True).input_value()
    await page.get_by_role("button", name=re.compile("Start the clock|Play again")).click()
    await asyncio.sleep(0.3)  # the game is one of time
    await page.get_by_role("button", name="Stop").click()
    field = page.get_by_label("Score", exact=True)
    await expect(field).not_to_have_value(before or "none")
    return int(await field.input_value())


async def test_another_round_of_the_game_is_another_session_even_if_it_scores_the_same(page: Page) -> None:
    """Rounds stopped early score 0: the second one's answer must not be that of the first."""
    await enter(page)
    assert await play_a_round(page) == 0
    keys = await lose_answers(page, 1)
    async with page.expect_request(SUBMIT):
        await page.get_by_role("button", name="Submit score").click()
    await expect(page.get_by_text("0 points had counted already.")).to_be_visible()
    await play_a_round(page)
    await page.get_by_role("button", name="Submit score").click()
    await expect(page.get_by_text("0 points added.")).to_be_visible()
    assert [keys[0] == key for key in keys] == [True, True, False]


SHARES = (
    (246, 200_244, "of 200,244 players, top 0.2%"),
    (2_003, 200_244, "of 200,244 players, top 2%"),
    (2_002, 200_244, "of 200,244 players, top 1%"),
    (2, 200_244, "of 200,244 players, top 0.001%"),
    (1, 200_244, "of 200,244 players"),
    (7, 100, "of 100 players, top 7%"),
    (10, 20, "of 20 players, top 50%"),
    (11, 20, "of 20 players"),
    (2, 19, "of 19 players"),
)


async def test_the_share_of_players_is_true(page: Page) -> None:
    rank = players = 0

    async def standing(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json={**await answer.json(), "rank": rank, "total_players": players})

    await enter(page)
    await refuse_stream(page)
    await page.route("**/boards/main/rank/me?*", standing)
    for rank, players, told in SHARES:  # noqa: B007 - what the routes answer with
        await page.reload()
        await expect(page.get_by_role("region", name="You").get_by_text(told, exact=True)).to_be_visible()
