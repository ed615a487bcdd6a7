"""Random operations against a model in plain Python: every answer is compared, ties included, whatever fails meanwhile."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from services.leaderboard.rules.ranking import Session, fold, ranks
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.conftest import settings_of
from tests.faults.proofs import Bar, Proof
from tests.playing import API
from tests.system import Accounts

pytestmark = pytest.mark.proof(1)

PLAYERS = 8
FIRST_ID = 1_000
PROCESSES = 2

players = st.integers(0, PLAYERS - 1)
processes = st.integers(0, PROCESSES - 1)
scores = st.sampled_from([0, 0, 1, 1, 2, 5, 1_000_000_000])


class Model:
    """What the system must say: the sessions of each player, the names, and nothing else."""

    def __init__(self) -> None:
        self.users = [FIRST_ID + index for index in range(PLAYERS)]
        self.sessions: dict[int, list[Session]] = {user: [] for user in self.users}
        self.keys: dict[tuple[int, str], Session] = {}
        self.erased: set[tuple[int, str]] = set()
        self.renames = 0
        self.names = {user: f"model{user}" for user in self.users}
        """What tokens say."""
        self.shown: dict[int, str] = {}
        """What the board says."""

    def board(self) -> list[dict[str, Any]]:
        """Everyone in order, with ranks: the definition, not the system's way."""
        tallies = {user: tally for user, sessions in self.sessions.items() if (tally := fold(sessions))}
        order = sorted(tallies, key=lambda user: (-tallies[user].score, tallies[user].reached_session_id))
        shared = ranks([tallies[user].score for user in order], 0, 0)
        return [
            {"rank": rank, "user_id": user, "username": self.shown[user], "total_score": tallies[user].score}
            for rank, user in zip(shared, order, strict=True)
        ]


class Machine(RuleBasedStateMachine):
    """One system, started once, and emptied before each example."""

    def __init__(self, stack: Stack, settings: LeaderboardSettings, accounts: Accounts, proof: Proof, bar: Bar) -> None:
        super().__init__()
        self.stack = stack
        self.settings = settings
        self.proof = proof
        self.bar = bar
        self.model = Model()
        self.accounts = accounts
        self.tokens = {user: accounts.new(self.model.names[user], user) for user in self.model.users}
        self._clients = [httpx.Client(base_url=process.url, timeout=30) for process in stack.leaderboards]
        self.done: Counter[str] = Counter()
        self.empty()

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """What the last statement gives."""
        connection = self.stack.mysql.connect(database=self.stack.database, autocommit=True)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def empty(self) -> None:
        """Nobody has played. Ids go on: what a process may still hold of an earlier example is of no row of this one."""
        tables = "game_sessions", "standings", "players", "outbox", "erased_keys", "erasures"
        self.sql(*(f"DELETE FROM {table}" for table in tables))
        self.settled = False
        self.restart_redis()
        with self.stack.redis.client() as redis:
            redis.flushall()
        self.settle()

    def client(self, process: int) -> httpx.Client:
        """Of that process, which answers."""
        self.stack.leaderboards[process].wait_ready()
        return self._clients[process]

    # Writing.

    def submit(self, player: int, process: int, score: int, headers: Mapping[str, str] | None = None) -> httpx.Response:
        token = self.tokens[self.model.users[player]]
        return self.client(process).post(f"{API}/submit", json={"score": score}, headers={**token, **(headers or {})})

    @initialize(drawn=st.lists(st.tuples(scores, st.booleans()), min_size=PLAYERS, max_size=PLAYERS))
    def everyone_plays(self, drawn: list[tuple[int, bool]]) -> None:
        """A board with everybody on it, for what comes to be about somebody."""
        for player, (score, with_key) in enumerate(drawn):
            if with_key:
                self.play_with_key(player, player % PROCESSES, score, "a")
            else:
                self.play([(player, player % PROCESSES, score)])

    @rule(sessions=st.lists(st.tuples(players, processes, scores), min_size=1, max_size=8))
    def play(self, sessions: list[tuple[int, int, int]]) -> None:
        for player, process, score in sessions:
            self.done["sessions"] += 1
            answer = self.submit(player, process, score)
            assert answer.status_code == 201, answer.text
            self.stored(player, process, answer.json(), score)

    @rule(player=players, process=processes, score=scores, key=st.sampled_from("abcdef"))
    def play_with_key(self, player: int, process: int, score: int, key: str) -> None:
        self.done["sessions with a key"] += 1
        user = self.model.users[player]
        first = self.model.keys.get((user, key))
        if first is not None and first.score == score:
            self.submit_again(player, process, key)
            return
        answer = self.submit(player, process, score, {"Idempotency-Key": key})
        if (user, key) in self.model.erased:
            assert answer.status_code == 409, answer.text
            assert answer.json()["type"] == "urn:problem:session-erased"
        elif first is None:
            assert answer.status_code == 201, answer.text
            assert "idempotent-replayed" not in answer.headers
            self.stored(player, process, answer.json(), score)
            self.model.keys[user, key] = self.model.sessions[user][-1]
        else:
            assert answer.status_code == 422, answer.text

    @rule(process=processes, number=st.integers(0, 99))
    def repeat(self, process: int, number: int) -> None:
        """One of the sessions with a key comes again."""
        if self.model.keys:
            user, key = sorted(self.model.keys)[number % len(self.model.keys)]
            self.submit_again(self.model.users.index(user), process, key)

    def submit_again(self, player: int, process: int, key: str) -> None:
        user = self.model.users[player]
        first = self.model.keys[user, key]
        answer = self.submit(player, process, first.score, {"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        assert answer.headers["idempotent-replayed"] == "true"
        assert answer.json()["session_id"] == first.session_id
        self.done["repeats"] += 1
        self.is_right_now(process, user, answer.json()["total_score"], answer.json()["rank"])

    def stored(self, player: int, process: int, answer: dict[str, Any], score: int) -> None:
        user = self.model.users[player]
        self.model.sessions[user].append(Session(answer["session_id"], score))
        self.model.shown[user] = self.model.names[user]
        self.is_right_now(process, user, answer["total_score"], answer["rank"])

    def is_right_now(self, process: int, user: int, total_score: int, rank: int | None) -> None:
        """A total is always right. So is a rank, but for the second that another process's change may take after a fault."""
        mine = self.own(user)
        assert total_score == mine["total_score"]
        if rank != mine["rank"]:
            assert not self.settled
            assert mine["rank"] is not None
            self.holds(process, f"rank/{user}", mine, "")

    @rule(player=players, process=processes)
    def remove_me(self, player: int, process: int) -> None:
        self.done["players removed"] += 1
        user = self.model.users[player]
        answer = self.client(process).delete(f"{API}/me", headers=self.tokens[user])
        assert answer.status_code == 204, answer.text
        self.model.sessions[user] = []
        self.model.erased |= {identity for identity in self.model.keys if identity[0] == user}
        self.model.keys = {identity: kept for identity, kept in self.model.keys.items() if identity[0] != user}

    @rule(player=players, process=processes, at_once=st.booleans())
    def rename(self, player: int, process: int, at_once: bool) -> None:
        """The token carries the new name from now on; the board does when it is told, or with the next session."""
        user = self.model.users[player]
        self.done["players renamed"] += 1
        self.model.renames += 1
        self.model.names[user] = f"model{user}.{self.model.renames}"
        self.tokens[user] = self.accounts.new(self.model.names[user], user)
        if at_once:
            answer = self.client(process).put(f"{API}/me", headers=self.tokens[user])
            assert answer.status_code == 200, answer.text
            self.model.shown[user] = self.model.names[user]
            found = answer.json()
            assert found["username"] == self.own(user)["username"]
            self.is_right_now(process, user, found["total_score"], found["rank"])

    # Reading.

    def own(self, user: int) -> dict[str, Any]:
        """What the player's own rank is: of one who is not on the board, by the name that the token carries."""
        nobody = {"rank": None, "user_id": user, "username": self.model.names[user], "total_score": 0}
        return next((row for row in self.model.board() if row["user_id"] == user), nobody)

    def is_absent(self, process: int, path: str) -> None:
        """Whoever is not on the board is not found: at once, or within the second that a change may take after a fault."""
        deadline = time.monotonic() + (0 if self.settled else 1.5)
        while (status := self.client(process).get(f"{API}/{path}").status_code) != 404:
            assert status == 200
            assert time.monotonic() < deadline, path
            time.sleep(0.02)  # as in holds

    def holds(self, process: int, path: str, expected: Any, pick: str, headers: Mapping[str, str] | None = None) -> None:
        """The answer is the model's: at once, or within the second that a change may take after a fault."""
        self.done["answers compared"] += 1
        client = self.client(process)
        deadline = time.monotonic() + (0 if self.settled else 1.5)
        while True:
            answer = client.get(f"{API}/{path}", headers=headers)
            assert answer.status_code == 200, answer.text
            found = answer.json()[pick] if pick else answer.json()
            if found == expected or time.monotonic() > deadline:
                assert found == expected
                return
            time.sleep(0.02)  # a test of another process's view, which nothing announces

    @rule(process=processes, limit=st.integers(1, 10), offset=st.integers(0, 9))
    def top(self, process: int, limit: int, offset: int) -> None:
        expected = self.model.board()[offset : offset + limit]
        self.holds(process, f"top?limit={limit}&offset={offset}", expected, "top")

    @rule(process=processes, player=players)
    def rank(self, process: int, player: int) -> None:
        user = self.model.users[player]
        found = [row for row in self.model.board() if row["user_id"] == user]
        if found:
            self.holds(process, f"rank/{user}", found[0], "")
        else:
            self.is_absent(process, f"rank/{user}")

    @rule(process=processes, player=players)
    def own_rank(self, process: int, player: int) -> None:
        """Own writes are seen at once by whichever process answers, whatever has failed."""
        user = self.model.users[player]
        self.done["answers compared"] += 1
        answer = self.client(process).get(f"{API}/rank/me", headers=self.tokens[user]).json()
        assert answer["username"] == self.own(user)["username"]
        self.is_right_now(process, user, answer["total_score"], answer["rank"])

    @rule(process=processes, player=players, radius=st.integers(1, 4))
    def around(self, process: int, player: int, radius: int) -> None:
        user, board = self.model.users[player], self.model.board()
        place = next((index for index, row in enumerate(board) if row["user_id"] == user), None)
        if place is None:
            self.is_absent(process, f"around/{user}?radius={radius}")
            return
        expected = board[max(0, place - radius) : place + radius + 1]
        self.holds(process, f"around/{user}?radius={radius}", expected, "players")
        self.holds(process, f"around/me?radius={radius}", expected, "players", self.tokens[user])

    @rule(process=processes, player=players, limit=st.integers(1, 4))
    def sessions(self, process: int, player: int, limit: int) -> None:
        self.done["answers compared"] += 1
        user = self.model.users[player]
        found: list[tuple[int, int]] = []
        cursor = ""
        while True:
            query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
            page = self.client(process).get(f"{API}/sessions/me", params=query, headers=self.tokens[user]).json()
            found += [(row["session_id"], row["score"]) for row in page["sessions"]]
            cursor = page["next_cursor"]
            if not cursor:
                break
        expected = [(session.session_id, session.score) for session in self.model.sessions[user]]
        assert found == sorted(expected, reverse=True)

    # Faults.

    @rule()
    def flush_redis(self) -> None:
        if self.stack.redis.running:
            with self.stack.redis.client() as redis:
                redis.flushall()
            self.done["Redis flushed"] += 1
            self.settled = False

    # No rule has a precondition: what may be drawn must not depend on a system that outlives the example.

    @rule()
    def stop_redis(self) -> None:
        if self.stack.redis.running:
            self.stack.redis.kill()
            self.done["Redis stopped"] += 1
            self.settled = False

    @rule()
    def start_redis(self) -> None:
        self.restart_redis()

    def restart_redis(self) -> None:
        if not self.stack.redis.running:
            self.stack.redis.start()
            self.settled = False

    @rule(process=processes)
    def kill_a_process(self, process: int) -> None:
        self.stack.leaderboards[process].kill()
        self.stack.leaderboards[process].launch()  # whoever asks it next waits for it
        self.done["processes killed"] += 1
        self.settled = False

    @rule()
    def settle(self) -> None:
        """Wait until every process reads through Redis again; from then on every answer is right at once."""
        if self.settled or not self.stack.redis.running:
            return
        for client in map(self.client, range(PROCESSES)):
            deadline = time.monotonic() + 15
            while client.get(f"{API}/health/ready").json()["status"] != "ok":
                assert time.monotonic() < deadline, "redis is not used again"
                time.sleep(0.02)
        time.sleep(0.6)  # the longest that another process's unannounced change may take
        self.settled = True

    def teardown(self) -> None:
        self.restart_redis()
        self.settle()
        for client in self._clients:
            client.close()
        asyncio.run(self.proof.whole(self.settings))
        self.proof.did("examples")
        for what, times in self.done.items():
            self.proof.did(what, times)
        self.bar.advance()


def test_every_answer_is_the_models(
    own_stack: Stack, secrets: Mapping[str, str], accounts: Accounts, rounds: Callable[[int, int], int], proof: Proof
) -> None:
    number = rounds(6, 100)
    examples = settings(
        max_examples=number,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],  # a shorter history that fails is looked for in hours, for each one starts processes
        suppress_health_check=list(HealthCheck),
    )
    told = settings_of(own_stack, secrets)
    with proof.progress("examples", number) as bar:
        machine: Any = lambda: Machine(own_stack, told, accounts, proof, bar)  # noqa: E731 - called as the class would be
        run_state_machine_as_test(machine, settings=examples)
