"""SQL of the outbox: what changed and has still to be told to the index."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.leaderboard.index import epoch
from services.leaderboard.models import Outbox
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.standings.table import STANDING_TEXT

_DELETED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Note:
    """A row of the outbox: whose standings changed."""

    id: int
    changed: list[tuple[Place, int]]


class Size(NamedTuple):
    """How many notes there are, and how many bytes they have."""

    notes: int
    bytes: int


async def list_notes(database: Database, older_than_ms: int, limit: int) -> tuple[str, list[Note]]:
    """The epoch, and notes older than that by the database's clock, read without a lock.

    One statement, so both are of one moment: notes that a new epoch has replaced are never missed together with it.
    """
    rows = await database.look(_NOTES, older_than_ms * 1000, limit)
    if not rows:
        raise RuntimeError("the table index_epoch has no row")
    notes = [
        Note(note_id, [(Place(board, period), user_id) for board, period, user_id in json.loads(changed)])
        for _, note_id, changed in rows
        if note_id is not None
    ]
    return rows[0][0].hex(), notes


async def list_changed(
    connection: AsyncConnection, changed: Mapping[Place, Collection[int]]
) -> list[tuple[Ranked, list[StandingRow]]]:
    """The standings of these players in these places, removed ones too, and what the index must know of the places.

    Fewer than 1,000 of them. Of a place whose board is gone there is nothing to tell. A list of tuples would be shorter, and
    slower: MariaDB makes a join of a long one, as of a list of 1,000 in one place, and may read the whole place for it.
    """
    where = " OR ".join(
        f"(t.board_id = {at.board_id:d} AND t.period_id = {at.period_id:d} AND t.user_id IN ({','.join(map(str, user_ids))}))"
        for at, user_ids in sorted((at, sorted(user_ids)) for at, user_ids in changed.items())
    )
    places: dict[Place, tuple[Ranked, list[StandingRow]]] = {}
    rows: Sequence[tuple[Any, ...]] = (await connection.exec_driver_sql(_CHANGED + where)).all()
    for board, period, direction, closes_at, user_id, standing in rows:
        if direction is None:
            continue
        at = Place(board, period)
        if at not in places:
            places[at] = Ranked(at, Direction(direction), closes_at and _milliseconds(closes_at)), []
        places[at][1].append(StandingRow.parse(user_id, standing))
    return list(places.values())


async def measure(connection: AsyncConnection) -> Size:
    """How much there is. It reads every note, which are bounded for that reason too."""
    size = select(func.count(), func.coalesce(func.sum(func.octet_length(Outbox.changed)), 0)).select_from(Outbox)
    notes, octets = (await connection.execute(size)).one()
    return Size(notes, int(octets))


async def list_ids(connection: AsyncConnection) -> Sequence[int]:
    return (await connection.execute(select(Outbox.id))).scalars().all()


async def delete_notes(connection: AsyncConnection, ids: Collection[int]) -> None:
    """Remove notes by id, in the order of the index, as every other process does."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _DELETED_AT_ONCE):
        chunk = ordered[start : start + _DELETED_AT_ONCE]
        await connection.execute(delete(Outbox).where(Outbox.id.in_(chunk)))


async def replace_notes(connection: AsyncConnection, ids: Collection[int]) -> None:
    """Let a new epoch stand for all of ``ids``."""
    await epoch.renew_epoch(connection)
    await delete_notes(connection, ids)


def _milliseconds(utc: datetime) -> int:
    return int(utc.replace(tzinfo=UTC).timestamp() * 1000)


# The first of them by themselves, since a join would be sorted whole to find them.
_NOTES = f"""
SELECT e.epoch, n.id, n.changed FROM index_epoch AS e LEFT JOIN (
    SELECT id, changed FROM outbox WHERE created_at <= NOW(6) - INTERVAL %s MICROSECOND ORDER BY id LIMIT %s
) AS n ON TRUE WHERE e.id = {epoch.ID}"""
_CHANGED = f"""
SELECT t.board_id, t.period_id, b.direction, p2.closes_at, t.user_id, CONCAT_WS(' ', {STANDING_TEXT})
FROM standings AS t FORCE INDEX (PRIMARY)
LEFT JOIN boards AS b ON b.id = t.board_id
LEFT JOIN periods AS p2 ON p2.id = t.period_id
LEFT JOIN players AS p ON p.user_id = t.user_id
WHERE """
