"""Device cookies: what a browser shows that has signed in to an account before, so that strangers' guesses do not delay it.

After OWASP's "Slow Down Online Guessing Attacks with Device Cookies". A cookie says nothing of its account, and gives
no access: it decides which count a wrong password is added to.
"""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.auth.accounts.users import UserRecord
from services.common.tokens import KeyRing

_PURPOSE = b"leaderboard auth: device cookies"
_ID_BYTES = 16
_TIME_BYTES = 8
_MAC_BYTES = 32
_LENGTH = (_ID_BYTES + _TIME_BYTES + _MAC_BYTES) * 4 // 3 + 1  # of base64url without padding: 75


@dataclass(frozen=True, slots=True)
class DeviceCookie:
    """A device cookie, and for how many seconds it is good."""

    value: str
    seconds: int


class DeviceCookies:
    """Makes and reads device cookies. Their MAC has keys of its own, derived from those of access tokens (RFC 5869).

    A cookie is good for one account, while the account has the password that it was made with, and for ``lifetime``. So
    nobody collects cookies with a password and guesses the next one with them.
    """

    def __init__(self, keys: KeyRing, lifetime: timedelta) -> None:
        derived = {kid: HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(key) for kid, key in keys.keys.items()}
        self._signing = derived[keys.signing_kid]
        self._keys = tuple(derived.values())
        self._lifetime = lifetime

    def issue(self, user_id: int, password_hash: str, now: datetime) -> DeviceCookie:
        """A cookie for a browser in which the account's password was typed just now."""
        message = secrets.token_bytes(_ID_BYTES) + int((now + self._lifetime).timestamp()).to_bytes(_TIME_BYTES, "big")
        signed = message + _mac(self._signing, user_id, password_hash, message)
        value = base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
        return DeviceCookie(value, int(self._lifetime.total_seconds()))

    def find_device(self, cookie: str | None, user: UserRecord | None, now: datetime) -> bytes | None:
        """The id of the browser, if its cookie is good for ``user`` now. The same work where ``user`` is nobody."""
        if cookie is None or len(cookie) != _LENGTH:
            return None
        try:
            raw = base64.b64decode(cookie + "=", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        message, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        user_id, password_hash = (user.user_id, user.password_hash or "") if user else (0, "")
        good = [hmac.compare_digest(mac, _mac(key, user_id, password_hash, message)) for key in self._keys]
        expires_at = int.from_bytes(message[_ID_BYTES:], "big")
        return message[:_ID_BYTES] if user and any(good) and now.timestamp() < expires_at else None


def _mac(key: bytes, user_id: int, password_hash: str, message: bytes) -> bytes:
    # The parts before the last have a fixed length, so no two accounts have one message.
    return hmac.digest(key, message + user_id.to_bytes(8, "big") + password_hash.encode(), "sha256")
