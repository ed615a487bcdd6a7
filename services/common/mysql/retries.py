"""When a transaction that failed is run again: what it does must come to the same when it is done twice."""

import asyncio
from time import monotonic

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.common.mysql.database import RETRYABLE, CommitUnknown, error_code, is_unreachable

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.05
# How many of a transaction's time-outs are spent on finding out whether one was committed, before the answer is 503.
_SETTLING = 3


class Retries:
    """The attempts at one transaction, since ``began``: more of them only where the next may well succeed, and for no longer
    than ``timeout`` seconds.

    But once a COMMIT was not answered, for ``_SETTLING`` times as long: it may still be on its way, with its locks, for which
    the next attempt waits. ``unknown``: whether that was so before the first of these attempts.
    """

    def __init__(self, timeout: float, *, began: float | None = None, unknown: bool = False) -> None:
        self._timeout = timeout
        self._began = monotonic() if began is None else began
        self._unknown = unknown
        self._attempts = 0

    async def after(self, error: Exception) -> None:
        """Return when the transaction, which failed with ``error``, is to be run again. Raises ``error`` when it is not."""
        self._attempts += 1
        self._unknown = self._unknown or isinstance(error, CommitUnknown)
        elapsed = monotonic() - self._began
        if self._unknown and is_away(error):
            if elapsed > _SETTLING * self._timeout:
                raise error
            await asyncio.sleep(_PAUSE_SECONDS)
        elif elapsed > self._timeout or not self._is_passing(error):
            raise error

    def _is_passing(self, error: Exception) -> bool:
        """Whether the next attempt may well succeed: MySQL asked for it, or the connection was an old one, lost since."""
        if error_code(error) in RETRYABLE:
            return self._attempts < _ATTEMPTS
        return self._attempts == 1 and isinstance(error, DBAPIError) and error.connection_invalidated


def is_away(error: Exception) -> bool:
    """Whether it was MySQL that could not, rather than a row that it would not take."""
    if is_unreachable(error) or isinstance(error, (CommitUnknown, PoolTimeoutError, TimeoutError)):
        return True
    return isinstance(error, OperationalError) and error_code(error) in RETRYABLE
