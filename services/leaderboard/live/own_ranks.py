"""The own ranks of those who watch: many a call, each once a second at most, and only while something changes."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from time import monotonic

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.common.mysql.database import reason
from services.leaderboard.errors import PlayerNotFound
from services.leaderboard.index.questions import CLOSE, RANKS, Close
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.live import events
from services.leaderboard.live.events import Passer
from services.leaderboard.live.watchers import Standing, State, Watcher
from services.leaderboard.reads import Reads
from services.leaderboard.rules import ranking
from services.leaderboard.rules.places import Ranked
from services.leaderboard.rules.standings import Neighbours, PlayerScore, Position
from services.leaderboard.standings import rendering

log = structlog.get_logger(__name__)

RADIUS = 5
"""How many places behind a player somebody stands who is told of when they pass."""
PLAYERS_A_CALL = 20
"""With 200 a call held Redis for 3 ms, and what it answered the process for 6: /submit waited for both."""
INTERVAL_SECONDS = 1.0
# Without the index each is some statements: a few players' at once, and no player's more often than this. A little sooner than
# pages are asked for, since those of all players take a while.
MYSQL_SECONDS = 4.0
_MYSQL_AT_ONCE = 4

_Asked = tuple[Watcher, State, Ranked]
Found = tuple[Neighbours | None, int]
"""A player among those who stand next to them, none if they are not ranked; and how many are."""


class OwnRanks:
    """One process's."""

    def __init__(self, index: RankingIndex, reads: Reads) -> None:
        self._index = index
        self._reads = reads
        self._failed = False

    @staticmethod
    def is_due(watcher: Watcher, now: float) -> bool:
        """Whether the own rank of who watches may be another by now, and may be looked up again."""
        watched = watcher.watched
        if watcher.caller is None or watched.state is None:
            return False
        if watched.indexed or watched.place is None:
            return watcher.own_of is not watched.state and now - watcher.own_at >= INTERVAL_SECONDS
        return now - watcher.own_at >= MYSQL_SECONDS and not (watched.over and watcher.own_of is watched.state)

    async def look(self, watchers: Iterable[Watcher]) -> list[Watcher]:
        """Look up the own ranks of some who watch, at most PLAYERS_A_CALL. Gives those who have something to be told."""
        now = monotonic()
        told, asked = [], []
        for watcher in islice(watchers, PLAYERS_A_CALL):
            state, place = watcher.watched.state, watcher.watched.place
            if state is None:  # another period is shown since
                continue
            watcher.own_at = now
            if place is None:
                told += _note(watcher, state, None, (None, 0), {})
            else:
                asked.append((watcher, state, place))
        found, others = await self._look_up(asked)
        gone = await self._find_gone([(watcher, place, close) for watcher, _, place, close in found])
        for watcher, state, place, close in found:
            told += _note(watcher, state, place, close[:2], gone.get(place, {}), close.digest)
        for start in range(0, len(others), _MYSQL_AT_ONCE):
            for each in await asyncio.gather(*(self._read(*other) for other in others[start : start + _MYSQL_AT_ONCE])):
                told += each
        return told

    async def _look_up(self, asked: Sequence[_Asked]) -> tuple[list[tuple[Watcher, State, Ranked, Close]], list[_Asked]]:
        """Those around whom it is not as it was when they were looked up last, and those of whom the index tells nothing."""
        questions: dict[Ranked, dict[tuple[int, int, str], None]] = {}
        # What a watcher knows is forgotten when another period begins, which may be while this is asked.
        each_question = [(_user(watcher), RADIUS, watcher.near) for watcher, _, _ in asked]
        for (_, _, place), question in zip(asked, each_question, strict=True):
            questions.setdefault(place, {})[question] = None
        answers = await self._index.look_up_each(CLOSE, {place: list(of_place) for place, of_place in questions.items()})
        told = {
            place: dict(zip(questions[place], answer, strict=True)) for place, answer in answers.items() if answer is not None
        }
        found, others = [], []
        for (watcher, state, place), question in zip(asked, each_question, strict=True):
            if place not in told:
                others.append((watcher, state, place))
            elif (close := told[place][question]) is not None:
                found.append((watcher, state, place, close))
            else:
                watcher.own_of = state
        return found, others

    async def _find_gone(self, found: Iterable[tuple[Watcher, Ranked, Close]]) -> Mapping[Ranked, Mapping[int, Position]]:
        """Where those stand now who stood close behind somebody, and do not stand near them any more."""
        questions: dict[Ranked, dict[int, None]] = {}
        for watcher, place, close in found:
            for user_id in _gone(watcher, close.neighbours):
                questions.setdefault(place, {})[user_id] = None
        answers = await self._index.look_up_each(RANKS, {place: list(of_place) for place, of_place in questions.items()})
        return {
            place: {
                user_id: position
                for user_id, (position, _) in zip(questions[place], answer, strict=True)
                if position is not None
            }
            for place, answer in answers.items()
            if answer is not None
        }

    async def _read(self, watcher: Watcher, state: State, place: Ranked) -> list[Watcher]:
        """The same of one, from MySQL."""
        try:
            try:
                found: Found = await self._reads.neighbours(place, _user(watcher), RADIUS)
            except PlayerNotFound:
                found = None, await self._reads.count_players(place)
            gone = {}
            for user_id in _gone(watcher, found[0]):
                with suppress(PlayerNotFound):
                    gone[user_id] = (await self._reads.position(place, user_id))[0]
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            if not self._failed:
                log.warning("own ranks of live streams cannot be read, trying again", error=reason(error))
            self._failed = True
            return []
        self._failed = False
        return _note(watcher, state, place, found, gone)


def _user(watcher: Watcher) -> int:
    assert watcher.caller is not None
    return watcher.caller.user_id


def _gone(watcher: Watcher, found: Neighbours | None) -> set[int]:
    """Who stood close behind and is not near any more."""
    return set(watcher.behind).difference(player.user_id for player in found.players) if found else set()


def _note(
    watcher: Watcher, state: State, place: Ranked | None, found: Found, gone: Mapping[int, Position], near: str = ""
) -> list[Watcher]:
    """Keep what was found of a watcher's own rank. Gives the watcher if there is something to tell."""
    shown = watcher.watched.shown
    if shown.place != place:  # another period is shown by now
        return []
    caller = watcher.caller
    assert caller is not None
    neighbours, total_players = found
    player, score, rank = PlayerScore(caller.user_id, caller.username, 0), None, None
    passed_by: list[Passer] = []
    behind: Sequence[int] = ()
    if neighbours is not None:
        users = [each.user_id for each in neighbours.players]
        at = users.index(caller.user_id)
        ahead, player = neighbours.players[:at], neighbours.players[at]
        *ranks, rank = ranking.ranks([*[each.score for each in ahead], player.score], neighbours.offset, neighbours.ahead)
        score = player.score
        passed_by = _passers(watcher.behind, rank, [*zip(ranks, ahead, strict=True)], gone) if watcher.behind else []
        behind = users[at + 1 :]
    watcher.own_of, watcher.behind, watcher.near = state, behind, near
    standing = Standing(score, rank, total_players)
    if standing == watcher.standing and not passed_by:
        return []
    watcher.standing = standing
    period_id = None if place is None else place.at.period_id
    head = rendering.head(shown.board.name, shown.window.definition.name, period_id)
    watcher.own = events.own_rank(head, player, score, rank, total_players, passed_by)
    return [watcher]


def _passers(behind: Sequence[int], rank: int, ahead: Sequence[Passer], gone: Mapping[int, Position]) -> list[Passer]:
    """Those of ``behind`` who have a better rank now: of those who stand just ahead, and of those who are far ahead."""
    near = [(other, player) for other, player in ahead if other < rank and player.user_id in behind]
    far = [(1 + each.ahead, each.player) for user_id, each in gone.items() if user_id in behind and 1 + each.ahead < rank]
    return sorted(far) + near
