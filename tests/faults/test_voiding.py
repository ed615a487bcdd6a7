"""A fifth of the log is voided while players play, and the process that does it is killed: exactly that fifth is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from random import Random
from statistics import quantiles
from time import monotonic
from typing import Any

import httpx
import pytest

from services.leaderboard.settings import LeaderboardSettings
from services.local.web import Service
from tests.faults.conftest import StartProcess
from tests.faults.proofs import Proof
from tests.moderating import WHY, moderator
from tests.playing import API
from tests.system import Accounts, eventually, rows

pytestmark = pytest.mark.proof(12)

SESSIONS_EACH, BAD_EACH = 50, 10
AT_ONCE, THINKS_SECONDS = 10, 0.1
_NUMBERS = "WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {}) "
_BAD = f"MOD(n.i, {SESSIONS_EACH // BAD_EACH}) = 0"
# In the order of their ids everybody plays a session, and then everybody the next one.
_SEED = f"""
INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at, tags)
{_NUMBERS.format(SESSIONS_EACH)}
SELECT p.user_id, CONCAT('s:', n.i), REPEAT('0', 16), 1 + MOD(p.user_id + 7 * n.i, 1000), NOW(6) - INTERVAL 1 DAY,
  JSON_OBJECT('build', IF({_BAD}, '1.4.2', '1.4.3'))
FROM n CROSS JOIN players AS p WHERE n.i = %s"""
_STANDINGS = """
INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version)
SELECT 1, 0, user_id, SUM(score), -SUM(score), COUNT(*), MAX(id), 1 FROM game_sessions GROUP BY user_id"""
_MISSED = """
SELECT id FROM game_sessions WHERE (JSON_UNQUOTE(JSON_EXTRACT(tags, '$.build')) = '1.4.2') <> (state = 1) LIMIT 10"""
_OTHERS = "SELECT id FROM game_sessions WHERE state = 1 AND tags IS NULL LIMIT 10"


def seed(mysql: Any, players: int) -> None:
    """What so many players have played, and how they stand by it."""
    mariadb = "MariaDB" in rows(mysql, "SELECT VERSION()")[0][0]
    rows(mysql, f"SET SESSION {'max_recursive_iterations' if mariadb else 'cte_max_recursion_depth'} = 1000000")
    rows(mysql, f"INSERT INTO players (user_id, username) {_NUMBERS.format(players)} SELECT 1 + i, CONCAT('p', i) FROM n")
    for number in range(SESSIONS_EACH):
        rows(mysql, _SEED, number)
    rows(mysql, _STANDINGS)
    rows(mysql, "ANALYZE TABLE players, game_sessions, standings")


class Playing:
    """Players of those, who submit to whichever process answers, and how long each answer took, in seconds."""

    def __init__(self, accounts: Accounts, processes: Sequence[Service], players: int) -> None:
        chosen = Random(0).sample(range(1, players + 1), AT_ONCE)
        self._headers = [accounts.new(f"p{user_id - 1}", user_id) for user_id in chosen]
        self._processes = processes
        self.took: list[float] = []

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=30) as client:
            tasks = [asyncio.create_task(self._play(client, *player)) for player in enumerate(self._headers)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _play(self, client: httpx.AsyncClient, number: int, headers: Mapping[str, str]) -> None:
        random = Random(number)
        for turn in count():
            await asyncio.sleep(random.uniform(0, 2 * THINKS_SECONDS))
            process = random.choice([each for each in self._processes if each.running] or self._processes)
            named = {**headers, "Idempotency-Key": f"{number}-{turn}"}
            began = monotonic()
            try:
                answer = await client.post(f"{process.url}{API}/submit", json={"score": 5}, headers=named)
            except httpx.TransportError:
                continue
            assert answer.status_code in {201, 503}, answer.text
            self.took.append(monotonic() - began)

    def p99(self) -> float:
        """Milliseconds, of what was answered since this was asked last."""
        took, self.took = self.took, []
        return 1000 * quantiles(took, n=100)[98]


async def test_a_fifth_of_the_log_is_voided_while_players_play_and_processes_are_killed(
    start_process: StartProcess,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    rounds: Callable[[int, int], int],
    proof: Proof,
) -> None:
    players, kills = rounds(40, 20_000), rounds(1, 2)
    seed(mysql, players)
    told = {"mysql_database": leaderboard_settings.mysql_database, "redis_url": leaderboard_settings.redis_url}
    processes = [await start_process(**told) for _ in range(2)]
    playing, staff = Playing(accounts, processes, players), moderator(accounts)
    bad = BAD_EACH * players
    async with playing.going_on():
        await asyncio.sleep(rounds(1, 10))
        playing.took.clear()
        await asyncio.sleep(rounds(1, 60))
        before = playing.p99()
        began = monotonic()
        async with httpx.AsyncClient(base_url=processes[0].url, headers=staff, timeout=30) as client:
            found = (await client.post(f"{API}/void-jobs/preview", json={"filter": {"tags": {"build": "1.4.2"}}})).json()
            looked = monotonic() - began
            assert (found["sessions"], found["players"], found["complete"]) == (bad, players, True)
            await client.post(f"{API}/void-jobs", json={"filter": {"tags": {"build": "1.4.2"}}, "reason": WHY})
        began = monotonic()
        with proof.progress("sessions voided", bad) as bar:
            for kill in range(1, kills + 1):
                await eventually(partial(_has_done, mysql, kill * bad // (kills + 1)), 3600)
                bar.advance(bad // (kills + 1))
                await kill_holder(mysql, processes, proof)
            await eventually(lambda: _is_done(mysql), 3600)
        seconds = monotonic() - began
        during = playing.p99()
    for process in processes:
        await asyncio.to_thread(process.wait_ready)
    proof.find("sessions that are voided or not, and should not be or be", rows(mysql, _MISSED))
    proof.find("voided sessions that were submitted later", rows(mysql, _OTHERS))
    assert rows(mysql, "SELECT found, done, voided, failed, players FROM void_jobs") == [(bad, bad, bad, 0, players)]
    proof.did("sessions voided", bad)
    proof.did("sessions of the log", SESSIONS_EACH * players)
    proof.tell("a look at all of them", f"{looked:.1f} s")
    proof.tell("voided in", f"{seconds:.0f} s, {bad / seconds:.0f} a second")
    proof.tell("p99 of /submit before, and meanwhile", f"{before:.0f} ms, {during:.0f} ms")
    if proof.long:
        proof.find("times that p99 was twice what it was before", [during] if during >= 2 * before else [])
    await proof.whole(leaderboard_settings, within=30)


async def kill_holder(mysql: Any, processes: Sequence[Service], proof: Proof) -> None:
    """Kill the process that is at the job, and start it again."""
    [(holder,)] = rows(mysql, "SELECT LOWER(HEX(held_by)) FROM void_jobs")
    [process] = [each for each in processes if holder in each.log.read_text(encoding="utf-8")]
    process.kill()
    process.launch()
    proof.did("processes killed that voided")


async def _has_done(mysql: Any, sessions: int) -> bool:
    await asyncio.sleep(0.05)
    return bool(rows(mysql, "SELECT done >= %s FROM void_jobs", sessions)[0][0])


async def _is_done(mysql: Any) -> bool:
    await asyncio.sleep(0.05)
    return rows(mysql, "SELECT state FROM void_jobs") == [("done",)]
