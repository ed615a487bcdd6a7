"""Players and the log of their sessions, and what is erased of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, text
from sqlalchemy.dialects.mysql import BIGINT, BINARY, TINYINT, VARBINARY
from sqlalchemy.orm import Mapped, mapped_column

from services.common.mysql.database import TABLE_OPTIONS, UnsignedBigInt, UTCDateTime
from services.leaderboard.models.base import LeaderboardBase


class Player(LeaderboardBase):
    """A user who has played, by the name that their token carried last.

    The row is the lock of all of the player's standings and sessions: whoever changes any takes it first. Of one who is banned
    and of whom nothing is kept, a row is: without a name.
    """

    __tablename__ = "players"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    username: Mapped[str] = mapped_column(String(32))
    banned_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="counted nowhere since; NULL: not banned")


class GameSession(LeaderboardBase):
    """One accepted submission. The log, kept whole until a player leaves.

    Ids gap and commit out of order, so no id is ever a cursor.
    """

    __tablename__ = "game_sessions"
    __table_args__ = (
        Index("uq_game_sessions_user_id_submission_key", "user_id", "submission_key", unique=True),
        Index("ix_game_sessions_user_id_id", "user_id", "id"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(UnsignedBigInt)
    submission_key: Mapped[bytes] = mapped_column(VARBINARY(80), comment="makes a repeated submission the same one")
    group_id: Mapped[bytes] = mapped_column(BINARY(16), comment="the transaction that stored it")
    score: Mapped[int] = mapped_column(BIGINT)
    submitted_at: Mapped[datetime] = mapped_column(UTCDateTime)
    places: Mapped[bytes | None] = mapped_column(
        VARBINARY(192), comment="where it counts, as rules/places.py packs it; NULL: on the first board, in all time"
    )
    body_digest: Mapped[bytes | None] = mapped_column(
        BINARY(16), comment="what tells whether a repeat says the same; NULL: only its score does"
    )
    metrics: Mapped[Any | None] = mapped_column(JSON(none_as_null=True), comment="values beside the score, by metric")
    tags: Mapped[Any | None] = mapped_column(JSON(none_as_null=True), comment="what it is tagged with")
    played_at: Mapped[datetime | None] = mapped_column(
        UTCDateTime, comment="when it was played, if a game server said so; NULL: when it was submitted"
    )
    state: Mapped[int] = mapped_column(
        TINYINT(unsigned=True),
        server_default=text("0"),
        comment="0: it counts in its places; 1: it was voided; 2: it is held",
    )


class SessionExtra(LeaderboardBase):
    """What a game keeps with a session, in a table of its own: the log is read whole, and stays narrow."""

    __tablename__ = "session_extras"
    __table_args__ = (TABLE_OPTIONS,)

    session_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    extra: Mapped[str] = mapped_column(String(1024), comment="JSON, as the client sent it")


class Erasure(LeaderboardBase):
    """A player whose sessions are being erased: they are too many for one transaction, and whoever can goes on with it."""

    __tablename__ = "erasures"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    upto_session_id: Mapped[int] = mapped_column(UnsignedBigInt, comment="the last of the sessions that are to be erased")
    begun_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))


class ErasedKey(LeaderboardBase):
    """A submission whose session was erased: sent again, it is refused. Whose it was, the digest does not say."""

    __tablename__ = "erased_keys"
    __table_args__ = (Index("ix_erased_keys_forget_at", "forget_at"), TABLE_OPTIONS)

    digest: Mapped[bytes] = mapped_column(BINARY(32), primary_key=True, comment="SHA-256 of the player and the submission key")
    forget_at: Mapped[datetime] = mapped_column(UTCDateTime)
