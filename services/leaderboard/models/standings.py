"""Standings, and what the ranking index has still to hear of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, text
from sqlalchemy.dialects.mysql import BIGINT, BINARY, INTEGER
from sqlalchemy.orm import Mapped, mapped_column

from services.common.mysql.database import TABLE_OPTIONS, UnsignedBigInt, UTCDateTime
from services.leaderboard.models.base import LeaderboardBase


class Standing(LeaderboardBase):
    """A player on a board in a period: a function of the player's sessions. Never deleted: removed, its score is NULL.

    Who changes a player's standings or sessions has locked the player's row in `players` before.
    """

    __tablename__ = "standings"

    board_id: Mapped[int] = mapped_column(INTEGER(unsigned=True), primary_key=True, autoincrement=False)
    period_id: Mapped[int] = mapped_column(
        INTEGER(unsigned=True), primary_key=True, autoincrement=False, comment="0 is all time"
    )
    user_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    score: Mapped[int | None] = mapped_column(BIGINT)
    sort: Mapped[int | None] = mapped_column(BIGINT, comment="the score, negated where more is better: the least stands first")
    sessions: Mapped[int] = mapped_column(UnsignedBigInt, comment="how many sessions made the score")
    reached_session_id: Mapped[int] = mapped_column(
        UnsignedBigInt, comment="the session that reached it: who was first stands first"
    )
    version: Mapped[int] = mapped_column(UnsignedBigInt, comment="grows by one with every change of the row")

    # The order of the board. InnoDB keeps the primary key in it, so a page is read from this index alone.
    __table_args__ = (
        Index("ix_standings_order", "board_id", "period_id", "sort", "reached_session_id"),
        Index("ix_standings_user_id", "user_id"),
        TABLE_OPTIONS,
    )


class Folding(LeaderboardBase):
    """A player whose standings are being folded anew: too many for one transaction. Whoever can goes on with it."""

    __tablename__ = "foldings"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    begun_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))


class Outbox(LeaderboardBase):
    """What changed and has still to be told to Redis, written with the change itself."""

    __tablename__ = "outbox"
    __table_args__ = (TABLE_OPTIONS,)

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    changed: Mapped[Any] = mapped_column(JSON, comment="[[board_id, period_id, user_id], …]")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))


class IndexEpoch(LeaderboardBase):
    """One row. An index in Redis is believed while it was built under this epoch: another one has all of them built anew."""

    __tablename__ = "index_epoch"
    __table_args__ = ({**TABLE_OPTIONS, "info": {"grant": "SELECT, UPDATE"}},)

    id: Mapped[int] = mapped_column(INTEGER(unsigned=True), primary_key=True, autoincrement=False)
    epoch: Mapped[bytes] = mapped_column(BINARY(8), comment="random; whatever makes every index doubtful sets another one")
