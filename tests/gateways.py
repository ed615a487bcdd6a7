"""Gateways of a test's own, with the stack's services behind them."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from services.local.gateway import GatewaySettings
from services.local.ports import LOOPBACK, free_port
from services.local.stack import Stack
from services.local.web import Gateway


def answers(url: str, context: ssl.SSLContext) -> bool:
    """Whether a server that speaks TLS is ready: its page is there."""
    try:
        return httpx.get(url, verify=context).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def gateway_before(
    stack: Stack,
    folder: Path,
    kind: type[Gateway] = Gateway,
    *,
    settings: GatewaySettings | None = None,
    auth_url: str | None = None,
    leaderboard_url: str | None = None,
    page_url: str | None = None,
) -> Iterator[Gateway]:
    """One that runs, and is stopped in the end. What has a URL here takes the place of the stack's."""
    backends = {
        "AUTH_URL": auth_url or stack.auth.url,
        "LEADERBOARD_URL": leaderboard_url or stack.leaderboard.url,
        "FRONTEND_URL": page_url or stack.page.url,
    }
    gateway = kind(folder, address=LOOPBACK, port=free_port(), backends=backends, settings=settings)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()
