"""Encryption of secrets that the database keeps, and that must be read again: whoever has a copy of it alone reads none.

AES-256-GCM (NIST SP 800-38D) under keys that are derived from those of the setting (HKDF, RFC 5869). What is encrypted is bound
to its place, as associated data: in another row it cannot be read.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.common.tokens import KeyRing

MAX_OVERHEAD = 1 + 64 + 12 + 16
"""Bytes by which what is encrypted is longer than the secret: the length of the kid, the kid, the nonce and the tag."""
_PURPOSE = b"leaderboard: encryption at rest"
_NONCE_BYTES = 12


class Undecryptable(Exception):
    """What is stored cannot be read: its key is not among those of the setting, or it belongs elsewhere. For the log alone."""


class Encryption:
    """Encrypts with the first of the keys; each decrypts what it encrypted, so that a key can be rotated."""

    def __init__(self, keys: KeyRing) -> None:
        self._kid = keys.signing_kid
        self._ciphers = {
            kid: AESGCM(HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(key)) for kid, key in keys.keys.items()
        }

    def encrypt(self, secret: bytes, place: bytes) -> bytes:
        """What is stored of ``secret``. ``place`` says where, such as ``b"totp:7"``, and is needed again to read it."""
        nonce = os.urandom(_NONCE_BYTES)
        return self.prefix + nonce + self._ciphers[self._kid].encrypt(nonce, secret, place)

    def decrypt(self, stored: bytes, place: bytes) -> bytes:
        """The secret that was stored at ``place``. Raises Undecryptable."""
        end = 1 + stored[0] if stored else 0
        kid = stored[1:end].decode("ascii", "replace")
        cipher = self._ciphers.get(kid)
        if cipher is None:
            raise Undecryptable(f"ENCRYPTION_KEYS has no key {kid}, which a stored secret was encrypted with")
        nonce, sealed = stored[end : end + _NONCE_BYTES], stored[end + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, sealed, place)
        except (InvalidTag, ValueError):
            raise Undecryptable(f"a stored secret does not belong to the key {kid} of ENCRYPTION_KEYS, or not here") from None

    @property
    def prefix(self) -> bytes:
        """What all begins with that is encrypted with the key that encrypts now."""
        return bytes([len(self._kid)]) + self._kid.encode("ascii")
