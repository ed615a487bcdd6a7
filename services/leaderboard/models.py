"""The leaderboard service's tables. Game sessions are the log; everything else follows from it."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Date, Index, String, text
from sqlalchemy.dialects.mysql import BIGINT, BINARY, DATETIME, INTEGER, TINYINT, VARBINARY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.mysql.database import TABLE_OPTIONS, UnsignedBigInt, UTCDateTime


class LeaderboardBase(DeclarativeBase):
    """The tables that the account `leaderboard` may use."""


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


class Result(LeaderboardBase):
    """How a player stood when a period was settled. Never changed, whoever leaves or is taken off the board later."""

    __tablename__ = "results"
    __table_args__ = (
        Index("uq_results_period_id_user_id", "period_id", "user_id", unique=True),
        Index("ix_results_user_id", "user_id"),
        TABLE_OPTIONS,
    )

    period_id: Mapped[int] = mapped_column(INTEGER(unsigned=True), primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(
        INTEGER(unsigned=True), primary_key=True, autoincrement=False, comment="from 1 on, in the order of the board"
    )
    rank: Mapped[int] = mapped_column(INTEGER(unsigned=True), comment="equal scores share one")
    user_id: Mapped[int] = mapped_column(UnsignedBigInt)
    score: Mapped[int] = mapped_column(BIGINT)
    reward: Mapped[str | None] = mapped_column(String(64))


class Event(LeaderboardBase):
    """What happened, written in the transaction that it tells of. Ids gap and commit out of order: none is a cursor."""

    __tablename__ = "events"
    __table_args__ = (TABLE_OPTIONS,)

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(32), comment="as period.settled")
    data: Mapped[Any] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))
    nonce: Mapped[bytes | None] = mapped_column(
        BINARY(8),
        comment="random, one for all that are written at once; NULL: from before there were webhooks",
    )


class Webhook(LeaderboardBase):
    """A URL of a studio's own systems that is told of events."""

    __tablename__ = "webhooks"
    __table_args__ = (Index("uq_webhooks_name", "name", unique=True), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(INTEGER(unsigned=True), primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64))
    url: Mapped[str] = mapped_column(String(2000))
    events: Mapped[Any] = mapped_column(JSON, comment="the kinds of events that it is told of")
    state: Mapped[str] = mapped_column(String(16), server_default="on", comment="on, or off: it answered 410")
    paused_until: Mapped[datetime | None] = mapped_column(
        UTCDateTime, comment="nothing is sent before, as its Retry-After said; NULL: it did not"
    )
    secret: Mapped[bytes] = mapped_column(VARBINARY(256), comment="what signs, encrypted")
    old_secret: Mapped[bytes | None] = mapped_column(VARBINARY(256), comment="the one before, which signs too; NULL: none")
    old_secret_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))


class Delivery(LeaderboardBase):
    """An event that a webhook is told of, or was, or could not be. Written in the event's transaction."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_webhook_id_state_next_at", "webhook_id", "state", "next_at"),
        Index("ix_deliveries_webhook_id_id", "webhook_id", "id"),
        Index("ix_deliveries_state_next_at", "state", "next_at"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    webhook_id: Mapped[int] = mapped_column(INTEGER(unsigned=True))
    event_id: Mapped[int] = mapped_column(UnsignedBigInt)
    state: Mapped[str] = mapped_column(String(16), server_default="pending", comment="pending, delivered, or failed")
    next_at: Mapped[datetime] = mapped_column(
        UTCDateTime,
        server_default=text("CURRENT_TIMESTAMP(6)"),
        comment="pending: when it is tried next, or again if who tries it now does not come back; else: when it is forgotten",
    )
    tries: Mapped[int] = mapped_column(INTEGER(unsigned=True), server_default=text("0"), comment="how often it was tried")
    tried_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="when it was last; NULL: never")
    status: Mapped[int | None] = mapped_column(INTEGER(unsigned=True), comment="what it was answered; NULL: nothing")
    error: Mapped[str | None] = mapped_column(String(200), comment="why the last try failed; NULL: it did not")


class BoardsVersion(LeaderboardBase):
    """One row, which each change of boards and windows raises by one: so a process learns of changes by asking for a number.

    Whoever changes any locks it first, and commits with it. So who has read a number can read whatever was changed up to it.
    """

    __tablename__ = "boards_version"
    __table_args__ = (TABLE_OPTIONS,)

    id: Mapped[int] = mapped_column(INTEGER(unsigned=True), primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(UnsignedBigInt)


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


class Folding(LeaderboardBase):
    """A player whose standings are being folded anew: too many for one transaction. Whoever can goes on with it."""

    __tablename__ = "foldings"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False)
    begun_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=text("CURRENT_TIMESTAMP(6)"))


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


_COUNT = text("0")


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
