"""SQL that counts passwords tried in vain. An attempt is counted before it is looked at: of many at once none slips past."""

import hashlib
import math
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BINARY, bindparam, delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.models import PasswordAttempts
from services.common.mysql.database import UTCDateTime

# Assignments are made from left to right (MySQL's manual, UPDATE): from the first on, attempt_id says whether this one is
# let through. Before there are more than the free failures there is no delay, and no time is looked at: of two processes'
# attempts at once, the one that is counted second may have looked at its clock first. The exponent is bounded so that POW
# cannot overflow.
_COUNT = text(
    """
    INSERT INTO password_attempts (account_key, failures, attempt_id, delayed_until, counted_at)
    VALUES (:account_key, 1, :attempt_id, :now, :now)
    ON DUPLICATE KEY UPDATE
        attempt_id = IF(failures <= :free OR delayed_until <= :now, :attempt_id, attempt_id),
        failures = IF(attempt_id = :attempt_id, failures + 1, failures),
        counted_at = IF(attempt_id = :attempt_id, :now, counted_at),
        delayed_until = CASE
            WHEN attempt_id <> :attempt_id THEN delayed_until
            WHEN failures <= :free THEN :now
            ELSE TIMESTAMPADD(SECOND, LEAST(:delay * POW(2, LEAST(failures - :free - 1, 30)), :longest), :now)
        END
    """
).bindparams(
    bindparam("account_key", type_=BINARY(32)), bindparam("attempt_id", type_=BINARY(16)), bindparam("now", type_=UTCDateTime)
)


def by_account(user_id: int) -> bytes:
    """The count of whoever types a password for an account. By its number, since its name can be changed."""
    return _key(f"account {user_id}")


def by_name(name: str) -> bytes:
    """The same for a name that nobody has."""
    return _key(f"name {name}")


def by_device(user_id: int, device: bytes) -> bytes:
    """The count of a browser that has signed in to the account before."""
    return _key(f"device {user_id} {device.hex()}")


def by_session(session_id: uuid.UUID) -> bytes:
    """The count of a session in which the password is asked for again."""
    return _key(f"session {session_id}")


def by_second_factor(user_id: int) -> bytes:
    """The count of whoever types a code for an account's second factor."""
    return _key(f"second factor {user_id}")


def by_key(client_id: str) -> bytes:
    """The count of wrong secrets of a key, or of one that there is not."""
    return _key(f"key {client_id}")


def _key(text: str) -> bytes:
    # Hashed, because people type passwords where names belong.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One password that is tried: the key of its count, and which one it is."""

    key: bytes
    attempt_id: bytes


@dataclass(frozen=True, slots=True)
class Delays:
    """How attempts are slowed down: not for the first ``free`` failures, then by ``first`` seconds, doubling to ``longest``."""

    free: int
    first: int
    longest: int


@dataclass(frozen=True, slots=True)
class Count:
    """What was found when an attempt was counted. ``admitted``: whether it was let through."""

    admitted: bool
    delayed_until: datetime

    def wait(self, now: datetime) -> int:
        """Whole seconds until the next attempt is let through."""
        return max(1, math.ceil((self.delayed_until - now).total_seconds()))


async def count(connection: AsyncConnection, attempt: Attempt, delays: Delays, now: datetime) -> Count:
    """Count an attempt as failed, unless there is a delay: then it is turned away, and the failures stay as many."""
    values = {"account_key": attempt.key, "attempt_id": attempt.attempt_id, "now": now}
    await connection.execute(_COUNT, values | {"free": delays.free, "delay": delays.first, "longest": delays.longest})
    row = PasswordAttempts
    found = select(row.attempt_id, row.delayed_until).where(row.account_key == attempt.key)
    last, delayed_until = (await connection.execute(found)).one()
    return Count(last == attempt.attempt_id, delayed_until)


async def clear(connection: AsyncConnection, *keys: bytes) -> None:
    """Forget every failure in these counts: the right password came."""
    await connection.execute(delete(PasswordAttempts).where(PasswordAttempts.account_key.in_(sorted(set(keys)))))


async def forget(connection: AsyncConnection, before: datetime, limit: int) -> int:
    """Forget at most ``limit`` accounts and names that nobody has tried since ``before``; gives how many."""
    row = PasswordAttempts
    keys = sorted((await connection.scalars(select(row.account_key).where(row.counted_at < before).limit(limit))).all())
    if keys:
        # Asked again, since one may have been tried meanwhile.
        await connection.execute(delete(row).where(row.account_key.in_(keys), row.counted_at < before))
    return len(keys)
