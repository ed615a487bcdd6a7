"""SQL of external identities: which user somebody is whom a studio knows by an account elsewhere."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.models import ExternalIdentity, User
from services.common.mysql.database import error_code

_DUPLICATE_KEY = 1062


class IdentityTaken(Exception):
    """Somebody else has made the user of one of these identities a moment ago."""


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """Somebody's account elsewhere: at which provider, and what they are called there, byte for byte."""

    provider: str
    external_id: str


@dataclass(frozen=True, slots=True)
class KnownPlayer:
    """The user of an identity."""

    user_id: int
    username: str
    canonical: str


async def find_players(connection: AsyncConnection, identities: Collection[Identity]) -> dict[Identity, KnownPlayer]:
    """The users of those identities that have one."""
    found = {}
    # A statement for each provider: MySQL takes a list of pairs for something to join.
    for provider, those in groupby(sorted(identities), key=lambda identity: identity.provider):
        wanted = [identity.external_id.encode() for identity in those]
        statement = (
            select(ExternalIdentity.external_id, User.id, User.username, User.username_canonical)
            .join(User, User.id == ExternalIdentity.user_id)
            .where(ExternalIdentity.provider == provider, ExternalIdentity.external_id.in_(wanted))
        )
        for external_id, user_id, *names in await connection.execute(statement):
            found[Identity(provider, external_id.decode())] = KnownPlayer(user_id, *names)
    return found


async def add(connection: AsyncConnection, users: Mapping[Identity, int], now: datetime) -> None:
    """Store whose identities are, all or none. Raises IdentityTaken: then those users must not be there either."""
    values = [
        {
            "provider": identity.provider,
            "external_id": identity.external_id.encode(),
            "user_id": user_id,
            "created_at": now,
        }
        for identity, user_id in sorted(users.items())
    ]
    try:
        await connection.execute(insert(ExternalIdentity).values(values))
    except IntegrityError as error:
        if error_code(error) != _DUPLICATE_KEY:
            raise
        raise IdentityTaken from None


async def list_identities(connection: AsyncConnection, user_id: int) -> Sequence[Identity]:
    """A user's identities, in their order."""
    statement = select(ExternalIdentity.provider, ExternalIdentity.external_id).where(ExternalIdentity.user_id == user_id)
    rows = (await connection.execute(statement)).all()
    return sorted(Identity(provider, external_id.decode()) for provider, external_id in rows)
