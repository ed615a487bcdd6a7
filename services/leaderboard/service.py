"""The use cases of the leaderboard service."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.database import Database
from services.common.problems import FieldError, InvalidRequest
from services.common.tokens import Principal
from services.leaderboard import ranking, repository
from services.leaderboard.errors import PlayerNotFound, TotalTooLarge
from services.leaderboard.follower import Follower
from services.leaderboard.pages import PageCache
from services.leaderboard.repository import BoardPeriod, PlayerScore
from services.leaderboard.schemas import OwnRank, PlayerRank, RankedPlayer, SubmittedSession, TopPage
from services.leaderboard.single_flight import SingleFlight

# Submission keys made here begin with this; no client's can.
_SERVER_KEY = b"s:"

MAIN = BoardPeriod(ranking.MAIN_BOARD_ID, ranking.ALL_TIME)


class LeaderboardService:
    """The board: its sessions, its pages and its ranks.

    ``reads`` gives each connection one snapshot, so that a page's rows, ranks and count are of one moment.
    """

    def __init__(
        self, writes: Database, reads: Database, cache: PageCache, follower: Follower, clock: Callable[[], datetime]
    ) -> None:
        self._writes = writes
        self._reads = reads
        self._cache = cache
        self._follower = follower
        self._clock = clock
        self._flights: SingleFlight[bytes] = SingleFlight()
        self._max_score: int | None = None

    async def submit(self, player: Principal, score: int) -> SubmittedSession:
        """Store a session, grow the player's total with it, outdate what Redis keeps, then answer.

        Raises InvalidRequest when the board does not take such a score, and TotalTooLarge.
        """
        if self._max_score is None:
            async with self._writes.reading() as connection:
                self._max_score = await repository.get_max_score(connection, MAIN.board_id)
        if score > self._max_score:
            detail = f"this board takes scores up to {self._max_score}"
            raise InvalidRequest(detail, errors=[FieldError(detail=detail, pointer="#/score")])
        submission_key, group_id, now = _SERVER_KEY + uuid.uuid4().bytes, uuid.uuid4().bytes, self._clock()

        async def store(connection: AsyncConnection) -> tuple[int, int, int]:
            session_id = await repository.add_session(connection, player.user_id, submission_key, group_id, score, now)
            await repository.keep_player(connection, player.user_id, player.username)
            total = await repository.add_to_standing(connection, MAIN, player.user_id, score, session_id)
            if total > ranking.MAX_TOTAL:
                raise TotalTooLarge(f"A total stays below 2^53; with {score} more this one would be {total}.")
            return session_id, total, await repository.add_outbox(connection, MAIN, player.user_id)

        session_id, total, note = await self._writes.transaction(store)
        if await self._cache.renew(MAIN):
            self._follower.told(note)
        async with self._reads.reading() as connection:
            ahead = await repository.count_ahead(connection, MAIN, total)
        return SubmittedSession(
            session_id=session_id, user_id=player.user_id, username=player.username, total_score=total, rank=1 + ahead
        )

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
