"""Follows accounts: their new names and their ends reach the boards by themselves, through `account_changes`.

Every process runs one, and applies every change. A change may be applied twice, or late, by anyone: whoever changes a player
has locked them, and asks then what the account is by now.

Changes commit in another order than that of their times. So each look goes back further than a transaction may take, and what
was seen before is passed over. What is missed all the same, as while no process ran, is found by going through all players.

Keys that were revoked are so few that each look reads all whose tokens may be about.
"""

import asyncio
from datetime import datetime, timedelta
from functools import partial

import structlog

from services.common.http.problems import ServiceUnavailable
from services.common.mysql.database import Database
from services.common.mysql.rounds import Rounds
from services.common.tokens import CLOCK_SKEW_SECONDS, MAX_LIFETIME_SECONDS
from services.leaderboard.players import accounts
from services.leaderboard.players.accounts import Account
from services.leaderboard.players.writer import PlayerWriter
from services.leaderboard.settings import LeaderboardSettings

log = structlog.get_logger(__name__)

# From a change's time to when it can be read: as long as its transaction may take, and then some.
_OVERLAP = timedelta(minutes=1)
# Tokens that were issued before an account's end are good for so long, by the clock of whoever verifies them.
_TOKENS_LIVE = timedelta(seconds=MAX_LIFETIME_SECONDS + 2 * CLOCK_SKEW_SECONDS)
# A key's tokens expire within the hour, as auth's setting of it says.
_KEYS_LIVE = timedelta(hours=1)
# An erasure of very many sessions does not keep the others waiting.
_AT_ONCE = 4
_PLAYERS_AT_ONCE = 5000
_STOP_SECONDS = 1.0


class AccountFollower:
    """One process's. ``ended`` has the users whose account has ended and the keys that were revoked, as long as their tokens
    may be good.
    """

    def __init__(self, database: Database, players: PlayerWriter, settings: LeaderboardSettings) -> None:
        self._database = database
        self._players = players
        self._rounds = Rounds(
            self.round,
            settings.follower_interval,
            name="looking for changes of accounts",
            failing="what became of accounts cannot be read",
        )
        self._sweeps = Rounds(
            self.sweep,
            settings.upkeep_seconds,
            name="looking for accounts that boards do not show",
            failing="accounts cannot be compared with players",
            retry=settings.follower_interval,
        )
        self.ended: set[int | str] = set()
        self._ended_at: dict[int, datetime] = {}
        # When MySQL was asked last, by its clock; None: never.
        self._asked_at: datetime | None = None
        self._revoked: set[str] = set()
        self._seen: dict[int, datetime] = {}
        self._waiting: dict[int, Account] = {}
        self._applying: dict[int, asyncio.Task[bool]] = {}

    async def start(self) -> None:
        """Know who has ended, and begin to follow. Without MySQL the process starts all the same: it can store nothing then."""
        await self._rounds.attempt()
        self._rounds.start(later=True)
        self._sweeps.start()

    async def stop(self) -> None:
        """End, once what is under way is done, or has had its time. The rest is found by the next process."""
        await asyncio.gather(self._rounds.stop(), self._sweeps.stop())
        if applying := [*self._applying.values()]:
            _, pending = await asyncio.wait(applying, timeout=_STOP_SECONDS)
            for task in pending:
                task.cancel()

    async def round(self) -> None:
        """See what is new, and begin to apply it. Raises what the database raises."""
        if self._asked_at is None:
            async with self._database.reading() as connection:
                self._asked_at = await accounts.read_clock(connection)
                for user_id, at in await accounts.list_ended(connection, self._asked_at - _TOKENS_LIVE):
                    self._refuse(user_id, at)
        news = await accounts.look(self._database, self._asked_at - _OVERLAP, _KEYS_LIVE)
        self._refuse_keys(news.revoked)
        for account, changed_at in news.changes:
            if self._seen.get(account.user_id) == changed_at:
                continue
            self._seen[account.user_id] = changed_at
            if account.ended:
                self._refuse(account.user_id, changed_at)
            self._waiting[account.user_id] = account
        self._asked_at = news.now
        self._forget(news.now)
        self._apply_waiting()

    async def sweep(self) -> None:
        """Go through all players, and apply what the board does not show yet. Raises what the database raises."""
        await self._accept_restored()
        after: int | None = 0
        while after is not None and not self._sweeps.stopping:
            async with self._database.reading() as connection:
                behind, after = await accounts.list_behind(connection, after, _PLAYERS_AT_ONCE)
            for account in behind:
                if account.ended or account.user_id not in self._waiting:
                    self._waiting[account.user_id] = account
            self._apply_waiting()

    async def _accept_restored(self) -> None:
        """An older database may have been restored, in which an account goes on, or its number is another's now."""
        refused = set(self._ended_at)  # before: whoever ends meanwhile is not looked at
        async with self._database.reading() as connection:
            now = await accounts.read_clock(connection)
            ended = await accounts.list_ended(connection, now - _TOKENS_LIVE)
        for user_id in refused.difference(user_id for user_id, _ in ended):
            self._accept(user_id)

    def _accept(self, user_id: int) -> None:
        self.ended.discard(user_id)
        self._ended_at.pop(user_id, None)

    def _refuse(self, user_id: int, ended_at: datetime) -> None:
        self.ended.add(user_id)
        self._ended_at[user_id] = ended_at

    def _refuse_keys(self, revoked: set[str]) -> None:
        """These and no others: one may be there again, in a database that was restored."""
        self.ended -= self._revoked - revoked
        self.ended |= revoked
        self._revoked = revoked

    def _forget(self, now: datetime) -> None:
        """What is seen no more, and whose tokens have expired."""
        self._seen = {user_id: at for user_id, at in self._seen.items() if at > now - _OVERLAP}
        for user_id in [user_id for user_id, at in self._ended_at.items() if at < now - _TOKENS_LIVE]:
            self._accept(user_id)

    def _apply_waiting(self) -> None:
        for account in list(self._waiting.values()):
            if len(self._applying) == _AT_ONCE or self._rounds.stopping:
                return
            if account.user_id not in self._applying:
                self._applying[account.user_id] = task = asyncio.create_task(self._apply(account))
                task.add_done_callback(partial(self._applied, account.user_id))

    def _applied(self, user_id: int, task: asyncio.Task[bool]) -> None:
        del self._applying[user_id]
        if not task.cancelled() and task.result():
            self._apply_waiting()

    async def _apply(self, account: Account) -> bool:
        """Give the player the account's name, or erase them with it. What fails is tried again in a later round, and not before
        those who wait as well.
        """
        user_id, name, ended = account
        try:
            await (self._players.remove(user_id) if ended else self._players.rename(user_id, name))
        except Exception as error:
            if not isinstance(error, ServiceUnavailable):
                log.exception("a change of an account could not be applied")
            self._waiting[user_id] = self._waiting.pop(user_id)
            return False
        if self._waiting[user_id] is account:
            del self._waiting[user_id]
        return True
