"""Requests that are refused before anything reads them: whoever comes after this would read them wrongly, or for too long."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from services.common.http import problems

MAX_COOKIE_BYTES = 4_096
"""Of all Cookie headers of a request. A browser's cookie of this system is below 200."""

# C0, DEL and C1, and the other line ends of Unicode. A regular expression's "$" matches before a last line feed, so a path that
# ends with one is another path to the gateway than to a router here.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Screening:
    """Pure ASGI middleware: refuses paths with control characters, and cookies that are too large.

    Python before the fix of CVE-2024-7592 takes quadratic time to unquote a cookie.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if _CONTROL.search(scope["path"]):
                problem: problems.Problem = problems.MalformedRequest("A path has no control characters.")
            elif sum([len(value) for name, value in scope["headers"] if name == b"cookie"]) > MAX_COOKIE_BYTES:
                problem = problems.MalformedRequest(f"Cookies have at most {MAX_COOKIE_BYTES} bytes in all.")
            else:
                await self.app(scope, receive, send)
                return
            await problems.render(problem)(scope, receive, send)
            return
        await self.app(scope, receive, send)
