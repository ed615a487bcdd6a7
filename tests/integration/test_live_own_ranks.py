"""Own ranks of those who watch, looked up in a real index."""

import uuid
from typing import Any

import pytest

from services.common.tokens import Principal
from services.leaderboard.boards.places import Shown
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.index.writer import IndexWriter
from services.leaderboard.live.own_ranks import OwnRanks
from services.leaderboard.live.watchers import State, Watched, Watcher
from services.leaderboard.rules.places import MAIN_RANKED, Place
from services.leaderboard.rules.standings import Span
from tests.ranked import change, fill

NOT_ASKED: Any = None
"""What nothing here is asked for."""


async def test_who_is_shown_another_period_while_the_index_is_asked_is_told_nothing_of_the_one_before(
    index: IndexWriter, reads: RankingIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(index, [change(1, 10), change(2, 20)])
    before = Shown(NOT_ASKED, NOT_ASKED, MAIN_RANKED)
    watched = Watched(NOT_ASKED, Span(10, 0), before, None, State("before", b"", b""), indexed=True)
    watcher = Watcher(watched, NOT_ASKED, Principal(1, "player1", uuid.uuid4()), 1, float("inf"))
    watcher.near = "of an earlier look"
    look_up_each = reads.look_up_each

    async def turning(*asked: Any) -> Any:
        answers = await look_up_each(*asked)
        watched.shown = before._replace(place=MAIN_RANKED._replace(at=Place(1, 2)))
        watcher.turn(b"")
        return answers

    monkeypatch.setattr(reads, "look_up_each", turning)
    assert await OwnRanks(reads, NOT_ASKED).look([watcher]) == []
    assert (watcher.near, watcher.own_of, watcher.own) == ("", None, None)
