"""The clients for games: every origin may load them, and nothing else of their folder."""

from collections.abc import Iterator

import httpx
import pytest

from services.local import ROOT
from services.local.gateway import GatewaySettings
from services.local.stack import Stack
from tests.gateways import gateway_before
from tests.security.wire import exchange, get

FOLDER = ROOT / "frontend" / "clients"
# For npm, which finds the JavaScript client by it in a copy of the folder.
NOT_SERVED = "package.json"
CLIENTS = sorted(path.name for path in FOLDER.glob("*") if path.is_file() and path.name != NOT_SERVED)
ELSEWHERE = {"Origin": "https://elsewhere.example"}
SCRIPT, TEXT = "text/javascript; charset=utf-8", "text/plain; charset=utf-8"


@pytest.fixture(scope="module", params=[None, "https://game.example"], ids=["no other origin", "one other origin"])
def url(
    request: pytest.FixtureRequest, stack: Stack, gateway_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A gateway that allows this other origin to ask."""
    if request.param is None:
        yield gateway_url
        return
    settings = GatewaySettings(allowed_origins=request.param)
    with gateway_before(stack, tmp_path_factory.mktemp("one"), settings=settings) as gateway:
        yield gateway.url


async def test_each_may_be_loaded_by_every_origin_and_kept_until_it_changes(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, headers=ELSEWHERE) as client:
        for name in CLIENTS:
            answer = await client.get(f"/clients/{name}")
            assert answer.status_code == 200, name
            assert answer.content == (FOLDER / name).read_bytes()
            said = answer.headers
            assert said["content-type"] == (SCRIPT if name.endswith(".js") else TEXT), name
            assert said.get_list("access-control-allow-origin") == ["*"]
            assert "access-control-allow-credentials" not in said
            assert said["cross-origin-resource-policy"] == "cross-origin"
            assert said["x-content-type-options"] == "nosniff"
            assert said["cache-control"] == "no-cache"
            again = await client.get(f"/clients/{name}", headers={"If-None-Match": said["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["access-control-allow-origin"] == "*"
            head = await client.head(f"/clients/{name}")
            assert (head.status_code, head.headers["access-control-allow-origin"]) == (200, "*")


async def test_what_is_not_there_is_told_like_anywhere_else(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, headers=ELSEWHERE) as client:
        missing = await client.get("/clients/nothing.js")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert (await client.post("/clients/leaderboard.js")).status_code == 405
        page = await client.get("/")
        assert page.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in page.headers


def unpublished() -> list[str]:
    """The files below the folder that no address leads to, as the folder and the samples are."""
    below = [path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file() and path.parent != FOLDER]
    return ["", ".", "samples", NOT_SERVED, *below]


def test_nothing_else_of_the_folder_is_served(gateway_url: str) -> None:
    for path in [
        *unpublished(),
        "../Caddyfile",
        "%2e%2e/Caddyfile",
        "leaderboard.js%00",
        "leaderboard.js/",
        "leaderboard%2ejs%0a",
    ]:
        answer = exchange(gateway_url, get(f"/clients/{path}".encode()))
        assert answer.statuses in ([400], [404]), path
