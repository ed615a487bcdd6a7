"""What periods came to, and who is told."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, text
from sqlalchemy.dialects.mysql import BIGINT, BINARY, INTEGER, VARBINARY
from sqlalchemy.orm import Mapped, mapped_column

from services.common.mysql.database import TABLE_OPTIONS, UnsignedBigInt, UTCDateTime
from services.leaderboard.models.base import LeaderboardBase


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
