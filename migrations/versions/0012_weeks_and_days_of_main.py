"""The windows `week` and `day` of the board `main`. What was played in their current periods counts there.

For logs of any size, while no service writes: else what a process stores meanwhile would be in no week and no day, and a player
who leaves could come back. So it refuses to begin while one is connected. Until the last step the windows are no board's, so
nobody sees any of it. Each step may be done again: a run that was cut short is completed by the next one, on another day too.
Values are this revision's own: the rules of the services go on, and what it did stays.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from time import monotonic
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from alembic import context, op

from migrations.accounts import require_stopped

revision = "0012"
down_revision = "0011"

SESSIONS_AT_ONCE = 20_000
PLAYERS_AT_ONCE = 5_000

log = structlog.get_logger(__name__)

_MAIN = 1
# The board of windows that are being added, or taken away: there is none with this id.
_NOBODY = 0
_GRACE = timedelta(seconds=60)
_MOST_PLACES = 24
_TOLD_EVERY_SECONDS = 2.0
# Places as a session keeps them: board and period, four bytes each.
_PLACE_BYTES = 8
_IN_ALL_TIME = _MAIN.to_bytes(4) + bytes(4)


class _Window(NamedTuple):
    unit: str
    first: datetime
    length: timedelta


_WINDOWS = {
    "week": _Window("weeks", datetime(1970, 1, 5), timedelta(days=7)),  # noqa: DTZ001  # a Monday; UTC, as MySQL has it
    "day": _Window("days", datetime(1970, 1, 1), timedelta(days=1)),  # noqa: DTZ001
}


class _Period(NamedTuple):
    period_id: int
    starts_at: datetime
    ends_at: datetime

    @property
    def place(self) -> bytes:
        return _MAIN.to_bytes(4) + self.period_id.to_bytes(4)


def upgrade() -> None:
    settings = context.config.attributes["settings"]
    require_stopped(settings, settings.leaderboard_mysql_user)
    connection = op.get_bind()
    _add_windows(connection)
    periods = _make_periods(connection)
    connection.commit()
    if periods:
        newest = _find_newest_before(connection, min(period.starts_at for period in periods))
        counted = _count_sessions(connection, newest, periods)
        for period in periods:
            _fold(connection, newest, period, counted[period.place])
    _hand_over(connection)
    connection.commit()


def downgrade() -> None:
    """What was played stays, and counts where it did before these windows were there."""
    connection = op.get_bind()
    _take_away(connection)
    connection.commit()
    periods = _list_periods(connection)
    if periods:
        _forget_places(connection, {period.place for period in periods})
    for period in periods:
        _delete_standings(connection, period)
    for table, column in (("periods", "window_id"), ("windows", "id")):
        waiting = f"SELECT id FROM (SELECT id FROM windows WHERE board_id = {_NOBODY}) AS waiting"
        connection.execute(sa.text(f"DELETE FROM {table} WHERE {column} IN ({waiting})"))
    connection.commit()


def _add_windows(connection: sa.Connection) -> None:
    """The windows that are not there yet, for nobody. A window of such a name that the board has already stays as it is."""
    there = set(connection.scalars(sa.text(f"SELECT name FROM windows WHERE board_id IN ({_NOBODY}, {_MAIN})")))
    for name, window in _WINDOWS.items():
        if name not in there:
            added = sa.text(
                "INSERT INTO windows (board_id, name, position, kind, every, unit, zone, first, grace_seconds)"
                f" VALUES ({_NOBODY}, :name, 0, 'every', 1, :unit, 'UTC', :first, :grace)"
            )
            values = {"name": name, "unit": window.unit, "first": window.first, "grace": _GRACE.seconds}
            connection.execute(added, values)


def _make_periods(connection: sa.Connection) -> list[_Period]:
    """The current periods of the windows that are being added, and those that a run of another day has left.

    Where nobody has played there are none: a session that needs one makes it. Else nothing counts in earlier ones, of which
    nobody knows what was played: not even what a game server tells a moment after midnight.
    """
    if connection.scalar(sa.text(f"SELECT 1 FROM standings WHERE board_id = {_MAIN} LIMIT 1")) is None:
        return []
    # On a board that is closed nothing counts any more, in none of its periods.
    now, state = connection.execute(sa.text(f"SELECT UTC_TIMESTAMP(6), state FROM boards WHERE id = {_MAIN}")).one()
    for window_id, name in connection.execute(sa.text(f"SELECT id, name FROM windows WHERE board_id = {_NOBODY}")).all():
        window = _WINDOWS[name]
        number = (now - window.first) // window.length
        starts_at = window.first + number * window.length
        ends_at = starts_at + window.length
        made = sa.text(
            "INSERT INTO periods (board_id, window_id, number, starts_at, ends_at, closes_at, state)"
            f" VALUES ({_MAIN}, :window_id, :number, :starts_at, :ends_at, :closes_at, 'open') ON DUPLICATE KEY UPDATE id = id"
        )
        closes_at = ends_at + _GRACE if state == "active" else now
        times = {"starts_at": starts_at, "ends_at": ends_at, "closes_at": closes_at}
        connection.execute(made, {"window_id": window_id, "number": number, **times})
        counts = sa.text("UPDATE windows SET counts_from = :starts_at WHERE id = :window_id")
        connection.execute(counts, {"window_id": window_id, "starts_at": starts_at})
    return _list_periods(connection)


def _list_periods(connection: sa.Connection) -> list[_Period]:
    """Those of the windows that are being added or taken away, in the order in which they are counted in."""
    periods = sa.text(
        "SELECT p.id, p.starts_at, p.ends_at FROM periods AS p JOIN windows AS w ON w.id = p.window_id"
        f" WHERE w.board_id = {_NOBODY} ORDER BY w.id, p.starts_at"
    )
    return [_Period(*row) for row in connection.execute(periods)]


def _find_newest_before(connection: sa.Connection, begin: datetime) -> int:
    """A session after which, by ids, everything is that was played from a time on."""
    first = connection.scalar(sa.text("SELECT MIN(id) FROM game_sessions WHERE submitted_at >= :begin"), {"begin": begin})
    newest: int | None = connection.scalar(sa.text("SELECT MAX(id) FROM game_sessions")) if first is None else first - 1
    return newest or 0


def _count_sessions(connection: sa.Connection, newest: int, periods: Sequence[_Period]) -> dict[bytes, set[bytes]]:
    """Have the sessions of these periods count in them. Gives which values of `game_sessions.places` have each place.

    Those that do not count on the board in all time do not count in its periods either, nor do those that are being erased.
    ``newest``: of before all of them.
    """
    counted: dict[bytes, set[bytes]] = {period.place: set() for period in periods}
    # Between two of these times each session is in the same periods.
    times = sorted({time for period in periods for time in (period.starts_at, period.ends_at)})
    found = sa.text(
        f"SELECT DISTINCT places FROM game_sessions AS s WHERE {_BATCH} AND submitted_at >= :begin AND submitted_at < :end"
    )
    for after, upto in _batches(connection, newest):
        batch = {"after": after, "upto": upto}
        for begin, end in pairwise(times):
            stretch = {**batch, "begin": begin, "end": end}
            inside = [period.place for period in periods if period.starts_at <= begin and end <= period.ends_at]
            for before in connection.scalars(found, stretch).all():
                places = _with(before, inside)
                if places != before:
                    connection.execute(_COUNT, {**stretch, "before": before, "places": places})
                for place in _each(places):
                    if place in counted:
                        counted[place].add(places or b"")
        connection.commit()
    return counted


def _with(packed: bytes | None, more: Sequence[bytes]) -> bytes | None:
    """The places of a session that counts in ``more`` of the board's periods, as long as there is room."""
    places = _each(packed)
    if _IN_ALL_TIME not in places:
        return packed
    added = [place for place in more if place not in places]
    return b"".join([*places, *added][: max(_MOST_PLACES, len(places))]) if added else packed


def _each(packed: bytes | None) -> list[bytes]:
    if packed is None:
        return [_IN_ALL_TIME]
    return [packed[at : at + _PLACE_BYTES] for at in range(0, len(packed), _PLACE_BYTES)]


def _fold(connection: sa.Connection, newest: int, period: _Period, values: Collection[bytes]) -> None:
    """Make the standings of a period. ``values`` of `places` say that a session counts in it."""
    if not values:
        return
    players = "SELECT user_id FROM standings WHERE board_id = :board_id AND period_id = 0 AND user_id > :after"
    page = sa.text(f"SELECT MAX(user_id) FROM ({players} ORDER BY user_id LIMIT {PLAYERS_AT_ONCE}) AS page")
    count = connection.scalar(sa.text(f"SELECT COUNT(*) FROM standings WHERE board_id = {_MAIN} AND period_id = 0"))
    progress = _Progress(f"standings from {period.starts_at:%F}", count)
    after = 0
    while (upto := connection.scalar(page, {"board_id": _MAIN, "after": after})) is not None:
        batch = {"after": after, "upto": upto, "newest": newest, "values": sorted(values)}
        connection.execute(_FOLD, {"board_id": _MAIN, "period_id": period.period_id, **batch})
        connection.commit()
        progress.advance(PLAYERS_AT_ONCE)
        after = upto
    connection.commit()


def _hand_over(connection: sa.Connection) -> None:
    """Give the board its windows, behind those that it has."""
    waiting = connection.scalars(sa.text(f"SELECT id FROM windows WHERE board_id = {_NOBODY} ORDER BY id")).all()
    for window_id in waiting:
        last = connection.scalar(sa.text(f"SELECT MAX(position) FROM windows WHERE board_id = {_MAIN}"))
        given = sa.text(f"UPDATE windows SET board_id = {_MAIN}, position = :position WHERE id = :window_id")
        connection.execute(given, {"position": last + 1, "window_id": window_id})
    if waiting:
        _tell(connection)


def _take_away(connection: sa.Connection) -> None:
    taken = sa.text(f"UPDATE windows SET board_id = {_NOBODY} WHERE board_id = {_MAIN} AND name IN :names")
    if connection.execute(taken.bindparams(sa.bindparam("names", expanding=True)), {"names": list(_WINDOWS)}).rowcount:
        _tell(connection)


def _tell(connection: sa.Connection) -> None:
    """Have each process read the board anew."""
    connection.execute(sa.text("UPDATE boards_version SET version = version + 1 WHERE id = 1"))
    version = "SELECT version FROM boards_version WHERE id = 1"
    connection.execute(sa.text(f"UPDATE boards SET version = ({version}) WHERE id = {_MAIN}"))


def _forget_places(connection: sa.Connection, gone: Collection[bytes]) -> None:
    found = sa.text(f"SELECT DISTINCT places FROM game_sessions AS s WHERE {_BATCH} AND places IS NOT NULL")
    forget = sa.text(f"UPDATE game_sessions AS s SET places = :places WHERE {_BATCH} AND places = :before")
    for after, upto in _batches(connection, 0):
        batch = {"after": after, "upto": upto}
        for before in connection.scalars(found, batch).all():
            kept = [place for place in _each(before) if place not in gone]
            if len(kept) * _PLACE_BYTES < len(before):
                places = None if kept == [_IN_ALL_TIME] else b"".join(kept)
                connection.execute(forget, {**batch, "before": before, "places": places})
        connection.commit()


def _delete_standings(connection: sa.Connection, period: _Period) -> None:
    some = sa.text(f"DELETE FROM standings WHERE board_id = {_MAIN} AND period_id = :period_id LIMIT {SESSIONS_AT_ONCE}")
    while connection.execute(some, {"period_id": period.period_id}).rowcount:
        connection.commit()
    connection.commit()


def _batches(connection: sa.Connection, after: int) -> Iterator[tuple[int, int]]:
    """The log after a session, by ids: each batch is of those after one and up to another."""
    last = connection.scalar(sa.text("SELECT MAX(id) FROM game_sessions")) or 0
    page = sa.text(
        f"SELECT MAX(id) FROM (SELECT id FROM game_sessions WHERE id > :after ORDER BY id LIMIT {SESSIONS_AT_ONCE}) AS page"
    )
    progress = _Progress("sessions, by their ids", last - after)
    while (upto := connection.scalar(page, {"after": after})) is not None:
        yield after, upto
        progress.advance(upto - after)
        after = upto
    connection.commit()


class _Progress:
    """Tells how far something is, now and then, and its end."""

    def __init__(self, what: str, total: int | None) -> None:
        self._what = what
        self._total = total or 0
        self._done = 0
        self._told = monotonic()

    def advance(self, count: int) -> None:
        self._done = min(self._done + count, self._total)
        if self._done == self._total or monotonic() - self._told >= _TOLD_EVERY_SECONDS:
            self._told = monotonic()
            log.info("weeks and days of main", of=self._what, done=self._done, total=self._total)


_BATCH = "s.id > :after AND s.id <= :upto"
_NOT_ERASED = "NOT EXISTS (SELECT 1 FROM erasures AS e WHERE e.user_id = s.user_id AND e.upto_session_id >= s.id)"
_COUNT = sa.text(
    f"UPDATE game_sessions AS s SET s.places = :places WHERE {_BATCH} AND s.places <=> :before"
    f" AND s.submitted_at >= :begin AND s.submitted_at < :end AND {_NOT_ERASED}"
)
# A total was reached by the greatest id that changed it; if all scores are zeros, by the least one.
_FOLD = sa.text(f"""
INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version)
SELECT :board_id, :period_id, s.user_id, SUM(s.score), -SUM(s.score), COUNT(*),
       COALESCE(MAX(CASE WHEN s.score <> 0 THEN s.id END), MIN(s.id)), 1
FROM game_sessions AS s FORCE INDEX (ix_game_sessions_user_id_id)
WHERE s.user_id > :after AND s.user_id <= :upto AND s.id > :newest AND s.places IN :values AND {_NOT_ERASED}
GROUP BY s.user_id
ON DUPLICATE KEY UPDATE score = VALUES(score), sort = VALUES(sort), sessions = VALUES(sessions),
reached_session_id = VALUES(reached_session_id), version = VALUES(version)""").bindparams(
    sa.bindparam("values", expanding=True)
)
