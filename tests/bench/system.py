"""What is measured: a stack of its own with real players in it, and the ceilings beside it."""

import asyncio
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from services.auth.sessions.tokens import AccessTokenIssuer
from services.common.tokens import KeyRing, Scope
from services.leaderboard.boards.administration import put_all
from services.leaderboard.boards.board import USUAL, Definition, Rule, WindowDefinition
from services.leaderboard.rules.calendar import Schedule
from services.leaderboard.rules.places import ALL_TIME, MAIN, MAIN_BOARD_ID, Place
from services.leaderboard.rules.ranking import MAX_SESSION_SCORE
from services.local.mysql import ADMIN
from services.local.ports import LOOPBACK, free_port
from services.local.processes import Process, without_secrets
from services.local.secrets import SECRETS
from services.local.seed.command import seed
from services.local.seed.target import Target
from services.local.web import Gateway, Service
from tests.bench.index import Index
from tests.servers import pair, server_versions
from tests.system import MANY_STREAMS, NO_SUBMISSION_LIMIT

SUBMITTERS = 200
ONLY, EIGHT, MIDNIGHT = "only", "eight", "midnight"
FIRST = datetime(2026, 1, 1)  # noqa: DTZ001 - a local time of its zone
_RANKED = "user_id, score, sort, sessions, reached_session_id, version"


@dataclass(frozen=True)
class Player:
    user_id: int
    username: str


class System:
    """A stack with players in it."""

    def __init__(self, folder: Path, *, leaderboards: int = 1, redis_memory: str = "256mb") -> None:
        self.secrets = {name.upper(): make() for name, make in SECRETS.items()}
        self.stack = pair().stack(
            folder,
            secrets=self.secrets,
            leaderboards=leaderboards,
            redis_memory=redis_memory,
            environment=NO_SUBMISSION_LIMIT | MANY_STREAMS,
        )
        self.ceiling, self.bare = self._beside("ceiling", "/bytes"), self._beside("bare", "/")
        # The gateway's own configuration, with the bare application behind each of its routes.
        self.bare_gateway = Gateway(
            self.stack.folder / "bare",
            address=LOOPBACK,
            port=free_port(),
            log=self.stack.log_of("bare-gateway"),
            backends=dict.fromkeys(("AUTH_URL", "LEADERBOARD_URL", "FRONTEND_URL"), self.bare.url),
        )
        self.index = Index(self.stack.redis)

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
            "ceiling": [self.ceiling, self.bare],
            "gateway": [self.stack.gateway, self.bare_gateway],
            "mysql": [self.stack.mysql],
            "redis": [self.stack.redis],
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """All of it, with the first leaderboard process alone: the others wait to be started."""
        with self.stack:
            for spare in self.stack.leaderboards[1:]:
                spare.stop()
            with _running(self.ceiling):
                yield

    @contextmanager
    def running_bare(self) -> Iterator[None]:
        """The bare application, and the gateway before it."""
        with _running(self.bare), _running(self.bare_gateway):
            yield

    def _beside(self, name: str, ready_path: str) -> Service:
        """An application of ours that is measured beside the services."""
        return Service(
            name,
            module=f"tests.bench.{name}",
            ready_path=ready_path,
            log=self.stack.log_of(name),
            environment={**without_secrets(os.environ), "JWT_KEYS": self.secrets["JWT_KEYS"]},
        )

    def fill(self, players: int, sessions: int) -> None:
        """Add players who have played, the same ones each time, and wait until the index has them."""
        seed(self.target, players, sessions, Random(players))
        # What is seeded is news to the services, which hear of it by the epoch: until then the index is whole without it.
        self.index.wait(MAIN, len(self.player_ids()))

    def add_boards(self) -> None:
        """Boards that sessions name: one that never starts anew, one with eight windows, one with two that do each minute."""
        schedules = {f"days{number}": Schedule(FIRST, number, "days") for number in range(2, 6)} | USUAL
        minutes = {name: Schedule(FIRST, 60, "seconds") for name in ("minute", "another")}
        self.put_boards([define(ONLY), define(EIGHT, schedules), define(MIDNIGHT, minutes)])

    def put_boards(self, definitions: Sequence[Definition]) -> None:
        """Make boards, or change them, past the services."""

        async def put() -> None:
            async with self.target.open_database() as database:
                await put_all(database, definitions)

        asyncio.run(put())

    def board_id(self, name: str) -> int:
        """The id of a board."""
        [(board_id,)] = self._select(f"SELECT id FROM boards WHERE name = '{name}'")
        return int(board_id)

    def count_boards(self) -> int:
        """How many boards there are."""
        [(count,)] = self._select("SELECT COUNT(*) FROM boards")
        return int(count)

    def count_begun(self, board_id: int, time: datetime) -> int:
        """In how many windows of a board somebody has played in a period that began then."""
        [(count,)] = self._select(
            f"SELECT COUNT(*) FROM periods p WHERE board_id = {board_id} AND starts_at = '{time:%F %T}'"
            " AND EXISTS (SELECT 1 FROM standings t WHERE t.board_id = p.board_id AND t.period_id = p.id)"
        )
        return int(count)

    def past_days(self) -> list[int]:
        """The days of the main board in which nothing is counted any more, the last one first."""
        rows = self._select(
            "SELECT p.id FROM periods p JOIN windows w ON w.id = p.window_id"
            f" WHERE w.board_id = {MAIN_BOARD_ID} AND w.name = 'day' AND p.closes_at <= NOW() ORDER BY p.starts_at DESC"
        )
        return [int(period_id) for (period_id,) in rows]

    def crowd(self, at: Place) -> None:
        """Rank everybody in a place as on the main board in all time. Nobody must have read it yet."""
        with self.target.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM standings WHERE board_id = %s AND period_id = %s", at)
            cursor.execute(
                f"INSERT INTO standings (board_id, period_id, {_RANKED}) SELECT %s, %s, {_RANKED} FROM standings"
                f" WHERE board_id = {MAIN_BOARD_ID} AND period_id = {ALL_TIME} AND score IS NOT NULL",
                at,
            )
            connection.commit()

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
        issuer = self._issuer()
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

    def key_token(self, *scopes: Scope) -> str:
        """An access token of a key, as the auth service issues them."""
        now = datetime.now(UTC)
        return self._issuer().issue_to_key("key-" + "b" * 26, scopes, now, now + timedelta(hours=1))

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

    def times_without_redis(self) -> int:
        """How often our processes left Redis alone for a while: what they answered meanwhile was MySQL's."""
        logs = [service.log for service in self.stack.leaderboards if service.log.exists()]
        return sum(log.read_bytes().count(b'"redis unavailable') for log in logs)

    def _issuer(self) -> AccessTokenIssuer:
        keys = KeyRing.parse(self.secrets["JWT_KEYS"])
        return AccessTokenIssuer(keys, "leaderboard-auth", "leaderboard", timedelta(hours=12))

    def _select(self, query: str) -> list[tuple[Any, ...]]:
        with self.target.connect() as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


def define(name: str, schedules: Mapping[str, Schedule] | None = None, rule: Rule | None = None) -> Definition:
    """A board that adds up scores, over all time and in windows that start anew."""
    windows = [WindowDefinition(window, schedule, grace_seconds=60) for window, schedule in (schedules or {}).items()]
    ever = WindowDefinition("all")
    bounds = 0, MAX_SESSION_SCORE
    return Definition(name, "", "score", "total", "descending", rule, *bounds, False, "players", "active", (ever, *windows))


@contextmanager
def _running(process: Process) -> Iterator[None]:
    process.start()
    try:
        yield
    finally:
        process.stop()
