"""The epoch: which index is believed.

An index is built under the epoch that MySQL has when the build begins, and keeps it. Whatever makes every index doubtful sets
another epoch in MySQL: a restore, an outbox that grew too long, an operator. From then on no index that there is is complete,
whichever places there are and whether anybody knows of them. Each is built anew when it is read, once, however often the
epoch was set meanwhile.

An epoch is eight random bytes. A number that grows would be one that had been used before, after a restore.
"""

import os

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import IndexEpoch

ID = 1
"""Of the one row."""
_OF_NOW = IndexEpoch.id == ID


class Epoch:
    """The epoch as this process knows it. Each round of the follower reads it anew; empty before the first, when no index is
    complete.
    """

    def __init__(self, value: str = "") -> None:
        self.value = value


async def get_epoch(connection: AsyncConnection) -> str:
    """The epoch of now, in hexadecimal digits."""
    epoch: bytes = (await connection.execute(select(IndexEpoch.epoch).where(_OF_NOW))).scalar_one()
    return epoch.hex()


async def renew_epoch(connection: AsyncConnection) -> None:
    """Make every index that there is one that is not believed."""
    await connection.execute(update(IndexEpoch).where(_OF_NOW).values(epoch=os.urandom(8)))
