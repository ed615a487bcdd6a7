"""A process is killed as it tells a webhook: what it told is told again, by the same id, and all else too."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from services.common.mysql.database import Database
from services.leaderboard import events
from services.leaderboard.events import Kind
from services.leaderboard.settings import LeaderboardSettings
from tests.faults.conftest import StartProcess
from tests.faults.proofs import Proof
from tests.playing import own_database
from tests.receivers import LOOPBACK, Received, Subscriber, receiving
from tests.system import eventually, rows

pytestmark = pytest.mark.proof(10)


async def test_what_a_process_had_sent_when_it_was_killed_is_sent_again_by_another(
    start_process: StartProcess,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    rounds: Callable[[int, int], int],
    proof: Proof,
) -> None:
    settings = leaderboard_settings.model_copy(update={"webhook_networks": LOOPBACK})
    told = {"mysql_database": settings.mysql_database, "redis_url": settings.redis_url, "webhook_networks": LOOPBACK}
    process = await start_process(**told)
    kills, count = rounds(1, 20), 10
    left = kills

    async def reply(_: Received) -> str:
        nonlocal left
        if left:
            left -= 1
            process.kill()
            process.launch()
            proof.did("processes killed")
        return "204 No Content"

    async def happen(database: Database) -> None:
        for _ in range(count):
            await database.transaction(lambda connection: events.add(connection, Kind.PERIOD_SETTLED, {"board": "cup"}))

    async def all_arrived() -> bool:
        # The leases of who was killed are not waited for.
        rows(mysql, "UPDATE deliveries SET next_at = NOW(6) WHERE state = 'pending' AND tried_at < NOW(6) - INTERVAL 2 SECOND")
        await asyncio.sleep(0.1)
        return rows(mysql, "SELECT DISTINCT state FROM deliveries") == [("delivered",)]

    async with own_database(settings) as database, receiving(reply) as receiver:
        studio = Subscriber(settings, database)
        await studio.put("studio", receiver.url)
        await happen(database)
        await eventually(all_arrived, 60 + 30 * kills)
        for each in receiver.received:
            each.verified(studio.secrets["studio"])
        assert len(set(receiver.ids)) == count
        assert len(receiver.ids) >= count + kills
        proof.did("messages", len(receiver.ids))
        assert rows(mysql, "SELECT COUNT(*) FROM events") == [(count,)]
    await proof.whole(settings)
