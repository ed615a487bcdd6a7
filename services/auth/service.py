"""The use cases of the auth service."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth import passwords, repository
from services.auth.errors import InvalidCredentials, InvalidRefreshToken
from services.auth.passwords import Passwords
from services.auth.repository import UserRecord
from services.auth.tokens import AccessTokenIssuer, new_refresh_token, refresh_token_hash
from services.auth.usernames import InvalidUsername, Username
from services.common.database import Database
from services.common.problems import FieldError, InvalidRequest, Unauthenticated

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a login or a refresh gives: an access token, and the refresh token that follows the one used."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


class AuthService:
    """Accounts and their tokens."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        issuer: AccessTokenIssuer,
        *,
        refresh_lifetime: timedelta,
        password_min_length: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._issuer = issuer
        self._refresh_lifetime = refresh_lifetime
        self._password_min_length = password_min_length
        self._clock = clock

    async def register(self, username: str, password: str) -> tuple[int, str]:
        """Make an account; gives its id and its name. Raises InvalidRequest, UsernameTaken or PasswordQueueFull."""
        errors = []
        try:
            name = Username.parse(username)
        except InvalidUsername as error:
            errors.append(FieldError(detail=f"{error}", pointer="#/username"))
        try:
            normal = passwords.new_password(password, self._password_min_length)
        except passwords.InvalidPassword as error:
            errors.append(FieldError(detail=f"{error}", pointer="#/password"))
        if errors:
            raise InvalidRequest("; ".join(each.detail for each in errors), errors=errors)
        stored = await self._passwords.hash(normal)
        now = self._clock()
        user_id = await self._database.transaction(lambda connection: repository.add_user(connection, name, stored, now))
        log.info("registered", user_id=user_id)
        return user_id, name.display

    async def login(self, username: str, password: str) -> SignedIn:
        """Begin a family of refresh tokens. Raises InvalidCredentials or PasswordQueueFull."""
        user = await self._find_by_typed_name(username)
        try:
            normal = passwords.normalize(password)
            right = await self._passwords.verify(user.password_hash if user else None, normal)
        except passwords.InvalidPassword:
            # No such password can have been set. The same work as for any other.
            right = await self._passwords.verify(None, "")
            normal = ""
        if user is None or not right:
            raise InvalidCredentials("The username or the password is wrong.")
        rehashed = await self._passwords.hash(normal) if self._passwords.needs_rehash(user.password_hash) else None
        return await self._database.transaction(lambda connection: self._begin_family(connection, user, rehashed))

    async def refresh(self, token: str | None) -> SignedIn:
        """Rotate a refresh token. Raises InvalidRefreshToken; a token that was used before ends its family."""
        if token is None:
            raise InvalidRefreshToken("You are signed out. Sign in to go on.")
        token_hash = refresh_token_hash(token)
        signed_in = await self._database.transaction(lambda connection: self._rotate(connection, token_hash))
        if signed_in is None:
            # A transaction of its own, committed before the refusal, which must not undo it.
            await self._database.transaction(lambda connection: self._end_reused(connection, token_hash))
            raise InvalidRefreshToken("Your session has ended. Sign in again.")
        return signed_in

    async def logout(self, token: str | None) -> None:
        """End the token's family. Nothing happens where there is none: signed out is what was asked for."""
        if token is None:
            return
        token_hash = refresh_token_hash(token)

        async def end(connection: AsyncConnection) -> None:
            found = await repository.find_refresh_token(connection, token_hash)
            if found:
                await repository.revoke_family(connection, found.family_id, self._clock())

        await self._database.transaction(end)

    async def get_user(self, user_id: int) -> UserRecord:
        """The account an access token speaks for. Raises Unauthenticated when it is gone."""
        async with self._database.reading() as connection:
            user = await repository.find_user(connection, user_id)
        if user is None:
            raise Unauthenticated("This account does not exist any more.", challenge='Bearer error="invalid_token"')
        return user

    async def _find_by_typed_name(self, username: str) -> UserRecord | None:
        try:
            canonical = Username.parse(username).canonical
        except InvalidUsername:
            return None
        async with self._database.reading() as connection:
            return await repository.find_user_by_name(connection, canonical)

    async def _begin_family(self, connection: AsyncConnection, user: UserRecord, rehashed: str | None) -> SignedIn:
        if rehashed is not None:
            await repository.set_password_hash(connection, user.user_id, user.password_hash, rehashed)
        await repository.delete_expired_refresh_tokens(connection, user.user_id, self._clock())
        return await self._sign_in(connection, user, uuid.uuid4().bytes)

    async def _rotate(self, connection: AsyncConnection, token_hash: bytes) -> SignedIn | None:
        if not await repository.use_refresh_token(connection, token_hash, self._clock()):
            return None
        used = await repository.find_refresh_token(connection, token_hash)
        user = await repository.find_user(connection, used.user_id) if used else None
        return await self._sign_in(connection, user, used.family_id) if used and user else None

    async def _end_reused(self, connection: AsyncConnection, token_hash: bytes) -> None:
        found = await repository.find_refresh_token(connection, token_hash)
        if found and found.used_at is not None and found.revoked_at is None:
            await repository.revoke_family(connection, found.family_id, self._clock())
            log.warning("refresh token reused, family ended", user_id=found.user_id, family_id=found.family_id.hex())

    async def _sign_in(self, connection: AsyncConnection, user: UserRecord, family_id: bytes) -> SignedIn:
        now = self._clock()
        token = new_refresh_token()
        await repository.add_refresh_token(
            connection, user.user_id, family_id, refresh_token_hash(token), now, now + self._refresh_lifetime
        )
        return SignedIn(
            self._issuer.issue(user.user_id, user.username, now),
            int(self._issuer.lifetime.total_seconds()),
            token,
            int(self._refresh_lifetime.total_seconds()),
        )
