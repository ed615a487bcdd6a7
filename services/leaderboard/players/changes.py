"""SQL that changes one player: their name, their leaving, and what their standings are folded to anew.

The player's row in `players` is the lock of all of the player's standings and sessions: whoever changes any takes it first, as
the writer does when it counts. So whoever has it sees exactly those sessions that the standings count. Nobody stores another
meanwhile, and what is stored later has a greater id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.log import erased_keys
from services.leaderboard.models import Erasure, GameSession, Player, Report, Reporter, Standing
from services.leaderboard.players import accounts, folding
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.seasons import corrections


@dataclass(frozen=True, slots=True)
class PlayerChange:
    """How a player's standings are, and the outbox's note of what changed, None when nothing did.

    ``erased``: how many sessions were. ``pending``: whether more are to be, or more standings are to be folded anew.
    """

    standings: Sequence[tuple[Place, StandingRow]]
    note: int | None
    erased: int = 0
    pending: bool = False


class Locked(NamedTuple):
    """A player whose row is locked. One who is banned may have no name: nothing else is kept of them."""

    user_id: int
    username: str
    banned_at: datetime | None


async def lock(connection: AsyncConnection, user_id: int) -> Locked | None:
    """Lock the player. None when there is no such row, which nothing can lock."""
    columns = select(Player.user_id, Player.username, Player.banned_at)
    row = (await connection.execute(columns.where(Player.user_id == user_id).with_for_update())).one_or_none()
    return None if row is None else Locked(*row)


async def rename(connection: AsyncConnection, user_id: int, username: str) -> PlayerChange:
    """Show a player by the name of their account, or by this one where auth has not said anything of it.

    Of one who is not on any board nothing is kept, so not the name either. One whose account has ended is not changed: they are
    to be erased.
    """
    player = await lock(connection, user_id)
    name = player.username if player else ""
    account = await accounts.find(connection, user_id) if name else None
    if account is not None:
        username = account.username
    if name in ("", username) or (account is not None and account.ended):
        return PlayerChange(await _list_standings(connection, user_id, name), None)
    await connection.execute(update(Player).where(Player.user_id == user_id).values(username=username))
    ranked = Standing.user_id == user_id, Standing.score.is_not(None)
    await connection.execute(update(Standing).where(*ranked).values(version=Standing.version + 1))
    standings = await _list_standings(connection, user_id, username)
    note = await folding.add_note(connection, [each for each in standings if each[1].score is not None])
    return PlayerChange(standings, note)


async def remove(connection: AsyncConnection, user_id: int, now: datetime, limit: int) -> PlayerChange:
    """Take a player off every board, and erase their name, their sessions and what they have reported.

    Of the sessions up to ``limit``: the others are remembered as to be erased, and are no longer counted. That a player is
    banned is forgotten with the account only: who leaves does not come back by it.
    """
    player = await lock(connection, user_id)
    # In this order: whoever reports for them just now has locked the first row, and writes the second after it.
    await connection.execute(delete(Reporter).where(Reporter.user_id == user_id))
    await connection.execute(delete(Report).where(Report.user_id == user_id))
    if player is None:  # they never played, or have been removed
        pending = select(func.count()).select_from(Erasure).where(Erasure.user_id == user_id)
        under_way = bool(await connection.scalar(pending))
        return PlayerChange(await _list_standings(connection, user_id, ""), None, pending=under_way)
    erased = await _erase_sessions(connection, user_id, None, now, limit)
    last: int | None = await connection.scalar(select(func.max(GameSession.id)).where(GameSession.user_id == user_id))
    if last is None:
        await _end_erasure(connection, user_id)
    else:
        erasure = mysql.insert(Erasure).values(user_id=user_id, upto_session_id=last)
        await connection.execute(erasure.on_duplicate_key_update(upto_session_id=last))
    account = await accounts.find(connection, user_id)
    if player.banned_at is not None and not (account and account.ended):
        await connection.execute(update(Player).where(Player.user_id == user_id).values(username=""))
    else:
        await connection.execute(delete(Player).where(Player.user_id == user_id))
    # All at once: from here on there may be no row that could be locked. Standings of expired periods stay as they are: they
    # are gone soon, and nobody reads them.
    folded = await folding.fold_anew(connection, user_id, "", limit=None)
    return PlayerChange(folded.standings, folded.note, erased, pending=last is not None)


async def erase(connection: AsyncConnection, user_id: int, now: datetime, limit: int) -> PlayerChange:
    """Go on erasing what a removal has left over: up to ``limit`` sessions, which nothing counts any more."""
    locked = select(Erasure.upto_session_id).where(Erasure.user_id == user_id).with_for_update()
    upto: int | None = await connection.scalar(locked)
    if upto is None:
        return PlayerChange([], None)
    erased = await _erase_sessions(connection, user_id, upto, now, limit)
    pending = erased == limit
    if not pending:
        await _end_erasure(connection, user_id)
    return PlayerChange([], None, erased, pending)


async def finish_erasures(connection: AsyncConnection, now: datetime, limit: int) -> int:
    """Go on erasing what a process has left over that did not come to the end of it. Gives how many sessions were erased."""
    erased = 0
    for user_id in (await connection.scalars(select(Erasure.user_id).order_by(Erasure.user_id).limit(limit))).all():
        if erased < limit:
            erased += (await erase(connection, user_id, now, limit - erased)).erased
    return erased


async def fold(connection: AsyncConnection, user_id: int) -> PlayerChange:
    """Go on folding a player anew whose standings were too many for the transaction that changed them."""
    player = await lock(connection, user_id)
    if player is None:  # removed meanwhile, with all standings
        await folding.end(connection, user_id)
        return PlayerChange([], None)
    folded = await folding.fold_anew(connection, user_id, player.username)
    await corrections.tell(connection, user_id, folded.changed)
    return PlayerChange(folded.standings, folded.note, pending=folded.pending)


async def finish_foldings(connection: AsyncConnection, _now: datetime, limit: int) -> int:
    """Go on with one that a process has left over. Gives ``limit`` while there may be more of them, and 0 after that.

    One player a transaction: players are locked before anything else is.
    """
    user_id = await folding.find_pending(connection)
    if user_id is None:
        return 0
    await fold(connection, user_id)
    return limit


async def _list_standings(connection: AsyncConnection, user_id: int, name: str) -> list[tuple[Place, StandingRow]]:
    """The player's standings everywhere, removed ones too."""
    kept = await folding.list_kept(connection, user_id)
    return [(at, each.row(user_id, name)) for at, each in sorted(kept.items())]


async def _erase_sessions(connection: AsyncConnection, user_id: int, upto: int | None, now: datetime, limit: int) -> int:
    """Erase the player's oldest sessions, and remember which submissions may not come again. Gives how many they were."""
    oldest = select(GameSession.id).where(GameSession.user_id == user_id)
    if upto is not None:
        oldest = oldest.where(GameSession.id <= upto)
    ids = (await connection.scalars(oldest.order_by(GameSession.id).limit(limit))).all()
    if ids:
        await erased_keys.remember(connection, ids, now)
        # As text: SQLAlchemy takes longer to bind a thousand ids than MySQL to delete their rows.
        listed = ",".join(map(str, ids))
        for table in ("session_extras", "reviews", "reports"):
            await connection.exec_driver_sql(f"DELETE FROM {table} WHERE session_id IN ({listed})")
        await connection.exec_driver_sql(f"DELETE FROM game_sessions WHERE id IN ({listed})")
    return len(ids)


async def _end_erasure(connection: AsyncConnection, user_id: int) -> None:
    await connection.execute(delete(Erasure).where(Erasure.user_id == user_id))
