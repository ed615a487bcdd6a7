"""Access tokens: their keys, their claims and the check of both. RFC 7519, RFC 8725, RFC 9068, RFC 9470."""

import base64
import binascii
import re
import uuid
from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum
from time import time
from typing import Any

import jwt

ALGORITHM = "HS256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068's name of the type, not a secret
REQUIRED_CLAIMS = ("iss", "aud", "sub", "iat", "nbf", "exp", "jti")
"""What each token says. A user's has ``name`` and ``sid`` too, a key's ``client_id`` and ``scope``."""
MIN_KEY_BYTES = 32  # RFC 7518, section 3.2: a key as long as the hash, or longer
# 32 random bytes hold fewer than 16 different values less than once in 10^12 keys; typed samples mostly do.
MIN_DISTINCT_BYTES = 16
MAX_TOKEN_LENGTH = 4096
ACCOUNT_ENDED = "The account of this access token was deleted."
KEY_REVOKED = "The key of this access token was revoked."
CLOCK_SKEW_SECONDS = 5
MAX_LIFETIME_SECONDS = 86_400
"""No access token lives longer, whatever the settings say."""
MAX_REMEMBERED = 10_000
MAX_USER_ID = 2**63 - 1
# A second of the year 9999.
_LATEST = 253_402_300_799

_KID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SUBJECT = re.compile(r"[1-9][0-9]{0,18}")
_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CLIENT_ID = r"^key-[a-z2-7]{26}$"
"""What keys are called: 128 random bits in base32 (RFC 4648), so that none is a user's number."""
_CLIENT_ID = re.compile(CLIENT_ID.strip("^$"))
# RFC 7515, sections 2 and 7.1: base64url without padding, so that a signed token has one spelling.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class Scope(StrEnum):
    """What a token may be used for beyond its user's own affairs. RFC 6749, section 3.3."""

    ADMIN = "admin"
    """Roles of staff, and keys."""
    BOARDS = "boards:write"
    """Boards, and their periods that are written down."""
    MODERATE = "moderate"
    """What others played, and who may play."""
    PLAYERS = "players:write"
    """The players of a studio's own accounts."""
    SCORES = "scores:write"
    """Sessions of any player."""


_KNOWN_SCOPES = frozenset(scope.value for scope in Scope)


class InvalidKeys(ValueError):
    """The shared keys must not be used: missing, malformed, short, repeated, or not random."""


class InvalidToken(Exception):
    """The token is not one that this system issued, or it is not valid now. The message may be shown to the client."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The live keys by ``kid``. The first one signs; each verifies, so that a key can be rotated without a 401."""

    keys: dict[str, bytes]

    @property
    def signing_kid(self) -> str:
        return next(iter(self.keys))

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Read ``kid:base64url`` pairs, comma separated. Raises InvalidKeys, without showing a key."""
        keys: dict[str, bytes] = {}
        for pair in filter(None, (part.strip() for part in text.split(","))):
            kid, colon, encoded = pair.partition(":")
            if not colon or not _KID.fullmatch(kid):
                raise InvalidKeys("each key must be written kid:base64url, the kid of letters, digits and . _ -")
            if kid in keys:
                raise InvalidKeys(f"kid {kid} appears twice")
            try:
                key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            except (binascii.Error, ValueError):
                raise InvalidKeys(f"key {kid} is not base64url") from None
            if len(key) < MIN_KEY_BYTES:
                raise InvalidKeys(f"key {kid} has {len(key)} bytes, {MIN_KEY_BYTES} or more are needed")
            if len(set(key)) < MIN_DISTINCT_BYTES:
                raise InvalidKeys(f"key {kid} is not random: make one with `openssl rand -base64 32 | tr +/ -_`")
            if key in keys.values():
                raise InvalidKeys(f"key {kid} repeats another key")
            keys[kid] = key
        if not keys:
            raise InvalidKeys("no key is given")
        return cls(keys)


@dataclass(frozen=True, slots=True)
class Principal:
    """The user that an access token speaks for, in which session (`sid`, OpenID Connect Front-Channel Logout, section 3)."""

    user_id: int
    username: str
    session_id: uuid.UUID
    auth_time: int | None = None
    """When the session's password was given last, in seconds since 1970 (OpenID Connect Core, section 2)."""
    scopes: frozenset[Scope] = frozenset()
    """Those of staff; a player has none."""


@dataclass(frozen=True, slots=True)
class KeyPrincipal:
    """The key that an access token speaks for: a game server, or another program of the studio's."""

    client_id: str
    scopes: frozenset[Scope]


Caller = Principal | KeyPrincipal


class TokenVerifier:
    """Checks access tokens against the shared keys, without asking the service that issued them.

    ``ended``: the users whose account has ended and the keys that were revoked, of which no token is accepted any more.
    """

    def __init__(self, keys: KeyRing, issuer: str, audience: str, ended: Container[int | str] = frozenset()) -> None:
        self._keys = keys.keys
        self._issuer = issuer
        self._audience = audience
        self._ended = ended
        self._remembered: dict[str, tuple[Caller, float]] = {}

    def verify(self, token: str) -> Caller:
        """Whom ``token`` speaks for. Raises InvalidToken."""
        return self.verify_until(token)[0]

    def verify_until(self, token: str) -> tuple[Caller, float]:
        """Whom ``token`` speaks for, and until when it is accepted, in seconds since 1970. Raises InvalidToken.

        The same bytes have the same signature, so a token is looked at once, and remembered until it expires.
        """
        remembered = self._remembered.get(token)
        if remembered is None or time() >= remembered[1]:
            remembered = self._remember(token)
        caller = remembered[0]
        if isinstance(caller, Principal):
            if caller.user_id in self._ended:
                raise InvalidToken(ACCOUNT_ENDED)
        elif caller.client_id in self._ended:
            raise InvalidToken(KEY_REVOKED)
        return remembered

    def _remember(self, token: str) -> tuple[Caller, float]:
        checked = self._check(token)
        self._remembered.pop(token, None)
        if len(self._remembered) >= MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]  # the one that came first
        self._remembered[token] = checked
        return checked

    def _check(self, token: str) -> tuple[Caller, float]:
        """Whom ``token`` speaks for, and when it stops, in seconds since the epoch. Raises InvalidToken."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidToken("The access token is too long.")
        if not _COMPACT.fullmatch(token):
            raise InvalidToken("The access token is not valid.")
        try:
            header = jwt.get_unverified_header(token)
            if str(header.get("typ", "")).lower().removeprefix("application/") != TOKEN_TYPE:
                raise InvalidToken("This is not an access token.")
            key = self._keys.get(header.get("kid", ""))
            if key is None:
                raise InvalidToken("The access token was signed with an unknown key.")
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=CLOCK_SKEW_SECONDS,
                options={"require": list(REQUIRED_CLAIMS), "enforce_minimum_key_length": True, "strict_aud": True},
            )
        except jwt.ExpiredSignatureError:
            raise InvalidToken("The access token has expired.") from None
        except jwt.ImmatureSignatureError:
            raise InvalidToken(
                "The access token is of a time to come: the clock of who issued it is ahead of this one."
            ) from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):  # UnicodeEncodeError is a ValueError
            raise InvalidToken("The access token is not valid.") from None
        # PyJWT takes a time that is written as text for one.
        if not all(map(_is_time, (claims["iat"], claims["nbf"], claims["exp"]))):
            raise InvalidToken("The access token is not valid.")
        caller = _key(claims) if "client_id" in claims else _user(claims)
        if caller is None:
            raise InvalidToken("The access token is not valid.")
        return caller, claims["exp"] + CLOCK_SKEW_SECONDS


def _user(claims: dict[str, Any]) -> Principal | None:
    """The user of whom these claims are, if they are as this system writes them."""
    subject, username, session, auth_time = claims["sub"], claims.get("name"), claims.get("sid"), claims.get("auth_time")
    scopes = _scopes(claims.get("scope", ""))
    if not _SUBJECT.fullmatch(subject) or int(subject) > MAX_USER_ID or not isinstance(username, str):
        return None
    if not isinstance(session, str) or not _SESSION.fullmatch(session):
        return None
    if scopes is None or not (auth_time is None or _is_time(auth_time)):
        return None
    return Principal(int(subject), username, uuid.UUID(session), auth_time, scopes)


def _key(claims: dict[str, Any]) -> KeyPrincipal | None:
    """The same of a key, which is its own subject (RFC 9068, section 2.2)."""
    client_id, scopes = claims["client_id"], _scopes(claims.get("scope"))
    if not isinstance(client_id, str) or not _CLIENT_ID.fullmatch(client_id) or client_id != claims["sub"] or scopes is None:
        return None
    return KeyPrincipal(client_id, scopes)


def _scopes(claim: object) -> frozenset[Scope] | None:
    """The scopes that a claim lists. One that is not known here permits nothing here."""
    if not isinstance(claim, str):
        return None
    return frozenset(map(Scope, _KNOWN_SCOPES.intersection(claim.split(" "))))


def _is_time(value: object) -> bool:
    """Whether a claim is a number of seconds as this system writes them. A boolean is no number here."""
    return type(value) is int and 0 <= value <= _LATEST
