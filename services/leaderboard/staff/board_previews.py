"""The use case of a preview: what a definition would do, if it were written down now. Nothing is changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.leaderboard.boards import administration, running
from services.leaderboard.boards.administration import BoardsConflict
from services.leaderboard.boards.board import Board, Definition, Submitters, Window, WindowDefinition
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.boards.change import Outcome, compare
from services.leaderboard.boards.document import Fault
from services.leaderboard.log import history, submission_keys
from services.leaderboard.log.history import NewestSession
from services.leaderboard.rules.periods import Period
from services.leaderboard.rules.played import Played, SessionState

PERIODS = 3
"""Periods of each window that are told."""
SESSIONS = 100
"""Sessions that are looked at, the newest ones."""

Reason = Literal["closed", "state", "submitter", "rule", "metric", "bounds"]
"""Why a session would not count: the board is closed; the session is voided or held; only game servers submit to the board; its
rule does not take it, or it has none; the session has no such metric; its value is beyond the board's bounds."""


class JudgedSession(NamedTuple):
    """A session as the board would take it, had it come now and named no board. ``reason``: why not, None if it would."""

    session: NewestSession
    value: int | None
    reason: Reason | None


class Preview(NamedTuple):
    """What a definition would do: ``outcome`` None if it were refused, for these ``faults``. ``windows``: the periods of each
    that go on or come next.
    """

    outcome: Outcome | None
    differences: Sequence[str]
    faults: Sequence[Fault]
    windows: Sequence[tuple[WindowDefinition, Sequence[Period]]]
    sessions: Sequence[JudgedSession]


class BoardPreviews:
    """Previews of boards. ``reads`` gives each connection one snapshot."""

    def __init__(self, catalogue: Catalogue, reads: Database) -> None:
        self._catalogue = catalogue
        self._reads = reads

    async def preview(self, definition: Definition) -> Preview:
        """What `BoardWrites.put` would do, and what it would come to."""
        await self._catalogue.refresh()
        board = await self._catalogue.find(definition.name)
        faults: Sequence[Fault] = ()
        outcome: Outcome | None = None
        has_sessions = False
        try:
            [change] = await administration.plan(self._reads, [definition])
        except BoardsConflict as conflict:
            change = compare(definition, board)
            faults = [Fault(fault.at[2:], fault.detail) for fault in conflict.faults]
        else:
            outcome, has_sessions = change.outcome, change.has_sessions
        async with self._reads.reading() as connection:
            windows = await _list_windows(connection, definition, board, has_sessions=has_sessions)
            newest = await history.list_newest(connection, SESSIONS)
        return Preview(outcome, change.differences, faults, windows, [_judge(definition, each) for each in newest])


async def _list_windows(
    connection: AsyncConnection, definition: Definition, board: Board | None, *, has_sessions: bool
) -> list[tuple[WindowDefinition, Sequence[Period]]]:
    now = await running.read_clock(connection)
    known = {} if board is None else {window.definition.name: window for window in board.windows}
    stand_in = Board(0, 0, definition, ()) if board is None else board
    found: list[tuple[WindowDefinition, Sequence[Period]]] = []
    for each in definition.windows:
        window = known.get(each.name) or Window(0, each, _counts_from(each, now) if has_sessions else None)
        coming: Sequence[Period] = ()
        if definition.state == "active" and each.kind != "all":
            coming = await running.list_coming(connection, stand_in, window, now, PERIODS)
        found.append((each, coming))
    return found


def _counts_from(window: WindowDefinition, now: datetime) -> datetime | None:
    return administration.next_start(window, now + administration.HEARD)


def _judge(definition: Definition, session: NewestSession) -> JudgedSession:
    played = Played(session.score, session.metrics or {}, session.tags or {})
    value = played.value(definition.metric)
    return JudgedSession(session, value, _reason(definition, session, value))


def _reason(definition: Definition, session: NewestSession, value: int | None) -> Reason | None:
    rule = definition.rule
    reasons: dict[Reason, bool] = {
        "closed": definition.state == "closed",
        "state": session.state != SessionState.COUNTED,
        "submitter": definition.submitters == "servers" and _submitter(session) == "players",
        "rule": rule is None or (rule.tag is not None and rule.tag not in (session.tags or {}).items()),
        "metric": value is None,
        "bounds": value is not None and not definition.min_score <= value <= definition.max_score,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _submitter(session: NewestSession) -> Submitters:
    """As far as it can be told: what came without a key may be of either."""
    return "servers" if session.played_at is not None or submission_keys.is_servers(session.submission_key) else "players"
