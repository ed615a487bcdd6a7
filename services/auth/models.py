"""The auth service's tables."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.dialects.mysql import BINARY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.database import TABLE_OPTIONS, UnsignedBigInt, UTCDateTime


class AuthBase(DeclarativeBase):
    """The tables that the account `auth` may use."""


class User(AuthBase):
    """An account. ``username`` is shown as typed; ``username_canonical`` is what is unique."""

    __tablename__ = "users"
    __table_args__ = (Index("uq_users_username_canonical", "username_canonical", unique=True), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    username: Mapped[str] = mapped_column(String(32))
    username_canonical: Mapped[str] = mapped_column(String(32))
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class RefreshToken(AuthBase):
    """One refresh token, by its hash. All that came from one login are a family, and end together."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("uq_refresh_tokens_token_hash", "token_hash", unique=True),
        Index("ix_refresh_tokens_family_id", "family_id"),
        Index("ix_refresh_tokens_user_id", "user_id"),
        Index("ix_refresh_tokens_expires_at", "expires_at"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(UnsignedBigInt, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(
        UnsignedBigInt, ForeignKey("users.id", name="fk_refresh_tokens_user_id", ondelete="CASCADE")
    )
    family_id: Mapped[bytes] = mapped_column(BINARY(16))
    token_hash: Mapped[bytes] = mapped_column(BINARY(32))
    issued_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
