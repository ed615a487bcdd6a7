"""The leaderboard in one file: signing in, scores that are counted exactly once, rankings, live standings. Version 1.0.0.

It needs Python 3.11 and httpx (`pip install httpx`). Put this file beside your own, and begin:

    from leaderboard import FileStorage, Leaderboard

    async with Leaderboard("http://localhost:8080", storage=FileStorage("saved")) as game:
        if game.user is None:
            await game.play_as_guest()
        submission = await game.submit(1200)
        print("My rank:", (await submission.result).rank)

docs/python.md explains all of it, step by step.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NotRequired, Protocol, Self, TypedDict, TypeVar, Unpack, cast
from urllib.parse import quote

import httpx

VERSION = "1.0.0"

_API = "/api/leaderboard"
_log = logging.getLogger("leaderboard")
_T = TypeVar("_T")

# Seconds before its end at which an access token is renewed.
_AHEAD = 60.0
# Seconds between two tries: the first pause is up to a second, each one twice as long as the one before, up to a minute.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
# How many sessions one call may carry.
_BATCH = 1_000
# What the storage keeps of an entry of the queue.
_KEPT = "key", "user_id", "body", "queued_at"
# Refusals that pass: the same request again may be answered. 401 does once the player has signed in again.
_PASSING = frozenset({401, 408, 425, 429})


# What goes wrong.


class LeaderboardError(Exception):
    """The base of all errors here."""


class Problem(LeaderboardError):
    """The leaderboard refused. The same request again would be refused again, but for 429, which says when to come back."""

    def __init__(self, status: int, told: Mapping[str, Any], path: str = "", retry_after: float | None = None) -> None:
        self.status = status
        self.path = path
        """What was asked for: "/auth/login"."""
        self.type: str = told.get("type") or "about:blank"
        """What kind of problem it is, for programs: "urn:problem:username-taken"."""
        self.title: str = told.get("title") or ""
        self.detail: str = told.get("detail") or self.title
        """What happened this time, for people."""
        self.errors: list[Json] = told.get("errors") or []
        """What is wrong with the request, each with its place in it."""
        self.retry_after = retry_after
        super().__init__(self.detail or f"HTTP status {status}")


class Unreachable(LeaderboardError):
    """There was no answer, or the leaderboard could not give one now. What was asked for may have been done all the same."""

    def __init__(self, why: str, status: int | None = None, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(why)


class SessionEnded(LeaderboardError):
    """Nobody is signed in, or the session is over: the player has to sign in again. What is queued stays queued."""


class QueueFull(LeaderboardError):
    """As many scores wait as may. This one was not taken, and none was dropped for it."""


# What is asked for, and what comes back.

Json = dict[str, Any]


class Place(TypedDict, total=False):
    """Which ranking is meant. Without a board it is the client's own, without a window the board's first one, as of now."""

    board: str
    window: str
    period: int | str


class Row(TypedDict):
    """One player on a board."""

    rank: int
    user_id: int
    username: str
    score: int
    extra: NotRequired[Any]


class Page(TypedDict):
    """A page of a board, the best player first."""

    board: str
    window: str
    period_id: int | None
    total_players: int
    top: list[Row]
    offset: int
    generation: str | None
    next_cursor: str | None


class Rank(TypedDict):
    """Where one player stands. What a watch tells of it has `passed_by` too: who was just behind, and is ahead now."""

    board: str
    window: str
    period_id: int | None
    total_players: int
    user_id: int
    username: str
    score: int | None
    """None before the first score there, as the rank is."""
    rank: int | None
    extra: NotRequired[Any]
    percentile: NotRequired[float | None]
    to_next: NotRequired[dict[str, int] | None]
    passed_by: NotRequired[list[Row]]


@dataclass(frozen=True)
class User:
    """Who is signed in."""

    user_id: int
    username: str
    guest: bool


@dataclass(frozen=True)
class Result:
    """A score that the leaderboard has stored. `rank` and `total_score` are those of now, on the board "main"."""

    key: str
    session_id: int
    user_id: int
    username: str
    total_score: int | None
    rank: int | None
    held: bool
    """Whether somebody has to look at it before it counts."""
    repeated: bool
    """Whether it had been stored already, and only the answer got lost."""
    standings: list[Json]
    """How the player stands now, in each place where it counts."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A score that waits to be acknowledged. `user_id` is None while nobody has been signed in since it was queued."""

    key: str
    user_id: int | None
    body: Json
    queued_at: float
    result: asyncio.Future[Result] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Submission:
    """A score that is queued. `await submission.result` waits until it is stored, and raises Problem if it is refused."""

    key: str
    result: asyncio.Future[Result]


QueueReason = Literal["empty", "waiting", "offline"]
"""Why the queue is as long as it is: nothing waits; it waits to be sent or for its player; the leaderboard is out of reach."""


# Where it is kept.


class Storage(Protocol):
    """Where the client keeps its session and its queue. What `set` has taken must be there after a crash, whole."""

    async def get(self, name: str) -> str | None: ...

    async def set(self, name: str, text: str | None) -> None: ...


class MemoryStorage:
    """Keeps it until the program ends."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    async def get(self, name: str) -> str | None:
        return self._texts.get(name)

    async def set(self, name: str, text: str | None) -> None:
        if text is None:
            self._texts.pop(name, None)
        else:
            self._texts[name] = text


class FileStorage:
    """Keeps it in files of a folder, which one running program has for itself. The session there is as secret as a password."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        # Files are written outside the event loop, and by one thread, so that the last text is the one that stays.
        self._thread = ThreadPoolExecutor(1, "leaderboard")

    async def get(self, name: str) -> str | None:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, name)

    async def set(self, name: str, text: str | None) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, name, text)

    def _read(self, name: str) -> str | None:
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def _write(self, name: str, text: str | None) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, new = self._folder / name, self._folder / f"{name}.new"
        if text is None:
            path.unlink(missing_ok=True)
        else:
            # A crash leaves the old file or the new one, and never half of one.
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        if os.name == "posix":  # elsewhere a folder cannot be flushed
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


@dataclass(frozen=True)
class _Session:
    """Who is signed in, with the tokens. `expires_at` is by this machine's clock."""

    user_id: int
    username: str
    guest: bool
    access_token: str
    expires_at: float
    refresh_token: str


class Leaderboard:
    """One player's, or one game server's, way to a leaderboard: `async with Leaderboard(url) as game: …`.

    `board` is meant wherever no other is named. `storage` keeps the session and the queue. `queue_limit` says how many scores
    may wait, `timeout` how many seconds a call may take. A board that is watched without a stream is looked at every `poll`
    seconds. A stream says something every 15 seconds: after `silence` seconds without a word it is opened again.

    A game server gives the `client_id` and `client_secret` of its key. It signs nobody in, and says whose each score is.

    The callbacks are plain functions. `on_submitted(entry, result)` and `on_refused(entry, problem)` tell what became of a
    score, even of one that has waited since an earlier run; `on_queue_changed(length, reason)` how many wait, and why;
    `on_session_ended()` that the player has to sign in again.
    """

    def __init__(
        self,
        url: str,
        *,
        board: str = "main",
        storage: Storage | None = None,
        queue_limit: int = 100,
        timeout: float = 10.0,
        poll: float = 5.0,
        silence: float = 40.0,
        client_id: str | None = None,
        client_secret: str | None = None,
        on_submitted: Callable[[Entry, Result], object] | None = None,
        on_refused: Callable[[Entry, Problem], object] | None = None,
        on_queue_changed: Callable[[int, QueueReason], object] | None = None,
        on_session_ended: Callable[[], object] | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._board = board
        self._storage: Storage = storage or MemoryStorage()
        self._queue_limit, self._timeout, self._poll_seconds, self._silence = queue_limit, timeout, poll, silence
        self._key = None if client_id is None else {"client_id": client_id, "client_secret": client_secret or ""}
        self._key_token = ("", 0.0)  # the key's access token, and its end
        self._on_submitted, self._on_refused = on_submitted, on_refused
        self._on_queue_changed, self._on_session_ended = on_queue_changed, on_session_ended

        self._http = httpx.AsyncClient(timeout=timeout, headers={"User-Agent": f"leaderboard-python/{VERSION}"})
        self._session: _Session | None = None
        self._entries: list[Entry] = []
        self._told: tuple[int, QueueReason] = (0, "empty")
        self._offline = False
        self._ahead = _AHEAD
        self._storing = asyncio.Lock()  # one change of what is stored at a time
        self._renewing = asyncio.Lock()  # one renewal of the tokens at a time
        self._wake = asyncio.Event()  # perhaps there is something to send
        self._hurry = asyncio.Event()  # somebody has signed in, so there is no reason to wait any longer
        self._changed = asyncio.Event()  # the queue or the session is another one
        self._running: set[asyncio.Task[Any]] = set()  # what is ended by close()
        self._unfinished: set[asyncio.Task[Any]] = set()  # what close() waits for

    # Its life.

    async def start(self) -> None:
        """Read what is kept, and begin to send what waits. `async with` does it."""
        self._session = _read_session(await self._storage.get("session"))
        kept = await self._storage.get("queue")
        try:
            self._entries = [Entry(*(each[name] for name in _KEPT)) for each in json.loads(kept or "[]")]
        except (ValueError, TypeError, KeyError):
            _log.error("The queue cannot be read. It is kept as queue-unreadable")  # it may be somebody's scores
            await self._storage.set("queue-unreadable", kept)
        self._tell_queue()
        self._run(self._send_for_ever())

    async def close(self) -> None:
        """End all that goes on. What waits stays in the storage. `async with` does it."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._unfinished:
            await asyncio.wait(self._unfinished, timeout=self._timeout)
        await self._http.aclose()
        for entry in self._entries:
            _settle(entry, Unreachable("The client was closed before the score was acknowledged."))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Who plays.

    @property
    def user(self) -> User | None:
        """Who is signed in, by what is kept: known without a network too."""
        session = self._session
        return None if session is None else User(session.user_id, session.username, session.guest)

    async def play_as_guest(self) -> User:
        """Go on as who is signed in, else make an account without a name or a password. Whoever loses its tokens has lost it:
        see `keep_account`.
        """
        if self.user is not None:  # another guest would have none of the scores, and nobody could come back to this one
            return self.user
        tokens = await self._call("POST", "/auth/guest", body={"session": "token"})
        return await self._begin(tokens, tokens["user_id"], tokens["username"], guest=True)

    async def register(self, username: str, password: str) -> User:
        """Make an account and sign in to it."""
        account = {"username": username, "password": password}
        made = await self._once(
            lambda: self._call("POST", "/auth/register", body=account), lambda problem: problem.type.endswith(":username-taken")
        )
        try:
            return await self.login(username, password)
        except Problem as problem:
            raise made if isinstance(made, Problem) else problem from None

    async def login(self, username: str, password: str) -> User:
        """Sign in."""
        credentials = {"username": username, "password": password, "session": "token"}
        tokens = await self._call("POST", "/auth/login", body=credentials, tries=3)
        account = await self._call("GET", "/auth/me", token=tokens["access_token"], tries=3)
        return await self._begin(tokens, account["user_id"], account["username"], guest=account["guest"])

    async def keep_account(self, username: str, password: str) -> User:
        """Give a guest's account a name and a password. Its number and its scores stay."""
        return await self._whole(self._keep_account(username, password))

    async def logout(self) -> None:
        """Sign out. The session is forgotten here whether or not the leaderboard can be told."""
        session = self._session
        if session is not None:
            try:
                await self._call("POST", "/auth/logout", body={"refresh_token": session.refresh_token})
            except LeaderboardError as error:
                _log.info("The leaderboard was not told of the sign-out: %s", error)
            finally:
                await self._whole(self._store_session(None, instead_of=session))

    async def _keep_account(self, username: str, password: str) -> User:
        await self._call("GET", "/auth/me", signed=True, tries=3)  # which renews the token if it has to be
        async with self._renewing:  # the guest's tokens are no longer good once this is done
            session = self._session
            if session is None:
                raise SessionEnded("Nobody is signed in.")
            account, token = {"username": username, "password": password}, session.access_token
            kept = await self._once(
                lambda: self._call("POST", "/auth/me/credentials", body=account, token=token),
                lambda problem: problem.status == 401 or problem.type.endswith(":not-a-guest"),
            )
            if not isinstance(kept, Problem):
                return await self._begin(kept, session.user_id, username, guest=False)
        return await self.login(username, password)

    async def _once(self, call: Callable[[], Awaitable[Json]], done: Callable[[Problem], bool]) -> Json | Problem:
        """What is answered to what can be done once only. After an answer was lost: the problem which tells that it is done."""
        for attempt in range(3):
            try:
                return await call()
            except Unreachable as error:
                await asyncio.sleep(_pause(attempt, error.retry_after))
            except Problem as problem:
                if attempt == 0 or not done(problem):
                    raise
                return problem
        raise Unreachable("There was no answer.")

    async def _begin(self, tokens: Json, user_id: int, username: str, *, guest: bool) -> User:
        """Take the tokens of a session that begins."""
        await self._whole(self._store_session(self._with_tokens(_Session(user_id, username, guest, "", 0.0, ""), tokens)))
        self._hurry.set()
        self._wake.set()
        return User(user_id, username, guest)

    # Submitting.

    @property
    def queued(self) -> int:
        """How many scores wait to be acknowledged."""
        return len(self._entries)

    async def submit(
        self,
        score: int,
        *,
        boards: Sequence[str] | None = None,
        metrics: Mapping[str, int] | None = None,
        tags: Mapping[str, str] | None = None,
        extra: Any = None,
        user_id: int | None = None,
        played_at: str | None = None,
        key: str | None = None,
    ) -> Submission:
        """Queue a score. Once this returns, it is stored here. It will be counted once, however often it is sent.

        It needs no network, and nobody has to be signed in: then it is the score of whoever signs in next. Raises QueueFull.

        `boards`: those that it is for, if not all that take it. `metrics`: further values. `tags`: what boards choose by.
        `extra`: what else is kept with it. Only a game server says `user_id` (whose score it is), `played_at` and a `key`
        of its own, such as match and player.
        """
        if (user_id is None) != (self._key is None):
            raise ValueError("A game server says whose score it is, by user_id, and nobody else does.")
        said = {"boards": boards, "metrics": metrics, "tags": tags, "extra": extra, "user_id": user_id, "played_at": played_at}
        body = {"score": score, **{name: value for name, value in said.items() if value is not None}}
        owner = self._session.user_id if self._key is None and self._session is not None else user_id
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        # Through JSON: what the game does with its lists later is none of the score's.
        entry = Entry(key or secrets.token_hex(16), owner, json.loads(json.dumps(body)), time.time(), result)

        def add(entries: list[Entry]) -> list[Entry]:
            if len(entries) >= self._queue_limit:
                raise QueueFull(f"{len(entries)} scores wait already.")
            return [*entries, entry]

        await self._change_queue(add)
        return Submission(entry.key, result)

    async def flush(self) -> None:
        """Wait until all that this player has queued is answered. Raises SessionEnded if nobody is signed in."""
        while any(self._may_be_sent(entry) for entry in self._entries):
            if self._key is None and self._session is None:
                raise SessionEnded("Nobody is signed in.")
            self._changed.clear()
            await self._changed.wait()

    async def submit_many(self, sessions: Sequence[Mapping[str, Any]]) -> list[Json]:
        """Send many scores of any players at once. For game servers.

        Each has `user_id`, `score`, a `key` of yours, and what `submit` takes besides. The answers come in the same order: with
        `status` 201, or 200 for what was stored before, `session_id`, `held` and `standings`; else with `problem`. They are not
        queued. After Unreachable, send all of them again with the same keys, and each is counted once.
        """
        results: list[Json] = [{"status": 503} for _ in sessions]
        for start in range(0, len(sessions), _BATCH):
            waiting = list(range(len(sessions)))[start : start + _BATCH]
            for attempt in range(5):
                listed = {"submissions": [sessions[place] for place in waiting]}
                answer = await self._call("POST", f"{_API}/submissions", body=listed, signed=True, tries=3)
                for place, result in zip(waiting, answer["results"], strict=True):
                    results[place] = result
                waiting = [place for place in waiting if results[place]["status"] == 503]  # perhaps not stored
                if not waiting:
                    break
                await asyncio.sleep(_pause(attempt, None))
        return results

    # Reading.

    async def boards(self, prefix: str = "", *, limit: int = 20, cursor: str | None = None) -> Json:
        """The boards whose names begin so: `{boards, next_cursor}`."""
        return await self._get("/boards", {"prefix": prefix, "limit": limit, "cursor": cursor})

    async def board(self, name: str | None = None) -> Json:
        """One board, with its windows and the periods that go on."""
        return await self._get(f"/boards/{quote(name or self._board, safe='')}")

    async def top(self, *, limit: int = 10, offset: int = 0, cursor: str | None = None, **place: Unpack[Place]) -> Page:
        """The best players. `cursor` is the `next_cursor` of the page before."""
        asked = {"limit": limit, "cursor": cursor} if cursor else {"limit": limit, "offset": offset}
        return cast(Page, await self._get_at(place, "/top", asked))

    async def rank(self, who: int | Literal["me"] = "me", **place: Unpack[Place]) -> Rank:
        """Where a player stands. One who has never played there is a Problem, "urn:problem:player-not-found"."""
        return cast(Rank, await self._get_at(place, f"/rank/{who}", signed=who == "me"))

    async def around(self, who: int | Literal["me"] = "me", *, radius: int = 5, **place: Unpack[Place]) -> Json:
        """A player among so many neighbours on either side: `{players, …}`."""
        return await self._get_at(place, f"/around/{who}", {"radius": radius}, signed=who == "me")

    async def ranks(self, user_ids: Iterable[int], **place: Unpack[Place]) -> Json:
        """Where up to 200 players stand, and which place each has among them: friends, a clan, a lobby."""
        path, where = self._at(place, "/ranks")
        return await self._call("POST", path, params=where, body={"user_ids": list(user_ids)}, tries=3)

    async def rank_of_score(self, score: int, **place: Unpack[Place]) -> Json:
        """The rank that a score would have now."""
        return await self._get_at(place, f"/rank/score/{score}")

    async def distribution(self, *, bins: int = 20, **place: Unpack[Place]) -> Json:
        """How many players have which scores."""
        return await self._get_at(place, "/distribution", {"bins": bins})

    async def find_players(self, name: str) -> list[Json]:
        """Players whose names begin so."""
        players: list[Json] = (await self._get("/players", {"name": name}))["players"]
        return players

    async def player(self, user_id: int) -> Json:
        """A player, and where they stand."""
        return await self._get(f"/players/{user_id}")

    async def standings(self, user_id: int) -> Json:
        """Where a player stands in every window that goes on."""
        return await self._get(f"/players/{user_id}/standings")

    async def my_sessions(self, board: str | None = None, *, limit: int = 20, cursor: str | None = None) -> Json:
        """What the player has submitted, newest first: `{sessions, next_cursor}`."""
        return await self._get("/sessions/me", {"board": board, "limit": limit, "cursor": cursor}, signed=True)

    def _at(self, place: Place, path: str) -> tuple[str, Json]:
        """The path below a board, and what the query says of the window."""
        where: Json = {"window": place.get("window"), "period": place.get("period")}
        return f"{_API}/boards/{quote(place.get('board') or self._board, safe='')}{path}", where

    async def _get_at(self, place: Place, path: str, params: Mapping[str, Any] | None = None, *, signed: bool = False) -> Json:
        path, where = self._at(place, path)
        return await self._call("GET", path, params={**where, **(params or {})}, signed=signed, tries=3)

    async def _get(self, path: str, params: Mapping[str, Any] | None = None, *, signed: bool = False) -> Json:
        return await self._call("GET", _API + path, params=params, signed=signed, tries=3)

    # Watching.

    def watch(
        self,
        *,
        limit: int = 10,
        with_me: bool = False,
        streaming: bool = True,
        on_top: Callable[[Page], object] | None = None,
        on_me: Callable[[Rank], object] | None = None,
        on_period: Callable[[Json], object] | None = None,
        on_ended: Callable[[LeaderboardError | None], object] | None = None,
        **place: Unpack[Place],
    ) -> Watch:
        """Be told of a board at once and whenever it changes, until the watch is closed.

        `on_top` is told the page and, with `with_me`, `on_me` how the player stands. `on_period` is told that another period
        has begun. Connections that are lost are opened again. `on_ended` is told which problem ended it, or None: nothing more
        is to come. With `streaming=False` the board is looked at every few seconds, for networks that hold streams back.
        """
        hears: dict[str, Callable[[Any], object] | None] = {"top": on_top, "me": on_me, "period": on_period}
        watching = _Watching(place, limit, with_me, {name: hear for name, hear in hears.items() if hear is not None})
        return Watch(self._run(self._watch(watching, self._stream if streaming else self._poll, on_ended)))

    async def _watch(
        self,
        watching: _Watching,
        look: Callable[[_Watching], Awaitable[float | None]],
        on_ended: Callable[[LeaderboardError | None], object] | None,
    ) -> None:
        ended: LeaderboardError | None = None
        while True:
            try:
                pause = await look(watching)
                if pause is None:
                    break
                watching.failures = 0
            except SessionEnded as error:
                ended = error
                break
            except (Unreachable, Problem) as error:
                if isinstance(error, Problem) and error.status not in _PASSING:
                    ended = error
                    break
                pause = _pause(watching.failures, error.retry_after)
                watching.failures += 1
            await asyncio.sleep(pause)
        self._tell(on_ended, ended)

    async def _stream(self, watching: _Watching) -> float | None:
        """Hear a stream to its end. Gives how long to wait before the next one, or None: nothing more is to come."""
        path, where = self._at(watching.place, "/live")
        token = await self._token() if watching.with_me else None
        headers = {"Accept": "text/event-stream", **_bearer(token)}
        if watching.last_id:
            headers["Last-Event-ID"] = watching.last_id
        query, timeout = _given({**where, "limit": watching.limit}), httpx.Timeout(self._timeout, read=self._silence)
        try:
            async with self._http.stream("GET", self._url + path, params=query, headers=headers, timeout=timeout) as response:
                if response.status_code == 204:
                    return None
                if response.status_code != 200 or "text/event-stream" not in response.headers.get("Content-Type", ""):
                    await response.aread()
                    if response.status_code == 401 and token is not None:
                        await self._token(refused=token)
                    raise _failure(response)
                async for event, data in watching.events(response.aiter_bytes()):
                    watching.failures = 0
                    self._tell_watcher(watching, event, data)
        except (httpx.HTTPError, ValueError) as error:
            raise Unreachable(f"The stream broke off: {error or type(error).__name__}") from error
        return watching.retry * random.uniform(0.5, 1.5)

    async def _poll(self, watching: _Watching) -> float:
        """Look once. Gives how long to wait before the next look."""
        self._tell_watcher(watching, "top", await self._get_at(watching.place, "/top", {"limit": watching.limit}))
        if watching.with_me:
            self._tell_watcher(watching, "me", await self._get_at(watching.place, "/rank/me", signed=True))
        return self._poll_seconds * random.uniform(0.8, 1.2)

    def _tell_watcher(self, watching: _Watching, event: str, data: Any) -> None:
        """Tell only what is new."""
        if watching.heard.get(event) != data:
            watching.heard[event] = data
            self._tell(watching.hears.get(event), data)

    # Sending.

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        token: str | None = None,
        signed: bool = False,
        tries: int = 1,
    ) -> Json:
        """What is answered, within the time-out. `tries` is above 1 for what may be done twice."""
        until = time.monotonic() + self._timeout
        request = {"params": _given(params or {}), "json": body, "headers": _bearer(token)}
        for attempt in range(tries):
            try:
                answering = self._signed(method, path, request) if signed else self._answer(method, path, request)
                return _document(await self._in_time(answering, until - time.monotonic()))
            except (Unreachable, Problem) as error:
                pause = _pause(attempt, error.retry_after)
                again = error.status in {None, 429, 502, 503, 504} and time.monotonic() + pause < until
                if not again or attempt == tries - 1:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("The last try returns or raises.")

    async def _signed(self, method: str, path: str, request: Json, owner: int | None = None) -> httpx.Response:
        """The answer to a request with the player's token. A token that is refused is renewed, once."""
        token = await self._token(owner)
        try:
            return await self._answer(method, path, {**request, "headers": {**request["headers"], **_bearer(token)}})
        except Problem as problem:
            if problem.status != 401:
                raise
        token = await self._token(owner, refused=token)
        return await self._answer(method, path, {**request, "headers": {**request["headers"], **_bearer(token)}})

    async def _answer(self, method: str, path: str, request: Json) -> httpx.Response:
        """A good answer. Raises Problem or Unreachable."""
        try:
            response = await self._http.request(method, self._url + path, **request)
        except httpx.HTTPError as error:
            raise Unreachable(f"There was no answer: {error or type(error).__name__}") from error
        if not response.is_success:
            raise _failure(response)
        return response

    async def _in_time(self, answering: Awaitable[_T], seconds: float) -> _T:
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                return await answering
        except TimeoutError:
            raise Unreachable("There was no answer in time.") from None

    # Tokens.

    async def _token(self, owner: int | None = None, *, refused: str | None = None) -> str:
        """An access token that is good for a while: of the user who is signed in, who must be `owner` where one is given."""
        if self._key is not None:
            return await self._token_of_key(refused)
        session = self._session
        if session is not None and (session.access_token == refused or session.expires_at - self._ahead <= time.time()):
            try:
                await self._whole(self._renew(session))
            except (Unreachable, Problem):
                if session.access_token == refused or session.expires_at <= time.time():
                    raise
                # The old one is good for some seconds still.
            session = self._session
        if session is None:
            raise SessionEnded("Nobody is signed in.")
        if owner is not None and session.user_id != owner:
            raise SessionEnded("Somebody else has signed in.")
        return session.access_token

    async def _renew(self, session: _Session) -> None:
        """Take new tokens for old ones. Whoever comes meanwhile waits here, and goes on with the same new ones."""
        async with self._renewing:
            if self._session is not session:
                return
            try:
                # Sent again within 30 seconds, a refresh token is answered alike: so an answer may get lost.
                tokens = await self._call("POST", "/auth/refresh", body={"refresh_token": session.refresh_token}, tries=3)
            except Problem as problem:
                if problem.status != 401:
                    raise
                if await self._store_session(None, instead_of=session):
                    self._tell(self._on_session_ended)
                raise SessionEnded(problem.detail) from problem
            await self._store_session(self._with_tokens(session, tokens), instead_of=session)

    async def _token_of_key(self, refused: str | None) -> str:
        async with self._renewing:
            token, ends = self._key_token
            if token == refused or ends - self._ahead <= time.time():
                form = {"params": {}, "data": {"grant_type": "client_credentials", **(self._key or {})}}
                tokens = _document(await self._answer("POST", "/auth/token", form))
                token, ends = tokens["access_token"], time.time() + tokens["expires_in"]
                self._key_token, self._ahead = (token, ends), min(_AHEAD, tokens["expires_in"] / 2)
            return token

    def _with_tokens(self, session: _Session, tokens: Json) -> _Session:
        self._ahead = min(_AHEAD, tokens["expires_in"] / 2)
        ends = time.time() + tokens["expires_in"]
        return replace(session, access_token=tokens["access_token"], expires_at=ends, refresh_token=tokens["refresh_token"])

    async def _store_session(self, session: _Session | None, *, instead_of: _Session | None = None) -> bool:
        """Store it before it is used. It is left alone, and this gives False, if another than `instead_of` is there by now."""
        async with self._storing:
            if instead_of is not None and self._session is not instead_of:
                return False
            await self._storage.set("session", None if session is None else json.dumps(asdict(session)))
            self._session = session
        self._changed.set()
        return True

    # The queue.

    def _may_be_sent(self, entry: Entry) -> bool:
        """Whether this client is to send it: a key's own, or those of the player who is signed in, or will be."""
        if self._key is not None or "user_id" in entry.body:
            return self._key is not None and "user_id" in entry.body
        return self._session is None or entry.user_id in {None, self._session.user_id}

    async def _change_queue(
        self, change: Callable[[list[Entry]], list[Entry]], then: Callable[[], None] = lambda: None
    ) -> None:
        """Store the changed queue, and only then go by it. `then` is done before anybody hears that it is another one."""

        async def change_and_store() -> None:
            async with self._storing:
                entries = change(self._entries)
                kept = [{name: getattr(entry, name) for name in _KEPT} for entry in entries]
                await self._storage.set("queue", json.dumps(kept) if kept else None)
                self._entries = entries
            then()
            self._changed.set()
            self._wake.set()
            self._tell_queue()

        await self._whole(change_and_store())

    async def _send_for_ever(self) -> None:
        """Send what waits, one after the other, and start again after a while with what was not answered."""
        failures = 0
        while True:
            self._wake.clear()
            entry = next((entry for entry in self._entries if self._may_be_sent(entry)), None)
            if entry is None or (self._key is None and self._session is None):
                await self._wake.wait()
                continue
            self._hurry.clear()
            retry_after = None
            try:
                await self._send(entry)
                failures = 0
                continue
            except SessionEnded:
                continue  # it waits until its player is there
            except (Unreachable, Problem) as error:
                retry_after, self._offline = error.retry_after, isinstance(error, Unreachable)
                if isinstance(error, Problem):
                    _log.warning("A score waits, since the leaderboard says: %s", error)
            except Exception:  # the storage's, perhaps: the disk is full
                _log.exception("A score could not be sent. It is tried again")
            self._tell_queue()
            try:
                async with asyncio.timeout(_pause(failures, retry_after)):
                    await self._hurry.wait()
                failures = 0
            except TimeoutError:
                failures += 1

    async def _send(self, entry: Entry) -> None:
        """Send an entry, and remove it once it is answered for good. Raises what is to be tried again."""
        if entry.user_id is None:
            await self._claim()
            return
        request = {"json": entry.body, "headers": {"Idempotency-Key": entry.key}}
        try:
            sending = self._signed("POST", f"{_API}/submit", request, entry.user_id)
            response = await self._in_time(sending, self._timeout)
        except Problem as problem:
            # What is refused about the tokens says nothing of the score.
            if problem.status in _PASSING or not problem.path.endswith(f"{_API}/submit"):
                raise
            await self._remove(entry, problem, self._on_refused)
            return
        answer = _document(response)
        if "session_id" not in answer:
            raise Unreachable("Something else than the leaderboard has answered.")
        known: Json = {name: answer.get(name) for name in Result.__dataclass_fields__}
        known |= {"key": entry.key, "repeated": response.headers.get("Idempotent-Replayed") == "true"}
        await self._remove(entry, Result(**known), self._on_submitted)

    async def _remove(self, entry: Entry, outcome: Result | Problem, callback: Callable[[Entry, Any], object] | None) -> None:
        """Take an entry out of the queue, and tell what became of it."""

        def tell() -> None:
            _settle(entry, outcome)
            self._tell(callback, entry, outcome)

        self._offline = False
        await self._change_queue(lambda entries: [each for each in entries if each is not entry], tell)

    async def _claim(self) -> None:
        """Write down whose the entries are that are nobody's yet.

        That is done before they are sent: keys are told apart by user, so by another user it would be counted once more.
        """
        session = self._session
        if session is not None:
            mine = session.user_id
            await self._change_queue(
                lambda entries: [replace(each, user_id=mine) if each.user_id is None else each for each in entries]
            )

    def _tell_queue(self) -> None:
        length = len(self._entries)
        reason: QueueReason = "empty" if length == 0 else "offline" if self._offline else "waiting"
        if (length, reason) != self._told:
            self._told = length, reason
            self._tell(self._on_queue_changed, length, reason)

    # What all of it uses.

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin what goes on until it is over, or all is closed."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _whole(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do what must not be left half done. If whoever waits for it is cancelled, it goes on."""
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    def _tell(self, callback: Callable[..., object] | None, *what: object) -> None:
        """Call the game back. What fails there is logged, and nothing here fails with it."""
        if callback is not None:
            try:
                callback(*what)
            except Exception:
                _log.exception("A callback failed")


class Watch:
    """A board that is watched. `await watch.close()` ends it."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    async def close(self) -> None:
        self._task.cancel()
        await self.wait()

    async def wait(self) -> None:
        """Wait until it has ended."""
        await asyncio.wait([self._task])


@dataclass
class _Watching:
    """What is watched, by whom, and what was heard of it last."""

    place: Place
    limit: int
    with_me: bool
    hears: dict[str, Callable[[Any], object]]
    heard: Json = field(default_factory=dict)
    last_id: str = ""
    retry: float = 2.0
    failures: int = 0

    async def events(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, Any]]:
        """The events of a stream. Its lines end with a line feed: JSON may have what Python takes for other ends of lines."""
        rest, event, data = b"", "", ""
        async for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                name, _, value = line.rstrip(b"\r").decode().partition(":")
                value = value.removeprefix(" ")
                if name == "event":
                    event = value
                elif name == "data":
                    data += value
                elif name == "id":
                    self.last_id = value
                elif name == "retry" and value.isdecimal():
                    self.retry = int(value) / 1000
                elif line in {b"", b"\r"}:
                    if data:
                        yield event, json.loads(data)
                    event = data = ""


def _settle(entry: Entry, outcome: Result | LeaderboardError) -> None:
    """Tell whoever waits for the score what became of it."""
    if entry.result is None or entry.result.done():
        return
    if isinstance(outcome, Result):
        entry.result.set_result(outcome)
    else:
        entry.result.set_exception(outcome)
        entry.result.exception()  # it is no mistake not to ask


def _pause(failures: int, retry_after: float | None) -> float:
    """Seconds to wait: as many as were asked for, and a random time, longer with each failure, so that not all come at once."""
    return (retry_after or 0.0) + random.uniform(0.0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 10)))


def _bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _given(params: Mapping[str, Any]) -> Json:
    return {name: value for name, value in params.items() if value is not None}


def _document(response: httpx.Response) -> Json:
    """What an answer says. Raises Unreachable if it is no JSON: somebody in between has answered."""
    if response.status_code == 204:
        return {}
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Unreachable("Something else than the leaderboard has answered.", response.status_code)
    return document


def _failure(response: httpx.Response) -> Problem | Unreachable:
    """What an answer says that is no good one.

    Only what the leaderboard itself refuses is a problem. A hotel's sign-in page, or a gateway that is being set up, answers
    403 or 404 too, and no score may be lost by that.
    """
    status, told = response.status_code, response.headers.get("Retry-After", "")
    retry_after = float(told) if told.isdecimal() else None
    problem: Any = None
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        with contextlib.suppress(ValueError):
            problem = response.json()
    said: Json = problem if isinstance(problem, dict) else {}
    if status == 429 or (400 <= status < 500 and said):
        return Problem(status, said, response.url.path, retry_after)
    return Unreachable(said.get("detail") or f"The leaderboard could not answer: HTTP status {status}.", status, retry_after)


def _read_session(text: str | None) -> _Session | None:
    try:
        return None if text is None else _Session(**json.loads(text))
    except (ValueError, TypeError):
        _log.error("The session cannot be read. The player has to sign in again")
        return None
