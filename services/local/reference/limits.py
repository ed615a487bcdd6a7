"""The limits of the gateway, as its files have them."""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from services.local import ROOT

# What each limit in gateway/dynamic/middlewares.yaml is of.
LIMITED = {
    "credential-rate": "sign-ins, sign-ups and other requests with a password, of an address",
    "credential-in-flight": "the same, under way at once",
    "guest-rate": "new guests, of an address",
    "session-rate": "refreshes, sign-outs and renames, of an address",
    "studio-rate": "calls that create or sign in a studio's own players, of an address",
    "person-rate": "changes of boards and of the caller's own board data, of an address",
    "address-in-flight": "requests under way at once, of an address",
    "total-in-flight": "requests under way at once, of all addresses",
    "export-in-flight": "exports under way at once, of an address",
    "import-in-flight": "imports under way at once, of an address",
    "batch-in-flight": "calls of `/submissions` under way at once, of an address",
    "body-limit": "the body of a request",
    "batch-limit": "the body of `/submissions`",
}
_PERIODS = {"1s": "second", "1m": "minute"}
# Traefik reads so many bytes more than it is told (gateway/traefik.yaml).
_HEAD_SLACK = 4096


def limit_rows() -> Iterator[Sequence[str]]:
    """A head, and a row for each limit."""
    yield "what", "limit", "answer beyond it"
    middlewares = _read("dynamic/middlewares.yaml")["http"]["middlewares"]
    for name, what in LIMITED.items():
        [(kind, limit)] = middlewares[name].items()
        match kind:
            case "rateLimit":
                told = f"{limit['average']:,} a {_PERIODS[limit['period']]}, {limit['burst']:,} at once"
                yield what, told, "429 with `Retry-After`"
            case "inFlightReq":
                yield what, f"{limit['amount']:,}", "429"
            case "buffering":
                yield what, _size(limit["maxRequestBodyBytes"]), "413"
    web = _read("traefik.yaml")["entryPoints"]["web"]
    times = web["transport"]["respondingTimeouts"]
    yield "the head of a request", _size(web["http"]["maxHeaderBytes"] + _HEAD_SLACK), "431"
    yield "streams of an HTTP/2 connection", str(web["http2"]["maxConcurrentStreams"]), "the client waits"
    yield "time for a request to arrive", times["readTimeout"], "the connection is closed"
    yield "time for an answer", times["writeTimeout"], "the connection is closed"


def _read(name: str) -> Any:
    return yaml.safe_load((ROOT / "gateway" / name).read_text(encoding="utf-8"))


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"
