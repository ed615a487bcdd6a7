"""What a board is, and what a window is: values, with no I/O. How people write them down is in document.py."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from services.leaderboard.rules import direction, ranking
from services.leaderboard.rules.calendar import DAY, MONTH, WEEK, Schedule
from services.leaderboard.rules.holds import Hold
from services.leaderboard.rules.periods import ScheduledWindow
from services.leaderboard.rules.rewards import Reward

Aggregate = Literal["total", "best", "latest"]
Direction = Literal["descending", "ascending"]
State = Literal["active", "closed"]
Submitters = Literal["players", "servers"]
"""By whom a session is submitted: by its player, or by a game server with a key. Of a board: by whom it must have been, servers
being welcome on every board."""
Kind = Literal["all", "every", "listed"]

MAIN_NAME: Final = "main"
"""The board of the endpoints that name none. It is there from the start and cannot be deleted."""
ALL: Final = "all"
"""The window that never ends. No other window has this name."""
USUAL: Final = {"day": DAY, "week": WEEK, "month": MONTH}
"""The windows whose names say when they start anew: days, weeks from Monday, and months, in UTC where no zone is named."""
MOST_WINDOWS: Final = 24
"""Windows of a board. A session counts in so many places at most."""
DEFAULT_GRACE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Rule:
    """Which sessions that name no board count for one: those with this tag and value. Without a tag, every one."""

    tag: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class WindowDefinition:
    """When a board starts anew. Made once and never changed, but for its rewards.

    With a schedule it does after each of its occurrences; ``listed``, its periods are written down one by one; with neither it
    never does. A period is closed ``grace_seconds`` after its end. Of settled ones the last ``keep`` are kept; None: all.
    Who is rewarded when one is settled is the first of ``rewards`` that fits.
    """

    name: str
    schedule: Schedule | None = None
    listed: bool = False
    grace_seconds: int | None = None
    keep: int | None = None
    rewards: tuple[Reward, ...] = ()

    @property
    def kind(self) -> Kind:
        if self.schedule is not None:
            return "every"
        return "listed" if self.listed else "all"


@dataclass(frozen=True, slots=True)
class Definition:
    """What ranks players: by which value of their sessions, which sessions count for it, and which way it goes.

    Without a rule only sessions that name the board count. ``min_score`` and ``max_score`` bound the value of one session.
    ``submitters``: ``servers`` where no player's own token may submit. Sessions that ``hold`` names are held, and count
    once somebody has approved them.
    """

    name: str
    title: str
    metric: str
    aggregate: Aggregate
    direction: Direction
    rule: Rule | None
    min_score: int
    max_score: int
    show_extra: bool
    submitters: Submitters
    state: State
    windows: tuple[WindowDefinition, ...]
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A window as MySQL has it. What begins before ``counts_from`` is no period of it: the board had sessions already then."""

    window_id: int
    definition: WindowDefinition
    counts_from: datetime | None


@dataclass(frozen=True, slots=True)
class Board:
    """A board as MySQL has it, with its windows in their order. ``version`` grows with each change of it."""

    board_id: int
    version: int
    definition: Definition
    windows: tuple[Window, ...]

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def direction(self) -> direction.Direction:
        return direction.Direction(self.definition.direction)

    @property
    def counting(self) -> ranking.Counting:
        return ranking.Counting(ranking.Aggregate(self.definition.aggregate), self.direction)

    def takes(self, value: int) -> bool:
        """Whether a session with this value of the board's metric counts."""
        return self.definition.min_score <= value <= self.definition.max_score

    def is_open_to(self, submitter: Submitters) -> bool:
        """Whether a session that one of these submits may count."""
        return submitter == "servers" or self.definition.submitters == "players"

    def scheduled(self, window: Window) -> ScheduledWindow | None:
        """What makes periods of a window of this board. None where they are written down, or where it never ends."""
        definition = window.definition
        if definition.schedule is None:
            return None
        grace = timedelta(seconds=definition.grace_seconds or 0)
        return ScheduledWindow(self.board_id, window.window_id, definition.schedule, grace, window.counts_from)

    def window(self, name: str) -> Window | None:
        """The window of this name, if there is one."""
        return next((window for window in self.windows if window.definition.name == name), None)
