"""How often what a signed-in person does may be written to the audit log, which nobody can shorten.

The log itself is counted, by an index: so the limit holds over all processes, needs no row of its own, and forgets by itself.
Each kind of event is counted alone. Else whoever stole a session could rename the account without end, and so keep its owner
from ending that session. Logins are not limited here but at the gateway, failures by their delays.
"""

import math
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.audit.events import Event
from services.auth.errors import TooManyEvents
from services.auth.models import AuditEvent

MOST = 60
SPAN = timedelta(minutes=1)


async def require_room(connection: AsyncConnection, event: Event, user_id: int, now: datetime) -> None:
    """Raise TooManyEvents when the account has had MOST events of this kind within SPAN.

    The caller holds the user's row until the event is committed, so that of two at once the second counts the first.
    """
    newest = (
        select(AuditEvent.occurred_at)
        .where(AuditEvent.user_id == user_id, AuditEvent.event == event, AuditEvent.occurred_at > now - SPAN)
        .order_by(AuditEvent.occurred_at.desc())
    )
    first = await connection.scalar(newest.offset(MOST - 1).limit(1))
    if first is not None:
        seconds = math.ceil((first + SPAN - now).total_seconds())
        raise TooManyEvents(min(max(1, seconds), int(SPAN.total_seconds())))
