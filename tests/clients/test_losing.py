"""The proxy before the gateway: what it loses is lost, and what it passes on is the gateway's."""

import asyncio
import json

import httpx
import pytest

from tests.clients.losing import Losing
from tests.playing import API
from tests.system import bearer, sign_up

TOP = f"{API}/top"


async def test_what_is_not_to_be_lost_is_passed_on_and_seen(losing: Losing) -> None:
    async with httpx.AsyncClient(base_url=losing.url) as client:
        token = await sign_up(client, "PassedOn")
        stored = await client.post(f"{API}/submit", json={"score": 7}, headers=bearer(token) | {"Idempotency-Key": "a"})
        assert (stored.status_code, stored.json()["total_score"]) == (201, 7)
    [seen] = losing.asked(f"{API}/submit", "POST")
    assert (seen.headers["idempotency-key"], json.loads(seen.body)) == ("a", {"score": 7})


async def test_a_lost_answer_is_to_what_was_done_and_a_lost_request_was_not_done(losing: Losing) -> None:
    async with httpx.AsyncClient(base_url=losing.url) as client:
        headers = bearer(await sign_up(client, "HalfDone"))

        async def submit(key: str) -> httpx.Response:
            return await client.post(f"{API}/submit", json={"score": 7}, headers=headers | {"Idempotency-Key": key})

        losing.lose_answers(1)
        with pytest.raises(httpx.RemoteProtocolError):
            await submit("done")
        losing.requests = 1
        with pytest.raises(httpx.TransportError):
            await submit("not-done")
        losing.requests = 0
        assert (await submit("done")).headers["idempotent-replayed"] == "true"
        again = await submit("not-done")
    assert again.status_code == 201, again.text
    assert (again.headers.get("idempotent-replayed"), again.json()["total_score"]) == (None, 14)


async def test_it_refuses_so_often_and_so_as_it_is_told(losing: Losing) -> None:
    losing.refuse(2, 503, {"Retry-After": "1"})
    async with httpx.AsyncClient(base_url=losing.url) as client:
        answers = [await client.get(TOP) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [503, 503, 200]
        assert answers[0].headers["retry-after"] == "1"
        losing.down = True
        with pytest.raises(httpx.TransportError):
            await client.get(TOP)
        losing.down = False
        assert (await client.get(TOP)).status_code == 200


async def test_a_stream_comes_as_it_is_sent_and_falls_silent_and_can_be_cut(losing: Losing) -> None:
    async with (
        httpx.AsyncClient(base_url=losing.url) as client,
        client.stream("GET", f"{API}/boards/main/live") as stream,
    ):
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith("retry:")
        async with asyncio.timeout(20):
            while not (await anext(lines)).startswith("data:"):
                pass
        losing.silent = True
        losing.cut()
        with pytest.raises(httpx.TransportError):
            async for _ in lines:
                pass
    losing.silent = False
