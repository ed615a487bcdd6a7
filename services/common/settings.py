"""Settings: every one an environment variable or a file in ``SECRETS_DIR``, with a documented default; secrets have none."""

import os
from typing import Annotated, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.encryption import Encryption
from services.common.tokens import InvalidKeys, KeyRing

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class ListenSettings(BaseSettings):
    """Where a service listens and whom it believes about the client's address."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    listen_host: str = Field("127.0.0.1", description="address the service listens on")
    listen_port: Port = Field(8000, description="port the service listens on")
    forwarded_allow_ips: str = Field(
        "127.0.0.1",
        description="comma-separated addresses or networks of the gateway. Only they are believed about `X-Forwarded-*`",
    )
    connection_requests: int = Field(
        0,
        ge=0,
        description="requests after which a connection is closed, on average. A gateway that keeps its connections then "
        "spreads its load over replicas that start later. 0 keeps connections",
    )
    reload: bool = Field(False, description="whether the service restarts when a source file changes, for development")


class LogSettings(BaseSettings):
    """How much is logged, and for whom."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least severe level that is logged")
    log_format: str = Field(
        "json", pattern="^(json|console)$", description="form of the log: `json` for machines, `console` for people"
    )


class MySQLSettings(BaseSettings):
    """Where MySQL is. Which account is used is each service's own setting."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    mysql_host: str = Field("127.0.0.1", description="host of MySQL, or the path of its Unix socket")
    mysql_port: Port = Field(3306, description="port of MySQL")
    mysql_database: str = Field(
        "leaderboard", pattern=r"^[A-Za-z0-9_]{1,64}$", description="name of the database that holds every table"
    )
    mysql_pool_size: int = Field(10, ge=1, le=1000, description="most connections of a process to MySQL")
    mysql_timeout: Seconds = Field(5.0, description="seconds a transaction may take. Waiting for a connection is included")


class TokenSettings(BaseSettings):
    """What both services must agree on about access tokens."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    jwt_keys: SecretStr = Field(
        description="keys of access tokens: comma-separated `kid:key` pairs. A key is 32 random bytes or more, as base64url. "
        "The first one signs, and each verifies"
    )
    jwt_issuer: str = Field("leaderboard-auth", min_length=1, description="`iss` of access tokens")
    jwt_audience: str = Field("leaderboard", min_length=1, description="`aud` of access tokens")


class EncryptionSettings(BaseSettings):
    """What a service needs that keeps secrets in the database."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    encryption_keys: SecretStr = Field(
        description="keys of secrets in the database, written as in `JWT_KEYS`. The first one encrypts, and each decrypts"
    )


class ServiceSettings(ListenSettings, LogSettings, MySQLSettings, TokenSettings):
    """What each service is told."""

    max_body_bytes: int = Field(
        65_536, ge=1_024, description="largest body of a request, in bytes. A larger one is answered 413"
    )
    upkeep_seconds: Seconds = Field(600.0, description="seconds between two rounds of upkeep, which deletes what has expired")


S = TypeVar("S", bound=BaseSettings)


class InvalidSettings(SystemExit):
    """A process must not start with the settings it was given. Exits with one line that names each of them."""


def live_keys(settings: TokenSettings) -> KeyRing:
    """The shared keys. Raises InvalidSettings when they must not be used, without showing one."""
    return _parse_keys("JWT_KEYS", settings.jwt_keys)


def live_encryption(settings: EncryptionSettings) -> Encryption:
    """What encrypts secrets in the database. Raises InvalidSettings when the keys must not be used, without showing one."""
    return Encryption(_parse_keys("ENCRYPTION_KEYS", settings.encryption_keys))


def _parse_keys(name: str, keys: SecretStr) -> KeyRing:
    try:
        return KeyRing.parse(keys.get_secret_value())
    except InvalidKeys as error:
        raise InvalidSettings(f"cannot start: {name}: {error}") from None


def load_settings(settings: type[S]) -> S:
    """Read ``settings`` from the environment and from the files in ``SECRETS_DIR``.

    Raises InvalidSettings, whose message names every missing or malformed setting and never shows a value.
    """
    try:
        return settings(_secrets_dir=os.environ.get("SECRETS_DIR") or None)
    except ValidationError as error:
        raise refused(error) from None


def refused(error: ValidationError) -> InvalidSettings:
    """What is said of settings that are missing or malformed: each by its name."""
    faults = "; ".join(f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors(include_input=False))
    return InvalidSettings(f"cannot start: {faults}")
