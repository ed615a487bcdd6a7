"""What a game session says of itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from hashlib import blake2b

from services.leaderboard.rules.names import SCORE, SESSIONS

AHEAD = timedelta(seconds=5)
"""How far the clock of a game server, or of whoever else says when a session was played, may be ahead of MySQL's."""


class SessionState(IntEnum):
    """Whether a stored session counts."""

    COUNTED = 0
    VOIDED = 1
    HELD = 2
    """Somebody has to look at it first."""


@dataclass(frozen=True, slots=True)
class Played:
    """A session's values. ``boards``: those that it names, None if it names none. ``extra``: JSON, as it is kept.

    ``played_at``: when it was played, in UTC, if it is submitted later; None: just now.
    """

    score: int
    metrics: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    extra: str | None = None
    boards: Sequence[str] | None = None
    played_at: datetime | None = None

    def value(self, metric: str) -> int | None:
        """The session's value of a metric, if it has one."""
        if metric == SCORE:
            return self.score
        return 1 if metric == SESSIONS else self.metrics.get(metric)

    def digest(self) -> bytes:
        """What tells whether another submission says the same, whatever order its members come in."""
        boards = None if self.boards is None else sorted(self.boards)
        said: list[object] = [self.score, sorted(self.metrics.items()), sorted(self.tags.items()), self.extra, boards]
        if self.played_at is not None:
            said.append(self.played_at.isoformat())
        return blake2b(json.dumps(said).encode(), digest_size=16).digest()
