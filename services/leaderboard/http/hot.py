"""The requests that come most, in the spelling that clients use: a page, a rank, neighbours, a submission.

Whatever is spelt otherwise, malformed, out of bounds or not signed in is left to the routes, which say what is wrong.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from starlette.types import Receive, Scope

from services.common.http.requests import parse_json
from services.common.http.shortcuts import JSON_TYPE, NO_STORE, Answer, Shortcut, read_body
from services.common.tokens import MAX_USER_ID, Caller, InvalidToken, Principal, TokenVerifier
from services.common.tokens import Scope as TokenScope
from services.leaderboard.board_reads import Asked, BoardReads
from services.leaderboard.http.dependencies import (
    DEFAULT_LIMIT,
    DEFAULT_RADIUS,
    IDEMPOTENCY_KEY_FORM,
    MAX_LIMIT,
    MAX_OFFSET,
    MAX_RADIUS,
    PERIOD,
    PREFIX,
)
from services.leaderboard.http.schemas import ScoreSubmission
from services.leaderboard.http.submissions import REPLAYED
from services.leaderboard.index.pages import RenderedPage
from services.leaderboard.reads import Reads
from services.leaderboard.rules.names import BOARD_NAME
from services.leaderboard.rules.places import MAIN_RANKED
from services.leaderboard.writes import Writes

_TOP, _RANK, _AROUND, _SUBMIT = f"{PREFIX}/top", f"{PREFIX}/rank/", f"{PREFIX}/around/", f"{PREFIX}/submit"
_RANK_ROUTE, _AROUND_ROUTE = f"{_RANK}{{user_id}}", f"{_AROUND}{{user_id}}"
_BOARDS = f"{PREFIX}/boards/"
# What the query of each read may have.
_BOARD_QUERIES = {
    "top": ("window", "period", "limit", "offset"),
    "rank": ("window", "period"),
    "around": ("window", "period", "radius"),
}
_BOARD_ROUTE = f"{_BOARDS}{{board}}/"
_QUERY = re.compile(rb"[a-z]+=[a-z0-9._-]+(?:&[a-z]+=[a-z0-9._-]+)*")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_NAME = re.compile(BOARD_NAME)
_FORMS = {"window": _NAME, "period": re.compile(PERIOD)}
_ID = re.compile(r"[1-9][0-9]{0,18}")
_LENGTH = re.compile(rb"[0-9]{1,3}")
_NO_CACHE = (b"cache-control", b"no-cache")
_REPLAYED = (REPLAYED.lower().encode(), b"true")

_LONGEST_QUERY = 200
_NO_QUERY: Mapping[str, str] = {}
# The least and the greatest value of each number that a query may have.
_BOUNDS = {"limit": (1, MAX_LIMIT), "offset": (0, MAX_OFFSET), "radius": (1, MAX_RADIUS)}


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
        if path.startswith(_BOARDS):
            return _board(scope, path)
    elif path == _SUBMIT and scope["method"] == "POST":
        return _submit(scope)
    return None


def _top(scope: Scope) -> Shortcut | None:
    query = _read_query(scope, "limit", "offset")
    if query is None or _has_page(scope):
        return None
    limit, offset = int(query.get("limit", DEFAULT_LIMIT)), int(query.get("offset", 0))

    async def answer(_: Receive) -> Answer:
        return _page(await _reads(scope).top(MAIN_RANKED, limit, offset))

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
    query = _read_query(scope, "radius")
    if user_id is None or query is None:
        return None
    radius = int(query.get("radius", DEFAULT_RADIUS))

    async def answer(_: Receive) -> Answer:
        return Answer(200, await _reads(scope).around(MAIN_RANKED, user_id, radius))

    return Shortcut(_AROUND_ROUTE, answer)


def _board(scope: Scope, path: str) -> Shortcut | None:
    """What is read of any board, in any of its windows and periods."""
    board, _, rest = path[len(_BOARDS) :].partition("/")
    what, _, text = rest.partition("/")
    query: bytes = scope["query_string"]
    read = _board_read(board, what, query) if len(query) <= _LONGEST_QUERY else None
    if read is None:
        return None
    if what == "top":
        return _board_top(scope, read) if rest == "top" else None
    user_id = _user_id(text)
    if user_id is None:
        return None
    return _board_rank(scope, read, user_id) if what == "rank" else _board_around(scope, read, user_id)


class _BoardRead(NamedTuple):
    """What is asked of a board, whoever it is about."""

    asked: Asked
    numbers: Mapping[str, int]


@lru_cache(maxsize=1024)
def _board_read(board: str, what: str, text: bytes) -> _BoardRead | None:
    """The path and the query as the routes would take them. None for others."""
    if what not in _BOARD_QUERIES or not _NAME.fullmatch(board):
        return None
    query = _parse_query(text, _BOARD_QUERIES[what]) if text else _NO_QUERY
    if query is None:
        return None
    asked = Asked(board, query.get("window"), query.get("period"))
    return _BoardRead(asked, {name: int(value) for name, value in query.items() if name in _BOUNDS})


def _board_top(scope: Scope, read: _BoardRead) -> Shortcut | None:
    if _has_page(scope):
        return None
    limit, offset = read.numbers.get("limit", DEFAULT_LIMIT), read.numbers.get("offset", 0)

    async def answer(_: Receive) -> Answer:
        return _page(await _board_reads(scope).top(read.asked, limit, offset, None))

    return Shortcut(f"{_BOARD_ROUTE}top", answer)


def _board_rank(scope: Scope, read: _BoardRead, user_id: int) -> Shortcut:
    async def answer(_: Receive) -> Answer:
        return Answer(200, await _board_reads(scope).rank(read.asked, user_id))

    return Shortcut(f"{_BOARD_ROUTE}rank/{{user_id}}", answer)


def _board_around(scope: Scope, read: _BoardRead, user_id: int) -> Shortcut:
    radius = read.numbers.get("radius", DEFAULT_RADIUS)

    async def answer(_: Receive) -> Answer:
        return Answer(200, await _board_reads(scope).around(read.asked, user_id, radius))

    return Shortcut(f"{_BOARD_ROUTE}around/{{user_id}}", answer)


def _read_query(scope: Scope, *allowed: str) -> Mapping[str, str] | None:
    """A query that has each of these at most once, as the routes would take it. None for any other."""
    text: bytes = scope["query_string"]
    if not text:
        return _NO_QUERY
    return _parse_query(text, allowed) if len(text) <= _LONGEST_QUERY else None


@lru_cache(maxsize=1024)
def _parse_query(text: bytes, allowed: Sequence[str]) -> Mapping[str, str] | None:
    if not _QUERY.fullmatch(text):
        return None
    pairs = [pair.split("=") for pair in text.decode().split("&")]
    query = {name: value for name, value in pairs if name in allowed and _is_valid(name, value)}
    return query if len(query) == len(pairs) else None


def _is_valid(name: str, value: str) -> bool:
    if name in _FORMS:
        return _FORMS[name].fullmatch(value) is not None
    least, most = _BOUNDS[name]
    return _NUMBER.fullmatch(value) is not None and least <= int(value) <= most


def _has_page(scope: Scope) -> bool:
    """Whether the client has a page already, which it may be shown again."""
    return any(name == b"if-none-match" for name, _ in scope["headers"])


def _page(page: RenderedPage) -> Answer:
    return Answer(200, page.body, (JSON_TYPE, _NO_CACHE, (b"etag", page.etag.encode())))


def _submit(scope: Scope) -> Shortcut | None:
    found = _submitter(scope)
    if found is None:
        return None
    caller, key = found

    async def answer(receive: Receive) -> Answer:
        submission = parse_json(ScoreSubmission, await read_body(receive))
        writes: Writes = scope["app"].state.writes
        body, replayed = await writes.submit(caller, submission.user_id, submission.played(), key)
        return Answer(201, body, (JSON_TYPE, NO_STORE, _REPLAYED)) if replayed else Answer(201, body)

    return Shortcut(_SUBMIT, answer)


def _submitter(scope: Scope) -> tuple[Caller, str | None] | None:
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
        elif name in (b"transfer-encoding", b"content-encoding"):
            return None
    if token is None or media_type != b"application/json" or length is None or not _LENGTH.fullmatch(length):
        return None
    if key is not None and not IDEMPOTENCY_KEY_FORM.fullmatch(key):
        return None
    verifier: TokenVerifier = scope["app"].state.verifier
    try:
        caller = verifier.verify(token.decode("latin-1"))
    except InvalidToken:
        return None
    return (caller, key) if isinstance(caller, Principal) or TokenScope.SCORES in caller.scopes else None


def _reads(scope: Scope) -> Reads:
    reads: Reads = scope["app"].state.reads
    return reads


def _board_reads(scope: Scope) -> BoardReads:
    reads: BoardReads = scope["app"].state.board_reads
    return reads


def _user_id(text: str) -> int | None:
    if not _ID.fullmatch(text):
        return None
    user_id = int(text)
    return user_id if user_id <= MAX_USER_ID else None
