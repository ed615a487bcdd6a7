"""The auth service's settings."""

import os

from pydantic import Field, SecretStr

from services.common.settings import EncryptionSettings, Seconds, ServiceSettings
from services.common.tokens import MAX_LIFETIME_SECONDS


class AuthSettings(ServiceSettings, EncryptionSettings):
    """What the auth service is told."""

    max_body_bytes: int = Field(
        8_192, ge=1_024, description="largest body of a request, in bytes. A larger one is answered 413"
    )
    auth_mysql_user: str = Field("auth", description="MySQL account of the auth service")
    auth_mysql_password: SecretStr = Field(min_length=8, description="password of that account")

    access_token_seconds: int = Field(
        900, ge=30, le=MAX_LIFETIME_SECONDS, description="lifetime of an access token, in seconds"
    )
    # Not longer: the leaderboard service remembers for an hour which keys were revoked.
    key_token_seconds: int = Field(600, ge=30, le=3_000, description="lifetime of a key's access token, in seconds")
    refresh_token_seconds: int = Field(
        2_592_000, ge=60, description="lifetime of an unused refresh token, in seconds. Its session ends with it"
    )
    refresh_repeat_seconds: int = Field(
        30,
        ge=0,
        le=600,
        description="seconds in which a used refresh token may be sent again, because the answer was lost. While its "
        "successor is unused, the answer is that same successor. After that, a used token ends its session",
    )
    session_seconds: int = Field(
        7_776_000, ge=60, description="lifetime of a session, in seconds, however much it is used. Then the user signs in again"
    )
    sessions_per_user: int = Field(
        20,
        ge=1,
        le=1000,
        description="most sessions that a user has in browsers, and in apps. One more login ends the session that was used "
        "longest ago",
    )

    # Defaults: OWASP's Argon2id recommendation. A stored hash with other parameters is replaced at the next login.
    argon2_memory_kib: int = Field(19_456, ge=8, description="memory of one password hash, in KiB")
    argon2_time_cost: int = Field(2, ge=1, description="passes of one password hash over its memory")
    argon2_parallelism: int = Field(1, ge=1, description="lanes of one password hash")
    password_workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="passwords hashed at once")
    password_queue: int = Field(
        128,
        ge=0,
        description="most requests that wait for their password to be hashed. With more, the address that has most is "
        "answered 503",
    )
    password_queue_per_address: int = Field(
        64, ge=1, description="most requests in that queue of one address, or of one IPv6 network of /64"
    )
    password_queue_seconds: Seconds = Field(10.0, description="seconds a request waits in that queue before it is answered 503")
    password_min_length: int = Field(8, ge=1, le=128, description="least length of a new password, in code points after NFKC")
    password_free_failures: int = Field(
        5, ge=1, description="wrong passwords in a row for one account before the next is delayed"
    )
    password_delay_seconds: int = Field(
        5, ge=1, description="seconds of the first delay. Each further wrong password doubles it"
    )
    password_delay_max_seconds: int = Field(900, ge=1, description="seconds of the longest delay")
    password_failures_hours: int = Field(
        24, ge=1, description="hours without a wrong password after which earlier ones are forgotten"
    )
    device_cookie_days: int = Field(
        180,
        ge=1,
        le=400,
        description="days in which a browser that has signed in has a count of wrong passwords of its own for the account",
    )
    username_kept_days: int = Field(
        30,
        ge=0,
        le=3650,
        description="days for which a name that was given up is reserved. Only its former owner may take it back",
    )
    guest_days: int = Field(
        90, ge=1, le=3650, description="days until a guest's account is deleted, counted from the end of its session"
    )
    staff_second_factor: bool = Field(
        True,
        description="whether staff need a second factor. Without one a role gives no scopes. `false` is for trying things out",
    )

    audit_address_days: int = Field(90, ge=1, description="days for which the audit log keeps the address of an event")
