"""The use cases of keys: what staff do with them, and the tokens that game servers are given for them."""

import math
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import users
from services.auth.audit import events, limits
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import InvalidClient, InvalidScope, TooManyWrongSecrets
from services.auth.keys import endings, records
from services.auth.keys.records import KeyRecord
from services.auth.keys.secrets import is_client_id, is_one_of, new_client_id, new_secret, secret_hash
from services.auth.passwords import attempts
from services.auth.passwords.attempts import Attempt, Count, Delays
from services.auth.sessions.access import SessionAccess
from services.auth.sessions.tokens import AccessTokenIssuer
from services.common.http.problems import FieldError, InsufficientScope, InvalidRequest
from services.common.mysql.database import Database
from services.common.tokens import Principal, Scope

T = TypeVar("T")


class KeyService:
    """Keys, which staff make and end. Each use case raises Unauthenticated when the caller's session has ended.

    What changes something raises TooManyEvents, and what is about one key KeyNotFound.
    """

    def __init__(self, database: Database, access: SessionAccess, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._access = access
        self._clock = clock

    async def make(
        self, caller: Principal, name: str, scopes: Collection[Scope], expires_at: datetime | None, client: Client
    ) -> tuple[KeyRecord, str]:
        """Make a key; gives it and its secret, which nobody is told again.

        Raises InvalidRequest, InsufficientScope when the caller lacks one of the scopes, or TooManyKeys.
        """
        if lacking := sorted(set(scopes) - caller.scopes):
            told = " ".join(lacking)
            raise InsufficientScope(f"A key can do what its maker may: your access token lacks {told}.", scope=told)
        client_id, secret = new_client_id(), new_secret()

        async def make(connection: AsyncConnection, now: datetime) -> KeyRecord:
            if expires_at is not None and expires_at <= now:
                detail = "a key expires in the future"
                raise InvalidRequest(detail, errors=[FieldError(detail=detail, pointer="#/expires_at")])
            key = KeyRecord(client_id, name, sorted(scopes), caller.user_id, now, expires_at, None, 1)
            await records.add_key(connection, key, secret_hash(secret), now)
            return key

        return await self._change(caller, Event.KEY_MADE, client_id, client, make), secret

    async def list_all(self, caller: Principal) -> Sequence[KeyRecord]:
        """Every key, the newest first."""
        async with self._database.reading() as connection:
            await self._access.require_scope(connection, caller, Scope.ADMIN, self._clock())
            return await records.list_keys(connection)

    async def get(self, caller: Principal, client_id: str) -> KeyRecord:
        """One key."""
        async with self._database.reading() as connection:
            await self._access.require_scope(connection, caller, Scope.ADMIN, self._clock())
            return await records.get_key(connection, client_id)

    async def rotate(self, caller: Principal, client_id: str, client: Client) -> tuple[KeyRecord, str]:
        """Give a key another secret; gives the key and that secret. The one before it stays good, older ones end."""
        secret = new_secret()

        async def rotate(connection: AsyncConnection, now: datetime) -> KeyRecord:
            await records.lock_key(connection, client_id)
            await records.add_secret(connection, client_id, secret_hash(secret), now)
            return await records.get_key(connection, client_id)

        return await self._change(caller, Event.KEY_ROTATED, client_id, client, rotate), secret

    async def end_older_secrets(self, caller: Principal, client_id: str, client: Client) -> None:
        """End every secret of a key but the newest."""

        async def end(connection: AsyncConnection, _: datetime) -> None:
            await records.lock_key(connection, client_id)
            await records.keep_newest_secrets(connection, client_id, 1)

        await self._change(caller, Event.KEY_SECRETS_ENDED, client_id, client, end)

    async def revoke(self, caller: Principal, client_id: str, client: Client) -> None:
        """End a key, and with it what its tokens are good for."""

        async def revoke(connection: AsyncConnection, _: datetime) -> None:
            await records.lock_key(connection, client_id)
            await records.delete_key(connection, client_id)
            await endings.note_ended(connection, client_id)

        await self._change(caller, Event.KEY_REVOKED, client_id, client, revoke)

    async def _change(
        self,
        caller: Principal,
        event: Event,
        client_id: str,
        client: Client,
        change: Callable[[AsyncConnection, datetime], Awaitable[T]],
    ) -> T:
        """Run ``change`` in a transaction, and note what it does."""

        async def run(connection: AsyncConnection) -> T:
            now = self._clock()
            await users.lock_user(connection, caller.user_id)
            await self._access.require_scope(connection, caller, Scope.ADMIN, now)
            await limits.require_room(connection, event, caller.user_id, now)
            result = await change(connection, now)
            await events.record(connection, event, client, user_id=caller.user_id, now=now, client_id=client_id)
            return result

        return await self._database.transaction(run)


class KeyTokens:
    """Access tokens of keys: OAuth 2.0's client credentials (RFC 6749, section 4.4)."""

    def __init__(
        self,
        database: Database,
        issuer: AccessTokenIssuer,
        *,
        lifetime: timedelta,
        delays: Delays,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._lifetime = lifetime
        self._delays = delays
        self._clock = clock

    async def grant(
        self, client_id: str, secret: str, scope: str | None, client: Client
    ) -> tuple[str, timedelta, Sequence[Scope]]:
        """An access token, how long it is good, and for what. ``scope``: which of the key's scopes are asked for, if not all.

        Raises InvalidClient, TooManyWrongSecrets or InvalidScope. The right secret is never delayed: it cannot be guessed, and
        whoever knows what a key is called would keep a game server out.
        """
        now = self._clock()
        if not is_client_id(client_id):
            raise await self._refusal(client_id, known=False, client=client, now=now)
        async with self._database.reading() as connection:
            key = await records.find_live_key(connection, client_id, now)
            hashes = await records.list_secret_hashes(connection, client_id)
        if not is_one_of(secret, hashes) or key is None:
            raise await self._refusal(client_id, known=key is not None, client=client, now=now)
        scopes = _asked(scope, key)
        if not records.is_use_noted(key, now):
            await self._database.transaction(lambda connection: records.note_use(connection, client_id, now))
        lifetime = self._lifetime if key.expires_at is None else min(self._lifetime, key.expires_at - now)
        return self._issuer.issue_to_key(client_id, scopes, now, now + lifetime), lifetime, scopes

    async def _refusal(
        self, client_id: str, *, known: bool, client: Client, now: datetime
    ) -> InvalidClient | TooManyWrongSecrets:
        """What a wrong secret is refused with, and counted by. The same where there is no such key."""
        attempt = Attempt(attempts.by_key(client_id), uuid.uuid4().bytes)
        # What is no key's name may be a secret that was typed in its place.
        detail = {"client_id": client_id} if known else {}

        async def count(connection: AsyncConnection) -> Count:
            counted = await attempts.count(connection, attempt, self._delays, now)
            if counted.admitted:
                await events.record(connection, Event.KEY_REFUSED, client, user_id=None, now=now, **detail)
                if counted.delayed_until > now:
                    await events.record(connection, Event.ATTEMPTS_DELAYED, client, user_id=None, now=now, **detail)
            return counted

        counted = await self._database.transaction(count)
        if counted.admitted:
            return InvalidClient("There is no such key, or this is not a secret of it.")
        return TooManyWrongSecrets(max(1, math.ceil((counted.delayed_until - now).total_seconds())))


def _asked(scope: str | None, key: KeyRecord) -> Sequence[Scope]:
    if scope is None:
        return key.scopes
    asked = set(scope.split(" "))
    if not asked <= set(key.scopes):
        raise InvalidScope(f"The key has the scopes {' '.join(key.scopes)}.")
    return sorted(map(Scope, asked))
