"""Logs, metrics and request ids."""

import logging
import random
import re
import sys
from time import perf_counter
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.settings import LogSettings

REQUEST_ID = b"x-request-id"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


def configure_logging(settings: LogSettings, service: str) -> None:
    """One line an event on standard output, from our code and from libraries alike."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.log_format == "json":
        rendering: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        rendering = [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )

    def add_service(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, add_service, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True


class HTTPMetrics:
    """What Prometheus is told about requests: how many, how long, by route and status."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "http_requests_total", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "http_request_duration_seconds",
            "Time from a request's head to the end of its answer, in seconds.",
            ["method", "route"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer. Which series it belongs to is looked up once: `labels` takes a lock and joins strings."""
        series = self._of.get((method, route, status))
        if series is None:
            series = self.requests.labels(method, route, status), self.seconds.labels(method, route)
            self._of[method, route, status] = series
        series[0].inc()
        series[1].observe(seconds)


class RequestIds:
    """What each request is called by: in its answer, and in every log line of it."""

    def __init__(self) -> None:
        # Seeded by the operating system. Numbers that only name need no more, and one of `secrets` costs ten times as much; a
        # counter would tell everybody how much is asked here.
        self._numbers = random.Random()  # noqa: S311 - see above

    def begin(self, scope: Scope) -> bytes:
        """The request's id: its client's own, or a new one. From now on its log lines have it."""
        for name, value in scope["headers"]:
            if name == REQUEST_ID:
                request_id: bytes = value
                break
        else:
            request_id = b""
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = b"%016x" % self._numbers.getrandbits(64)
        # Nothing takes it away again: the server runs each request in a context of its own.
        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        return request_id


class Telemetry:
    """Pure ASGI middleware: a request id in the answer and in every log line of the request, and the metrics."""

    def __init__(self, app: ASGIApp, metrics: HTTPMetrics, request_ids: RequestIds) -> None:
        self.app = app
        self.metrics = metrics
        self.request_ids = request_ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500  # what the client sees when nothing was sent

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID, request_id)]
            await send(message)

        started = perf_counter()
        request_id = self.request_ids.begin(scope)
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            # Routes by their template: a path would make a time series for every user id.
            route = getattr(scope.get("route"), "path", "unmatched")
            self.metrics.observe(scope["method"], route, status, perf_counter() - started)
