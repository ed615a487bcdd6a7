"""Figures on the page: true ones, with room for them, however many players there are."""

from playwright.async_api import Page, Route, expect

from tests.e2e.visitor import place

WIDTHS = (320, 360, 480, 520, 640, 960, 1280)


async def replace(page: Page, path: str, **figures: int) -> None:
    """Have the answers of this path carry these figures, as they would on a board of that size."""

    async def answer(route: Route) -> None:
        real = await route.fetch()
        await route.fulfill(response=real, json=await real.json() | figures)

    await page.route(f"**/boards/main/{path}", answer)


async def test_the_pager_has_room_for_every_number_of_pages(page: Page) -> None:
    for digits in range(1, 10):
        pages = min(10**digits - 1, 200_000_000)
        await page.unroute_all()
        await replace(page, "top?*", total_players=pages * 10)
        await page.goto(f"/?page={pages}")
        await expect(place(page)).to_have_text(f"Page {pages:,} of {pages:,}")
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 740})
            covered, narrowest, text_fits = await page.evaluate(
                """() => {
                    const nav = document.querySelector("[data-part=pages]");
                    const range = document.createRange();
                    range.selectNodeContents(nav.querySelector("[data-part=place]"));
                    const text = range.getBoundingClientRect();
                    const board = nav.closest(".board").getBoundingClientRect();
                    const buttons = [...nav.querySelectorAll("button")]
                        .map((button) => [button.ariaLabel, button.getBoundingClientRect()]);
                    const under = buttons.filter(([, box]) =>
                        box.left < text.right && box.right > text.left && box.top < text.bottom && box.bottom > text.top);
                    return [
                        under.map(([name]) => name),
                        Math.min(...buttons.map(([, box]) => box.width)),
                        text.left >= board.left && text.right <= board.right,
                    ];
                }"""
            )
            assert covered == [], f"{digits} digits, {width} pixels"
            assert narrowest >= 38, f"{digits} digits, {width} pixels"
            assert text_fits, f"{digits} digits, {width} pixels"


async def test_the_share_is_the_least_of_one_digit_that_is_true(page: Page) -> None:
    """For every rank of boards of all sizes: true, and no longer true one step below."""
    wrong = await page.evaluate(
        """async () => {
            const { topShare } = await import("/scripts/format.js");
            const wrong = [];
            for (const players of [20, 21, 97, 100, 999, 1000, 1001, 12345, 100000, 200244]) {
                for (let rank = 1; rank <= players; rank += 1) {
                    const [, whole, digits = ""] = /^(\\d+)(?:\\.(\\d+))?%$/.exec(topShare(rank, players)) ?? [];
                    // In whole numbers, so that no rounding of this test's own can hide one of the page's.
                    const scale = 10n ** BigInt(digits.length);
                    const share = BigInt(whole + digits);
                    const [below, belowScale] = share === 1n ? [9n, scale * 10n] : [share - 1n, scale];
                    const lies = share * BigInt(players) < BigInt(rank) * 100n * scale;
                    const coarse = below * BigInt(players) >= BigInt(rank) * 100n * belowScale;
                    const short = digits === "" || /^0*[1-9]$/.test(digits);
                    if (lies || coarse || !short) wrong.push([rank, players, topShare(rank, players)]);
                }
            }
            return wrong.slice(0, 10);
        }"""
    )
    assert wrong == []
