"""Time-based one-time passwords: RFC 6238 as authenticator apps have it, SHA-1, six digits and steps of 30 seconds."""

import hmac
import io
from datetime import datetime

import pyotp
import segno

_STEP_SECONDS = 30
# One step either way (RFC 6238, section 5.2): a device's clock may be off, and people take time to type.
_SKEW = (-1, 0, 1)


def new_secret() -> str:
    """160 random bits (RFC 4226, section 4, R6), in base32."""
    return pyotp.random_base32(32)


def uri_of(secret: str, username: str, issuer: str) -> str:
    """What an authenticator app is told of a secret, by itself or as a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer)


def qr_of(uri: str) -> str:
    """A QR code of ``uri``, as an SVG document without scripts and styles."""
    document = io.BytesIO()
    segno.make_qr(uri, error="m").save(document, kind="svg", scale=4, light="#fff", xmldecl=False, nl=False)
    return document.getvalue().decode()


def find_step(secret: str, code: str, now: datetime) -> int | None:
    """The time step whose code ``code`` is, if it is one that counts now. Each is compared, whichever fits."""
    totp, step, found = pyotp.TOTP(secret), int(now.timestamp()) // _STEP_SECONDS, None
    for skew in _SKEW:
        if hmac.compare_digest(totp.generate_otp(step + skew), code):
            found = step + skew
    return found
