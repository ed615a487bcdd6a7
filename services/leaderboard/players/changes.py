"""SQL that changes one player: their name, and their leaving.

The player's row in `players` is the lock of all of the player's standings and sessions: whoever changes any takes it first, as
the writer does when it counts. So whoever has it sees exactly those sessions that the standings count. Nobody stores another
meanwhile, and what is stored later has a greater id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.boards import periods
from services.leaderboard.log import erased_keys
from services.leaderboard.models import Erasure, GameSession, Outbox, Player, Standing
from services.leaderboard.players import accounts
from services.leaderboard.rules.places import ALL_TIME, Place
from services.leaderboard.rules.standings import StandingRow


@dataclass(frozen=True, slots=True)
class PlayerChange:
    """How a player's standings are, and the outbox's note of what changed, None when nothing did.

    ``erased``: how many sessions were. ``pending``: whether more are to be.
    """

    standings: Sequence[tuple[Place, StandingRow]]
    note: int | None
    erased: int = 0
    pending: bool = False


async def rename(connection: AsyncConnection, user_id: int, username: str) -> PlayerChange:
    """Show a player by the name of their account, or by this one where auth has not said anything of it.

    Of one who is not on any board nothing is kept, so not the name either. One whose account has ended is not changed: they are
    to be erased.
    """
    name = await _lock(connection, user_id)
    account = None if name is None else await accounts.find(connection, user_id)
    if account is not None:
        username = account.username
    if name is None or name == username or (account is not None and account.ended):
        return PlayerChange(await _list_standings(connection, user_id, name), None)
    await connection.execute(update(Player).where(Player.user_id == user_id).values(username=username))
    ranked = Standing.user_id == user_id, Standing.score.is_not(None)
    await connection.execute(update(Standing).where(*ranked).values(version=Standing.version + 1))
    standings = await _list_standings(connection, user_id, username)
    return PlayerChange(standings, await _note(connection, [each for each in standings if each[1].score is not None]))


async def remove(connection: AsyncConnection, user_id: int, now: datetime, limit: int) -> PlayerChange:
    """Take a player off every board, and erase their name and their sessions.

    Of those up to ``limit``: the others are remembered as to be erased, and are no longer counted.
    """
    name = await _lock(connection, user_id)
    if name is None:  # they never played, or have been removed
        pending = select(func.count()).select_from(Erasure).where(Erasure.user_id == user_id)
        under_way = bool(await connection.scalar(pending))
        return PlayerChange(await _list_standings(connection, user_id, None), None, pending=under_way)
    erased = await _erase_sessions(connection, user_id, None, now, limit)
    last: int | None = await connection.scalar(select(func.max(GameSession.id)).where(GameSession.user_id == user_id))
    if last is None:
        await _end_erasure(connection, user_id)
    else:
        erasure = mysql.insert(Erasure).values(user_id=user_id, upto_session_id=last)
        await connection.execute(erasure.on_duplicate_key_update(upto_session_id=last))
    await connection.execute(delete(Player).where(Player.user_id == user_id))
    ranked = [at for at, row in await _list_standings(connection, user_id, None) if row.score is not None]
    expired = await periods.share(connection, {at.period_id for at in ranked} - {ALL_TIME})
    ranked = [at for at in ranked if at.period_id not in expired]
    # A removed standing tells nothing of what it was. Those of expired periods are gone soon, and nobody reads them.
    gone = update(Standing).where(Standing.user_id == user_id, Standing.score.is_not(None), Standing.period_id.not_in(expired))
    await connection.execute(gone.values(score=None, sort=None, sessions=0, reached_session_id=0, version=Standing.version + 1))
    standings = await _list_standings(connection, user_id, None)
    note = await _note(connection, [each for each in standings if each[0] in ranked])
    return PlayerChange(standings, note, erased, pending=last is not None)


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


async def _lock(connection: AsyncConnection, user_id: int) -> str | None:
    """Lock the player, and give their name: None when there is no such row, which nothing can lock."""
    name: str | None = await connection.scalar(select(Player.username).where(Player.user_id == user_id).with_for_update())
    return name


async def _list_standings(connection: AsyncConnection, user_id: int, name: str | None) -> list[tuple[Place, StandingRow]]:
    """The player's standings everywhere, removed ones too."""
    key = Standing.board_id, Standing.period_id
    columns = select(*key, Standing.score, Standing.reached_session_id, Standing.version)
    rows = await connection.execute(columns.where(Standing.user_id == user_id).order_by(*key))
    return [
        (Place(board_id, period_id), StandingRow(user_id, name or "", score, reached, version))
        for board_id, period_id, score, reached, version in rows
    ]


async def _note(connection: AsyncConnection, changed: Sequence[tuple[Place, StandingRow]]) -> int | None:
    """The outbox's note of what changed, in the same transaction. None if nothing did."""
    if not changed:
        return None
    what = [[at.board_id, at.period_id, row.user_id] for at, row in changed]
    note: int = (await connection.execute(insert(Outbox).values(changed=what))).lastrowid
    return note


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
        await connection.exec_driver_sql(f"DELETE FROM session_extras WHERE session_id IN ({listed})")
        await connection.exec_driver_sql(f"DELETE FROM game_sessions WHERE id IN ({listed})")
    return len(ids)


async def _end_erasure(connection: AsyncConnection, user_id: int) -> None:
    await connection.execute(delete(Erasure).where(Erasure.user_id == user_id))
