"""The auth service's application."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import structlog
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.account import AccountService
from services.auth.accounts import kept_names
from services.auth.audit import events
from services.auth.devices import SessionService
from services.auth.exports import AccountExports
from services.auth.guests import GuestService, LeftGuests
from services.auth.http import (
    account,
    devices,
    exports,
    external,
    guests,
    hot,
    keys,
    moderation,
    oauth,
    recovery,
    second_factor,
    signing,
    staff,
)
from services.auth.http.cookies import PREFIX
from services.auth.keys import endings
from services.auth.moderation import NameModeration
from services.auth.passwords import attempts
from services.auth.passwords.device_cookies import DeviceCookies
from services.auth.passwords.hashing import Passwords
from services.auth.passwords.verification import PasswordCheck, delays
from services.auth.recovery import RecoveryService
from services.auth.roles import RoleService
from services.auth.second_factor import SecondFactorService, SecretsAnew
from services.auth.servers import KeyService, KeyTokens
from services.auth.sessions import families
from services.auth.sessions.access import SessionAccess
from services.auth.sessions.beginning import Beginnings
from services.auth.sessions.callers import LANES, Callers
from services.auth.sessions.families import Lifetimes
from services.auth.sessions.tokens import AccessTokenIssuer, Successors
from services.auth.settings import AuthSettings
from services.auth.signing import AuthService
from services.auth.studio import StudioService
from services.common.encryption import Encryption
from services.common.http.web import build_app
from services.common.mysql.database import Database
from services.common.settings import live_encryption, live_keys, load_settings
from services.common.telemetry import configure_logging
from services.common.tokens import KeyRing, TokenVerifier
from services.common.upkeep import Chore, Upkeep

log = structlog.get_logger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: AuthSettings | None = None, clock: Callable[[], datetime] = _now) -> FastAPI:
    """The application. Raises InvalidSettings, before anything is opened, when it must not start with these settings."""
    settings = settings or load_settings(AuthSettings)
    ring = live_keys(settings)
    encryption = live_encryption(settings)
    configure_logging(settings, "auth")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        account = settings.auth_mysql_user, settings.auth_mysql_password.get_secret_value()
        database = Database(settings, *account)
        # Of its own, so that who asks who they are never waits behind those who sign in.
        reads = Database(settings, *account, pool_size=LANES)
        passwords = Passwords(settings)
        app.state.database = database
        app.state.verifier = TokenVerifier(ring, settings.jwt_issuer, settings.jwt_audience)
        app.state.callers = Callers(reads, clock)
        check = PasswordCheck(database, passwords, settings, clock)
        lifetime = timedelta(seconds=settings.access_token_seconds)
        issuer = AccessTokenIssuer(ring, settings.jwt_issuer, settings.jwt_audience, lifetime)
        access = SessionAccess(issuer, second_factor=settings.staff_second_factor)
        lifetimes = Lifetimes(
            idle=timedelta(seconds=settings.refresh_token_seconds), absolute=timedelta(seconds=settings.session_seconds)
        )
        beginnings = Beginnings(access, lifetimes, settings.sessions_per_user)
        name_kept_for = timedelta(days=settings.username_kept_days)
        device_cookies = DeviceCookies(ring, timedelta(days=settings.device_cookie_days))
        app.state.service = AuthService(
            database,
            passwords,
            check,
            beginnings,
            device_cookies,
            Successors(ring),
            repeat=timedelta(seconds=settings.refresh_repeat_seconds),
            lifetimes=lifetimes,
            password_min_length=settings.password_min_length,
            clock=clock,
        )
        app.state.guests = GuestService(
            database,
            passwords,
            beginnings,
            device_cookies,
            password_min_length=settings.password_min_length,
            name_kept_for=name_kept_for,
            clock=clock,
        )
        app.state.account = AccountService(
            database,
            passwords,
            check,
            access,
            device_cookies,
            password_min_length=settings.password_min_length,
            name_kept_for=name_kept_for,
            clock=clock,
        )
        app.state.roles = RoleService(database, access, clock)
        app.state.names = NameModeration(database, access, clock)
        app.state.second_factor = SecondFactorService(
            database, access, encryption, delays(settings), clock, issuer=settings.jwt_issuer
        )
        app.state.recoveries = RecoveryService(
            database, check, device_cookies, password_min_length=settings.password_min_length, clock=clock
        )
        app.state.studio = StudioService(database, access, beginnings, clock)
        app.state.keys = KeyService(database, access, clock)
        app.state.key_tokens = KeyTokens(
            database,
            issuer,
            lifetime=timedelta(seconds=settings.key_token_seconds),
            delays=delays(settings),
            clock=clock,
        )
        app.state.sessions = SessionService(database, clock)
        app.state.exports = AccountExports(database, clock)
        chores = _chores(settings, ring, encryption)
        app.state.upkeep = upkeep = Upkeep(database, clock, chores, interval=settings.upkeep_seconds)
        upkeep.start()
        if not settings.staff_second_factor:
            log.warning("roles count without a second factor: for trying things out alone", setting="STAFF_SECOND_FACTOR")
        try:
            yield
        finally:
            await upkeep.stop()
            passwords.close()
            await reads.dispose()
            await database.dispose()

    parts = signing, oauth, guests, account, recovery, exports, devices, second_factor, staff, keys, external, moderation
    return build_app(
        title="Leaderboard: auth",
        description="Accounts and tokens. Register, log in, and send the access token as `Authorization: Bearer …`.",
        prefix=PREFIX,
        settings=settings,
        lifespan=lifespan,
        routers=[part.router for part in parts],
        shortcuts=hot.find,
        larger_bodies={external.MANY: external.MAX_BYTES},
        needed={"mysql": lambda app: app.state.database.ping},
    )


def _chores(settings: AuthSettings, ring: KeyRing, encryption: Encryption) -> dict[str, Chore]:
    failure_age = timedelta(hours=settings.password_failures_hours)
    address_age = timedelta(days=settings.audit_address_days)
    left = LeftGuests(kept_for=timedelta(days=settings.guest_days), name_kept_for=timedelta(days=settings.username_kept_days))
    noted = False

    async def note_signing_key(connection: AsyncConnection, now: datetime, _limit: int) -> int:
        nonlocal noted
        if not noted:  # once a process: while a key is rotated, processes that sign with either run beside each other
            await events.record_signing_key(connection, ring.signing_kid, now)
            noted = True
        return 0

    async def forget_addresses(connection: AsyncConnection, now: datetime, limit: int) -> int:
        return await events.forget_addresses(connection, now - address_age, limit)

    async def forget_failures(connection: AsyncConnection, now: datetime, limit: int) -> int:
        return await attempts.forget(connection, now - failure_age, limit)

    return {
        "encrypt second factors anew": SecretsAnew(encryption).encrypt,
        "note the signing key": note_signing_key,
        "forget addresses": forget_addresses,
        "forget failed attempts": forget_failures,
        "forget revoked keys": endings.forget_endings,
        "forget names": kept_names.forget_names,
        "forget sessions": families.forget_families,
        "note guests who left": left.note,
        "delete guests who left": left.delete,
        "forget refresh tokens": families.forget_tokens,
    }
