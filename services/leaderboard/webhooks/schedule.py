"""When a delivery that has failed is tried again."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# As Standard Webhooks advises: a little over three days.
RETRIES: Sequence[timedelta] = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
LONGEST = timedelta(hours=24)
"""What a receiver may ask to be left alone for, at most."""
_JITTER = 0.2


def find_wait(retries: Sequence[timedelta], tries: int) -> timedelta | None:
    """From the failure of the last of so many tries to the next one: a fifth more or less, so that what failed together does
    not come together again. None: there is none.
    """
    if tries > len(retries):
        return None
    return retries[tries - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - only spreads load


def read_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """What `Retry-After` asks for (RFC 9110, section 10.2.3), within bounds. None: nothing that can be read."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=int(value[:9])), LONGEST)
    try:
        time = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):  # it is the receiver's, and anything
        return None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return min(max(time - now, timedelta()), LONGEST)
