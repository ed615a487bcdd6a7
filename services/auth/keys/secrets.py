"""What keys are called, and what proves who has one (RFC 6749, section 2.3.1)."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection

from services.common.tokens import CLIENT_ID

_ID_BYTES = 16
_SECRET_BYTES = 32
_CLIENT_ID = re.compile(CLIENT_ID.strip("^$"))


def new_client_id() -> str:
    """The name of a key, which nobody else has or will have."""
    return f"key-{base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode().rstrip('=').lower()}"


def is_client_id(text: str) -> bool:
    """Whether a key may be called so. MySQL alone would take a name with spaces at its end for the one without."""
    return _CLIENT_ID.fullmatch(text) is not None


def new_secret() -> str:
    """A secret: 256 random bits, in letters that mean themselves in a form and in a header."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def secret_hash(secret: str) -> bytes:
    """What is stored of a secret. A fast hash is enough for 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def is_one_of(secret: str, hashes: Collection[bytes]) -> bool:
    """Whether a secret is one of those. How long a comparison takes tells nothing of what it is compared with."""
    own = secret_hash(secret)
    return any(hmac.compare_digest(own, stored) for stored in hashes)
