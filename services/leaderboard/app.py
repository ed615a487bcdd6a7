"""The leaderboard service's application."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from fastapi import FastAPI

from services.common.database import Database
from services.common.settings import InvalidSettings, load_settings
from services.common.telemetry import configure_logging
from services.common.tokens import InvalidKeys, KeyRing, TokenVerifier
from services.common.web import build_app
from services.leaderboard.breaker import Breaker
from services.leaderboard.follower import Follower
from services.leaderboard.pages import PageCache
from services.leaderboard.repository import BoardPeriod
from services.leaderboard.routes import PREFIX, router
from services.leaderboard.service import MAIN, LeaderboardService
from services.leaderboard.sessions import count_ahead_of_each
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.writer import Writer


def create_app(settings: LeaderboardSettings | None = None) -> FastAPI:
    """The application. Raises InvalidSettings, before anything is opened, when it must not start with these settings."""
    settings = settings or load_settings(LeaderboardSettings)
    try:
        keys = KeyRing.parse(settings.jwt_keys.get_secret_value())
    except InvalidKeys as error:
        raise InvalidSettings(f"cannot start: JWT_KEYS: {error}") from None
    configure_logging(settings, "leaderboard")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
        writes = Database(settings, *account)
        reads = Database(settings, *account, pool_size=settings.ranking_pool_size, isolation_level="REPEATABLE READ")
        breaker = Breaker()
        cache = PageCache(settings, breaker)
        follower = Follower(writes, cache, breaker, settings)

        async def announce(at: BoardPeriod, _: object) -> bool:
            return await cache.renew(at)

        async def ranks(at: BoardPeriod, scores: Collection[int]) -> dict[int, int]:
            async with reads.reading() as connection:
                ahead = await count_ahead_of_each(connection, at, scores)
            return {score: 1 + players for score, players in ahead.items()}

        writer = Writer(writes, settings, MAIN, announce=announce, ranks=ranks, told=follower.told)
        app.state.writes = writes
        app.state.cache = cache
        app.state.verifier = TokenVerifier(keys, settings.jwt_issuer, settings.jwt_audience)
        app.state.service = LeaderboardService(writes, reads, cache, writer, lambda: datetime.now(UTC))
        await follower.round()  # so that the first request finds Redis in use, if it is there
        following = asyncio.create_task(follower.run())
        try:
            yield
        finally:
            await writer.drain()  # what was accepted is stored, also when nobody waits for the answer any more
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            await cache.aclose()
            await reads.dispose()
            await writes.dispose()

    return build_app(
        title="Leaderboard: scores and ranks",
        description="Submit scores and read exact ranks. Equal totals share a rank; who reached a total first stands first.",
        prefix=PREFIX,
        settings=settings,
        lifespan=lifespan,
        router=router,
        needed={"mysql": lambda app: app.state.writes.ping},
        helpful={"redis": lambda app: app.state.cache.require_in_use},
    )
