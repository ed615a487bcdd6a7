"""No page is older than what was acknowledged before it was asked for, whichever process acknowledged and whichever answers."""

import asyncio
from collections.abc import Callable
from itertools import cycle

import httpx

from services.local.stack import Stack
from tests.system import Accounts

API = "/api/leaderboard"
READERS = 2


async def test_no_page_is_older_than_what_was_acknowledged(
    stack: Stack, accounts: Accounts, rounds: Callable[[int, int], int]
) -> None:
    user_id = 870_001
    me = accounts.new(user_id=user_id)
    async with (
        httpx.AsyncClient(base_url=stack.leaderboards[0].url) as first,
        httpx.AsyncClient(base_url=stack.leaderboards[1].url) as second,
    ):
        acknowledged = 0

        async def submit(client: httpx.AsyncClient, score: int) -> None:
            nonlocal acknowledged
            answer = await client.post(f"{API}/submit", json={"score": score}, headers=me)
            assert answer.status_code == 201, answer.text
            acknowledged = answer.json()["total_score"]

        # Ahead of every other player of this system, whose boards stay small.
        await submit(first, 1_000_000_000)
        done = asyncio.Event()

        async def read(client: httpx.AsyncClient) -> int:
            answers = 0
            while not done.is_set():
                known = acknowledged
                page = (await client.get(f"{API}/top?limit=3")).json()
                totals = {row["user_id"]: row["total_score"] for row in page["top"]}
                assert totals[user_id] >= known
                known = acknowledged
                assert (await client.get(f"{API}/rank/{user_id}")).json()["total_score"] >= known
                answers += 2
            return answers

        async def write() -> None:
            try:
                for client, _ in zip(cycle((first, second)), range(rounds(300, 10_000)), strict=False):
                    await submit(client, 1)
            finally:
                done.set()

        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(read(client)) for client in (first, second) for _ in range(READERS)]
            group.create_task(write())
        assert min(reader.result() for reader in readers) > 0
