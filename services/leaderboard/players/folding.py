"""A player's standings folded anew, from the log: what voiding, restoring, banning, unbanning and erasing all come to.

Whoever calls `fold_anew` has locked the player's row and has made the change, in the same transaction. It writes what differs:
so whoever was cut short after a batch, or comes to it twice, goes on where it was. Boards and periods are shared after the
player's row, as groups of sessions do.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.boards import periods, table
from services.leaderboard.errors import TotalTooLarge
from services.leaderboard.log import history, statements
from services.leaderboard.models import Folding, Outbox, Standing
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import ALL_TIME, Place
from services.leaderboard.rules.ranking import MAX_TOTAL, Aggregate, Tally
from services.leaderboard.rules.standings import StandingRow

ROWS_AT_ONCE = 200
"""Standings that are written in one transaction, which the player's own submissions wait for."""


class Kept(NamedTuple):
    """What a standing says, and its version. Removed, it has no tally; not there, it has no version either."""

    tally: Tally | None
    version: int

    def row(self, user_id: int, username: str) -> StandingRow:
        score, reached = (None, 0) if self.tally is None else (self.tally.score, self.tally.reached_session_id)
        return StandingRow(user_id, username, score, reached, self.version)


class Changed(NamedTuple):
    """The score that a player had in a place, and has. None: they were not ranked there, or are not."""

    at: Place
    before: int | None
    after: int | None


class Folded(NamedTuple):
    """What the player's standings are now, first where they changed, and what the outbox has noted of that.

    ``pending``: there are more to be changed, which is written down.
    """

    standings: Sequence[tuple[Place, StandingRow]]
    changed: Sequence[Changed]
    note: int | None
    pending: bool


_NOT_THERE = Kept(None, 0)


async def fold_anew(connection: AsyncConnection, user_id: int, username: str, *, limit: int | None = ROWS_AT_ONCE) -> Folded:
    """Make a player's standings what their sessions give: up to ``limit`` of them, those first where sessions still count.

    Raises TotalTooLarge when a total would leave the range in which it can be counted exactly.
    """
    kept = await list_kept(connection, user_id)
    start = await history.find_start(connection, user_id)
    named = set(kept) if start is None else kept.keys() | await history.list_places(connection, user_id, start)
    boards = await table.share_countings(connection, {at.board_id for at in named})
    states = await periods.share(connection, {at.period_id for at in named} - {ALL_TIME})
    states[ALL_TIME] = "open"
    folded = {} if start is None else await history.fold_player(connection, user_id, start, boards)
    _require_countable(folded, {board_id for board_id, (_, by) in boards.items() if by.aggregate is Aggregate.TOTAL})
    ours = sorted(at for at in named if at.board_id in boards and at.period_id in states)
    different = [at for at in ours if folded.get(at) != kept.get(at, _NOT_THERE).tally]
    different.sort(key=lambda at: states[at.period_id] != "open")
    some = different[:limit]
    now = dict(kept)
    for at in some:
        now[at] = Kept(folded.get(at), kept.get(at, _NOT_THERE).version + 1)
    if some:
        rows = [_row(at, user_id, now[at], boards[at.board_id][1].direction) for at in sorted(some)]
        await connection.exec_driver_sql(statements.WRITE_STANDINGS.format(rows=",".join(rows)))
    pending = len(some) < len(different)
    await (_begin if pending else end)(connection, user_id)
    # Who asks again is told of what has not changed, too: the first time, Redis may not have heard.
    told = [*some, *sorted(now.keys() & set(ours) - set(some))][:limit]
    standings = [(at, now[at].row(user_id, username)) for at in told]
    changed = [Changed(at, _score(kept.get(at, _NOT_THERE)), _score(now[at])) for at in some]
    return Folded(standings, changed, await add_note(connection, standings[: len(some)]), pending)


async def list_kept(connection: AsyncConnection, user_id: int) -> dict[Place, Kept]:
    """The player's standings everywhere, removed ones too."""
    columns = select(
        Standing.board_id,
        Standing.period_id,
        Standing.score,
        Standing.sessions,
        Standing.reached_session_id,
        Standing.version,
    )
    rows = await connection.execute(columns.where(Standing.user_id == user_id))
    return {
        Place(board_id, period_id): Kept(None if score is None else Tally(score, sessions, reached), version)
        for board_id, period_id, score, sessions, reached, version in rows
    }


async def add_note(connection: AsyncConnection, changed: Sequence[tuple[Place, StandingRow]]) -> int | None:
    """The outbox's note of what changed, in the same transaction. None if nothing did."""
    if not changed:
        return None
    what = [[at.board_id, at.period_id, row.user_id] for at, row in changed]
    note: int = (await connection.execute(insert(Outbox).values(changed=what))).lastrowid
    return note


async def find_pending(connection: AsyncConnection) -> int | None:
    """A player whose standings are being folded anew, if there is one."""
    user_id: int | None = await connection.scalar(select(Folding.user_id).order_by(Folding.begun_at).limit(1))
    return user_id


async def list_pending(connection: AsyncConnection, after: int, upto: int) -> Collection[int]:
    """Those of the players after one and up to another whose standings are being folded anew."""
    pending = select(Folding.user_id).where(Folding.user_id > after, Folding.user_id <= upto)
    return set(await connection.scalars(pending))


async def end(connection: AsyncConnection, user_id: int) -> None:
    """Nothing is left to be folded anew."""
    await connection.execute(delete(Folding).where(Folding.user_id == user_id))


async def _begin(connection: AsyncConnection, user_id: int) -> None:
    begun = mysql.insert(Folding).values(user_id=user_id)
    await connection.execute(begun.on_duplicate_key_update(user_id=user_id))


def _require_countable(folded: dict[Place, Tally], totals: Collection[int]) -> None:
    for at, tally in folded.items():
        if at.board_id in totals and tally.score > MAX_TOTAL:
            raise TotalTooLarge(f"A total stays below 2^53; so one would be {tally.score}.")


def _row(at: Place, user_id: int, kept: Kept, direction: Direction) -> str:
    """As `statements.WRITE_STANDINGS` has it. A removed standing tells nothing of what it was."""
    key = f"{at.board_id:d},{at.period_id:d},{user_id:d}"
    if kept.tally is None:
        return f"({key},NULL,NULL,0,0,{kept.version:d})"
    score, sessions, reached = kept.tally
    return f"({key},{score:d},{direction.sort(score):d},{sessions:d},{reached:d},{kept.version:d})"


def _score(kept: Kept) -> int | None:
    return None if kept.tally is None else kept.tally.score
