"""The connection to Redis: one client a process, short time-outs, scripts run by their hash."""

import asyncio
from collections.abc import Sequence
from hashlib import sha1
from importlib import resources
from itertools import chain
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from services.leaderboard.settings import LeaderboardSettings

Arguments = Sequence[str | bytes | int]
UNAVAILABLE = RedisError, OSError, TimeoutError
"""What a call raises when Redis could not do it."""


class Script:
    """A script of ours: its text, after what all of them begin with, and the hash that a server knows it by."""

    def __init__(self, name: str) -> None:
        folder = resources.files("services.leaderboard.index").joinpath("lua")
        prelude, body = (folder.joinpath(f"{each}.lua").read_text(encoding="utf-8") for each in ("prelude", name))
        self.text = f"{prelude}\n{body}"
        self.digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()  # the name that Redis gives it


class RedisConnection:
    """Redis, or a Redis Cluster. Every call ends within ``timeout`` seconds, with an answer or with an error."""

    def __init__(self, settings: LeaderboardSettings, timeout: float | None = None) -> None:
        self._timeout = timeout or settings.redis_timeout
        password = settings.redis_password
        options: dict[str, Any] = {
            # A server without a password has no user of ours either.
            "username": settings.redis_user if password else None,
            "password": password.get_secret_value() if password else None,
            "socket_timeout": self._timeout,
            "socket_connect_timeout": self._timeout,
            # By default redis-py tries ten times more, and a request would wait for all of them.
            "retry": Retry(NoBackoff(), 0),
        }
        self._client: Redis | RedisCluster
        if settings.redis_cluster:
            self._client = RedisCluster.from_url(settings.redis_url, **options)
        else:
            self._client = Redis.from_url(settings.redis_url, **options)

    async def run(self, script: Script, keys: list[str], arguments: Arguments) -> Any:
        """What the script answers. Raises RedisError, OSError or TimeoutError."""
        async with asyncio.timeout(self._timeout):
            return await self._run(script, keys, arguments)

    async def run_each(self, script: Script, calls: Sequence[tuple[list[str], Arguments]]) -> list[Any]:
        """What the script answers to each call, or its error, all in one round trip and within one time-out.

        Raises RedisError, OSError or TimeoutError when the connection fails: then any of them may have been run, or none.
        """
        async with asyncio.timeout(self._timeout):
            if isinstance(self._client, RedisCluster):  # each key at its node
                return await asyncio.gather(*(self._run(script, *call) for call in calls), return_exceptions=True)
            if len(calls) == 1:
                try:
                    return [await self._run(script, *calls[0])]
                except ResponseError as error:
                    return [error]
            answers = await self._send(self._client, script, calls)
            unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if unknown:
                again = await self._send(self._client, script, [calls[number] for number in unknown], teach=True)
                for number, answer in zip(unknown, again, strict=True):
                    answers[number] = answer
            return answers

    async def _run(self, script: Script, keys: list[str], arguments: Arguments) -> Any:
        try:
            return await self._client.execute_command("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:  # a server that has not seen it yet
            return await self._client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    @staticmethod
    async def _send(
        client: Redis, script: Script, calls: Sequence[tuple[list[str], Arguments]], *, teach: bool = False
    ) -> list[Any]:
        """The calls in one pipeline. ``teach``: the first has the script's text, by which the server knows it from then on."""
        async with client.pipeline(transaction=False) as pipeline:
            for number, (keys, arguments) in enumerate(calls):
                known = ("EVAL", script.text) if teach and number == 0 else ("EVALSHA", script.digest)
                pipeline.execute_command(*known, len(keys), *keys, *arguments)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
            return answers

    async def set(self, key: str, value: bytes, milliseconds: int) -> None:
        """Keep a value for so long. Raises RedisError, OSError or TimeoutError."""
        async with asyncio.timeout(self._timeout):
            await self._client.execute_command("SET", key, value, "PX", milliseconds)

    async def unlink(self, keys: Sequence[Sequence[str]]) -> None:
        """Remove keys, which are given by what is at one node. Raises RedisError, OSError or TimeoutError."""
        calls = keys if isinstance(self._client, RedisCluster) else [list(chain.from_iterable(keys))]
        async with asyncio.timeout(self._timeout):
            await asyncio.gather(*(self._client.execute_command("UNLINK", *call) for call in calls))

    async def drop_idle(self) -> None:
        """Close the connections that wait for use: from before an outage, each would be found dead by a call of its own."""
        if isinstance(self._client, Redis):  # a cluster's client finds its nodes anew by itself
            await self._client.connection_pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()
