"""SQL that changes one player: their name, and their leaving.

Whoever changes a player locks the standings first, as the writer does when it counts. So under that lock the sessions that can
be seen are exactly those that the standings count, whatever else is on its way: what is not committed yet has not been counted,
and will be counted upon what is left here. Nothing is taken from its id, since ids commit out of order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Row, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.boards import definitions
from services.leaderboard.log import erased_keys, history
from services.leaderboard.models import Erasure, GameSession, Outbox, Player, Standing
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.ranking import Tally
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
    """Show a player by this name. Of one who is not on any board nothing is kept, so not the name either."""
    places = await _lock(connection, user_id)
    name: str | None = await connection.scalar(select(Player.username).where(Player.user_id == user_id))
    live = [place for place in places if place.tally is not None]
    if not live or name == username:
        return PlayerChange([place.change(name) for place in places], None)
    kept = mysql.insert(Player).values(user_id=user_id, username=username)
    await connection.execute(kept.on_duplicate_key_update(username=username))
    return await _change(connection, places, {place.at: place.tally for place in live}, username)


async def remove(connection: AsyncConnection, user_id: int, now: datetime, limit: int) -> PlayerChange:
    """Take a player off every board, and erase their name and their sessions.

    Of those up to ``limit``: the others are remembered as to be erased, and are no longer counted.
    """
    places = await _lock(connection, user_id)
    if not places:  # they have no sessions; one that is committed just now would not be under our lock
        return PlayerChange([], None)
    erased = await _erase_sessions(connection, user_id, None, now, limit)
    last: int | None = await connection.scalar(select(func.max(GameSession.id)).where(GameSession.user_id == user_id))
    if last is None:
        await _end_erasure(connection, user_id)
    else:
        pending = mysql.insert(Erasure).values(user_id=user_id, upto_session_id=last)
        await connection.execute(pending.on_duplicate_key_update(upto_session_id=last))
    await _erase_name(connection, user_id)
    changed: dict[Place, Tally | None] = {place.at: None for place in places if place.tally is not None}
    outcome = await _change(connection, places, changed, None)
    return replace(outcome, erased=erased, pending=last is not None)


async def erase(connection: AsyncConnection, user_id: int, now: datetime, limit: int) -> PlayerChange:
    """Go on erasing what a removal has left over: up to ``limit`` sessions.

    A session among them may have been on its way when the player was removed, and have been counted since: then the standings
    are brought back to what remains.
    """
    places = await _lock(connection, user_id)
    upto: int | None = await connection.scalar(select(Erasure.upto_session_id).where(Erasure.user_id == user_id))
    if upto is None:
        return PlayerChange([], None)
    erased = await _erase_sessions(connection, user_id, upto, now, limit)
    remain = await history.fold_later_sessions(connection, user_id, upto)
    changed = {place.at: remain for place in places if place.tally is not None and place.tally != remain}
    if remain is None:
        await _erase_name(connection, user_id)
    name: str | None = await connection.scalar(select(Player.username).where(Player.user_id == user_id))
    outcome = await _change(connection, places, changed, name)
    pending = erased == limit
    if not pending:
        await _end_erasure(connection, user_id)
    return replace(outcome, erased=erased, pending=pending)


async def finish_erasures(connection: AsyncConnection, now: datetime, limit: int) -> int:
    """Go on erasing what a process has left over that did not come to the end of it. Gives how many sessions were erased."""
    erased = 0
    for user_id in (await connection.scalars(select(Erasure.user_id).order_by(Erasure.user_id).limit(limit))).all():
        if erased < limit:
            erased += (await erase(connection, user_id, now, limit - erased)).erased
    return erased


@dataclass(frozen=True, slots=True)
class _Locked:
    """A player's standing somewhere, locked. Removed, it has no tally."""

    at: Place
    user_id: int
    tally: Tally | None
    version: int

    def change(self, name: str | None) -> tuple[Place, StandingRow]:
        score, reached = (self.tally.score, self.tally.reached_session_id) if self.tally else (None, 0)
        return self.at, StandingRow(self.user_id, name or "", score, reached, self.version)


async def _lock(connection: AsyncConnection, user_id: int) -> list[_Locked]:
    """The player's standings, in the order of the primary key: so two who change players never wait for each other."""
    wanted = [(at.board_id, at.period_id, user_id) for at in await definitions.list_places(connection)]
    key = Standing.board_id, Standing.period_id, Standing.user_id
    columns = *key, Standing.score, Standing.sessions, Standing.reached_session_id, Standing.version
    locked = select(*columns).where(tuple_(*key).in_(wanted)).order_by(*key).with_for_update()
    return [_place(row) for row in await connection.execute(locked)]


def _place(row: Row[int, int, int, int | None, int, int, int]) -> _Locked:
    board_id, period_id, user_id, score, sessions, reached, version = row
    tally = None if score is None else Tally(score, sessions, reached)
    return _Locked(Place(board_id, period_id), user_id, tally, version)


async def _change(
    connection: AsyncConnection, places: Sequence[_Locked], changed: dict[Place, Tally | None], name: str | None
) -> PlayerChange:
    """Bring standings to these tallies, with the outbox's note of it in the same transaction."""
    after = []
    for place in places:
        if place.at in changed:
            place = replace(place, tally=changed[place.at], version=place.version + 1)  # noqa: PLW2901 - as it is from here on
            await _write(connection, place)
        after.append(place.change(name))
    note = None
    if changed:
        [user_id] = {place.user_id for place in places}
        what = [[at.board_id, at.period_id, user_id] for at in changed]
        note = (await connection.execute(insert(Outbox).values(changed=what))).lastrowid
    return PlayerChange(after, note)


async def _write(connection: AsyncConnection, place: _Locked) -> None:
    """A removed standing tells nothing of what it was."""
    tally = place.tally
    statement = update(Standing).where(
        Standing.board_id == place.at.board_id, Standing.period_id == place.at.period_id, Standing.user_id == place.user_id
    )
    await connection.execute(
        statement.values(
            score=tally.score if tally else None,
            sessions=tally.sessions if tally else 0,
            reached_session_id=tally.reached_session_id if tally else 0,
            version=place.version,
        )
    )


async def _erase_sessions(connection: AsyncConnection, user_id: int, upto: int | None, now: datetime, limit: int) -> int:
    """Erase the player's oldest sessions, and remember which submissions may not come again. Gives how many they were.

    Found without a lock, and then deleted by id: a session that is on its way holds its own row, and waits for us.
    """
    oldest = select(GameSession.id).where(GameSession.user_id == user_id)
    if upto is not None:
        oldest = oldest.where(GameSession.id <= upto)
    ids = (await connection.scalars(oldest.order_by(GameSession.id).limit(limit))).all()
    if ids:
        await erased_keys.remember(connection, ids, now)
        # As text: SQLAlchemy takes longer to bind a thousand ids than MySQL to delete their rows.
        await connection.exec_driver_sql(f"DELETE FROM game_sessions WHERE id IN ({','.join(map(str, ids))})")
    return len(ids)


async def _end_erasure(connection: AsyncConnection, user_id: int) -> None:
    await connection.execute(delete(Erasure).where(Erasure.user_id == user_id))


async def _erase_name(connection: AsyncConnection, user_id: int) -> None:
    await connection.execute(delete(Player).where(Player.user_id == user_id))
