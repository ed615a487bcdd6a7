"""Issuing tokens: access tokens (RFC 9068) and opaque refresh tokens (RFC 9700, section 4.14.2)."""

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.common.tokens import ALGORITHM, TOKEN_TYPE, KeyRing, Scope

_REFRESH_BYTES = 32
_PURPOSE = b"leaderboard auth: successors of refresh tokens"


class AccessTokenIssuer:
    """Signs access tokens with the first of the live keys."""

    def __init__(self, keys: KeyRing, issuer: str, audience: str, lifetime: timedelta) -> None:
        self._kid = keys.signing_kid
        self._key = keys.keys[self._kid]
        self._issuer = issuer
        self._audience = audience
        self.lifetime = lifetime

    def issue(
        self,
        user_id: int,
        username: str,
        session_id: uuid.UUID,
        now: datetime,
        auth_time: datetime | None = None,
        scopes: Collection[Scope] = (),
    ) -> str:
        """An access token that speaks for the user, in this session, from ``now`` until the lifetime is over.

        The auth service looks at the session each time. Others never ask: to them the token is good until it expires, also
        when the session has ended.

        ``auth_time``: when the session's password was given last, where there is one. ``scopes``: those of staff.
        """
        claims: dict[str, Any] = {"sub": str(user_id), "name": username, "sid": str(session_id)}
        if auth_time is not None:
            claims["auth_time"] = int(auth_time.timestamp())
        if scopes:
            claims["scope"] = _written(scopes)
        return self._sign(claims, now, now + self.lifetime)

    def issue_to_key(self, client_id: str, scopes: Collection[Scope], now: datetime, expires_at: datetime) -> str:
        """An access token that speaks for a key (RFC 9068, section 2.2), from ``now`` until ``expires_at``."""
        return self._sign({"sub": client_id, "client_id": client_id, "scope": _written(scopes)}, now, expires_at)

    def _sign(self, claims: dict[str, Any], now: datetime, expires_at: datetime) -> str:
        claims |= {"iss": self._issuer, "aud": self._audience, "iat": now, "nbf": now, "exp": expires_at}
        claims["jti"] = uuid.uuid4().hex
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._kid, "typ": TOKEN_TYPE})


def _written(scopes: Collection[Scope]) -> str:
    return " ".join(sorted(scopes))


def new_refresh_token() -> str:
    """The first refresh token of a session: 256 random bits, so that neither it nor its hash can be guessed."""
    return secrets.token_urlsafe(_REFRESH_BYTES)


class Successors:
    """Derives refresh tokens from those that they follow, so that whoever asks again is given the same one.

    It is an HMAC under a key of its own, which is derived from the key of access tokens (RFC 5869). Only hashes are stored:
    without the token before it nobody can tell the next one, and without the key neither can who has that token.
    """

    def __init__(self, keys: KeyRing) -> None:
        derived = {kid: HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(key) for kid, key in keys.keys.items()}
        self._signing = derived[keys.signing_kid]
        self._keys = tuple(derived.values())

    def next(self, token: str) -> str:
        """The token that follows ``token`` when it is used now."""
        return _derive(self._signing, token)

    def known(self, token: str) -> dict[bytes, str]:
        """Those that may have followed ``token``, by their hashes: while the key is rotated, either may have made it."""
        return {refresh_token_hash(successor): successor for successor in (_derive(key, token) for key in self._keys)}


def _derive(key: bytes, token: str) -> str:
    mac = hmac.digest(key, token.encode("utf-8", "surrogatepass"), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def refresh_token_hash(token: str) -> bytes:
    """What is stored of a refresh token. A fast hash is enough for 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
