"""What axe-core finds wrong with each screen of the page: nothing, on a phone and on a desk, in light and in dark."""

from typing import Literal

import pytest
from playwright.async_api import Page, ViewportSize

from services.local import ROOT
from tests.e2e.visitor import create_account, dialog, expect_signed_in, expect_signed_out, submit_score

AXE = ROOT / "tests" / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 900}
# Of a finding: its rule, and where it is.
FIND = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(" ")}`));
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    return AXE.read_text(encoding="utf-8")


async def findings(page: Page, axe: str) -> list[str]:
    """What axe finds on the screen as it is, once nothing moves any more."""
    await page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished.catch(() => {})))")
    await page.evaluate(axe)
    found: list[str] = await page.evaluate(FIND)
    return found


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_wrong_on_any_screen(
    page: Page, crowd: list[str], axe: str, viewport: ViewportSize, scheme: Literal["light", "dark"]
) -> None:
    await page.set_viewport_size(viewport)
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await expect_signed_out(page)
    wrong = {"signed out": await findings(page, axe)}

    await page.get_by_role("button", name="Create account").click()
    wrong["the account's dialog"] = await findings(page, axe)
    await page.keyboard.press("Escape")

    username = await create_account(page)
    await expect_signed_in(page, username)
    await submit_score(page, "870")
    await page.get_by_text("870 points added.").wait_for()
    wrong["signed in"] = await findings(page, axe)
    await submit_score(page, "1.5")
    wrong["a fault in a form"] = await findings(page, axe)

    await page.get_by_role("button", name="Your account").click()
    wrong["the settings"] = await findings(page, axe)
    for section in await dialog(page).get_by_role("heading", level=3).get_by_role("button").all():
        name = await section.inner_text()
        await section.click()
        wrong[f"the settings: {name}"] = await findings(page, axe)
    assert {screen: found for screen, found in wrong.items() if found} == {}
