"""A process that is asked to end answers everyone first, and is gone in bounded time, whatever MySQL does meanwhile."""

import asyncio
from time import monotonic

import httpx
import pytest

from services.common.http.server import GRACE_SECONDS
from services.leaderboard.log.writer import DRAIN_SECONDS
from services.leaderboard.settings import LeaderboardSettings
from services.local.processes import Process
from tests.faults.conftest import StartProcess
from tests.faults.proofs import Proof
from tests.faults.proxy import COMMIT, Fault, Proxy
from tests.playing import API
from tests.system import Accounts, assert_problem

pytestmark = pytest.mark.proof(5)

STORES = b"INSERT INTO game_sessions"
PLAYERS = 20


@pytest.mark.proof(5, whole=False)
def test_answers_are_given_before_the_server_stops_waiting_for_them_and_it_before_it_is_killed() -> None:
    assert DRAIN_SECONDS + 1 < GRACE_SECONDS
    assert Process.stop_seconds > GRACE_SECONDS + 3


@pytest.mark.parametrize("message", [STORES, COMMIT])
async def test_a_process_that_is_asked_to_leave_while_mysql_hangs_answers_everyone_and_is_gone_in_time(
    start_process: StartProcess,
    mysql_proxy: Proxy,
    accounts: Accounts,
    stack_settings: LeaderboardSettings,
    proof: Proof,
    message: bytes,
) -> None:
    # A time-out of MySQL's own that is longer than the process may stay: what ends the waiting is the end of the process.
    service = await start_process(mysql_port=mysql_proxy.port, mysql_timeout=60)
    players = [accounts.new(user_id=884_000 + number) for number in range(PLAYERS)]
    sent = [asyncio.Event() for _ in players]
    async with httpx.AsyncClient(base_url=service.url, timeout=30) as client:

        async def send_one(headers: dict[str, str], gone: asyncio.Event) -> httpx.Response:
            async def trace(event: str, _: object) -> None:
                if event == "http11.send_request_body.complete":
                    gone.set()

            return await client.post(f"{API}/submit", json={"score": 1}, headers=headers, extensions={"trace": trace})

        def submit_all() -> list[asyncio.Task[httpx.Response]]:
            return [asyncio.create_task(send_one(*each)) for each in zip(players, sent, strict=True)]

        assert {answer.status_code for answer in await asyncio.gather(*submit_all())} == {201}
        mysql_proxy.strike(Fault.HUNG, message, after=b"" if message is STORES else STORES)
        sent = [asyncio.Event() for _ in players]
        asking = submit_all()
        await mysql_proxy.struck.wait()
        await asyncio.gather(*(each.wait() for each in sent))
        for _ in range(3):  # what was sent before this has been read when it is answered
            assert (await client.get(f"{API}/health/live")).status_code == 200
        began = monotonic()
        service.terminate()
        answers = await asyncio.gather(*asking)
        answered = monotonic() - began
    assert await asyncio.to_thread(service.wait_stopped, Process.stop_seconds)
    left = monotonic() - began
    mysql_proxy.cut()
    for answer in answers:
        assert_problem(answer, 503, "service-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    proof.did("processes ended while MySQL hung")
    proof.tell("longest until it had left", f"{left:.1f} s")
    assert answered < GRACE_SECONDS
    assert left < Process.stop_seconds - 1
    assert "Traceback" not in service.log.read_text()
    await proof.whole(stack_settings)
