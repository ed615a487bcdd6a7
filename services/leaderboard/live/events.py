"""What a live stream is made of: server-sent events (WHATWG HTML, section 9.2), written once for all who are sent them."""

import json
from collections.abc import Sequence
from datetime import datetime
from json.encoder import encode_basestring
from random import randrange
from typing import Any

from services.leaderboard.boards.running import UNMADE
from services.leaderboard.rules.periods import Period
from services.leaderboard.rules.standings import PlayerScore

COMMENT = b": the stream goes on\n\n"
END = b": the stream ends, open it again\n\n"
UNCHANGED = b": nothing has changed\n\n"
# Milliseconds. Streams that end together are not opened again together.
_RETRY_FROM, _RETRY_TO = 1_000, 3_000

Passer = tuple[int, PlayerScore]
"""A rank, and who has it."""


def retry() -> bytes:
    """After how long a client opens the stream again."""
    return b"retry: %d\n\n" % randrange(_RETRY_FROM, _RETRY_TO)  # noqa: S311 - only spreads load


def event(name: str, state: str, data: bytes) -> bytes:
    """An event. ``state``: which one of the place it is of. The data are JSON in one line."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), state.encode(), data)


def own_rank(
    head: str, player: PlayerScore, score: int | None, rank: int | None, total_players: int, passed_by: Sequence[Passer]
) -> bytes:
    """`OwnLiveRank`. ``head``: what names the place."""
    passers = ",".join(
        f'{{"rank":{rank},"user_id":{by.user_id},"username":{encode_basestring(by.username)},"score":{by.score}}}'
        for rank, by in passed_by
    )
    return (
        f'{{{head},"user_id":{player.user_id},"username":{encode_basestring(player.username)},'
        f'"score":{json.dumps(score)},"rank":{json.dumps(rank)},"total_players":{total_players},'
        f'"passed_by":[{passers}]}}'
    ).encode()


def turned(board: str, window: str, ended: Period | None, current: Period | None) -> bytes:
    """`PeriodTurned`."""
    told = {"board": board, "window": window, "ended": _period(ended, window), "current": _period(current, window)}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _period(period: Period | None, window: str) -> dict[str, Any] | None:
    if period is None:
        return None
    times = {name: _time(getattr(period, name)) for name in ("starts_at", "ends_at", "closes_at")}
    period_id = None if period.period_id == UNMADE else period.period_id
    return {"period_id": period_id, "window": window, "number": period.number, "title": period.title, **times}


def _time(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
