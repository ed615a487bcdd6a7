"""The auth service's tables."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.dialects.mysql import BINARY, INTEGER, VARBINARY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.mysql.database import TABLE_OPTIONS, UnsignedBigInt, UTCDateTime


class AuthBase(DeclarativeBase):
    """The tables that the account `auth` may use."""


class User(AuthBase):
    """An account. ``username`` is shown as typed; ``username_canonical`` is what is unique."""

    __tablename__ = "users"
    __table_args__ = (Index("uq_users_username_canonical", "username_canonical", unique=True), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    username: Mapped[str] = mapped_column(String(32))
    username_canonical: Mapped[str] = mapped_column(String(32))
    password_hash: Mapped[str | None] = mapped_column(String(255), comment="NULL: a guest, who has no password")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Guest(AuthBase):
    """What is kept of each guest, beside the account itself. Without a session nobody can reach it."""

    __tablename__ = "guests"
    __table_args__ = (Index("ix_guests_unreachable_since", "unreachable_since"), TABLE_OPTIONS)

    user_id: Mapped[int] = mapped_column(
        UnsignedBigInt,
        ForeignKey("users.id", name="fk_guests_user_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    unreachable_since: Mapped[datetime | None] = mapped_column(
        UTCDateTime, comment="when it was seen that its last session had ended; NULL: it was not"
    )


class AccountChange(AuthBase):
    """What the leaderboard service must know of an account: a row from its making on, which outlives it. It may read it."""

    __tablename__ = "account_changes"
    __table_args__ = (
        Index("ix_account_changes_changed_at", "changed_at"),
        Index("ix_account_changes_username_canonical", "username_canonical"),
        {**TABLE_OPTIONS, "info": {"grant": "SELECT, INSERT, UPDATE", "readers": ["leaderboard"]}},
    )

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=False, comment="the user's")
    username: Mapped[str] = mapped_column(String(32), comment="empty: the account has ended")
    username_canonical: Mapped[str] = mapped_column(String(32))
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="NULL: it has not")
    changed_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="by MySQL's clock; NULL: it is as it was made")


class KeptUsername(AuthBase):
    """A name that was given up, by a rename or with its account. Until its time is over only ``user_id`` may take it, if any.

    One that is in use is in ``users`` alone.
    """

    __tablename__ = "kept_usernames"
    __table_args__ = (
        Index("ix_kept_usernames_user_id", "user_id"),
        Index("ix_kept_usernames_kept_until", "kept_until"),
        TABLE_OPTIONS,
    )

    username_canonical: Mapped[str] = mapped_column(String(32), primary_key=True)
    username: Mapped[str] = mapped_column(String(32))
    user_id: Mapped[int | None] = mapped_column(
        UnsignedBigInt,
        ForeignKey("users.id", name="fk_kept_usernames_user_id", ondelete="SET NULL"),
        comment="who may take it back; NULL: nobody",
    )
    kept_until: Mapped[datetime] = mapped_column(UTCDateTime)


class RefreshFamily(AuthBase):
    """A session: all refresh tokens that came from one login. One that ends is deleted; no token of it is good then."""

    __tablename__ = "refresh_families"
    __table_args__ = (
        Index("ix_refresh_families_user_id", "user_id"),
        Index("ix_refresh_families_expires_at", "expires_at"),
        TABLE_OPTIONS,
    )

    id: Mapped[bytes] = mapped_column(BINARY(16), primary_key=True)
    user_id: Mapped[int] = mapped_column(
        UnsignedBigInt, ForeignKey("users.id", name="fk_refresh_families_user_id", ondelete="CASCADE")
    )
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, comment="over then, if it is not used before")
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime, comment="over then, however much it is used")
    address: Mapped[str] = mapped_column(String(45), comment="where it was used last; empty: not known")
    user_agent: Mapped[str] = mapped_column(String(256))
    kind: Mapped[str] = mapped_column(String(16), comment="browser, or app")
    authenticated_at: Mapped[datetime] = mapped_column(UTCDateTime, comment="when its password was given last")
    second_factor_at: Mapped[datetime | None] = mapped_column(
        UTCDateTime, comment="when its second factor was given last; NULL: it was not"
    )


class RefreshToken(AuthBase):
    """One refresh token, by its hash. A used one is kept until it expires, so that a second use is known for what it is.

    No foreign key: a family may have thousands of used tokens, and its end must not wait for them. They say nothing about
    anybody, and expire by themselves.
    """

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("uq_refresh_tokens_token_hash", "token_hash", unique=True),
        Index("ix_refresh_tokens_expires_at", "expires_at"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    family_id: Mapped[bytes] = mapped_column(BINARY(16))
    token_hash: Mapped[bytes] = mapped_column(BINARY(32))
    issued_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Staff(AuthBase):
    """Who runs the game: the role of each user who has one."""

    __tablename__ = "staff"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[int] = mapped_column(
        UnsignedBigInt,
        ForeignKey("users.id", name="fk_staff_user_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    role: Mapped[str] = mapped_column(String(16), comment="admin, or moderator")
    granted_by: Mapped[int | None] = mapped_column(UnsignedBigInt, comment="the admin who did; NULL: an operator")
    granted_at: Mapped[datetime] = mapped_column(UTCDateTime)


class SecondFactor(AuthBase):
    """The second factor of somebody of the staff. It goes with the role."""

    __tablename__ = "second_factors"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[int] = mapped_column(
        UnsignedBigInt,
        ForeignKey("staff.user_id", name="fk_second_factors_user_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    secret: Mapped[bytes | None] = mapped_column(VARBINARY(255), comment="encrypted; NULL: none is confirmed")
    pending: Mapped[bytes | None] = mapped_column(VARBINARY(255), comment="encrypted; what is to take its place")
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_step: Mapped[int] = mapped_column(UnsignedBigInt, comment="the time step whose code was used last")


class StaffCode(AuthBase):
    """A code that stands in for the second factor once, by its hash. One that is used is deleted."""

    __tablename__ = "staff_codes"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[int] = mapped_column(
        UnsignedBigInt,
        ForeignKey("staff.user_id", name="fk_staff_codes_user_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    code_hash: Mapped[bytes] = mapped_column(BINARY(32), primary_key=True)


class ExportLease(AuthBase):
    """The one export of an account that may be under way. Whoever holds it renews it; a process that died lets it run out."""

    __tablename__ = "export_leases"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[int] = mapped_column(
        UnsignedBigInt,
        ForeignKey("users.id", name="fk_export_leases_user_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    lease_id: Mapped[bytes] = mapped_column(BINARY(16), comment="which export holds it")
    held_until: Mapped[datetime] = mapped_column(UTCDateTime)


class AuditEvent(AuthBase):
    """Something that happened to an account. MySQL's `auth` may read and add rows; MySQL chooses their ids."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_user_id", "user_id"),
        Index("ix_audit_events_user_id_event", "user_id", "event", "occurred_at"),
        Index("ix_audit_events_event", "event", "occurred_at"),
        {**TABLE_OPTIONS, "info": {"grant": "SELECT, INSERT (event, user_id, detail, occurred_at)"}},
    )

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    event: Mapped[str] = mapped_column(String(32))
    user_id: Mapped[int | None] = mapped_column(UnsignedBigInt, comment="no foreign key: what happened outlives the account")
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    occurred_at: Mapped[datetime] = mapped_column(UTCDateTime)


class AuditAddress(AuthBase):
    """Where an event came from. In a table of its own, since it is forgotten after a set time and the event never is."""

    __tablename__ = "audit_addresses"
    __table_args__ = (
        Index("ix_audit_addresses_occurred_at", "occurred_at"),
        {**TABLE_OPTIONS, "info": {"grant": "SELECT, INSERT, DELETE"}},
    )

    event_id: Mapped[int] = mapped_column(
        UnsignedBigInt,
        ForeignKey("audit_events.id", name="fk_audit_addresses_event_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    address: Mapped[str] = mapped_column(String(64))
    occurred_at: Mapped[datetime] = mapped_column(UTCDateTime, comment="when the event was")


class RecoveryCode(AuthBase):
    """One recovery code of a user that is not used up, by its hash."""

    __tablename__ = "recovery_codes"
    __table_args__ = (TABLE_OPTIONS,)

    user_id: Mapped[int] = mapped_column(
        UnsignedBigInt,
        ForeignKey("users.id", name="fk_recovery_codes_user_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    code_hash: Mapped[bytes] = mapped_column(BINARY(32), primary_key=True)
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)


class PasswordAttempts(AuthBase):
    """The passwords and recovery codes that were tried in vain for one account, or for one name that nobody has."""

    __tablename__ = "password_attempts"
    __table_args__ = (Index("ix_password_attempts_counted_at", "counted_at"), TABLE_OPTIONS)

    account_key: Mapped[bytes] = mapped_column(BINARY(32), primary_key=True)
    failures: Mapped[int] = mapped_column(INTEGER(unsigned=True), comment="attempts since the last right password")
    attempt_id: Mapped[bytes] = mapped_column(BINARY(16), comment="the last attempt that was let through")
    delayed_until: Mapped[datetime] = mapped_column(UTCDateTime, comment="until then no password is looked at")
    counted_at: Mapped[datetime] = mapped_column(UTCDateTime)


class ExternalIdentity(AuthBase):
    """Which user somebody is whom a studio knows by an account elsewhere."""

    __tablename__ = "external_identities"
    __table_args__ = (Index("ix_external_identities_user_id", "user_id"), TABLE_OPTIONS)

    provider: Mapped[str] = mapped_column(String(32), primary_key=True)
    external_id: Mapped[bytes] = mapped_column(
        VARBINARY(512), primary_key=True, comment="UTF-8, as bytes: text would be equal that differs in spaces at its end"
    )
    user_id: Mapped[int] = mapped_column(
        UnsignedBigInt, ForeignKey("users.id", name="fk_external_identities_user_id", ondelete="CASCADE")
    )
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class ApiKey(AuthBase):
    """A key: what a game server or another program of the studio's has of its own, beside its secrets."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_created_by", "created_by"), TABLE_OPTIONS)

    client_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[str] = mapped_column(String(255), comment="as RFC 6749, section 3.3 writes them")
    created_by: Mapped[int | None] = mapped_column(
        UnsignedBigInt,
        ForeignKey("users.id", name="fk_api_keys_created_by", ondelete="SET NULL"),
        comment="NULL: the account is gone",
    )
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="NULL: it does not expire")
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="to the minute; NULL: it was not used")


class KeySecret(AuthBase):
    """A secret of a key. The greater id is the newer one."""

    __tablename__ = "key_secrets"
    __table_args__ = (Index("ix_key_secrets_client_id", "client_id", "id"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    client_id: Mapped[str] = mapped_column(
        String(40), ForeignKey("api_keys.client_id", name="fk_key_secrets_client_id", ondelete="CASCADE")
    )
    secret_hash: Mapped[bytes] = mapped_column(BINARY(32))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class KeyEnding(AuthBase):
    """A key that was revoked, for as long as a token of it may be about. The leaderboard service may read it."""

    __tablename__ = "key_endings"
    __table_args__ = (
        Index("ix_key_endings_ended_at", "ended_at"),
        {**TABLE_OPTIONS, "info": {"grant": "SELECT, INSERT, DELETE", "readers": ["leaderboard"]}},
    )

    client_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    ended_at: Mapped[datetime] = mapped_column(UTCDateTime, comment="by MySQL's clock")
