"""What proves that a message is ours: secrets as Standard Webhooks writes them, encrypted in the database."""

import base64
import secrets
from datetime import datetime

import structlog
from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.encryption import Encryption, Undecryptable
from services.leaderboard.models import Webhook

log = structlog.get_logger(__name__)

_PREFIX = "whsec_"
# Of the 24 to 64 that the specification allows.
_BYTES = 32


def new_secret() -> str:
    """A secret: 256 random bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def seal(encryption: Encryption, name: str, secret: str) -> bytes:
    """What is stored of a secret, which only the webhook of this name can use."""
    return encryption.encrypt(base64.b64decode(secret.removeprefix(_PREFIX)), _place(name))


def unseal(encryption: Encryption, name: str, sealed: bytes) -> str:
    """The secret that is stored. Raises Undecryptable."""
    return _PREFIX + base64.b64encode(encryption.decrypt(sealed, _place(name))).decode()


class SecretsAnew:
    """Encrypts secrets with the key that encrypts now, so that the one before it can be retired."""

    def __init__(self, encryption: Encryption) -> None:
        self._encryption = encryption

    async def encrypt(self, connection: AsyncConnection, _now: datetime, limit: int) -> int:
        """Encrypt at most ``limit`` webhooks' secrets anew; gives how many."""
        prefix = self._encryption.prefix
        other = or_(*(func.left(sealed, len(prefix)) != prefix for sealed in (Webhook.secret, Webhook.old_secret)))
        columns = Webhook.id, Webhook.name, Webhook.secret, Webhook.old_secret
        found = select(*columns).where(other).order_by(Webhook.id).limit(limit).with_for_update()
        done = 0
        for webhook_id, name, secret, old in (await connection.execute(found)).all():
            try:
                anew = {"secret": self._anew(name, secret), "old_secret": None if old is None else self._anew(name, old)}
            except Undecryptable as error:
                # Left as it is: the key may be put back.
                log.error("the secret of a webhook cannot be read", webhook=name, reason=str(error))  # noqa: TRY400
            else:
                await connection.execute(update(Webhook).where(Webhook.id == webhook_id).values(**anew))
                done += 1
        return done

    def _anew(self, name: str, sealed: bytes) -> bytes:
        return self._encryption.encrypt(self._encryption.decrypt(sealed, _place(name)), _place(name))


def _place(name: str) -> bytes:
    """What a secret is bound to."""
    return f"webhook:{name}".encode()
