"""What is measured: a stack of its own with real players in it, the ceiling beside it, and the loads put on both."""

import asyncio
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from services.auth.sessions.tokens import AccessTokenIssuer
from services.common.mysql.database import Database
from services.common.settings import MySQLSettings
from services.common.tokens import KeyRing
from services.leaderboard.boards.administration import put_all
from services.leaderboard.boards.board import USUAL, Definition, WindowDefinition
from services.leaderboard.rules.calendar import Schedule
from services.leaderboard.rules.places import ALL_TIME, MAIN_BOARD_ID
from services.leaderboard.rules.ranking import MAX_SESSION_SCORE
from services.local.mysql import ADMIN
from services.local.processes import Process, without_secrets
from services.local.secrets import SECRETS
from services.local.seed.command import seed
from services.local.seed.target import Target
from services.local.web import Service
from tests.bench.generator import Load
from tests.servers import pair, server_versions
from tests.system import NO_SUBMISSION_LIMIT

API = "/api/leaderboard"
SUBMITTERS = 200
ONLY, EIGHT = "only", "eight"
FIRST = datetime(2026, 1, 1)  # noqa: DTZ001 - a local time of its zone
# The names of the index, as every process writes them.
_PLAYERS_KEY = f"lb:{{{MAIN_BOARD_ID}:{ALL_TIME}}}:players"
_ORDER_KEY = f"lb:{{{MAIN_BOARD_ID}:{ALL_TIME}}}:order"
_INDEX_SECONDS = 300.0
# A process that keeps an index begins one long before.
_INDEX_BEGINS_SECONDS = 10.0


class NoIndex(Exception):
    """Redis does not hold the ranking index. The message says what was waited for."""


@dataclass(frozen=True)
class Player:
    user_id: int
    username: str


class System:
    """A stack with players in it."""

    def __init__(self, folder: Path, *, leaderboards: int = 1, redis_memory: str = "256mb") -> None:
        self.secrets = {name.upper(): make() for name, make in SECRETS.items()}
        self.stack = pair().stack(
            folder, secrets=self.secrets, leaderboards=leaderboards, redis_memory=redis_memory, environment=NO_SUBMISSION_LIMIT
        )
        self.ceiling = Service(
            "ceiling",
            module="tests.bench.ceiling",
            ready_path="/bytes",
            log=self.stack.log_of("ceiling"),
            environment={**without_secrets(os.environ), "JWT_KEYS": self.secrets["JWT_KEYS"]},
        )

    @property
    def target(self) -> Target:
        """Its database."""
        mysql = self.stack.mysql
        return Target(mysql.host, mysql.port, self.stack.database, ADMIN, self.secrets["MYSQL_ADMIN_PASSWORD"])

    @property
    def url(self) -> str:
        """The first leaderboard process, past the gateway."""
        return self.stack.leaderboard.url

    @property
    def parts(self) -> Mapping[str, list[Process]]:
        """Its processes, by what they are."""
        return {
            "service": [*self.stack.leaderboards],
            "auth": [self.stack.auth],
            "ceiling": [self.ceiling],
            "gateway": [self.stack.gateway],
            "mysql": [self.stack.mysql],
            "redis": [self.stack.redis],
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """All of it, with the first leaderboard process alone: the others wait to be started."""
        with self.stack:
            for spare in self.stack.leaderboards[1:]:
                spare.stop()
            self.ceiling.start()
            try:
                yield
            finally:
                self.ceiling.stop()

    def fill(self, players: int, sessions: int) -> None:
        """Add players who have played, the same ones each time, and wait until the index has them."""
        seed(self.target, players, sessions, Random(players))
        # What is seeded is news to the services, which hear of it by the epoch: until then the index is whole without it.
        self._wait_for_index(len(self.player_ids()))

    def add_boards(self) -> None:
        """Boards that sessions name: one that never starts anew, and one with eight windows."""
        schedules = {f"days{number}": Schedule(FIRST, number, "days") for number in range(2, 6)} | USUAL
        windows = [WindowDefinition(name, schedule, grace_seconds=60) for name, schedule in schedules.items()]
        ever = WindowDefinition("all")
        boards = [_board(ONLY, ever), _board(EIGHT, ever, *windows)]

        async def make() -> None:
            mysql = self.stack.mysql
            settings = MySQLSettings(mysql_host=mysql.host, mysql_port=mysql.port, mysql_database=self.stack.database)
            database = Database(settings, "leaderboard", self.secrets["LEADERBOARD_MYSQL_PASSWORD"])
            try:
                await put_all(database, boards)
            finally:
                await database.dispose()

        asyncio.run(make())

    def period_of(self, window: str) -> int:
        """The current period of a window of the main board."""
        [(period_id,)] = self._select(
            "SELECT p.id FROM periods p JOIN windows w ON w.id = p.window_id"
            f" WHERE w.board_id = {MAIN_BOARD_ID} AND w.name = '{window}' AND p.starts_at <= NOW() AND p.ends_at > NOW()"
        )
        return int(period_id)

    def player_ids(self, period_id: int = ALL_TIME) -> list[str]:
        """Everyone who is ranked on the main board in a period."""
        where = f"board_id = {MAIN_BOARD_ID} AND period_id = {period_id} AND score IS NOT NULL"
        return [str(user_id) for (user_id,) in self._select(f"SELECT user_id FROM standings WHERE {where}")]

    def tokens(self, count: int) -> list[str]:
        """Access tokens of as many players, spread over the board, as the auth service issues them: with live sessions."""
        keys = KeyRing.parse(self.secrets["JWT_KEYS"])
        issuer = AccessTokenIssuer(keys, "leaderboard-auth", "leaderboard", timedelta(hours=12))
        rows = self._select(f"SELECT user_id, username FROM players ORDER BY CRC32(user_id) LIMIT {count:d}")
        now = datetime.now(UTC)
        tokens = []
        with self.target.connect() as connection, connection.cursor() as cursor:
            for user_id, username in rows:
                session_id = uuid.uuid4()
                cursor.execute(
                    "INSERT INTO refresh_families"
                    " (id, user_id, created_at, last_used_at, expires_at, ends_at, authenticated_at, kind, address, user_agent)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, 'app', '', 'bench')",
                    (session_id.bytes, user_id, now, now, now + timedelta(days=1), now + timedelta(days=1), now),
                )
                tokens.append(issuer.issue(user_id, username, session_id, now))
            connection.commit()
        return tokens

    def usernames(self, count: int) -> list[str]:
        """The names of as many accounts."""
        return [username for (username,) in self._select(f"SELECT username FROM users ORDER BY id LIMIT {count:d}")]

    def delay_everybody(self) -> None:
        """Slow down every account and name that a password was tried for, for an hour."""
        with self.target.connect() as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE password_attempts SET failures = 20, delayed_until = UTC_TIMESTAMP(6) + INTERVAL 1 HOUR")
            connection.commit()

    def versions(self) -> dict[str, str]:
        """The servers that run, by name."""
        return server_versions(self.stack.mysql, self.stack.redis)

    # The index, seen from outside.

    def _wait_for_index(self, players: int) -> None:
        """Return when Redis holds all of them. Raises NoIndex when nobody builds one, or it takes too long."""
        began = time.monotonic()
        while not self._index_is_complete(players):
            waited = time.monotonic() - began
            if waited > _INDEX_SECONDS:
                raise NoIndex(f"the ranking index was not whole after {_INDEX_SECONDS:.0f} s")
            if waited > _INDEX_BEGINS_SECONDS and not self._index_has_begun():
                raise NoIndex("the ranking index is not there")
            time.sleep(0.05)

    def time_rebuild(self) -> tuple[float, float]:
        """Empty Redis under the running services. Gives the seconds until the index is whole again, and its bytes a player."""
        with self.stack.redis.client(timeout=60) as redis:
            players = redis.zcard(_ORDER_KEY)
            redis.flushall()
            began = time.monotonic()
            empty = redis.info("memory")["used_memory"]
            self._wait_for_index(players)
            seconds = time.monotonic() - began
            return seconds, (redis.info("memory")["used_memory"] - empty) / players

    def _index_is_complete(self, players: int) -> bool:
        with self.stack.redis.client() as redis:
            complete, count = redis.hmget(_PLAYERS_KEY, ["#complete", "#count"])
            replid = redis.info("replication")["master_replid"]
            found: int = redis.zcard(_ORDER_KEY)
            return bool((complete or b"").endswith(replid.encode()) and int(count or 0) == found == players)

    def _index_has_begun(self) -> bool:
        with self.stack.redis.client() as redis:
            return bool(redis.exists(_PLAYERS_KEY))

    def times_without_redis(self) -> int:
        """How often our processes left Redis alone for a while: what they answered meanwhile was MySQL's."""
        logs = [service.log for service in self.stack.leaderboards if service.log.exists()]
        return sum(log.read_bytes().count(b'"redis unavailable') for log in logs)

    def _select(self, query: str) -> list[tuple[Any, ...]]:
        with self.target.connect() as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


def reads(ids: list[str]) -> list[Load]:
    """What is asked of a service without a token."""
    return [
        Load("top", "GET", f"{API}/top"),
        Load("rank", "GET", f"{API}/rank/{{value}}", values=ids),
        Load("around", "GET", f"{API}/around/{{value}}?radius=5", values=ids),
    ]


def own_account(tokens: list[str]) -> Load:
    """One of the tokens' owners asks the auth service who they are."""
    return Load("me", "GET", "/auth/me", 200, {"Authorization": "Bearer {value}"}, "", tokens)


def week_reads(ids: list[str]) -> list[Load]:
    """The same of the main board's week, in which these are ranked."""
    board, week = f"{API}/boards/main", "window=week"
    return [
        Load("week-top", "GET", f"{board}/top?{week}"),
        Load("week-rank", "GET", f"{board}/rank/{{value}}?{week}", values=ids),
        Load("week-around", "GET", f"{board}/around/{{value}}?{week}&radius=5", values=ids),
    ]


def submission(name: str, tokens: list[str], path: str = f"{API}/submit", board: str | None = None, **headers: str) -> Load:
    """A session that one of the tokens' owners submits: for a board, or for those that take it."""
    sent = {"Authorization": "Bearer {value}", "Content-Type": "application/json", **headers}
    body = '{"score": 120}' if board is None else f'{{"score": 120, "boards": ["{board}"]}}'
    return Load(name, "POST", path, 201, sent, body, tokens)


def _board(name: str, *windows: WindowDefinition) -> Definition:
    return Definition(name, "", "score", "total", "descending", None, 0, MAX_SESSION_SCORE, False, "active", windows)
