"""Whom game servers submit for: users by their numbers. Those that are asked for at the same time share a round trip."""

from collections.abc import Collection, Mapping

from services.common.gather import Gather
from services.common.mysql.database import Database
from services.leaderboard.errors import UnknownUser
from services.leaderboard.players import accounts
from services.leaderboard.players.accounts import Account

_GATHERED = 100


class AccountLookups:
    """One process's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gather: Gather[int, Account | None] = Gather(self._look_up, most=_GATHERED)

    async def get(self, user_id: int) -> Account:
        """The account, which goes on. Raises UnknownUser, and what the database raises."""
        account = await self._gather.ask(user_id)
        if account is None or account.ended:
            raise UnknownUser(user_id)
        return account

    async def find_all(self, user_ids: Collection[int]) -> Mapping[int, Account]:
        """Those of these users whose account goes on, by their numbers. Raises what the database raises."""
        async with self._database.reading() as connection:
            return await accounts.list_going_on(connection, user_ids)

    async def _look_up(self, user_ids: list[int]) -> list[Account | None]:
        async with self._database.reading() as connection:
            found = await accounts.list_named(connection, set(user_ids))
        return [found.get(user_id) for user_id in user_ids]
