"""SQL of players who are banned: what they have played stays in the log, and counts nowhere."""

from dataclasses import dataclass

from sqlalchemy import delete, literal_column, select, update
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import UTCDateTime
from services.leaderboard.errors import PlayerNotFound
from services.leaderboard.models import Player
from services.leaderboard.moderation import entries
from services.leaderboard.moderation.entries import Act, Order
from services.leaderboard.players import accounts, changes, folding
from services.leaderboard.players.changes import Locked, PlayerChange
from services.leaderboard.seasons import corrections

_NOW = literal_column("NOW(6)", UTCDateTime())


@dataclass(frozen=True, slots=True, kw_only=True)
class BanChange(PlayerChange):
    """Whom it was about, as they are now."""

    player: Locked


async def ban(connection: AsyncConnection, user_id: int, order: Order) -> BanChange:
    """Hide a player from every board. Done again, nothing is changed.

    One who has an account and has not played can be banned as well. Raises PlayerNotFound for one who has neither.
    """
    account = await accounts.find(connection, user_id)
    if account is not None and not account.ended:
        # A row that is not there cannot be locked: without a name, it is as good as none.
        row = mysql.insert(Player).values(user_id=user_id, username="")
        await connection.execute(row.on_duplicate_key_update(user_id=user_id))
    return await _set_banned(connection, user_id, order, banned=True)


async def unban(connection: AsyncConnection, user_id: int, order: Order) -> BanChange:
    """Show a player again as if there had been no ban: what they played meanwhile counts. Done again, nothing is changed.

    Raises PlayerNotFound, and TotalTooLarge.
    """
    return await _set_banned(connection, user_id, order, banned=False)


async def find(connection: AsyncConnection, user_id: int) -> Locked | None:
    """The player as they are known here, without a lock."""
    columns = select(Player.user_id, Player.username, Player.banned_at)
    row = (await connection.execute(columns.where(Player.user_id == user_id))).one_or_none()
    return None if row is None else Locked(*row)


async def _set_banned(connection: AsyncConnection, user_id: int, order: Order, *, banned: bool) -> BanChange:
    player = await changes.lock(connection, user_id)
    if player is None:
        raise PlayerNotFound(f"There is no player {user_id}.")
    was_banned = player.banned_at is not None
    if banned is not was_banned:
        time = _NOW if banned else None
        await connection.execute(update(Player).where(Player.user_id == user_id).values(banned_at=time))
    folded = await folding.fold_anew(connection, user_id, player.username)
    await corrections.tell(connection, user_id, folded.changed)
    if banned is not was_banned:
        act = Act.PLAYER_BANNED if banned else Act.PLAYER_UNBANNED
        said = {"banned": was_banned}, {"banned": banned}
        await entries.add(connection, act, order, user_id=user_id, was=said[0], became=said[1])
    if not player.username and not banned:  # of whom nothing else is kept
        await connection.execute(delete(Player).where(Player.user_id == user_id))
    since = await connection.scalar(select(Player.banned_at).where(Player.user_id == user_id))
    return BanChange(
        standings=folded.standings,
        note=folded.note,
        pending=folded.pending,
        player=player._replace(banned_at=since),
    )
