"""Which sessions are meant, and the SQL that finds them: a stretch of the log at a time, in the order of its ids.

No index has tags and places, so the log is gone through by its primary key, or by a player's own sessions where one is named.
Nothing is locked: a session that is changed meanwhile is looked at again before it is voided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.times import write_time
from services.leaderboard.log.places import on_board
from services.leaderboard.rules.played import SessionState


@dataclass(frozen=True, slots=True)
class Filter:
    """Sessions that fit every member that is said. ``since`` and ``until``: when they were played, the second not included."""

    tags: Mapping[str, str] = field(default_factory=dict)
    user_id: int | None = None
    board: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_score: int | None = None
    max_score: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The members that are said."""
        said: dict[str, Any] = {
            "tags": dict(self.tags) or None,
            "user_id": self.user_id,
            "board": self.board,
            "since": self.since and write_time(self.since),
            "until": self.until and write_time(self.until),
            "min_score": self.min_score,
            "max_score": self.max_score,
        }
        return {name: value for name, value in said.items() if value is not None}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "Filter":
        """What `to_json` gave."""
        times = {name: datetime.fromisoformat(document[name]) for name in ("since", "until") if name in document}
        return cls(**{**document, **times})


class Stretch(NamedTuple):
    """A part of the log: sessions after one, and up to another."""

    after: int
    last: int


class Search:
    """A filter as SQL. ``board_id``: the board that it names, None if it names none."""

    def __init__(self, wanted: Filter, board_id: int | None) -> None:
        self._values: dict[str, Any] = {}
        # The index that both the stretches and the sessions in them are found by.
        self._index = "PRIMARY" if wanted.user_id is None else "ix_game_sessions_user_id_id"
        self._whose = "" if wanted.user_id is None else " AND s.user_id = :user_id"
        if wanted.user_id is not None:
            self._values["user_id"] = wanted.user_id
        self._fits = " AND ".join([f"s.state <> {SessionState.VOIDED:d}", _NOT_ERASED, *self._conditions(wanted, board_id)])

    def _conditions(self, wanted: Filter, board_id: int | None) -> list[str]:
        conditions = []
        for number, (name, tag) in enumerate(sorted(wanted.tags.items())):
            # By bytes: text compares without the blanks at its end. A tag's name has no quotes.
            conditions.append(_TAG.format(name=name, value=f"tag{number}"))
            self._values[f"tag{number}"] = tag.encode()
        compared: dict[str, tuple[str, str, datetime | int | None]] = {
            "since": (_PLAYED_AT, ">=", wanted.since and wanted.since.replace(tzinfo=None)),
            "until": (_PLAYED_AT, "<", wanted.until and wanted.until.replace(tzinfo=None)),
            "min_score": ("s.score", ">=", wanted.min_score),
            "max_score": ("s.score", "<=", wanted.max_score),
        }
        for name, (column, sign, value) in compared.items():
            if value is not None:
                conditions.append(f"{column} {sign} :{name}")
                self._values[name] = value
        if board_id is not None:
            conditions.append(on_board(board_id))
        return conditions

    async def find_stretch(self, connection: AsyncConnection, after: int, upto: int, most: int) -> Stretch | None:
        """The next ``most`` sessions after one, of the player where one is named. None: there are none."""
        statement = _LAST.format(index=self._index, whose=self._whose)
        # Those of the filter's values that the statement has no place for are left out.
        values = {"after": after, "upto": upto, "most": most} | ({"user_id": self._values["user_id"]} if self._whose else {})
        last: int | None = await connection.scalar(text(statement), values)
        return None if last is None else Stretch(after, last)

    async def list_players(self, connection: AsyncConnection, stretch: Stretch) -> list[int]:
        """Whose sessions in it fit, once for each session."""
        listed: str | None = await connection.scalar(*self._statement("GROUP_CONCAT(s.user_id)", stretch))
        return [int(user_id) for user_id in listed.split(",")] if listed else []

    async def list_ids(self, connection: AsyncConnection, stretch: Stretch, limit: int) -> Sequence[int]:
        """The first sessions in it that fit."""
        statement, values = self._statement("s.id", stretch, f" ORDER BY s.id LIMIT {limit:d}")
        return (await connection.scalars(statement, values)).all()

    async def keep(self, connection: AsyncConnection, job_id: int, stretch: Stretch) -> int:
        """Write down for a job which sessions in it fit, and give how many they are."""
        statement, values = self._statement(":job_id, s.user_id, s.id", stretch, into=_KEEP)
        return (await connection.execute(statement, {**values, "job_id": job_id})).rowcount

    def _statement(self, columns: str, stretch: Stretch, rest: str = "", into: str = "") -> tuple[Any, dict[str, Any]]:
        statement = f"{into}{_FIND.format(columns=columns, index=self._index, whose=self._whose, fits=self._fits)}{rest}"
        return text(statement), {**self._values, **stretch._asdict()}


_PLAYED_AT = "COALESCE(s.played_at, s.submitted_at)"
_TAG = """CAST(JSON_UNQUOTE(JSON_EXTRACT(s.tags, '$."{name}"')) AS BINARY) = CAST(:{value} AS BINARY)"""
_NOT_ERASED = "NOT EXISTS (SELECT 1 FROM erasures AS e WHERE e.user_id = s.user_id AND e.upto_session_id >= s.id)"
_LAST = """
SELECT MAX(id) FROM (
  SELECT s.id FROM game_sessions AS s FORCE INDEX ({index}) WHERE s.id > :after AND s.id <= :upto{whose}
  ORDER BY s.id LIMIT :most
) AS stretch"""
_FIND = """
SELECT {columns} FROM game_sessions AS s FORCE INDEX ({index})
WHERE s.id > :after AND s.id <= :last{whose} AND {fits}"""
_KEEP = "INSERT INTO void_job_sessions (job_id, user_id, session_id)"
