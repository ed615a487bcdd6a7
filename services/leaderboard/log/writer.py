"""The writer: submissions that come at the same time share one transaction, and each is counted exactly once.

A session has a key, and is stored with an INSERT that does nothing when it is there already. So a transaction of which it
is not known whether it was committed is run again, whole, until it is: never looked up, since its COMMIT may still be on
its way, while the INSERT waits for it.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.common.gather import Gather, GatherClosed, GatherCut, GatherFull
from services.common.http.problems import InvalidRequest, ServiceUnavailable, invalid_token
from services.common.mysql.database import CommitUnknown, reason
from services.common.mysql.multistatement import Transactions
from services.common.mysql.retries import Retries, is_away
from services.common.tokens import ACCOUNT_ENDED
from services.leaderboard.boards.places import Places
from services.leaderboard.errors import (
    KeyReused,
    NotForPlayers,
    PlayerBanned,
    QueueFull,
    SessionErased,
    TotalTooLarge,
    UnknownUser,
)
from services.leaderboard.log import sessions
from services.leaderboard.log.sessions import (
    AccountsEnded,
    PlacesChanged,
    PlayersBanned,
    SessionsErased,
    Standings,
    Stored,
    Submission,
    TotalsTooLarge,
)
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.standings import Aheads, PlaceRank, Ranks, StandingRow
from services.leaderboard.settings import LeaderboardSettings

log = structlog.get_logger(__name__)

ApplyAndRank = Callable[[Sequence[tuple[Ranked, Sequence[StandingRow]]]], Awaitable[Sequence[Aheads | None]]]
"""Tells Redis how standings are now, of many places. Gives for each place what Redis says of ranks; None for a place that Redis
could not be told of, which it does not raise."""
FindRanks = Callable[[Sequence[tuple[Ranked, Mapping[int, int]]]], Awaitable[Sequence[Ranks]]]
"""The ranks that players have with these scores, by place, among the others as they are now."""
# Two: while MySQL writes one group to the disk, the next is being put together, or told to Redis. With 32 players at once a
# process stored a third to two thirds more with two than with one.
LANES = 2
# Groups of what game servers send at once have lanes of their own, so that no player waits for one to end.
BATCH_LANES = 1
# A group costs MySQL and this process as much as some sixteen sessions in it do. With eight, two processes with 16 players each
# stored a quarter fewer.
_WORTH = 16
# What a process that is asked to end still gives to what it has accepted. The server waits longer for the answers.
DRAIN_SECONDS = 8.0

_STOPPED = "The service is being stopped. The session was not stored: send it again."
_CUT = "The service is being stopped, and the database has not answered. With the same key it can be sent again."


class Submitted(NamedTuple):
    """What a submission became, and how the player stands now in each place where it counts, or would were it not ``held``."""

    session_id: int
    ranks: Sequence[PlaceRank]
    replayed: bool
    held: bool = False


class _Asked(NamedTuple):
    submission: Submission
    at: float


class Writer:
    """One process's writer.

    ``told`` is given the outbox's note of each change that Redis has heard of.
    """

    def __init__(
        self,
        transactions: Transactions,
        settings: LeaderboardSettings,
        *,
        places: Places,
        apply_and_rank: ApplyAndRank,
        ranks: FindRanks,
        told: Callable[[int], None],
    ) -> None:
        self._transactions = transactions
        self._timeout = settings.mysql_timeout
        self._refuse_banned = settings.banned_submissions == "refuse"
        self._places = places
        self._apply_and_rank = apply_and_rank
        self._read_ranks = ranks
        self._told = told
        self._leave_by: float | None = None
        self.groups = self.sessions = 0
        """How many groups there were, and how many submissions of them are stored, repeats included."""
        self._gather: Gather[_Asked, Submitted] = Gather(
            self._write,
            most=settings.submission_group,
            queue=settings.submission_queue,
            lanes=LANES,
            worth=_WORTH,
            keep=True,
        )
        self._batches: Gather[_Asked, Submitted] = Gather(
            self._write, most=settings.batch_group, queue=settings.batch_queue, lanes=BATCH_LANES, keep=True
        )

    @property
    def waiting(self) -> int:
        """How many submissions wait to be stored."""
        return self._gather.waiting + self._batches.waiting

    async def submit(self, submission: Submission) -> Submitted:
        """Store ``submission``, also if the caller does not wait for it.

        Raises Unauthenticated when the account has ended, PlayerBanned, TotalTooLarge, KeyReused, SessionErased, QueueFull and
        ServiceUnavailable.
        """
        try:
            return await self._gather.ask(_Asked(submission, monotonic()))
        except GatherFull:
            raise QueueFull("More sessions wait to be stored than may. This one was not stored: send it again.") from None
        except GatherClosed:
            raise ServiceUnavailable(_STOPPED) from None
        except GatherCut:
            raise ServiceUnavailable(_CUT) from None

    async def submit_all(self, submissions: Sequence[Submission]) -> list[Submitted | BaseException]:
        """Store ``submissions``, also if the caller does not wait for them. Gives what became of each, which may be an error
        that `submit` raises.

        Raises QueueFull and ServiceUnavailable when none of them was taken.
        """
        now = monotonic()
        try:
            outcomes = await self._batches.ask_all([_Asked(each, now) for each in submissions])
        except GatherFull:
            raise QueueFull("More sessions wait to be stored than may. None of these was stored: send them again.") from None
        except GatherClosed:
            raise ServiceUnavailable(_STOPPED) from None
        stopped: dict[type, BaseException] = {
            GatherClosed: ServiceUnavailable(_STOPPED),
            GatherCut: ServiceUnavailable(_CUT),
        }
        return [stopped.get(type(each), each) for each in outcomes]

    def leave(self) -> None:
        """The process is asked to end: what reaches it is still stored, and who waits is answered before the server leaves."""
        self._leave_by = monotonic() + DRAIN_SECONDS
        self._leaving = asyncio.create_task(self._drain_in_time())

    async def drain(self) -> None:
        """Refuse new submissions, and return when all that were accepted are stored, or were given their time to be."""
        leave_by = monotonic() + DRAIN_SECONDS if self._leave_by is None else self._leave_by
        seconds = max(0.0, leave_by - monotonic())
        await asyncio.gather(self._gather.drain(seconds), self._batches.drain(seconds))

    async def _drain_in_time(self) -> None:
        await asyncio.sleep(DRAIN_SECONDS)
        await self.drain()

    async def _write(self, asked: list[_Asked]) -> list[Submitted | BaseException]:
        """One group: the transaction, then Redis, then the ranks."""
        oldest = monotonic() - self._timeout
        # The same session may have been sent more than once at the same time: the first is stored, the others find it so.
        firsts: dict[tuple[int, bytes], Submission] = {}
        for each in asked:
            if each.at >= oldest:
                firsts.setdefault(each.submission.identity, each.submission)
        outcomes = _Group(self._transactions, self._timeout, self._places, refuse_banned=self._refuse_banned)
        await outcomes.store(list(firsts.values()))
        self.groups += 1
        self.sessions += len(outcomes.stored)
        standings = outcomes.standings
        ranks = await self._find_ranks(standings, outcomes.notes)
        answers: list[Submitted | BaseException] = []
        for submission in (each.submission for each in asked):
            first = firsts.get(submission.identity)
            if first is None:
                answers.append(ServiceUnavailable("The session waited too long and was not stored: send it again."))
            elif first in outcomes.errors:
                answers.append(outcomes.errors[first])
            elif not (stored := outcomes.stored[first]).is_of(submission):
                answers.append(KeyReused(f"Another session was sent with this key: one that scored {stored.score}."))
            else:
                told = [_rank(at, submission.user_id, stored, standings, ranks) for at in stored.places]
                replayed = stored.replayed or submission is not first
                answers.append(Submitted(stored.session_id, told, replayed, stored.held))
        return answers

    async def _find_ranks(self, standings: Standings, notes: Iterable[int]) -> Mapping[Place, Ranks]:
        """Tell Redis of the commit, and find how the players rank after it.

        Whatever goes wrong, the sessions are stored, so their answers say that, if need be without a rank: an error would have
        them sent again. What Redis could not be told, the outbox remembers.
        """
        ranks: dict[Place, Ranks] = {}
        try:
            places = await self._places.ranked(standings)
            told = [(places[at], list(rows.values())) for at, rows in standings.items() if at in places]
            aheads = await self._apply_and_rank(told)
            if None not in aheads:
                for note in notes:
                    self._told(note)
            unknown: list[tuple[Ranked, Mapping[int, int]]] = []
            for (place, rows), found in zip(told, aheads, strict=True):
                scores = {row.user_id: row.score for row in rows if row.score is not None}
                by_player = _ranks(rows, found)
                if found is not None and len(by_player) == len(scores):
                    ranks[place.at] = Ranks(by_player, found.total_players)
                else:
                    unknown.append((place, scores))
            if unknown:
                read = await self._read_ranks(unknown)
                ranks |= {place.at: each for (place, _), each in zip(unknown, read, strict=True)}
        except Exception:
            log.exception("could not tell redis of a change, or read ranks")
        return ranks


def _ranks(rows: Sequence[StandingRow], found: Aheads | None) -> Mapping[int, int]:
    if found is None:
        return {}
    return {row.user_id: 1 + ahead for row, ahead in zip(rows, found.aheads, strict=True) if ahead is not None}


def _rank(at: Place, user_id: int, stored: Stored, standings: Standings, ranks: Mapping[Place, Ranks]) -> PlaceRank:
    row = standings.get(at, {}).get(user_id)
    if row is None or row.score is None:
        return PlaceRank(at, None, None, None, improved=False)
    found = ranks.get(at)
    rank, total_players = (found.by_player.get(user_id), found.total_players) if found else (None, None)
    return PlaceRank(at, row.score, rank, total_players, improved=row.reached_session_id == stored.session_id)


def _account_ended(submission: Submission) -> Exception:
    """Who submits is refused: a player by the token, which is of the account; a game server by the number that it named."""
    return invalid_token(ACCOUNT_ENDED) if submission.by == "players" else UnknownUser(submission.user_id)


class _Group:
    """A group on its way into MySQL: what became of each member, over as many transactions as it takes."""

    def __init__(self, transactions: Transactions, timeout: float, places: Places, *, refuse_banned: bool) -> None:
        self._transactions = transactions
        self._timeout = timeout
        self._places = places
        self._refuse_banned = refuse_banned
        self._began = monotonic()
        self.stored: dict[Submission, Stored] = {}
        self.standings: Standings = {}
        self.errors: dict[Submission, BaseException] = {}
        self.notes: list[int] = []
        # Ids of transactions whose outcome is not known. Each attempt has its own, so that a later one can tell what an
        # earlier one has stored, and counted, from what it has stored itself.
        self._unknown: set[bytes] = set()

    async def store(self, members: Sequence[Submission]) -> None:
        """Store all of ``members``: together, unless that fails because of one of them, then one by one."""
        try:
            await self._store_together(members)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to those whose fault it is
            if is_away(error):
                # Each alone would fail as well, and wait as long.
                self._give_up(members, error)
            elif len(members) == 1:
                self.errors[members[0]] = error
            else:
                log.warning("storing a group of sessions one by one", sessions=len(members), error=str(error))
                for member in members:
                    if monotonic() - self._began > self._timeout:
                        self._give_up([member], error)
                    else:
                        await self.store([member])

    async def _decide_anew(self, members: Sequence[Submission], change: PlacesChanged) -> Sequence[Submission]:
        """Decide where new ones count by what boards are now. Gives those whom boards still take, and repeats: they count where
        they did.
        """
        await self._places.changed(change.closed)
        taken = []
        for member in members:
            try:
                if member in change.submissions:
                    member.counts = await self._places.counts(member.played, member.submitted_at, member.by)
            except (InvalidRequest, NotForPlayers) as error:
                self.errors[member] = error
            else:
                taken.append(member)
        return taken

    def _refuse(self, members: Sequence[Submission], errors: Mapping[Submission, Exception]) -> Sequence[Submission]:
        """Answer some with their errors. Gives the others."""
        self.errors |= errors
        return [member for member in members if member not in errors]

    def _give_up(self, members: Sequence[Submission], error: Exception) -> None:
        log.warning("sessions not stored", sessions=len(members), error=reason(error))
        self.errors |= dict.fromkeys(members, ServiceUnavailable("The database did not answer. Try again in a moment."))

    async def _store_together(self, members: Sequence[Submission]) -> None:
        retries = Retries(self._timeout, began=self._began, unknown=bool(self._unknown))
        while members:
            group_id = os.urandom(16)
            try:
                work = partial(
                    sessions.store,
                    group=members,
                    group_id=group_id,
                    earlier=self._unknown,
                    refuse_banned=self._refuse_banned,
                )
                outcome = await self._transactions.attempt(work)
            except PlacesChanged as change:
                members = await self._decide_anew(members, change)
            except TotalsTooLarge as refused:
                detail = "A total stays below 2^53; with this session one would be {}."
                errors = {member: TotalTooLarge(detail.format(total)) for member, total in refused.totals.items()}
                members = self._refuse(members, errors)
            except AccountsEnded as refused:
                members = self._refuse(members, {member: _account_ended(member) for member in refused.submissions})
            except PlayersBanned as refused:
                members = self._refuse(members, {member: PlayerBanned() for member in refused.submissions})
            except SessionsErased as refused:
                detail = "This is a repeat of a session that its player has had erased. It is not stored again."
                members = self._refuse(members, {member: SessionErased(detail) for member in refused.submissions})
            except (CommitUnknown, SQLAlchemyError, TimeoutError, OSError) as error:
                if isinstance(error, CommitUnknown):
                    self._unknown.add(group_id)
                await retries.after(error)
            else:
                self.stored |= outcome.stored
                # Of a group that is stored one by one, the last that was stored of a player says how they stand.
                for at, by_player in outcome.standings.items():
                    self.standings.setdefault(at, {}).update(by_player)
                if outcome.note is not None:
                    self.notes.append(outcome.note)
                return
