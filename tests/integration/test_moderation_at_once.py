"""Voids, restores, bans and removals while sessions are counted: every standing is the fold of what counts, always."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from random import Random
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database, error_code
from services.common.tokens import KeyPrincipal, Scope
from services.leaderboard.app import create_app
from services.leaderboard.boards.clock import utc_now
from services.leaderboard.errors import PlayerNotFound, SessionNotFound
from services.leaderboard.moderation import bans, sessions
from services.leaderboard.moderation.entries import Order
from services.leaderboard.operate.check import check
from services.leaderboard.players import changes
from services.leaderboard.rules.played import SessionState
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, WEEK, define, make, tagged
from tests.moderating import ban, moderator, restore, unban, void
from tests.playing import get, remove, submit
from tests.system import Accounts, rows, serving
from tests.writing import Process, Watched, check_standings, counting

ORDER = Order(KeyPrincipal("key-a", frozenset({Scope.MODERATE})), "why not")
TAGS = {"track": "alps"}
PLAYERS = range(1, 7)


@pytest.mark.timeout(300)  # much is waited for, on a machine that may be busy
async def test_eight_writers_with_voids_bans_and_removals_leave_every_standing_the_fold_of_what_counts(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    await make(
        leaderboard_database,
        tagged("alps", "alps", direction="ascending", windows=(ALL, DAY)),
        define("latest", aggregate="latest", rule=tagged("", "alps").rule, windows=(ALL, WEEK)),
        define("laps", metric="laps", aggregate="total", rule=tagged("", "alps").rule),
    )
    over = asyncio.Event()
    done: dict[str, int] = {}

    async def play(process: Process, random: Random) -> None:
        for _ in range(10):
            players = [random.choice(PLAYERS) for _ in range(random.randrange(1, 8))]
            await asyncio.gather(
                *(process.submit(user_id, random.randrange(50), tags=TAGS, metrics={"laps": 3}) for user_id in players)
            )

    async def moderate(random: Random) -> None:
        """One change after the other: of two, that are under way at the same time."""
        while not over.is_set():
            act = random.choice(["void", "void", "restore", "ban", "unban", "unban", "leave"])
            user_id = random.choice(PLAYERS)
            [(session_id,)] = rows(mysql, "SELECT COALESCE(MAX(id), 0) - %s FROM game_sessions", random.randrange(20))
            state = SessionState.VOIDED if act == "void" else SessionState.COUNTED
            works: dict[str, Callable[[AsyncConnection], Awaitable[object]]] = {
                "ban": partial(bans.ban, user_id=user_id, order=ORDER),
                "unban": partial(bans.unban, user_id=user_id, order=ORDER),
                "leave": partial(changes.remove, user_id=user_id, now=utc_now(), limit=1000),
            }
            judge = partial(sessions.set_state, session_id=max(session_id, 1), state=state, order=ORDER)
            work = works.get(act, judge)
            try:
                await leaderboard_database.attempt(work)
            except (SessionNotFound, PlayerNotFound):
                continue
            done[act] = done.get(act, 0) + 1

    async with AsyncExitStack() as exits, asyncio.TaskGroup() as meanwhile:
        watched = [Watched(leaderboard_settings) for _ in range(8)]
        for transactions in watched:
            exits.push_async_callback(transactions.dispose)
        writers = [
            await exits.enter_async_context(counting(leaderboard_settings, transactions=transactions))
            for transactions in watched
        ]
        for seed in (3, 4):
            meanwhile.create_task(moderate(Random(seed)))
        await asyncio.gather(*(play(writer, Random(number)) for number, writer in enumerate(writers)))
        over.set()
    assert done.keys() == {"void", "restore", "ban", "unban", "leave"}
    errors = [error for transactions in watched for error in transactions.errors]
    assert (errors, {error_code(error) for error in errors}) == ([], set())
    assert rows(mysql, "SELECT COUNT(*) FROM foldings") == [(0,)]
    assert await check_standings(leaderboard_settings) == []


class Plainly:
    """What counts, in plain Python: each player's sessions, which of them are voided, and who is banned."""

    boards = ("alps", "form", "main")

    def __init__(self) -> None:
        self.played: dict[int, list[tuple[int, int]]] = {user_id: [] for user_id in PLAYERS}
        self.voided: set[int] = set()
        self.banned: set[int] = set()

    def sessions(self) -> Sequence[int]:
        return [session_id for played in self.played.values() for session_id, _ in played]

    def page(self, board: str) -> list[tuple[int, int, int]]:
        """Rank, player and score of everybody."""
        found = []
        for user_id, played in self.played.items():
            counted = [each for each in played if each[0] not in self.voided]
            if counted and user_id not in self.banned:
                score, reached = self._fold(board, counted)
                found.append((score if board == "alps" else -score, reached, user_id))
        found.sort()
        return [(1 + sum(other < sort for other, _, _ in found), user_id, abs(sort)) for sort, _, user_id in found]

    @staticmethod
    def _fold(board: str, counted: Sequence[tuple[int, int]]) -> tuple[int, int]:
        if board == "form":
            session_id, score = counted[-1]
            return score, session_id
        if board == "alps":
            score = min(score for _, score in counted)
            return score, next(session_id for session_id, each in counted if each == score)
        changing = [session_id for session_id, score in counted if score]
        return sum(score for _, score in counted), changing[-1] if changing else counted[0][0]


@pytest.mark.parametrize("seed", [1, 2])
async def test_standings_and_index_are_the_plain_fold_right_after_each_change(
    leaderboard: httpx.AsyncClient,
    leaderboard_database: Database,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
    seed: int,
) -> None:
    """Each change through one of two processes, each look through both."""
    await make(
        leaderboard_database,
        define("alps", direction="ascending", windows=(ALL,)),
        define("form", aggregate="latest", windows=(ALL,)),
    )
    random, plainly, staff = Random(seed), Plainly(), moderator(accounts)
    tokens = {user_id: accounts.new(user_id=user_id) for user_id in PLAYERS}
    known: set[int] = set()
    async with serving(create_app(leaderboard_settings)) as other:
        for _ in range(70):
            client = random.choice([leaderboard, other])
            user_id = random.choice(PLAYERS)
            act = random.choice(["play", "play", "play", "void", "void", "restore", "ban", "unban", "leave"])
            listed = plainly.sessions()
            if act == "play" or not listed:
                score = random.randrange(4)
                answer = await submit(client, tokens[user_id], score, boards=list(plainly.boards))
                plainly.played[user_id].append((answer["session_id"], score))
                known.add(user_id)
            elif act == "void":
                plainly.voided.add(session_id := random.choice(listed))
                await void(client, staff, session_id)
            elif act == "restore":
                plainly.voided.discard(session_id := random.choice(sorted(plainly.voided.intersection(listed)) or listed))
                await restore(client, staff, session_id)
            elif act == "leave":
                await remove(client, tokens[user_id])
                plainly.played[user_id].clear()
                if user_id not in plainly.banned:
                    known.discard(user_id)
            elif user_id in known:
                await (ban if act == "ban" else unban)(client, staff, user_id)
                (plainly.banned.add if act == "ban" else plainly.banned.discard)(user_id)
                if act == "unban" and not plainly.played[user_id]:
                    known.discard(user_id)
            for each in (leaderboard, other):
                for board in plainly.boards:
                    page = (await get(each, f"boards/{board}/top"))["top"]
                    assert [(row["rank"], row["user_id"], row["score"]) for row in page] == plainly.page(board), act
    assert await check(leaderboard_settings) == []
