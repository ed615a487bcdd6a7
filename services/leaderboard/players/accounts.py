"""SQL of what the auth service says of accounts, and of keys that were revoked: its tables `account_changes` and `key_endings`,
which this service may only read.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import column, exists, func, or_, select, table
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database, UTCDateTime
from services.leaderboard.models import Erasure, GameSession, Player, Report, Reporter, Standing

_account = table(
    "account_changes",
    column("id"),
    column("username"),
    column("username_canonical"),
    column("ended_at", UTCDateTime),
    column("changed_at", UTCDateTime),
).c

_GOING_ON = """
SELECT GROUP_CONCAT(CONCAT_WS('\t', id, username) SEPARATOR '\n') FROM account_changes
WHERE ended_at IS NULL AND id IN ({ids})"""


# Of one moment each, told apart by which columns they have.
_NEWS = """
SELECT UTC_TIMESTAMP(6), NULL, NULL, NULL, NULL UNION ALL
SELECT changed_at, id, username, ended_at IS NOT NULL, NULL FROM account_changes WHERE changed_at > %s UNION ALL
SELECT ended_at, NULL, NULL, NULL, client_id FROM key_endings WHERE ended_at > UTC_TIMESTAMP(6) - INTERVAL %s SECOND"""


class Account(NamedTuple):
    """An account, by the name that it has now. It has none once it has ended."""

    user_id: int
    username: str
    ended: bool


class Change(NamedTuple):
    """An account that was renamed, or has ended, and when."""

    account: Account
    changed_at: datetime


class News(NamedTuple):
    """What is new of accounts and keys, and when that was so, by MySQL's clock."""

    now: datetime
    changes: Sequence[Change]
    revoked: set[str]


async def find(connection: AsyncConnection, user_id: int) -> Account | None:
    """The account, None if auth has not said anything of it.

    Who has locked the player's row before knows its name, and its end, for as long as they hold it: what auth commits later is
    applied by whoever locks the row next.
    """
    row = (await connection.execute(_rows.where(_account.id == user_id))).one_or_none()
    return None if row is None else Account(*row)


async def list_named(connection: AsyncConnection, user_ids: Collection[int]) -> dict[int, Account]:
    """Those of these accounts that there are or were, by their numbers."""
    rows = await connection.execute(_rows.where(_account.id.in_(user_ids)))
    return {row[0]: Account(*row) for row in rows}


async def list_called(connection: AsyncConnection, names: Collection[str]) -> dict[str, Account]:
    """The accounts that go on and have these names, by them: in the form in which they are unique (`names.canonical`)."""
    found = _rows.add_columns(_account.username_canonical).where(_account.username_canonical.in_(names), ~_has_ended)
    return {row[3]: Account(*row[:3]) for row in await connection.execute(found)}


async def list_going_on(connection: AsyncConnection, user_ids: Collection[int]) -> dict[int, Account]:
    """Those of these accounts that have not ended, by their numbers.

    As one text: of a thousand accounts the driver would take longer to read the rows than MySQL does to find them.
    """
    if not user_ids:
        return {}
    listed = (await connection.exec_driver_sql(_GOING_ON.format(ids=",".join([f"{each:d}" for each in user_ids])))).scalar_one()
    pairs = [line.split("\t") for line in listed.split("\n")] if listed else []
    return {int(user_id): Account(int(user_id), username, ended=False) for user_id, username in pairs}


async def read_clock(connection: AsyncConnection) -> datetime:
    """MySQL's time, which `changed_at` is of."""
    now: datetime = (await connection.exec_driver_sql("SELECT UTC_TIMESTAMP(6)")).scalar_one()
    return now.replace(tzinfo=UTC)


async def look(database: Database, since: datetime, keys_live: timedelta) -> News:
    """Accounts that changed since a time of MySQL's, and the keys that were revoked while their tokens may be good."""
    rows = await database.look(_NEWS, since.replace(tzinfo=None), int(keys_live.total_seconds()))
    changes = [
        Change(Account(int(user_id), username, bool(ended)), at.replace(tzinfo=UTC))  # of a UNION it may be a decimal
        for at, user_id, username, ended, _ in rows
        if user_id is not None
    ]
    revoked = {client_id for *_, client_id in rows if client_id is not None}
    [now] = [at.replace(tzinfo=UTC) for at, user_id, _, _, client_id in rows if user_id is None and client_id is None]
    return News(now, changes, revoked)


async def list_ended(connection: AsyncConnection, since: datetime) -> list[tuple[int, datetime]]:
    """Whose account has ended since a time of MySQL's, and when that was written down."""
    rows = await connection.execute(select(_account.id, _account.changed_at).where(_account.changed_at > since, _has_ended))
    return [(user_id, at) for user_id, at in rows]


async def list_behind(connection: AsyncConnection, after: int, limit: int) -> tuple[list[Account], int | None]:
    """Of the next players, by id, the accounts that are not as the board shows them.

    Gives the last player that was looked at too; None when that were all.
    """
    page = select(Player.user_id).where(Player.user_id > after).order_by(Player.user_id).limit(limit).subquery()
    last, count = (await connection.execute(select(func.max(page.c.user_id), func.count()).select_from(page))).one()
    if not count:
        return [], None
    of_page = Player.user_id == _account.id, Player.user_id > after, Player.user_id <= last
    renamed = (_account.username != Player.username) & (Player.username != "")  # one who is banned may have none
    rows = await connection.execute(_rows.where(*of_page, _has_ended | renamed))
    return [Account(*row) for row in rows], last if count == limit else None


async def list_remains(connection: AsyncConnection, limit: int) -> Sequence[int]:
    """Whose account has ended, and of whom something is left on a board, in the log or of what they reported. Sessions that are
    being erased do not count.
    """
    erased = select(Erasure.upto_session_id).where(Erasure.user_id == _account.id).scalar_subquery()
    left = or_(
        exists().where(Player.user_id == _account.id),
        exists().where(Reporter.user_id == _account.id),
        exists().where(Report.user_id == _account.id),
        exists().where(Standing.user_id == _account.id, Standing.score.is_not(None)),
        exists().where(GameSession.user_id == _account.id, GameSession.id > func.coalesce(erased, 0)),
    )
    return (await connection.scalars(select(_account.id).where(_has_ended, left).order_by(_account.id).limit(limit))).all()


_has_ended = _account.ended_at.is_not(None)
_rows = select(_account.id, _account.username, _has_ended)
