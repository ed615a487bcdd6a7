"""The leaderboard service's application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from fastapi import FastAPI

from services.common.database import Database
from services.common.multistatement import Transactions
from services.common.server import LifespanState
from services.common.settings import live_keys, load_settings
from services.common.telemetry import configure_logging
from services.common.tokens import TokenVerifier
from services.common.upkeep import Upkeep
from services.common.web import build_app
from services.leaderboard import erased_keys, hot, players, sessions
from services.leaderboard.breaker import Breaker
from services.leaderboard.exports import Exports
from services.leaderboard.follower import Follower
from services.leaderboard.index import RankingIndex
from services.leaderboard.metrics import BoardMetrics
from services.leaderboard.pages import PageCache
from services.leaderboard.player_writer import PlayerWriter
from services.leaderboard.rankings import MAIN, Rankings
from services.leaderboard.routes import PREFIX, router
from services.leaderboard.scripting import RedisConnection
from services.leaderboard.service import LeaderboardService
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.writer import LANES, Writer

_CHORES = {"erased_keys": erased_keys.forget, "erasures": players.finish_erasures}


def _now() -> datetime:
    return datetime.now(UTC)


# With what the writer is given to drain, less than whoever stops the process waits before it is killed.
_CLOSE_SECONDS = 3.0


def create_app(settings: LeaderboardSettings | None = None) -> FastAPI:
    """The application. Raises InvalidSettings, before anything is opened, when it must not start with these settings."""
    settings = settings or load_settings(LeaderboardSettings)
    keys = live_keys(settings)
    configure_logging(settings, "leaderboard")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[LifespanState]:
        account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
        writes = Database(settings, *account)
        groups = Transactions(settings, *account, connections=LANES, first=sessions.PREPARE)
        reads = Database(settings, *account, pool_size=settings.ranking_pool_size, isolation_level="REPEATABLE READ")
        breaker = Breaker()
        redis = RedisConnection(settings)
        index = RankingIndex(redis, breaker)
        pages = PageCache(settings, index)
        rankings = Rankings(reads, index, pages)
        follower = Follower(writes, redis, breaker, settings)
        writer = Writer(groups, settings, MAIN, announce=index.announce, ranks=rankings.ranks, told=follower.told)
        app.state.writes = writes
        app.state.follower = follower
        app.state.verifier = TokenVerifier(keys, settings.jwt_issuer, settings.jwt_audience)
        people = PlayerWriter(writes, settings, _now, announce=index.announce, told=follower.told)
        app.state.service = LeaderboardService(writes, writer, people, rankings, _now)
        app.state.rankings = rankings
        app.state.exports = Exports(reads)
        app.state.upkeep = upkeep = Upkeep(writes, _now, _CHORES, interval=settings.upkeep_seconds)
        metrics = BoardMetrics(follower, rankings, writer)
        await follower.start()
        upkeep.start()
        app.state.metrics.registry.register(metrics)
        try:
            yield {"leave": writer.leave}
        finally:
            app.state.metrics.registry.unregister(metrics)
            await writer.drain()  # what was accepted is stored, also when nobody waits for the answer any more
            # Whatever a server that hangs does not let go of in time ends with the process.
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await upkeep.stop()
                    await follower.stop()
                    await pages.aclose()
                    await redis.aclose()
                    await reads.dispose()
                    await groups.dispose()
                    await writes.dispose()

    return build_app(
        title="Leaderboard: scores and ranks",
        description="Submit scores and read exact ranks. Equal totals share a rank; who reached a total first stands first.",
        prefix=PREFIX,
        settings=settings,
        lifespan=lifespan,
        router=router,
        shortcuts=hot.find,
        needed={"mysql": lambda app: app.state.writes.ping},
        helpful={"redis": lambda app: app.state.follower.require_in_use},
    )
