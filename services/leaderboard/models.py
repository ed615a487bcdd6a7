"""The leaderboard service's tables. Game sessions are the log; everything else follows from it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Index, String, desc, text
from sqlalchemy.dialects.mysql import BIGINT, BINARY, INTEGER, VARBINARY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.mysql.database import TABLE_OPTIONS, UnsignedBigInt, UTCDateTime


class LeaderboardBase(DeclarativeBase):
    """The tables that the account `leaderboard` may use."""


class Board(LeaderboardBase):
    """What a board counts and how: which aggregate of a player's sessions, in which direction, over which periods."""

    __tablename__ = "boards"
    __table_args__ = (Index("uq_boards_name", "name", unique=True), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(INTEGER(unsigned=True), primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64))
    aggregate: Mapped[str] = mapped_column(String(16), comment="total: the sum of all sessions; best: the best one")
    descending: Mapped[bool] = mapped_column(Boolean, comment="whether more is better")
    period: Mapped[str] = mapped_column(String(16), comment="all, or how often the board starts anew")
    max_score: Mapped[int] = mapped_column(BIGINT, comment="greatest score of one session")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))


class Player(LeaderboardBase):
    """A user who has played, by the name that their token carried last."""

    __tablename__ = "players"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    username: Mapped[str] = mapped_column(String(32))


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
    # Of a session with a client's key, for the repeats.
    answered_total: Mapped[int | None] = mapped_column(BIGINT, comment="the total that its submission was answered with")
    answered_rank: Mapped[int | None] = mapped_column(UnsignedBigInt, comment="the rank that it was answered with")


class Standing(LeaderboardBase):
    """A player on a board in a period: a function of the player's sessions. Never deleted: removed, its score is NULL."""

    __tablename__ = "standings"

    board_id: Mapped[int] = mapped_column(INTEGER(unsigned=True), primary_key=True, autoincrement=False)
    period_id: Mapped[int] = mapped_column(
        INTEGER(unsigned=True), primary_key=True, autoincrement=False, comment="0 is all time"
    )
    user_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    score: Mapped[int | None] = mapped_column(BIGINT)
    sessions: Mapped[int] = mapped_column(UnsignedBigInt, comment="how many sessions made the score")
    reached_session_id: Mapped[int] = mapped_column(
        UnsignedBigInt, comment="the session that reached it: who was first stands first"
    )
    version: Mapped[int] = mapped_column(UnsignedBigInt, comment="grows by one with every change of the row")

    # The order of the board. InnoDB keeps the primary key in it, so a page is read from this index alone.
    __table_args__ = (
        Index("ix_standings_order", "board_id", "period_id", desc("score"), "reached_session_id"),
        TABLE_OPTIONS,
    )


class Outbox(LeaderboardBase):
    """What changed and has still to be told to Redis, written with the change itself. NULL: everything may have changed."""

    __tablename__ = "outbox"
    __table_args__ = (TABLE_OPTIONS,)

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    changed: Mapped[Any | None] = mapped_column(JSON(none_as_null=True), comment="[[board_id, period_id, user_id], …]")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))


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
