"""SQL of reports: players who say that a session of another's is to be looked at."""

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.http.problems import invalid_token
from services.common.tokens import ACCOUNT_ENDED
from services.leaderboard.errors import OwnSession, TooManyReports
from services.leaderboard.models import Report
from services.leaderboard.moderation import reviews, sessions
from services.leaderboard.players import accounts
from services.leaderboard.players.changes import PlayerChange
from services.leaderboard.rules.played import SessionState

A_DAY = 5
"""Sessions that a player may report on a day of UTC."""

# The row is the lock of the number. It comes after the lock of the session's player, in whatever touches both.
_COUNT = text("""
INSERT INTO reporters (user_id, day, reports) VALUES (:user_id, UTC_DATE(), 1)
ON DUPLICATE KEY UPDATE reports = IF(day = UTC_DATE(), reports, 0) + 1, day = UTC_DATE()""")
_COUNTED = text("""
SELECT reports, TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), UTC_DATE() + INTERVAL 1 DAY) FROM reporters WHERE user_id = :user_id""")


async def add(connection: AsyncConnection, user_id: int, session_id: int, reason: str | None) -> PlayerChange:
    """Report a session. Reported again by the same player, nothing is changed.

    One that was voided is looked at already, and is not queued. Raises SessionNotFound, OwnSession, TooManyReports, and
    Unauthenticated when the account of who reports has ended.
    """
    session = await sessions.lock(connection, session_id)
    if session.player.user_id == user_id:
        raise OwnSession("This is a session of your own.")
    known = select(Report.session_id).where(Report.session_id == session_id, Report.user_id == user_id)
    if await connection.scalar(known) is None:
        await _count(connection, user_id)
        await connection.execute(insert(Report).values(session_id=session_id, user_id=user_id, reason=reason))
        if session.state is not SessionState.VOIDED:
            await reviews.add_report(connection, session_id, session.places)
    return PlayerChange([], None)


async def _count(connection: AsyncConnection, user_id: int) -> None:
    await connection.execute(_COUNT, {"user_id": user_id})
    # Whoever erases the reporter waits for the row that is locked by now, or has committed.
    account = await accounts.find(connection, user_id)
    if account is not None and account.ended:
        raise invalid_token(ACCOUNT_ENDED)
    reports, seconds = (await connection.execute(_COUNTED, {"user_id": user_id})).one()
    if reports > A_DAY:
        raise TooManyReports(A_DAY, seconds)
