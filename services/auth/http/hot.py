"""The request that comes most, in the spelling that clients use: who I am.

Whatever is spelt otherwise, carries a cookie, or is not signed in is left to the route, which says what is wrong.
"""

from starlette.types import Receive, Scope

from services.auth.http.cookies import PREFIX
from services.auth.sessions.callers import Callers
from services.common.http.shortcuts import Answer, Shortcut
from services.common.tokens import InvalidToken, Principal, TokenVerifier

_ME = f"{PREFIX}/me"


def find(scope: Scope) -> Shortcut | None:
    """The shortcut for a request, if there is one."""
    if scope["path"] != _ME or scope["method"] != "GET" or scope["query_string"]:
        return None
    caller = _caller(scope)
    if caller is None:
        return None

    async def answer(_: Receive) -> Answer:
        callers: Callers = scope["app"].state.callers
        return Answer(200, await callers.account(caller))

    return Shortcut(_ME, answer)


def _caller(scope: Scope) -> Principal | None:
    """Whose one good token is sent, without a cookie."""
    token = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if token is not None or not value.startswith(b"Bearer "):
                return None
            token = value[7:]
        elif name == b"cookie":
            return None
    if token is None:
        return None
    verifier: TokenVerifier = scope["app"].state.verifier
    try:
        caller = verifier.verify(token.decode("latin-1"))
    except InvalidToken:
        return None
    return caller if isinstance(caller, Principal) else None
