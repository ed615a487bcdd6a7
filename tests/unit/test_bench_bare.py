"""The bare application: it answers reads and writes with what ours answer, as long as they are."""

import httpx

from tests.bench.answers import DONE, PAGE
from tests.bench.bare import Bare


async def test_reads_are_answered_with_a_page_and_writes_with_a_submission() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(Bare()), base_url="http://bare") as client:
        read = await client.get("/api/leaderboard/rank/7")
        written = await client.post("/api/leaderboard/submit", json={"score": 120})
    assert (read.status_code, read.content) == (200, PAGE)
    assert (written.status_code, written.content) == (201, DONE)
    assert written.headers["content-length"] == str(len(DONE))
