"""The requests that come most, in the spelling that clients use: a page, a rank, neighbours, a submission.

Whatever is spelt otherwise, malformed, out of bounds or not signed in is left to the routes, which say what is wrong.
"""

import re

from starlette.types import Receive, Scope

from services.common.http.requests import parse_json
from services.common.http.shortcuts import JSON_TYPE, NO_STORE, Answer, Shortcut, read_body
from services.common.tokens import MAX_USER_ID, InvalidToken, Principal, TokenVerifier
from services.leaderboard.http.dependencies import IDEMPOTENCY_KEY_FORM, MAX_OFFSET, PREFIX
from services.leaderboard.http.schemas import ScoreSubmission
from services.leaderboard.http.submissions import REPLAYED
from services.leaderboard.reads import Reads
from services.leaderboard.rules.places import MAIN_RANKED
from services.leaderboard.writes import Writes

_TOP, _RANK, _AROUND, _SUBMIT = f"{PREFIX}/top", f"{PREFIX}/rank/", f"{PREFIX}/around/", f"{PREFIX}/submit"
_RANK_ROUTE, _AROUND_ROUTE = f"{_RANK}{{user_id}}", f"{_AROUND}{{user_id}}"
_PAGE = re.compile(rb"(?:limit=([1-9][0-9]?|100))?(?:(?:^|&)offset=(0|[1-9][0-9]{0,9}))?")
_RADIUS = re.compile(rb"(?:radius=([1-9]|[1-4][0-9]|50))?")
_ID = re.compile(r"[1-9][0-9]{0,18}")
_LENGTH = re.compile(rb"[0-9]{1,3}")
_NO_CACHE = (b"cache-control", b"no-cache")
_REPLAYED = (REPLAYED.lower().encode(), b"true")


def find(scope: Scope) -> Shortcut | None:
    """The shortcut for a request, if there is one."""
    path: str = scope["path"]
    if scope["method"] == "GET":
        if path == _TOP:
            return _top(scope)
        if path.startswith(_RANK):
            return _rank(scope, path[len(_RANK) :])
        if path.startswith(_AROUND):
            return _around(scope, path[len(_AROUND) :])
    elif path == _SUBMIT and scope["method"] == "POST":
        return _submit(scope)
    return None


def _top(scope: Scope) -> Shortcut | None:
    page = _PAGE.fullmatch(scope["query_string"])
    if page is None or any(name == b"if-none-match" for name, _ in scope["headers"]):
        return None
    limit, offset = int(page[1] or 10), int(page[2] or 0)
    if offset > MAX_OFFSET:
        return None

    async def answer(_: Receive) -> Answer:
        found = await _reads(scope).top(MAIN_RANKED, limit, offset)
        return Answer(200, found.body, (JSON_TYPE, _NO_CACHE, (b"etag", found.etag.encode())))

    return Shortcut(_TOP, answer)


def _rank(scope: Scope, text: str) -> Shortcut | None:
    user_id = _user_id(text)
    if user_id is None or scope["query_string"]:
        return None

    async def answer(_: Receive) -> Answer:
        return Answer(200, await _reads(scope).rank(MAIN_RANKED, user_id))

    return Shortcut(_RANK_ROUTE, answer)


def _around(scope: Scope, text: str) -> Shortcut | None:
    user_id = _user_id(text)
    radius = _RADIUS.fullmatch(scope["query_string"])
    if user_id is None or radius is None:
        return None

    async def answer(_: Receive) -> Answer:
        return Answer(200, await _reads(scope).around(MAIN_RANKED, user_id, int(radius[1] or 5)))

    return Shortcut(_AROUND_ROUTE, answer)


def _submit(scope: Scope) -> Shortcut | None:
    found = _submitter(scope)
    if found is None:
        return None
    caller, key = found

    async def answer(receive: Receive) -> Answer:
        submission = parse_json(ScoreSubmission, await read_body(receive))
        writes: Writes = scope["app"].state.writes
        body, replayed = await writes.submit(caller, submission.played(), key)
        return Answer(201, body, (JSON_TYPE, NO_STORE, _REPLAYED)) if replayed else Answer(201, body)

    return Shortcut(_SUBMIT, answer)


def _submitter(scope: Scope) -> tuple[Principal, str | None] | None:
    """Who submits, and under which idempotency key: if a small body is declared as JSON, and neither token nor key is twice."""
    token = media_type = length = key = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if token is not None or not value.startswith(b"Bearer "):
                return None
            token = value[7:]
        elif name == b"content-type":
            media_type = value
        elif name == b"content-length":
            length = value
        elif name == b"idempotency-key":
            # A second key makes it no key at all, and the route refuses the request.
            key = value.decode("latin-1") if key is None else ""
        elif name == b"transfer-encoding":
            return None
    if token is None or media_type != b"application/json" or length is None or not _LENGTH.fullmatch(length):
        return None
    if key is not None and not IDEMPOTENCY_KEY_FORM.fullmatch(key):
        return None
    verifier: TokenVerifier = scope["app"].state.verifier
    try:
        return verifier.verify(token.decode("latin-1")), key
    except InvalidToken:
        return None


def _reads(scope: Scope) -> Reads:
    reads: Reads = scope["app"].state.reads
    return reads


def _user_id(text: str) -> int | None:
    if not _ID.fullmatch(text):
        return None
    user_id = int(text)
    return user_id if user_id <= MAX_USER_ID else None
