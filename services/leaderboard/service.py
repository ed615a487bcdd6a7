"""The use cases of the leaderboard service."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.database import Database
from services.common.problems import FieldError, InvalidRequest
from services.common.tokens import Principal
from services.leaderboard import ranking, repository
from services.leaderboard.errors import PlayerNotFound
from services.leaderboard.pages import PageCache
from services.leaderboard.repository import BoardPeriod, PlayerScore
from services.leaderboard.schemas import OwnRank, PlayerRank, RankedPlayer, SubmittedSession, TopPage
from services.leaderboard.sessions import Submission
from services.leaderboard.single_flight import SingleFlight
from services.leaderboard.writer import Writer

# What submission keys begin with: those made here, and clients'. So no client can guess or take one of ours.
_SERVER_KEY = b"s:"
_CLIENT_KEY = b"c:"

MAIN = BoardPeriod(ranking.MAIN_BOARD_ID, ranking.ALL_TIME)


class LeaderboardService:
    """The board: its sessions, its pages and its ranks.

    ``reads`` gives each connection one snapshot, so that a page's rows, ranks and count are of one moment.
    """

    def __init__(
        self, writes: Database, reads: Database, cache: PageCache, writer: Writer, clock: Callable[[], datetime]
    ) -> None:
        self._writes = writes
        self._reads = reads
        self._cache = cache
        self._writer = writer
        self._clock = clock
        self._flights: SingleFlight[bytes] = SingleFlight()
        self._max_score: int | None = None

    async def submit(self, player: Principal, score: int, key: str | None) -> tuple[bytes, bool]:
        """Store a session and count it; what the player sent before with the same ``key`` is the same session.

        Gives the answer as JSON (`SubmittedSession`), and whether the session was stored before. Raises InvalidRequest when
        the board does not take such a score, TotalTooLarge, KeyReused, QueueFull and ServiceUnavailable.
        """
        if self._max_score is None:
            async with self._writes.reading() as connection:
                self._max_score = await repository.get_max_score(connection, MAIN.board_id)
        if score > self._max_score:
            detail = f"this board takes scores up to {self._max_score}"
            raise InvalidRequest(detail, errors=[FieldError(detail=detail, pointer="#/score")])
        submission_key = _SERVER_KEY + uuid.uuid4().bytes if key is None else _CLIENT_KEY + key.encode("ascii")
        submitted = await self._writer.submit(Submission(player.user_id, player.username, submission_key, score, self._clock()))
        answer = SubmittedSession(
            session_id=submitted.session_id,
            user_id=player.user_id,
            username=player.username,
            total_score=submitted.total_score,
            rank=submitted.rank,
        )
        return answer.model_dump_json().encode(), submitted.replayed

    async def top(self, limit: int, offset: int) -> bytes:
        """A page of the board as JSON (`TopPage`), read through the cache."""

        async def load() -> bytes:
            async with self._reads.reading() as connection:
                players = await repository.list_page(connection, MAIN, limit, offset)
                ahead = await repository.count_ahead(connection, MAIN, players[0].score) if players else 0
                total_players = await repository.count_players(connection, MAIN)
            ranks = ranking.ranks([player.score for player in players], offset, ahead)
            page = TopPage(
                top=[
                    RankedPlayer(rank=rank, user_id=player.user_id, username=player.username, total_score=player.score)
                    for rank, player in zip(ranks, players, strict=True)
                ],
                limit=limit,
                offset=offset,
                total_players=total_players,
            )
            return page.model_dump_json().encode()

        return await self._read_through(f"top:{limit}:{offset}", load)

    async def rank(self, user_id: int) -> bytes:
        """A player's rank as JSON (`PlayerRank`), read through the cache. Raises PlayerNotFound."""

        async def load() -> bytes:
            async with self._reads.reading() as connection:
                player = await repository.find_score(connection, MAIN, user_id)
                if player is None:
                    raise PlayerNotFound(f"Nobody with the id {user_id} has played on this board.")
                return await self._rank_now(connection, player)

        return await self._read_through(f"rank:{user_id}", load)

    async def own_rank(self, caller: Principal) -> bytes:
        """The caller's rank as JSON (`OwnRank`): always of their last acknowledged session, whoever stored it.

        The score is MySQL's; the cache is believed about the rank only if it tells the same score.
        """
        async with self._reads.reading() as connection:
            own = await repository.find_score(connection, MAIN, caller.user_id)
        if own is None:
            return (
                OwnRank(user_id=caller.user_id, username=caller.username, total_score=0, rank=None).model_dump_json().encode()
            )
        cached = PlayerRank.model_validate_json(await self.rank(caller.user_id))
        if (cached.total_score, cached.username) != (own.score, own.username):
            async with self._reads.reading() as connection:
                latest = await repository.find_score(connection, MAIN, caller.user_id)
                return await self._rank_now(connection, latest or own)
        return cached.model_dump_json().encode()

    @staticmethod
    async def _rank_now(connection: AsyncConnection, player: PlayerScore) -> bytes:
        ahead = await repository.count_ahead(connection, MAIN, player.score)
        rank = PlayerRank(user_id=player.user_id, username=player.username, total_score=player.score, rank=1 + ahead)
        return rank.model_dump_json().encode()

    async def _read_through(self, entry: str, load: Callable[[], Awaitable[bytes]]) -> bytes:
        """What Redis keeps as ``entry``, else what ``load`` reads from MySQL, once for all who ask at the same time."""
        found = await self._cache.lookup(MAIN, entry)
        if found is None:
            return await self._flights.share_fresh(entry, load)
        if found.body is not None:
            return found.body
        generation = found.generation

        async def fill() -> bytes:
            body = await load()
            await self._cache.store(MAIN, entry, generation, body)
            return body

        return await self._flights.share((entry, generation), fill)
