"""A hostile call with many sessions: whoever else is served meanwhile waits for a little of it only."""

import asyncio
import gc
import time
from collections.abc import Iterator

import httpx
import pytest

from services.common.tokens import Scope
from services.leaderboard.http.batches import MAX_BODY_BYTES
from tests.playing import API
from tests.system import Accounts, assert_problem

# Seconds of the process in one turn of its loop. Most of them are what reads a body of 4 MiB from the connection.
MOST_SECONDS = 0.02


def listing(item: bytes, count: int | None = None) -> bytes:
    """As many of these items as a body may have, or as many as are said."""
    most = (MAX_BODY_BYTES - 20) // (len(item) + 1)
    return b'{"submissions":[' + b",".join([item] * (most if count is None else min(count, most))) + b"]}"


def hostile() -> Iterator[tuple[str, bytes]]:
    """Bodies of nearly 4 MiB, each of which costs much in another way."""
    size = MAX_BODY_BYTES - 100
    strangers = b",".join(b'"%x":1' % number for number in range(1_500))
    yield "empty objects", listing(b"{}")
    yield "items with unknown members", listing(b"{" + strangers + b"}", 1_000)
    yield "items with many tags", listing(b'{"tags":{' + strangers + b"}}", 1_000)
    yield "items with many boards", listing(b'{"boards":[' + b"1," * 8_000 + b"1]}", 1_000)
    yield "items of a long number", listing(b"9" * 16_000, 1_000)
    yield "deep items", listing(b"[" * 2_000 + b"]" * 2_000, 1_000)
    yield "one item of objects", listing(b"[" + b"{}," * (size // 3 - 1) + b"{}]")
    yield "one item of strings", listing(b"[" + b'"",' * (size // 3 - 1) + b'""]')
    yield "one deep item", listing(b"[" * (size // 2) + b"]" * (size // 2))
    yield "one long text", listing(b'"' + b"a" * (size - 2) + b'"')
    yield "one text of escapes", listing(b'"' + b"\\n" * (size // 2 - 2) + b'"')
    yield "a text without an end", b'{"submissions":["' + b'\\"' * (size // 2)
    yield "brackets without an end", b'{"submissions":[' + b"[" * size
    yield "blanks", b" " * size + b"{"
    yield "blanks in the list", b'{"submissions":[' + b" " * size + b"{}]}"


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """As a service does at its start: else what is collected is what the tests have made, all of it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize(("name", "body"), [pytest.param(name, body, id=name) for name, body in hostile()])
async def test_nobody_waits_long_for_a_hostile_body(
    leaderboard: httpx.AsyncClient, accounts: Accounts, name: str, body: bytes
) -> None:
    assert len(body) <= MAX_BODY_BYTES, name
    headers = {**accounts.new_key(Scope.SCORES), "Content-Type": "application/json"}
    sending = asyncio.create_task(leaderboard.post(f"{API}/submissions", content=body, headers=headers))
    turns: list[float] = []
    while not sending.done():
        began = time.process_time()
        await asyncio.sleep(0)
        turns.append(time.process_time() - began)
    assert max(turns) < MOST_SECONDS
    answer = await sending
    if answer.status_code == 200:
        assert {result["status"] for result in answer.json()["results"]} == {422}
    else:
        assert_problem(answer, 422, "invalid-request")
