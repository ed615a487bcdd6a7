"""The auth service's application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI

from services.auth.passwords import Passwords
from services.auth.routes import PREFIX, router
from services.auth.service import AuthService
from services.auth.settings import AuthSettings
from services.auth.tokens import AccessTokenIssuer
from services.common.database import Database
from services.common.settings import live_keys, load_settings
from services.common.telemetry import configure_logging
from services.common.tokens import TokenVerifier
from services.common.web import build_app


def create_app(settings: AuthSettings | None = None) -> FastAPI:
    """The application. Raises InvalidSettings, before anything is opened, when it must not start with these settings."""
    settings = settings or load_settings(AuthSettings)
    keys = live_keys(settings)
    configure_logging(settings, "auth")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings, settings.auth_mysql_user, settings.auth_mysql_password.get_secret_value())
        passwords = Passwords(settings)
        app.state.database = database
        app.state.verifier = TokenVerifier(keys, settings.jwt_issuer, settings.jwt_audience)
        app.state.service = AuthService(
            database,
            passwords,
            AccessTokenIssuer(
                keys, settings.jwt_issuer, settings.jwt_audience, timedelta(seconds=settings.access_token_seconds)
            ),
            refresh_lifetime=timedelta(seconds=settings.refresh_token_seconds),
            password_min_length=settings.password_min_length,
            clock=lambda: datetime.now(UTC),
        )
        try:
            yield
        finally:
            passwords.close()
            await database.dispose()

    return build_app(
        title="Leaderboard: auth",
        description="Accounts and tokens. Register, log in, and send the access token as `Authorization: Bearer …`.",
        prefix=PREFIX,
        settings=settings,
        lifespan=lifespan,
        router=router,
        needed={"mysql": lambda app: app.state.database.ping},
    )
