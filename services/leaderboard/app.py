"""The leaderboard service's application."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial

from fastapi import FastAPI

from services.common.encryption import Encryption
from services.common.http.server import LifespanState
from services.common.http.web import build_app
from services.common.mysql.database import Database
from services.common.mysql.multistatement import Transactions
from services.common.mysql.reach import Reach
from services.common.settings import live_encryption, live_keys, load_settings
from services.common.telemetry import configure_logging
from services.common.tokens import TokenVerifier
from services.common.upkeep import Chore, Upkeep
from services.leaderboard.batch_writes import BatchWrites
from services.leaderboard.board_numbers import BoardNumbers
from services.leaderboard.board_reads import BoardReads
from services.leaderboard.boards import deletion
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.boards.places import Places
from services.leaderboard.directory import Directory
from services.leaderboard.http import batches, boards, hot, live, numbers, players, rankings, results, submissions
from services.leaderboard.http.dependencies import PREFIX
from services.leaderboard.http.staff import (
    administration,
    figures,
    holds,
    moderation,
    previews,
    transfers,
    void_jobs,
    webhooks,
)
from services.leaderboard.index.breaker import Breaker
from services.leaderboard.index.builds import AT_ONCE, Builds
from services.leaderboard.index.connection import RedisConnection
from services.leaderboard.index.epoch import Epoch
from services.leaderboard.index.follower import Follower
from services.leaderboard.index.pages import PageCache
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.index.writer import IndexWriter
from services.leaderboard.live.hub import Hub
from services.leaderboard.live.limits import StreamLimits
from services.leaderboard.live.looks import Looks
from services.leaderboard.live.own_ranks import OwnRanks
from services.leaderboard.log import erased_keys
from services.leaderboard.log.limits import SubmissionLimit
from services.leaderboard.log.writer import BATCH_LANES, LANES, Writer
from services.leaderboard.operate.metrics import BoardMetrics
from services.leaderboard.player_reads import PlayerReads
from services.leaderboard.players import changes
from services.leaderboard.players.exports import Exports
from services.leaderboard.players.follower import AccountFollower
from services.leaderboard.players.lookups import AccountLookups
from services.leaderboard.players.writer import PlayerWriter
from services.leaderboard.reads import Reads
from services.leaderboard.result_reads import ResultReads
from services.leaderboard.seasons import expiry
from services.leaderboard.seasons.ends import PeriodEnds
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.staff.board_previews import BoardPreviews
from services.leaderboard.staff.board_writes import BoardWrites
from services.leaderboard.staff.figures import Figures
from services.leaderboard.staff.moderators import Moderators
from services.leaderboard.staff.session_imports import SessionImports
from services.leaderboard.staff.subscriptions import Subscriptions
from services.leaderboard.staff.void_jobs import VoidJobs
from services.leaderboard.transfers.process import Transfers
from services.leaderboard.webhooks import deliveries
from services.leaderboard.webhooks.secret_keys import SecretsAnew
from services.leaderboard.webhooks.sender import Sender
from services.leaderboard.writes import Writes


def _now() -> datetime:
    return datetime.now(UTC)


def _chores(redis: RedisConnection, encryption: Encryption) -> Mapping[str, Chore]:
    return {
        "erased_keys": erased_keys.forget,
        "erasures": changes.finish_erasures,
        "expiries": expiry.expire,
        "expired_standings": expiry.drop_standings,
        "foldings": changes.finish_foldings,
        "deletions": partial(deletion.finish, forget=IndexWriter(redis).forget),
        "deliveries": deliveries.forget,
        "unsent_deliveries": deliveries.give_up_unsent,
        "encrypt webhook secrets anew": SecretsAnew(encryption).encrypt,
    }


# With what the writer is given to drain, less than whoever stops the process waits before it is killed.
_CLOSE_SECONDS = 3.0


async def _close(*steps: Callable[[], Awaitable[None]]) -> None:
    """One after the other. Whatever a server that hangs does not let go of in time ends with the process."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            for step in steps:
                await step()


_PARTS = (
    submissions,
    batches,
    rankings,
    numbers,
    boards,
    live,
    administration,
    results,
    players,
    moderation,
    holds,
    void_jobs,
    figures,
    transfers,
    previews,
    webhooks,
)


def _leave(writer: Writer, bulk: Transfers, hub: Hub) -> None:
    hub.leave()
    bulk.leave()
    writer.leave()


def _serve(app: FastAPI, **parts: object) -> None:
    """Have requests find these, each by its name."""
    for name, part in parts.items():
        setattr(app.state, name, part)


def create_app(settings: LeaderboardSettings | None = None) -> FastAPI:
    """The application. Raises InvalidSettings, before anything is opened, when it must not start with these settings."""
    settings = settings or load_settings(LeaderboardSettings)
    keys, encryption = live_keys(settings), live_encryption(settings)
    configure_logging(settings, "leaderboard")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[LifespanState]:
        account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
        database, groups = Database(settings, *account), Transactions(settings, *account, connections=LANES + BATCH_LANES)
        follows = Database(settings, *account, pool_size=3)
        scans = Database(settings, *account, pool_size=AT_ONCE)
        snapshots = Database(settings, *account, pool_size=settings.ranking_pool_size, isolation_level="REPEATABLE READ")
        definitions = Database(settings, *account, pool_size=2, isolation_level="REPEATABLE READ")
        catalogue = Catalogue(definitions)
        breaker, epoch = Breaker(), Epoch()
        ends, sender = PeriodEnds(settings), Sender(settings, encryption)
        redis = RedisConnection(settings)
        builds = Builds(scans, settings)
        index = RankingIndex(redis, breaker, epoch, builds.want)
        pages = PageCache(settings, index)
        reads = Reads(snapshots, index, pages)
        follower = Follower(follows, builds, redis, breaker, epoch, settings)
        places = Places(catalogue, database)
        tell = index.apply_and_rank
        writer = Writer(groups, settings, places=places, apply_and_rank=tell, ranks=reads.ranks, told=follower.told)
        reach = Reach(settings, *account, databases=[snapshots, follows, definitions])
        people = PlayerWriter(database, settings, _now, places=places, apply_and_rank=tell, told=follower.told)
        accounts = AccountFollower(follows, people, settings)
        verifier = TokenVerifier(keys, settings.jwt_issuer, settings.jwt_audience, accounts.ended)
        limit = SubmissionLimit(snapshots, settings.submissions_per_second, settings.submissions_burst)
        lookups, now = AccountLookups(snapshots), catalogue.clock.now
        board_reads = BoardReads(places, reads, snapshots, now)
        hub = Hub(StreamLimits(settings), builds, accounts.ended, OwnRanks(index, reads))
        hub.looks = Looks(board_reads, reads, index, pages, snapshots, now, audience=hub)
        bulk = Transfers(settings, catalogue, places, apply_and_rank=tell, told=follower.told)
        imports, voids = SessionImports(bulk.importer, database), VoidJobs(catalogue, database, people)
        upkeep = Upkeep(database, _now, _chores(redis, encryption), interval=settings.upkeep_seconds)
        _serve(
            app,
            writes=Writes(places, limit, writer, people, lookups, reads, now),
            batch_writes=BatchWrites(places, limit, writer, lookups, now),
            reads=reads,
            board_reads=board_reads,
            board_numbers=BoardNumbers(board_reads, reads, snapshots),
            player_reads=PlayerReads(places, reads, board_reads, snapshots, now),
            hub=hub,
            directory=Directory(catalogue, snapshots),
            result_reads=ResultReads(catalogue, snapshots, settings.results),
            exports=Exports(snapshots),
            board_writes=BoardWrites(catalogue, database, IndexWriter(redis).forget),
            board_previews=BoardPreviews(catalogue, snapshots),
            moderators=Moderators(people, places, reads, snapshots),
            void_jobs=voids,
            figures=Figures(snapshots, follower, index, writer),
            transfers=bulk,
            session_imports=imports,
            subscriptions=Subscriptions(database, encryption, sender.addresses),
            verifier=verifier,
            reach=reach,
            follower=follower,
            upkeep=upkeep,
        )
        for part in (reach, catalogue, follower, accounts, ends, sender, voids, hub):
            await part.start()
        upkeep.start()
        app.state.metrics.registry.register(metrics := BoardMetrics(follower, reads, writer, ends, sender, hub))
        try:
            yield {"leave": partial(_leave, writer, bulk, hub)}
        finally:
            app.state.metrics.registry.unregister(metrics)
            # What was accepted is stored, also when nobody waits for the answer any more.
            await asyncio.gather(writer.drain(), bulk.drain(), imports.drain())
            stops = (
                hub.stop,
                upkeep.stop,
                voids.stop,
                ends.stop,
                sender.stop,
                accounts.stop,
                follower.stop,
                builds.stop,
                catalogue.stop,
                reach.stop,
                pages.aclose,
                index.aclose,
                redis.aclose,
            )
            await _close(*stops, *(pool.dispose for pool in (snapshots, follows, scans, definitions, bulk, groups, database)))

    return build_app(
        title="Leaderboard: scores and ranks",
        description="Submit scores and read exact ranks. Equal scores share a rank; who reached one first stands first.",
        prefix=PREFIX,
        settings=settings,
        lifespan=lifespan,
        routers=[*(part.router for part in _PARTS), rankings.boards],
        shortcuts=hot.find,
        larger_bodies={
            batches.PATH: batches.MAX_BODY_BYTES,
            transfers.IMPORT_PATH: transfers.MOST_IMPORTED_BYTES,
        },
        needed={"mysql": lambda app: app.state.reach.require},
        helpful={"redis": lambda app: app.state.follower.require_in_use},
    )
