"""The use case of an import: sessions of a file, a group of lines at a time, through the writer that stores all others.

A line is one session, however often its file is imported. It has a key, or one is made of what it says, and of how many lines
of its player have said the same before: so equal lines of a file are several sessions, and the same ones when they come again.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from services.common import names
from services.common.http.problems import InvalidRequest, Problem, ServiceUnavailable
from services.common.mysql.database import Database
from services.leaderboard.boards.places import Places
from services.leaderboard.errors import NotForPlayers, TooManyTransfers
from services.leaderboard.log import history, submission_keys
from services.leaderboard.log.history import StoredSaid
from services.leaderboard.log.sessions import Submission
from services.leaderboard.log.writer import Submitted, Writer
from services.leaderboard.players import accounts
from services.leaderboard.players.accounts import Account
from services.leaderboard.rules.places import Ranked
from services.leaderboard.rules.played import AHEAD, Played
from services.leaderboard.rules.standings import Ranks
from services.leaderboard.transfers.formats import Format
from services.leaderboard.transfers.lines import ImportedSession, Line, Reader, split

GROUP = 200
"""Lines that are stored together."""
AT_ONCE = 1
"""Files that a process imports, at most: each is held whole."""
MOST_TOLD = 100
"""Lines that are told with what is wrong with them. All of them are counted."""
MOST_WITHOUT_KEY = 1_000_000
"""Lines without a key in one file: of each some 100 bytes are held, so that equal ones are told apart."""

Store = Callable[[Sequence[Submission]], Awaitable[Sequence["Submitted | BaseException"]]]
"""Stores sessions, in their order, and gives what became of each."""


class LineFault(NamedTuple):
    """What is wrong with a line."""

    line: int
    detail: str


@dataclass(slots=True)
class Progress:
    """How far an import is: lines that say a session, and what became of them. ``stopped`` says why it did not go on.

    ``repeated`` were stored before, and ``skipped`` do not count where they come from.
    """

    lines: int = 0
    stored: int = 0
    repeated: int = 0
    skipped: int = 0
    refused: int = 0
    faults: list[LineFault] = field(default_factory=list)
    stopped: str | None = None

    def refuse(self, line: int, detail: str) -> None:
        """A line is not imported."""
        self.refused += 1
        if len(self.faults) < MOST_TOLD:
            self.faults.append(LineFault(line, detail))


class _Asked(NamedTuple):
    """A line whose player is known."""

    line: int
    session: ImportedSession
    played: Played
    account: Account
    key: bytes

    @property
    def identity(self) -> tuple[int, bytes]:
        return self.account.user_id, self.key

    def is_repeat_of(self, stored: StoredSaid) -> bool:
        """Whether the session that has the key says the same. Of an exported one only the score tells."""
        if self.session.submission is not None or stored.digest is None:
            return stored.score == self.played.score
        return stored.digest == self.played.digest()


class Importer:
    """Imports files. ``clock`` is MySQL's, as this process knows it."""

    def __init__(self, database: Database, places: Places, store: Store, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._places = places
        self._store = store
        self._clock = clock
        self._under_way = 0
        self._leaving = False

    @contextmanager
    def begin(self) -> Iterator[None]:
        """Take a place among those that import, for a block. Raises TooManyTransfers."""
        if self._under_way >= AT_ONCE:
            raise TooManyTransfers("As many files are imported as may be.")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def leave(self) -> None:
        """The process is asked to end: files are not gone on with."""
        self._leaving = True

    async def run(self, chunks: AsyncIterable[bytes], form: Format, *, dry_run: bool = False) -> AsyncGenerator[Progress, None]:
        """Import a file that comes in pieces. Tells of its progress after each group of lines, and at last of the whole.

        ``dry_run``: nothing is stored, and what is counted as stored would be. Raises InvalidRequest, with nothing stored, when
        the file is not one that can be read at all; and what reading from the database raises.
        """
        reader, progress, ordinals = Reader(form), Progress(), _Ordinals()
        group: list[Line] = []
        async for raw in split(chunks):
            line = reader.read(raw)
            if line is None:
                continue
            group.append(line)
            if len(group) == GROUP:
                await self._import(group, progress, ordinals, dry_run=dry_run)
                group = []
                yield replace(progress)
                if progress.stopped is not None:
                    return
        await self._import(group, progress, ordinals, dry_run=dry_run)
        yield replace(progress)

    async def _import(self, lines: Sequence[Line], progress: Progress, ordinals: "_Ordinals", *, dry_run: bool) -> None:
        if self._leaving:
            progress.stopped = "The service is being stopped."
            return
        progress.lines += len(lines)
        sessions = [(line.number, line.session) for line in lines if line.session is not None]
        for line in lines:
            if line.session is None:
                progress.refuse(line.number, line.fault)
        counted = [(number, session) for number, session in sessions if session.state == "counted"]
        progress.skipped += len(sessions) - len(counted)
        asked = await self._identify(counted, progress, ordinals)
        asked = await self._without_repeats(asked, progress)
        if dry_run:
            await self._rehearse(asked, progress)
        else:
            await self._submit(asked, progress)

    async def _identify(
        self, sessions: Sequence[tuple[int, ImportedSession]], progress: Progress, ordinals: "_Ordinals"
    ) -> list[_Asked]:
        """Whose sessions they are, and what they are called by."""
        called = {name: _canonical(name) for _, session in sessions if (name := session.player) is not None}
        numbers = {session.user_id for _, session in sessions if session.user_id is not None}
        async with self._database.reading() as connection:
            by_name = await accounts.list_called(connection, set(called.values())) if called else {}
            by_number = await accounts.list_named(connection, numbers) if numbers else {}
        asked = []
        latest = self._clock() + AHEAD
        for number, session in sessions:
            account = by_number.get(session.user_id) if session.user_id else by_name.get(called[session.player or ""])
            if account is None or account.ended:
                whom = session.user_id or f"of the name {session.player}"
                progress.refuse(number, f"There is no user {whom}, or their account has ended.")
            elif session.username is not None and _canonical(session.username) != _canonical(account.username):
                detail = f"User {account.user_id} is {account.username} here, and not {session.username}."
                progress.refuse(number, detail)
            elif session.played_at is not None and session.played_at > latest:
                progress.refuse(number, "#/played_at: The session is of a time to come.")
            elif (key := _key(session, account.user_id, played := session.played(), ordinals)) is None:
                progress.refuse(number, f"A file has {MOST_WITHOUT_KEY:,} lines without a key at most.")
            else:
                asked.append(_Asked(number, session, played, account, key))
        return asked

    async def _without_repeats(self, asked: Sequence[_Asked], progress: Progress) -> list[_Asked]:
        async with self._database.reading() as connection:
            stored = await history.list_said(connection, {each.identity for each in asked})
        left = []
        for each in asked:
            said = stored.get(each.identity)
            if said is None:
                left.append(each)
            elif each.is_repeat_of(said):
                progress.repeated += 1
            else:
                progress.refuse(each.line, f"Another session was sent with this key: one that scored {said.score}.")
        return left

    async def _rehearse(self, asked: Sequence[_Asked], progress: Progress) -> None:
        """What would become of them, as far as it can be told without making anything: periods, and totals, are not."""
        seen: dict[tuple[int, bytes], Played] = {}
        for each in asked:
            try:
                await self._places.takers(each.played, "servers")
            except (InvalidRequest, NotForPlayers) as error:
                progress.refuse(each.line, _told(error))
                continue
            first = seen.setdefault(each.identity, each.played)
            if first is each.played:
                progress.stored += 1
            elif first == each.played:
                progress.repeated += 1
            else:
                progress.refuse(each.line, f"Another session was sent with this key: one that scored {first.score}.")

    async def _submit(self, asked: Sequence[_Asked], progress: Progress) -> None:
        lines, submissions = [], []
        for each in asked:
            now = self._clock()
            try:
                counts = await self._places.counts(each.played, now, "servers")
            except (InvalidRequest, NotForPlayers) as error:
                progress.refuse(each.line, _told(error))
                continue
            lines.append(each.line)
            account = each.account
            submissions.append(Submission(account.user_id, account.username, each.key, each.played, now, counts, by="servers"))
        for number, outcome in zip(lines, await self._store(submissions), strict=True):
            if isinstance(outcome, Submitted):
                progress.stored += not outcome.replayed
                progress.repeated += outcome.replayed
            elif isinstance(outcome, ServiceUnavailable):
                progress.stopped = outcome.detail
            elif isinstance(outcome, Problem):
                progress.refuse(number, _told(outcome))
            else:
                raise outcome


class _Ordinals:
    """How many lines of a file have said the same, of those that have no key."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def next(self, user_id: int, digest: bytes) -> int | None:
        """How many lines before said this of a player. None when there are too many to know."""
        # By eight bytes. Should two lines have the same, they have them each time.
        what = int.from_bytes(blake2b(b"%d:%b" % (user_id, digest), digest_size=8).digest())
        ordinal = self._counts.get(what)
        if ordinal is None and len(self._counts) >= MOST_WITHOUT_KEY:
            return None
        self._counts[what] = (ordinal or 0) + 1
        return ordinal or 0


def store_with(writer: Writer) -> Store:
    """Stores sessions by ``writer``, in their order: it is the log's, by which ties are decided."""

    async def store(submissions: Sequence[Submission]) -> Sequence[Submitted | BaseException]:
        try:
            return await writer.submit_all(submissions)
        except ServiceUnavailable as refused:
            return [refused] * len(submissions)

    return store


async def no_ranks(asked: Sequence[tuple[Ranked, Mapping[int, int]]]) -> Sequence[Ranks]:
    """What a writer is given that imports: nobody is told their rank."""
    return [Ranks({}, None)] * len(asked)


def _key(session: ImportedSession, user_id: int, played: Played, ordinals: _Ordinals) -> bytes | None:
    if session.submission is not None:
        return submission_keys.read(session.submission)
    if session.key is not None:
        return submission_keys.of_import(session.key)
    digest = played.digest()
    ordinal = ordinals.next(user_id, digest)
    return None if ordinal is None else submission_keys.of_line(digest, ordinal)


def _canonical(name: str) -> str:
    """The name as accounts are found by it: as it is, where no account can have it."""
    try:
        return names.canonical(name)
    except UnicodeError:
        return name


def _told(problem: Problem) -> str:
    """A line's error, with its places."""
    faults = [f"{each.pointer}: {each.detail}" for each in problem.errors if each.detail != problem.detail]
    return " ".join([problem.detail, *faults])
