"""SQL of standings as rows, which the ranking index is made of and the check compares."""

from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import NamedTuple, Self

from sqlalchemy import Select, and_, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Player, Standing
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.ranking import Tally
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.standings.queries import at_place, count

# A line a session, all in one value: the driver takes longer for a row than MySQL does. No part has a blank but perhaps a name,
# which comes last; nobody's is empty: a player without a row has none.
STANDING_TEXT = "COALESCE(t.score, '-'), t.reached_session_id, t.version, COALESCE(p.username, '')"
"""A standing ``t`` and its player ``p``, as CONCAT_WS writes them with blanks between."""


async def list_rows(connection: AsyncConnection, at: Place, user_ids: Collection[int]) -> list[StandingRow]:
    """The standings of these players, removed ones too."""
    return await _rows(connection, _ROW.where(*at_place(at), Standing.user_id.in_(sorted(user_ids))))


async def scan_rows(connection: AsyncConnection, at: Place, after: int, limit: int) -> list[StandingRow]:
    """The next standings by primary key after a player, removed ones too: a page of a pass over all of them.

    In one value, a line each: the driver takes longer for a row than MySQL does.
    """
    rows = await connection.exec_driver_sql(_SCAN, (at.board_id, at.period_id, after, limit))
    row: tuple[str | None, int] = tuple(rows.one())
    text, count = row
    changes = []
    for line in text.split("\n") if text else []:
        user, standing = line.split(" ", 1)
        changes.append(StandingRow.parse(int(user), standing))
    if len(changes) != count:
        raise RuntimeError(f"{len(changes)} standings of {count}")  # a server may cut short what is longer than it allows
    changes.sort(key=attrgetter("user_id"))
    return changes


class KeptStanding(NamedTuple):
    """A standing as it is kept. Removed, it has no tally."""

    at: Place
    user_id: int
    tally: Tally | None
    sort: int | None

    @staticmethod
    def text(at: Place, user_id: int, tally: Tally, sort: int) -> str:
        """What `scan_kept` gives of a standing that is not removed."""
        score, sessions, reached = tally
        return f"{at.board_id} {at.period_id} {user_id} {score} {sort} {sessions} {reached}"

    @classmethod
    def parse(cls, text: str) -> Self:
        board_id, period_id, user_id, score, sort, sessions, reached = text.split(" ")
        tally = None if score == "-" else Tally(int(score), int(sessions), int(reached))
        return cls(Place(int(board_id), int(period_id)), int(user_id), tally, None if sort == "-" else int(sort))


async def list_players(connection: AsyncConnection, after: int, limit: int) -> Sequence[int]:
    """The next players who have standings, by id."""
    players = select(Standing.user_id).where(Standing.user_id > after).group_by(Standing.user_id)
    return (await connection.scalars(players.order_by(Standing.user_id).limit(limit))).all()


async def count_players(connection: AsyncConnection) -> int:
    """How many players have standings."""
    players: int = (await connection.execute(select(func.count(Standing.user_id.distinct())))).scalar_one()
    return players


async def list_places(connection: AsyncConnection) -> list[Place]:
    """Everywhere that somebody has a standing."""
    places = select(Standing.board_id, Standing.period_id).group_by(Standing.board_id, Standing.period_id)
    return [Place(*row) for row in await connection.execute(places)]


async def scan_kept(connection: AsyncConnection, after: int, upto: int) -> set[str]:
    """Every standing of the players after one and up to another, as texts: almost all are what is expected, and are not parsed.

    Read in one value, as `scan_rows`.
    """
    rows = await connection.exec_driver_sql(_SCAN_KEPT, (after, upto))
    row: tuple[str | None, int] = tuple(rows.one())
    text, count = row
    kept = set(text.split("\n") if text else [])
    if len(kept) != count:
        raise RuntimeError(f"{len(kept)} standings of {count}")  # a server may cut short what is longer than it allows
    return kept


async def list_current(connection: AsyncConnection, user_id: int) -> dict[Place, int]:
    """A player's scores in every place that goes on: where a board is active, and its period is not over."""
    rows = await connection.exec_driver_sql(_CURRENT, (user_id,))
    found: Sequence[tuple[int, int, int]] = rows.all()  # type: ignore[assignment]  # a row is a tuple
    return {Place(board_id, period_id): score for board_id, period_id, score in found}


async def list_scores(connection: AsyncConnection, user_id: int, places: Collection[Place]) -> dict[Place, int]:
    """A player's scores in those of these places where they are ranked."""
    columns = select(Standing.board_id, Standing.period_id, Standing.score)
    ours = or_(false(), *(and_(*at_place(at)) for at in places))
    rows = await connection.execute(columns.where(ours, Standing.user_id == user_id, Standing.score.is_not(None)))
    return {Place(board_id, period_id): score for board_id, period_id, score in rows if score is not None}


async def count_rows(connection: AsyncConnection, at: Place) -> int:
    """How many standings there are, removed players' too."""
    return await count(connection, *at_place(at))


async def _rows(connection: AsyncConnection, statement: "Select[int, str, int | None, int, int]") -> list[StandingRow]:
    return [StandingRow(*row) for row in await connection.execute(statement)]


# A player whose account is gone has no name, and stays in the table all the same.
_ROW = select(
    Standing.user_id,
    func.coalesce(Player.username, ""),
    Standing.score,
    Standing.reached_session_id,
    Standing.version,
).outerjoin(Player, Player.user_id == Standing.user_id)
_CURRENT = """
SELECT s.board_id, s.period_id, s.score FROM standings AS s
JOIN boards AS b ON b.id = s.board_id AND b.state = 'active'
LEFT JOIN periods AS p ON p.id = s.period_id
WHERE s.user_id = %s AND s.score IS NOT NULL AND (s.period_id = 0 OR p.starts_at <= NOW(6) AND p.ends_at > NOW(6))
ORDER BY b.name, s.period_id LIMIT 1000"""
_SCAN_KEPT = """
SELECT GROUP_CONCAT(CONCAT_WS(
  ' ', board_id, period_id, user_id, COALESCE(score, '-'), COALESCE(sort, '-'), sessions, reached_session_id
) SEPARATOR '\\n'), COUNT(*) FROM standings FORCE INDEX (ix_standings_user_id) WHERE user_id > %s AND user_id <= %s"""
_SCAN = f"""
SELECT GROUP_CONCAT(CONCAT_WS(' ', t.user_id, {STANDING_TEXT}) SEPARATOR '\\n'), COUNT(*) FROM (
  SELECT user_id, score, reached_session_id, version FROM standings
  WHERE board_id = %s AND period_id = %s AND user_id > %s ORDER BY user_id LIMIT %s
) AS t LEFT JOIN players AS p ON p.user_id = t.user_id"""
