"""What is sent: an event as Standard Webhooks 1.0 has it, signed with each secret that is live."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from standardwebhooks import Webhook as Signer

from services.common.times import write_time

MAX_BYTES = 20_000
"""Of a body, less than that: the receiver asks for what it wants to know more of."""


class Message(NamedTuple):
    """What is sent of an event, the same bytes at each try."""

    message_id: str
    body: bytes


def make_id(nonce: bytes, event_id: int) -> str:
    """The `webhook-id` of an event, by which receivers know a repeat.

    A database that was restored from a backup numbers its events anew: by the nonce they are others all the same.
    """
    return f"evt_{nonce.hex()}_{event_id}"


def write(nonce: bytes, event_id: int, kind: str, data: Mapping[str, Any], happened_at: datetime) -> Message:
    """What is sent of an event."""
    content = {"type": kind, "timestamp": write_time(happened_at), "data": data}
    return Message(make_id(nonce, event_id), json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())


def sign(message: Message, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers of a try at ``now``, which receivers take for a few minutes: so each try has its own."""
    body = message.body.decode()
    signatures = [Signer(secret).sign(message.message_id, now, body) for secret in secrets]
    return {
        "content-type": "application/json",
        "webhook-id": message.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
