"""Who watches, and what: a stream and what its reader has been sent, and a place with all who watch it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple, Protocol

from services.common.tokens import Principal
from services.leaderboard.board_reads import Asked
from services.leaderboard.boards.places import Shown
from services.leaderboard.index.pages import Style
from services.leaderboard.live import events
from services.leaderboard.live.limits import Subject
from services.leaderboard.rules.places import Ranked
from services.leaderboard.rules.standings import Span

NEVER = float("-inf")


class Sink(Protocol):
    """Where a stream is written: at once, or not at all."""

    def write(self, piece: bytes, /) -> bool:
        """False, with nothing written, while the reader does not keep up."""

    def close(self, piece: bytes, /) -> bool:
        """The same of the last piece."""

    def abort(self) -> None:
        """End the connection, with whatever the reader has not read."""


class State(NamedTuple):
    """What a place shows: called by its generation, or, where that is not known, by a digest of its page."""

    name: str
    generation: bytes
    event: bytes


class Standing(NamedTuple):
    """How a player stands, as they were told last."""

    score: int | None
    rank: int | None
    total_players: int


class Watcher:
    """A stream. It keeps nothing for its reader but what is newest, and of the page not even that: its place has it."""

    __slots__ = (
        "behind", "caller", "comment_at", "near", "own", "own_at", "own_of", "period", "shown", "sink", "stalled_at",
        "standing", "subject", "until", "watched",
    )  # fmt: skip

    def __init__(self, watched: "Watched", sink: Sink, caller: Principal | None, subject: Subject | None, until: float) -> None:
        self.watched = watched
        self.sink = sink
        self.caller = caller
        """Who is told their own rank."""
        self.subject = subject
        self.until = until
        """When it ends, by the monotonic clock, as all times here."""
        self.comment_at = 0.0
        self.shown: State | None = None
        """What the reader has been sent last."""
        self.period: bytes | None = None
        self.own: bytes | None = None
        """The data of events that the reader has not been sent."""
        self.stalled_at: float | None = None
        """Since when the reader does not keep up."""
        self.own_of: State | None = None
        self.own_at = NEVER
        """The state that the own rank was looked up in last, and when."""
        self.standing: Standing | None = None
        self.behind: Sequence[int] = ()
        """Who stood close behind when that was looked up."""
        self.near = ""
        """The digest of what was looked up in the index, '' if nothing was, or not there."""

    def tell(self) -> bool:
        """Send the reader what is newest of what it has not been sent. False while it does not keep up."""
        state = self.watched.state
        if state is None:  # what another period shows is being looked up
            return True
        pieces = [] if self.period is None else [events.event("period", state.name, self.period)]
        if state is not self.shown:
            pieces.append(state.event)
        if self.own is not None:
            pieces.append(events.event("me", state.name, self.own))
        if not pieces:
            return True
        if not self.write(b"".join(pieces)):
            return False
        self.period = self.own = None
        self.shown = state
        return True

    def write(self, piece: bytes) -> bool:
        """Send the reader something. False, and nothing is sent, while it does not keep up."""
        if self.sink.write(piece):
            self.stalled_at = None
            return True
        if self.stalled_at is None:
            self.stalled_at = monotonic()
        return False

    def turn(self, period: bytes) -> None:
        """Another period is shown from now on: what is known of the own rank was of the one before."""
        self.period = period
        self.own = self.own_of = self.standing = None
        self.own_at = NEVER
        self.behind = ()
        self.near = ""

    @property
    def knows(self) -> bool:
        """Whether the reader has been sent all there is."""
        pending = self.period is not None or self.own is not None or self.shown is not self.watched.state
        return not pending and (self.caller is None or self.own_of is self.watched.state)


@dataclass(eq=False, slots=True)
class Watched:
    """A page of a place that somebody watches."""

    asked: Asked
    span: Span
    shown: Shown
    style: Style | None
    """None where nobody has played yet."""
    state: State | None = None
    indexed: bool = False
    """Whether the index tells of the place, or MySQL."""
    over: bool = False
    """Whether nothing is counted in it any more: each stream ends when its reader knows all."""
    streams: int = 0
    watchers: set[Watcher] = field(default_factory=set)
    players: set[Watcher] = field(default_factory=set)
    """Those of them who are told their own rank."""
    waiting: list[asyncio.Future[State]] = field(default_factory=list)
    """Those who wait for a state that is looked up after they came."""
    read_at: float = NEVER
    """When MySQL was asked for the page last."""
    known_until: float = 0.0
    """Until when it is taken for known what is shown here."""
    reading: asyncio.Task[None] | None = None
    finding: asyncio.Task[None] | None = None

    @property
    def place(self) -> Ranked | None:
        return self.shown.place
