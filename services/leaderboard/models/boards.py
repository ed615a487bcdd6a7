"""Boards, their windows and periods."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Index, String, text
from sqlalchemy.dialects.mysql import BIGINT, BINARY, DATETIME, INTEGER
from sqlalchemy.orm import Mapped, mapped_column

from services.common.mysql.database import TABLE_OPTIONS, UnsignedBigInt, UTCDateTime
from services.leaderboard.models.base import LeaderboardBase


class Board(LeaderboardBase):
    """What ranks players: by which value of their sessions, which sessions count for it, and which way it goes."""

    __tablename__ = "boards"
    __table_args__ = (
        Index("uq_boards_name", "name", unique=True),
        Index("ix_boards_version", "version"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(INTEGER(unsigned=True), primary_key=True, autoincrement=True)
    version: Mapped[int] = mapped_column(
        UnsignedBigInt, comment="what boards_version was raised to by the last change of the board or its windows"
    )
    name: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(100), comment="what players read; empty: the name")
    metric: Mapped[str] = mapped_column(String(32), comment="which of a session's values; score is the one that each has")
    aggregate: Mapped[str] = mapped_column(
        String(16), comment="total: the sum of all; best: the best one; latest: the last one"
    )
    direction: Mapped[str] = mapped_column(String(16), comment="descending: more is better; ascending: less is")
    rule: Mapped[Any | None] = mapped_column(
        JSON(none_as_null=True), comment="which sessions that name no board count; NULL: none, without tags: every one"
    )
    min_score: Mapped[int] = mapped_column(BIGINT, comment="least value of one session")
    max_score: Mapped[int] = mapped_column(BIGINT, comment="greatest value of one session")
    show_extra: Mapped[bool] = mapped_column(Boolean, comment="whether the extra of the session that made a score is shown")
    submitters: Mapped[str] = mapped_column(
        String(16), server_default="players", comment="players, or servers: no player's own token submits to it"
    )
    hold: Mapped[Any | None] = mapped_column(
        JSON(none_as_null=True), comment="which sessions are held until somebody has looked at them; NULL: none"
    )
    state: Mapped[str] = mapped_column(String(16), comment="active, closed, or deleting")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))


class Window(LeaderboardBase):
    """When a board starts anew. Made once and never changed.

    A window of kind ``all`` never does. One of kind ``every`` does after so many units, counted from its first local time. The
    periods of one of kind ``listed`` are written down one by one.
    """

    __tablename__ = "windows"
    __table_args__ = (Index("uq_windows_board_id_name", "board_id", "name", unique=True), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(INTEGER(unsigned=True), primary_key=True, autoincrement=True)
    board_id: Mapped[int] = mapped_column(INTEGER(unsigned=True))
    name: Mapped[str] = mapped_column(String(64))
    position: Mapped[int] = mapped_column(INTEGER(unsigned=True), comment="among the board's windows; 0 is the one shown first")
    kind: Mapped[str] = mapped_column(String(16), comment="all, every, or listed")
    every: Mapped[int | None] = mapped_column(INTEGER(unsigned=True), comment="so many units is a period long")
    unit: Mapped[str | None] = mapped_column(String(16), comment="seconds, days, weeks, or months")
    zone: Mapped[str | None] = mapped_column(String(64), comment="IANA time zone that its days are of; of seconds it is UTC")
    first: Mapped[datetime | None] = mapped_column(DATETIME(fsp=6), comment="when period 0 begins, in local time of the zone")
    grace_seconds: Mapped[int | None] = mapped_column(INTEGER(unsigned=True), comment="from a period's end to its closing")
    keep: Mapped[int | None] = mapped_column(INTEGER(unsigned=True), comment="settled periods that are kept; NULL: all")
    counts_from: Mapped[datetime | None] = mapped_column(
        UTCDateTime, comment="added to a board that had sessions, it counts from its next period; NULL: from the first"
    )
    rewards: Mapped[Any | None] = mapped_column(
        JSON(none_as_null=True), comment="who is rewarded when its periods are settled; NULL: nobody"
    )


class Period(LeaderboardBase):
    """A stretch of a window. Its row says which times are in it, and its times never change."""

    __tablename__ = "periods"
    __table_args__ = (
        # Not by number: where zone data changed, what is left between two rows may have the number of either.
        Index("uq_periods_board_id_window_id_starts_at", "board_id", "window_id", "starts_at", unique=True),
        Index("ix_periods_state_closes_at", "state", "closes_at"),
        Index("ix_periods_opened_at_starts_at", "opened_at", "starts_at"),
        Index("ix_periods_drop_at", "drop_at"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(INTEGER(unsigned=True), primary_key=True, autoincrement=True)
    board_id: Mapped[int] = mapped_column(INTEGER(unsigned=True))
    window_id: Mapped[int] = mapped_column(INTEGER(unsigned=True))
    number: Mapped[int] = mapped_column(
        BIGINT, comment="of which occurrence of the window it is; of listed ones, the how manieth"
    )
    title: Mapped[str | None] = mapped_column(String(100))
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime, comment="the first moment in it")
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime, comment="the first moment after it")
    closes_at: Mapped[datetime] = mapped_column(UTCDateTime, comment="nothing is counted from then on")
    state: Mapped[str] = mapped_column(String(16), comment="open, closed, settled, or expired")
    players: Mapped[int | None] = mapped_column(UnsignedBigInt, comment="how many were ranked when it was settled")
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    opened_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="when it was told to have begun; NULL: not yet")
    rewards: Mapped[Any | None] = mapped_column(
        JSON(none_as_null=True), comment="those it was settled with, and how far each reached; NULL: it was not"
    )
    digest: Mapped[bytes | None] = mapped_column(BINARY(32), comment="SHA-256 of its results; NULL: it was not settled")
    drop_at: Mapped[datetime | None] = mapped_column(
        UTCDateTime, comment="expired, its standings go from then on; NULL: they stay, or are gone"
    )


class BoardsVersion(LeaderboardBase):
    """One row, which each change of boards and windows raises by one: so a process learns of changes by asking for a number.

    Whoever changes any locks it first, and commits with it. So who has read a number can read whatever was changed up to it.
    """

    __tablename__ = "boards_version"
    __table_args__ = (TABLE_OPTIONS,)

    id: Mapped[int] = mapped_column(INTEGER(unsigned=True), primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(UnsignedBigInt)
