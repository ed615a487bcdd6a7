"""Serving an application with uvicorn, the same way everywhere."""

import uvicorn

from services.common.settings import ServiceSettings


def serve(factory: str, settings: ServiceSettings) -> None:
    """Serve the application that ``factory`` (``module:function``) makes, until SIGTERM or SIGINT.

    Requests under way are finished first.
    """
    uvicorn.run(
        factory,
        factory=True,
        host=settings.listen_host,
        port=settings.listen_port,
        proxy_headers=True,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,  # the gateway writes one
        server_header=False,
        # Longer than the gateway keeps idle connections: else it could send a request into one that is being closed.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        reload=settings.reload,
        reload_dirs=["services"] if settings.reload else None,
    )
