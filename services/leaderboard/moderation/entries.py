"""The log of moderation: who did what about whom, or about which webhook, job, board, period or import. It tells when and why,
and what was before and after it. Nobody can change it.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.tokens import Caller, Principal
from services.leaderboard.models import ModerationEntry


class Act(StrEnum):
    """What can be done."""

    SESSION_VOIDED = "session_voided"
    SESSION_RESTORED = "session_restored"
    SESSION_APPROVED = "session_approved"
    REPORTS_DISMISSED = "reports_dismissed"
    PLAYER_BANNED = "player_banned"
    PLAYER_UNBANNED = "player_unbanned"
    WEBHOOK_MADE = "webhook_made"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_DELETED = "webhook_deleted"
    WEBHOOK_SECRET_MADE = "webhook_secret_made"  # noqa: S105 - an act, not a secret
    WEBHOOK_TESTED = "webhook_tested"
    DELIVERIES_REPLAYED = "deliveries_replayed"
    VOID_JOB_BEGUN = "void_job_begun"
    VOID_JOB_CANCELLED = "void_job_cancelled"
    VOID_JOB_UNDONE = "void_job_undone"
    VOID_JOB_FINISHED = "void_job_finished"
    SESSIONS_VOIDED = "sessions_voided"
    SESSIONS_RESTORED = "sessions_restored"
    BOARD_MADE = "board_made"
    BOARD_CHANGED = "board_changed"
    BOARD_DELETED = "board_deleted"
    PERIOD_WRITTEN = "period_written"
    PERIOD_TAKEN_BACK = "period_taken_back"
    SESSIONS_IMPORTED = "sessions_imported"


class Entry(NamedTuple):
    """What was done. It was one of staff or a key. ``user_id``: None where it was about no player."""

    entry_id: int
    act: str
    user_id: int | None
    session_id: int | None
    by_user_id: int | None
    by_client_id: str | None
    reason: str | None
    was: Mapping[str, Any]
    became: Mapping[str, Any]
    done_at: datetime


class Doer(NamedTuple):
    """Who does something, as it is written down: one of staff, or a key. The other is None."""

    user_id: int | None
    client_id: str | None


class Order(NamedTuple):
    """Who wants something done, and why. A job goes on with what somebody has ordered who has left."""

    by: Caller | Doer
    reason: str | None


def doer(order: Order) -> Doer:
    """Who wants it done."""
    if isinstance(order.by, Doer):
        return order.by
    return Doer(order.by.user_id, None) if isinstance(order.by, Principal) else Doer(None, order.by.client_id)


async def add(
    connection: AsyncConnection,
    act: Act,
    order: Order,
    *,
    user_id: int | None,
    was: Mapping[str, Any],
    became: Mapping[str, Any],
    session_id: int | None = None,
) -> None:
    """Add to the log, in the transaction that does it: what is rolled back has not been done.

    ``user_id``: the player whom it was about; None where it was about no player.
    """
    user, client = doer(order)
    await connection.execute(
        insert(ModerationEntry).values(
            act=act,
            user_id=user_id,
            session_id=session_id,
            by_user_id=user,
            by_client_id=client,
            reason=order.reason,
            was=was,
            became=became,
        )
    )


async def list_entries(connection: AsyncConnection, user_id: int | None, before: int | None, limit: int) -> list[Entry]:
    """What was done, about a player or about anybody, newest first, from before an entry on."""
    entry = ModerationEntry
    page = select(
        entry.id,
        entry.act,
        entry.user_id,
        entry.session_id,
        entry.by_user_id,
        entry.by_client_id,
        entry.reason,
        entry.was,
        entry.became,
        entry.done_at,
    )
    if user_id is not None:
        page = page.where(entry.user_id == user_id)
    if before is not None:
        page = page.where(entry.id < before)
    return [Entry(*row) for row in await connection.execute(page.order_by(entry.id.desc()).limit(limit))]
