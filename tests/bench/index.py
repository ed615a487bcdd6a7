"""The ranking index of a place, seen from outside: in Redis, as whoever administers it can."""

import time

from services.leaderboard.index.layout import keys
from services.leaderboard.rules.places import Place
from services.local.redis import RedisServer

_SECONDS = 300.0
# A process that keeps an index begins one long before.
_BEGINS_SECONDS = 10.0


class NoIndex(Exception):
    """Redis does not hold the ranking index. The message says what was waited for."""


class Index:
    """The indexes that a server holds."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    def wait(self, at: Place, players: int) -> None:
        """Return when all of a place's players are there. Raises NoIndex when nobody builds it, or it takes too long."""
        began = time.monotonic()
        while not self._is_complete(at, players):
            waited = time.monotonic() - began
            if waited > _SECONDS:
                raise NoIndex(f"the ranking index was not whole after {_SECONDS:.0f} s")
            if waited > _BEGINS_SECONDS and not self._has_begun(at):
                raise NoIndex("the ranking index is not there")
            time.sleep(0.05)

    def forget(self, at: Place) -> None:
        """Have nothing of a place there."""
        with self._server.client(timeout=60) as redis:
            redis.unlink(*keys(at))

    def time_rebuild(self, at: Place) -> tuple[float, float]:
        """Empty Redis under the running services. Gives the seconds until the index is whole again, and its bytes a player."""
        with self._server.client(timeout=60) as redis:
            _, order = keys(at)
            players = redis.zcard(order)
            redis.flushall()
            began = time.monotonic()
            empty = redis.info("memory")["used_memory"]
            self.wait(at, players)
            seconds = time.monotonic() - began
            return seconds, (redis.info("memory")["used_memory"] - empty) / players

    def _is_complete(self, at: Place, players: int) -> bool:
        hashed, order = keys(at)
        with self._server.client() as redis:
            complete, count = redis.hmget(hashed, ["#complete", "#count"])
            replid = redis.info("replication")["master_replid"]
            found: int = redis.zcard(order)
            return bool((complete or b"").endswith(replid.encode()) and int(count or 0) == found == players)

    def _has_begun(self, at: Place) -> bool:
        with self._server.client() as redis:
            return bool(redis.exists(keys(at)[0]))
