"""The page cache: what was read from MySQL, kept in Redis under the generation of its board until something changes.

Keys, all of a board and period under one hash tag, so that Redis Cluster keeps them together:

- ``lb:{board:period}:generation``: a nonce, after the ``master_replid`` of the server that took it. The replid changes on
  a restart and on a promotion, so a dataset older than what was acknowledged is never believed.
- ``lb:{board:period}:top:<limit>:<offset>`` and ``lb:{board:period}:rank:<user_id>``: the generation that was current
  before MySQL was asked, and the rendered answer. Under another generation it is a miss. So one new nonce outdates
  every page at once, nothing is scanned, and a page that a slow reader stores late is never believed.

A nonce is made anew for each send: a counter that was evicted would start over and revive old pages.
"""

import asyncio
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.leaderboard.breaker import Breaker
from services.leaderboard.repository import BoardPeriod
from services.leaderboard.settings import LeaderboardSettings

T = TypeVar("T")

_REPLID = "local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')\n"

# KEYS: generation, entry. ARGV: a nonce. Gives the generation and the entry, if it is of that generation.
_LOOKUP = (
    _REPLID
    + """
local generation = redis.call('GET', KEYS[1])
if not generation or string.sub(generation, 1, #replid + 1) ~= replid .. ':' then
  generation = replid .. ':' .. ARGV[1]
  redis.call('SET', KEYS[1], generation)
  return {generation}
end
local entry = redis.call('GET', KEYS[2])
if entry and string.sub(entry, 1, #generation + 1) == generation .. ' ' then
  return {generation, string.sub(entry, #generation + 2)}
end
return {generation}
"""
)
# KEYS: generation. ARGV: a nonce.
_RENEW = _REPLID + "redis.call('SET', KEYS[1], replid .. ':' .. ARGV[1])"


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up brought: the generation now, and the answer that was kept under it, if one was."""

    generation: bytes
    body: bytes | None


class PageCache:
    """Redis as this service uses it. No method raises because of Redis: it says that it could not, and the breaker opens."""

    def __init__(self, settings: LeaderboardSettings, breaker: Breaker) -> None:
        self._breaker = breaker
        self._timeout = settings.redis_timeout
        self._ttl_ms = int(settings.cache_ttl * 1000)
        password = settings.redis_password
        self._redis: Redis = Redis.from_url(
            settings.redis_url,
            password=password.get_secret_value() if password else None,
            socket_timeout=settings.redis_timeout,
            socket_connect_timeout=settings.redis_timeout,
            # By default redis-py tries ten times more, and a request would wait for all of them.
            retry=Retry(NoBackoff(), 0),
        )
        self._lookup = self._redis.register_script(_LOOKUP)
        self._renew = self._redis.register_script(_RENEW)

    async def lookup(self, at: BoardPeriod, entry: str) -> Found | None:
        """The generation of a board and period and what is kept there as ``entry``; None when Redis is not to be read."""
        if not self._breaker.readable:
            return None
        answer = await self._try(self._lookup(keys=[_key(at, "generation"), _key(at, entry)], args=[_nonce()]))
        return None if answer is None else Found(answer[0], answer[1] if len(answer) > 1 else None)

    async def store(self, at: BoardPeriod, entry: str, generation: bytes, body: bytes) -> None:
        """Keep ``body`` under the generation that was current before it was read."""
        if self._breaker.readable:
            await self._try(self._redis.set(_key(at, entry), generation + b" " + body, px=self._ttl_ms))

    async def renew(self, at: BoardPeriod) -> bool:
        """Outdate everything that is kept of a board and period. False when Redis could not be told."""
        return self._breaker.writable and await self._send_renewal(at)

    async def recover(self, everywhere: list[BoardPeriod]) -> bool:
        """Try Redis again, for the follower. When it answers, outdate everything in it and use it again.

        Twice, because a change that was committed before the first renewal was over knew only that Redis is left alone:
        the second outdates what was read before that change, and every change after the first is told by its writer.
        """
        # Connections from before the outage may be dead, and each would open the breaker anew when a request meets it.
        await self._redis.connection_pool.disconnect(inuse_connections=False)
        if not all([await self._send_renewal(at) for at in everywhere]):
            return False
        self._breaker.recover()
        for at in everywhere:
            await self.renew(at)
        self._breaker.close()
        return self._breaker.readable

    async def probe(self) -> None:
        """Find out, for the follower and before a request does, whether Redis still answers."""
        await self._try(self._redis.ping())

    async def require_in_use(self) -> None:
        """Return when Redis is in use. Raises ConnectionError when it is not."""
        if not self._breaker.readable:
            raise ConnectionError("redis is not in use")

    async def aclose(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    async def _send_renewal(self, at: BoardPeriod) -> bool:
        return await self._try(_done(self._renew(keys=[_key(at, "generation")], args=[_nonce()]))) is not None

    async def _try(self, command: Awaitable[T]) -> T | None:
        """What Redis answers, within the time-out; None, and the breaker opens, when it does not, or with an error."""
        try:
            async with asyncio.timeout(self._timeout):
                return await command
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.open(error)
            return None


async def _done(command: Awaitable[object]) -> bool:
    await command
    return True


def _key(at: BoardPeriod, entry: str) -> str:
    return f"lb:{{{at.board_id}:{at.period_id}}}:{entry}"


def _nonce() -> str:
    return uuid.uuid4().hex
