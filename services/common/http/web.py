"""Building a service's application: errors, limits, telemetry, health and API documentation, alike in both services."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from html import escape
from importlib import resources
from random import randrange
from typing import Any, Literal

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from services.common.http import problems
from services.common.http.heads import Heads
from services.common.http.one_write import EXTENSION
from services.common.http.requests import COMPONENT
from services.common.http.screening import Screening
from services.common.http.shortcuts import Shortcut, Shortcuts
from services.common.http.streams import LongAnswers
from services.common.settings import ServiceSettings
from services.common.telemetry import HTTPMetrics, RequestIds, Telemetry

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[None]]
_DOCS_FILES = {
    "docs.js": ("services.common.http.static", "text/javascript"),
    "swagger-ui-bundle.js": ("fastapi_swagger.resources", "text/javascript"),
    "swagger-ui.css": ("fastapi_swagger.resources", "text/css"),
    "favicon-32x32.png": ("fastapi_swagger.resources", "image/png"),
}
_READY_SECONDS = 2.0


class Health(BaseModel):
    """Whether a service can do its work. ``degraded``: it can, without something that makes it faster."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok", "checks": {"mysql": "ok"}}]})

    status: Literal["ok", "degraded", "unavailable"]
    checks: dict[str, Literal["ok", "unavailable"]]


class ConnectionRecycling:
    """Pure ASGI middleware: after one answer in ``requests``, chosen by chance, the connection is closed.

    The gateway reuses the connection it used last and has no age limit for it, so a replica that is started later would
    wait for its share until an older one ends. HTTP's own `Connection: close` is clean: the answer is complete, and the next
    request opens a new connection, to whichever replica the name resolves to then.
    """

    def __init__(self, app: ASGIApp, requests: int) -> None:
        self.app = app
        self.requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or randrange(self.requests):  # noqa: S311 - only spreads load
            await self.app(scope, receive, send)
            return

        scope.get("extensions", {}).pop(EXTENSION, None)  # an answer that is sent another way would not say so

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self.app(scope, receive, send_last)


class DeclaredBodyLimit:
    """Pure ASGI middleware: a body that is declared larger than the limit is refused unread, as a problem.

    Starlette's own middleware, which counts what arrives, would answer these with plain text.
    """

    def __init__(self, app: ASGIApp, max_body_size: int) -> None:
        self.app = app
        self.max_body_size = max_body_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = Headers(scope=scope).get("content-length", "") if scope["type"] == "http" else ""
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > self.max_body_size:
            await problems.render(problems.BodyTooLarge())(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class RefusedLate:
    """Pure ASGI middleware: a refusal is answered when the body has arrived, up to so many bytes.

    A gateway that is answered earlier ends the connection to its client, who is sending still and never hears why.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, ended = 0, False

        async def receive_more() -> Message:
            nonlocal size, ended
            message = await receive()
            size += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            return message

        async def send_late(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                while not ended and size <= self.most and message["status"] != problems.BodyTooSlow.status:
                    await receive_more()
            await send(message)

        await self.app(scope, receive_more, send_late)


class BodyLimits:
    """Pure ASGI middleware: bodies are at most ``usual`` bytes, and those of the paths in ``larger`` at most what it says."""

    def __init__(self, app: ASGIApp, usual: int, larger: Mapping[str, int]) -> None:
        self._usual = self._limited(app, usual)
        self._larger = {path: RefusedLate(self._limited(app, max(usual, most)), most) for path, most in larger.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limited = self._larger.get(scope["path"], self._usual) if scope["type"] == "http" else self._usual
        await limited(scope, receive, send)

    @staticmethod
    def _limited(app: ASGIApp, most: int) -> ASGIApp:
        return DeclaredBodyLimit(RequestBodyLimitMiddleware(app, max_body_size=most), max_body_size=most)


class _Application(FastAPI):
    """FastAPI's, with what goes around its whole stack of middlewares, its own ones too: what is answered there passes none."""

    around: Callable[[ASGIApp], ASGIApp] = staticmethod(lambda stack: stack)

    def build_middleware_stack(self) -> ASGIApp:
        return self.around(super().build_middleware_stack())


def build_app(
    *,
    title: str,
    description: str,
    prefix: str,
    settings: ServiceSettings,
    lifespan: Lifespan[FastAPI],
    routers: Sequence[APIRouter],
    needed: Mapping[str, Callable[[FastAPI], Check]],
    helpful: Mapping[str, Callable[[FastAPI], Check]] | None = None,
    shortcuts: Callable[[Scope], Shortcut | None] | None = None,
    larger_bodies: Mapping[str, int] | None = None,
) -> FastAPI:
    """A service's application: ``routers``, which have ``prefix`` themselves, health and documentation below it, and metrics.

    ``shortcuts`` knows requests that are answered without a route. ``needed`` and ``helpful`` name what readiness checks;
    each gives a check that raises when what it checks is away. ``larger_bodies``: the paths whose bodies may be larger than
    the settings say, and how many bytes they may have.
    """
    app = _Application(
        title=title,
        description=description,
        version="1.0.0",
        openapi_url=f"{prefix}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Names of functions in generated clients. A service has no two routes of one name.
        generate_unique_id_function=lambda route: route.name,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # see telemetry.py
        lifespan=lifespan,
    )
    metrics = HTTPMetrics()
    problems.install(app)
    app.add_middleware(BodyLimits, usual=settings.max_body_bytes, larger=larger_bodies or {})
    app.add_middleware(Screening)
    request_ids = RequestIds()
    app.add_middleware(Telemetry, metrics=metrics, request_ids=request_ids)

    def around(stack: ASGIApp) -> ASGIApp:
        stack = LongAnswers(stack)
        if shortcuts is not None:
            stack = Shortcuts(stack, shortcuts, metrics, request_ids)
        stack = Heads(stack)
        if settings.connection_requests:
            stack = ConnectionRecycling(stack, settings.connection_requests)
        return stack

    app.around = around
    # One by one: a router of routers has FastAPI make every route once more, which is a twentieth of a second at each start.
    for router in routers:
        app.include_router(router)
    app.include_router(_health_router(f"{prefix}/health", needed, helpful or {}))
    app.include_router(_docs_router(title, f"{prefix}/docs", f"{prefix}/openapi.json"))

    # Outside the prefix on purpose: the gateway routes nothing here.
    @app.get("/metrics", include_in_schema=False)
    async def read_metrics() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    app.state.metrics = metrics
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        # A copy: what routes say of themselves is shared by all applications of a process.
        document = deepcopy(get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes))
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        _name(schemas, problems.ProblemDetails.model_json_schema(ref_template=COMPONENT))
        for operations in document["paths"].values():
            for operation in operations.values():
                _document_malformed(operation["responses"])
                for content in operation.get("requestBody", {"content": {}})["content"].values():
                    content["schema"] = _name(schemas, content["schema"])
        app.openapi_schema = document
    return app.openapi_schema


def _name(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Make a model's schema, and those that it is made of, components; gives what stands in its place."""
    schemas |= schema.pop("$defs", {})
    name = schema["title"]
    schemas[name] = schema
    return {"$ref": COMPONENT.format(model=name)}


def _document_malformed(responses: dict[str, Any]) -> None:
    """Add what any request may be answered, whatever it asks for."""
    [malformed] = problems.documented(problems.MalformedRequest).values()
    known = responses.setdefault("400", malformed)
    if known is not malformed:
        known["description"] += f"; {malformed['description']}"
        known["content"][problems.MEDIA_TYPE]["examples"] |= malformed["content"][problems.MEDIA_TYPE]["examples"]


def _health_router(
    path: str, needed: Mapping[str, Callable[[FastAPI], Check]], helpful: Mapping[str, Callable[[FastAPI], Check]]
) -> APIRouter:
    router = APIRouter(prefix=path, tags=["health"])

    async def passes(name: str, check: Check) -> bool:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await check()
        except Exception as error:  # noqa: BLE001 - whatever keeps it from answering is the answer
            log.warning("readiness check failed", check=name, error=str(error) or type(error).__name__)
            return False
        return True

    @router.get("/live", summary="Whether the process is alive")
    async def live() -> Health:
        return Health(status="ok", checks={})

    @router.get(
        "/ready",
        summary="Whether the service is ready",
        response_model=Health,
        responses={503: {"model": Health, "description": "Something it cannot work without is away"}},
    )
    async def ready(request: Request) -> Response:
        checks = {**needed, **helpful}
        passed = await asyncio.gather(*(passes(name, make(request.app)) for name, make in checks.items()))
        results = dict(zip(checks, passed, strict=True))
        usable = all(results[name] for name in needed)
        health = Health(
            status=("ok" if all(passed) else "degraded") if usable else "unavailable",
            checks={name: "ok" if passed else "unavailable" for name, passed in results.items()},
        )
        return JSONResponse(health.model_dump(), 200 if usable else 503, {"Cache-Control": "no-store"})

    return router


def _docs_router(title: str, path: str, openapi_url: str) -> APIRouter:
    """Swagger UI from files of our own: no CDN, and nothing inline that a strict content security policy would refuse."""
    router = APIRouter(prefix=path, include_in_schema=False)
    page = resources.files("services.common.http.static").joinpath("docs.html").read_text()
    html = page.format(title=escape(title), path=path, openapi_url=openapi_url)

    @router.get("")
    async def docs() -> HTMLResponse:
        return HTMLResponse(html)

    @router.get("/{name}")
    async def docs_file(name: str) -> Response:
        if name not in _DOCS_FILES:
            return problems.render(problems.NotFound())
        package, media_type = _DOCS_FILES[name]
        path = str(resources.files(package).joinpath(name))
        return FileResponse(path, media_type=media_type, headers={"Cache-Control": "public, max-age=86400"})

    return router
