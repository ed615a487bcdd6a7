"""What waits for staff, what they have done, and what is being done for them."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, Index, String, text
from sqlalchemy.dialects.mysql import BINARY, INTEGER, TINYINT
from sqlalchemy.orm import Mapped, mapped_column

from services.common.mysql.database import TABLE_OPTIONS, UnsignedBigInt, UTCDateTime
from services.leaderboard.models.base import LeaderboardBase

_COUNT = text("0")


class Review(LeaderboardBase):
    """A session that somebody is to look at, because it is held or because players have reported it: in the queue of every
    board where it counts or would, and in that of them all.
    """

    __tablename__ = "reviews"
    # InnoDB keeps the primary key in the index, so a page of the queue is read from it in its order.
    __table_args__ = (Index("ix_reviews_board_id_sort_session_id", "board_id", "sort", "session_id"), TABLE_OPTIONS)

    session_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    board_id: Mapped[int] = mapped_column(
        INTEGER(unsigned=True), primary_key=True, autoincrement=False, comment="0: the queue of all boards"
    )
    sort: Mapped[int] = mapped_column(INTEGER, comment="how many players reported it, negated: the most reported come first")
    reason: Mapped[Any | None] = mapped_column(
        JSON(none_as_null=True), comment="in the queue of all: by what it was held; NULL: it was not"
    )


class Report(LeaderboardBase):
    """A player says that a session of another's is to be looked at: once."""

    __tablename__ = "reports"
    __table_args__ = (Index("ix_reports_user_id", "user_id"), TABLE_OPTIONS)

    session_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False, comment="who reported it")
    reason: Mapped[str | None] = mapped_column(String(500))
    reported_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))


class Reporter(LeaderboardBase):
    """How many sessions a player has reported on a day: whoever reports another locks the row first."""

    __tablename__ = "reporters"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(Date, comment="the last one, in UTC, on which they reported any")
    reports: Mapped[int] = mapped_column(INTEGER(unsigned=True), comment="how many on that day")


class ModerationEntry(LeaderboardBase):
    """Something that one of staff, or a key, has done. The service may add to the log and nothing else.

    There is no foreign key: what was done outlives whom it was about.
    """

    __tablename__ = "moderation_log"
    __table_args__ = (
        Index("ix_moderation_log_user_id_id", "user_id", "id"),
        {
            **TABLE_OPTIONS,
            "info": {
                "grant": "SELECT, INSERT (act, user_id, session_id, by_user_id, by_client_id, reason, was, became)",
            },
        },
    )

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    act: Mapped[str] = mapped_column(String(32))
    user_id: Mapped[int | None] = mapped_column(UnsignedBigInt, comment="the player whom it was about; NULL: a webhook, a job")
    session_id: Mapped[int | None] = mapped_column(UnsignedBigInt, comment="the session that it was about; NULL: the player")
    by_user_id: Mapped[int | None] = mapped_column(UnsignedBigInt, comment="who did it; NULL: a key")
    by_client_id: Mapped[str | None] = mapped_column(String(40), comment="the key that did it; NULL: one of staff")
    reason: Mapped[str | None] = mapped_column(String(500))
    was: Mapped[Any] = mapped_column(JSON, comment="what it found")
    became: Mapped[Any] = mapped_column(JSON, comment="what it made of that")
    done_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))


class VoidJob(LeaderboardBase):
    """Voids all sessions that fit a filter, up to one of them. Whoever takes a step of it locks the row, and then a player."""

    __tablename__ = "void_jobs"
    __table_args__ = (Index("ix_void_jobs_state", "state"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    filter: Mapped[Any] = mapped_column(JSON, comment="which sessions, as it was asked for")
    board_id: Mapped[int | None] = mapped_column(INTEGER(unsigned=True), comment="the board that the filter names; NULL: none")
    reason: Mapped[str] = mapped_column(String(500))
    by_user_id: Mapped[int | None] = mapped_column(UnsignedBigInt, comment="who began it; NULL: a key")
    by_client_id: Mapped[str | None] = mapped_column(String(40), comment="the key that began it; NULL: one of staff")
    undo_reason: Mapped[str | None] = mapped_column(String(500))
    undo_by_user_id: Mapped[int | None] = mapped_column(UnsignedBigInt, comment="who had it undone; NULL: a key, or nobody")
    undo_by_client_id: Mapped[str | None] = mapped_column(
        String(40), comment="the key that had it undone; NULL: one of staff, or nobody"
    )
    state: Mapped[str] = mapped_column(String(16), comment="finding, voiding, done, cancelled, undoing, or undone")
    upto_session_id: Mapped[int] = mapped_column(UnsignedBigInt, comment="the last session that it may void")
    looked_at_session_id: Mapped[int] = mapped_column(UnsignedBigInt, comment="the last one that was held against the filter")
    next_user_id: Mapped[int] = mapped_column(
        UnsignedBigInt, server_default=_COUNT, comment="the players before are gone through"
    )
    found: Mapped[int] = mapped_column(UnsignedBigInt, server_default=_COUNT, comment="sessions that fit the filter")
    done: Mapped[int] = mapped_column(UnsignedBigInt, server_default=_COUNT, comment="of these, those that were gone through")
    voided: Mapped[int] = mapped_column(UnsignedBigInt, server_default=_COUNT, comment="of these, those that it voided")
    restored: Mapped[int] = mapped_column(
        UnsignedBigInt, server_default=_COUNT, comment="of these, those that were restored by undoing"
    )
    failed: Mapped[int] = mapped_column(
        UnsignedBigInt, server_default=_COUNT, comment="those that could not be voided, or restored"
    )
    players: Mapped[int] = mapped_column(UnsignedBigInt, server_default=_COUNT, comment="whose sessions were gone through")
    held_by: Mapped[bytes | None] = mapped_column(BINARY(16), comment="the process that is at it; NULL: none was")
    held_until: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="another process goes on with it from then on")
    started_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="NULL: it goes on")


class VoidJobSession(LeaderboardBase):
    """A session that such a job has found, and what became of it. Whoever changes one has locked the session's player."""

    __tablename__ = "void_job_sessions"
    __table_args__ = (Index("ix_void_job_sessions_session_id", "session_id"), TABLE_OPTIONS)

    job_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    session_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    state: Mapped[int] = mapped_column(
        TINYINT(unsigned=True),
        server_default=_COUNT,
        comment="0: found; 1: voided by the job, and by nobody since; 2: left alone; 3: restored; 4: could not be restored",
    )
    was: Mapped[int] = mapped_column(
        TINYINT(unsigned=True), server_default=_COUNT, comment="the state that the session had before"
    )
