"""Who callers are: what is asked more often than all else here, so those who ask at the same time share one look-up."""

from collections.abc import Callable
from datetime import datetime
from json.encoder import encode_basestring  # the C one where there is one; like Pydantic it leaves non-ASCII as it is

from services.auth.sessions import families
from services.auth.sessions.families import AccountRecord
from services.auth.sessions.live import session_ended
from services.common.gather import Gather
from services.common.mysql.database import Database
from services.common.tokens import Principal

_GATHERED = 100
LANES = 2


class Callers:
    """The accounts that access tokens speak for. A session that ended, or an account that is gone, is noticed at once."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._accounts: Gather[Principal, AccountRecord | None] = Gather(self._list_accounts, most=_GATHERED, lanes=LANES)

    async def account(self, caller: Principal) -> bytes:
        """The caller's `Account`, as JSON. Raises Unauthenticated."""
        found = await self._accounts.ask(caller)
        if found is None:
            raise session_ended()
        return render(found)

    async def _list_accounts(self, callers: list[Principal]) -> list[AccountRecord | BaseException | None]:
        now = self._clock()
        async with self._database.reading() as connection:
            found = await families.list_accounts(connection, {caller.session_id.bytes for caller in callers}, now)
        accounts = [found.get(caller.session_id.bytes) for caller in callers]
        # A token with another's session is not one that was issued.
        return [
            account if account and account.user_id == caller.user_id else None
            for account, caller in zip(accounts, callers, strict=True)
        ]


def render(account: AccountRecord) -> bytes:
    """`Account`. Written straight from what was read: Pydantic would cost more than the look-up."""
    created_at = account.created_at.isoformat().replace("+00:00", "Z")
    name = encode_basestring(account.username)
    guest = "true" if account.guest else "false"
    return f'{{"user_id":{account.user_id},"username":{name},"created_at":"{created_at}","guest":{guest}}}'.encode()
