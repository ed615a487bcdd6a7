"""The use cases that read any board in any of its periods: pages, ranks and neighbours, and where a player stands.

Names are looked up here. What is found of a place is found in reads.py, as for the main board.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import NamedTuple

from services.common.mysql.database import Database
from services.common.tokens import Principal
from services.leaderboard.boards.places import Places, Shown
from services.leaderboard.cursors import Listing
from services.leaderboard.index.pages import RenderedPage, Style
from services.leaderboard.reads import Reads, not_found
from services.leaderboard.rules.places import Ranked
from services.leaderboard.rules.standings import End, Neighbours, PlayerScore, Span
from services.leaderboard.standings import queries, rendering, table

_END = r"-?[0-9]{1,16}-[1-9][0-9]{0,19}"
# A period may have expired since.
_KNOWN_SECONDS = 1.0
_MOST_VIEWS = 10_000


class Asked(NamedTuple):
    """Where to look: on a board, in a window of it, in a period. None: the first window, and the period of now."""

    board: str
    window: str | None = None
    period: str | None = None


class CurrentStanding(NamedTuple):
    """How a player stands in a place that goes on, by the names of its board and of its window."""

    board: str
    window: str
    period_id: int
    score: int
    rank: int
    total_players: int | None


class _View(NamedTuple):
    """What is shown of a place, as long as it is right: until a moment by this process's clock, while its board is the same."""

    shown: Shown
    head: str
    style: Style | None
    listing: Listing
    good_until: float


class BoardReads:
    """Boards by their names. ``clock`` is MySQL's, as this process knows it; ``snapshots`` as `Reads` has it."""

    def __init__(self, places: Places, reads: Reads, snapshots: Database, clock: Callable[[], datetime]) -> None:
        self._places = places
        self._reads = reads
        self._snapshots = snapshots
        self._clock = clock
        self._views: dict[Asked, _View] = {}

    async def find(self, asked: Asked) -> Ranked | None:
        """Where that is. None where nobody has played yet.

        Raises BoardNotFound, WindowNotFound, PeriodNotFound and PeriodExpired, as every method here that is asked for a place.
        """
        return (await self.look(asked))[0].place

    async def look(self, asked: Asked) -> tuple[Shown, str]:
        """What is shown there, and what every answer about it begins with (`rendering.head`)."""
        view = self._known(asked) or await self._view(asked)
        return view.shown, view.head

    async def shown(self, asked: Asked) -> tuple[Shown, Style | None]:
        """What is shown of a place, and how its pages are rendered: None where nobody has played yet."""
        view = self._known(asked) or await self._view(asked)
        return view.shown, view.style

    async def top(self, asked: Asked, limit: int, offset: int, cursor: str | None) -> RenderedPage:
        """A page (`BoardPage`): after the one that gave the ``cursor``, else from an offset on.

        Raises InvalidRequest when the cursor is not one of this place.
        """
        view = self._known(asked) or await self._view(asked)
        place = view.shown.place
        after = None if cursor is None else _end(view.listing.decode(cursor))
        if place is None or view.style is None:
            return RenderedPage.of(rendering.board_page(view.head, Neighbours([], offset, 0), {}, 0, None, None))
        return await self._reads.page(place, view.style, Span(limit, 0 if after else offset, after))

    async def rank(self, asked: Asked, user_id: int) -> bytes:
        """A player's rank (`BoardRank`). Raises PlayerNotFound."""
        view = self._known(asked) or await self._view(asked)
        if view.shown.place is None:
            raise not_found(user_id)
        placing = await self._reads.placing(view.shown.place, user_id)
        extra = None
        if view.shown.board.definition.show_extra:
            extra = (await self._extras_of(view.shown, [placing.position.player])).get(user_id)
        return rendering.board_rank(view.head, placing, extra)

    async def own_rank(self, asked: Asked, caller: Principal) -> bytes:
        """The caller's rank (`OwnBoardRank`): without score and rank before their first session there."""
        view = self._known(asked) or await self._view(asked)
        place = view.shown.place
        found = await self._reads.own_placing(place, caller) if place else None
        if found is None:
            total_players = await self._reads.count_players(place) if place else 0
            return rendering.unranked(view.head, caller.user_id, caller.username, total_players)
        extras = await self._extras_of(view.shown, [found.position.player])
        return rendering.board_rank(view.head, found, extras.get(caller.user_id))

    async def around(self, asked: Asked, user_id: int, radius: int) -> bytes:
        """A player among those who stand next to them (`BoardAround`). Raises PlayerNotFound."""
        view = self._known(asked) or await self._view(asked)
        if view.shown.place is None:
            raise not_found(user_id)
        found, total_players = await self._reads.neighbours(view.shown.place, user_id, radius)
        extras: dict[int, str] = {}
        if view.shown.board.definition.show_extra:
            by_player = await self._extras_of(view.shown, found.players)
            extras = {
                number: by_player[player.user_id] for number, player in enumerate(found.players) if player.user_id in by_player
            }
        return rendering.board_around(view.head, found, extras, total_players)

    async def standings(self, user_id: int) -> bytes:
        """Where a player stands in every place that goes on (`PlayerStandings`): in none, if they have not played."""
        return rendering.standings([rendering.standing(*each) for each in await self.list_standings(user_id)])

    async def list_standings(self, user_id: int) -> list[CurrentStanding]:
        """The same, for who shows more of it."""
        async with self._snapshots.reading() as connection:
            scores = await table.list_current(connection, user_id)
        places = await self._places.ranked(scores)
        ranks = await self._reads.ranks_of(user_id, {place: scores[at] for at, place in places.items()})
        return [CurrentStanding(*await self._places.names(at), at.period_id, scores[at], *ranks[at]) for at in places]

    def _known(self, asked: Asked) -> _View | None:
        view = self._views.get(asked)
        if (
            view is not None
            and monotonic() < view.good_until
            and self._places.find_board(asked.board) is view.shown.board  # another object, once it has changed
        ):
            return view
        return None

    async def _view(self, asked: Asked) -> _View:
        shown = await self._places.shown(asked.board, asked.window, asked.period, self._clock)
        place = shown.place
        listing = Listing("t1", _END, place.at if place else ())
        if place is None:  # whoever plays first makes another of it
            return _View(shown, _head(shown), None, listing, 0.0)
        # A board may begin or cease to show what was kept with sessions: what was rendered before is no such page then.
        name = "board+extra" if shown.board.definition.show_extra else "board"
        style = Style(name, partial(self._render, shown, place, listing))
        seconds = _KNOWN_SECONDS
        if shown.ends_at is not None:
            seconds = min(seconds, (shown.ends_at - self._clock()).total_seconds())
        view = _View(shown, _head(shown), style, listing, monotonic() + seconds)
        if len(self._views) >= _MOST_VIEWS:
            self._views.clear()
        self._views[asked] = view
        return view

    async def _render(
        self,
        shown: Shown,
        place: Ranked,
        listing: Listing,
        found: Neighbours,
        span: Span,
        total_players: int,
        generation: str | None,
    ) -> bytes:
        next_cursor = None
        if len(found.players) == span.limit and found.offset + span.limit < total_players:
            next_cursor = listing.encode(f"{place.direction.sort(found.players[-1].score)}-{found.reached[-1]}")
        extras: dict[int, str] = {}
        if shown.board.definition.show_extra and found.reached:
            async with self._snapshots.reading() as connection:
                by_session = await queries.list_extras(connection, found.reached)
            extras = {number: by_session[each] for number, each in enumerate(found.reached) if each in by_session}
        return rendering.board_page(_head(shown), found, extras, total_players, generation, next_cursor)

    async def _extras_of(self, shown: Shown, players: Sequence[PlayerScore]) -> dict[int, str]:
        """What the game kept with the sessions that made these players' scores, where the board shows it.

        Nothing of who has another score by now: what a later session kept is not shown beside an earlier score.
        """
        if not shown.board.definition.show_extra or shown.place is None:
            return {}
        scores = {player.user_id: player.score for player in players}
        async with self._snapshots.reading() as connection:
            reached = await queries.list_reached(connection, shown.place.at, scores)
            extras = await queries.list_extras(connection, [session_id for _, session_id in reached.values()])
        return {
            user_id: extras[session_id]
            for user_id, (score, session_id) in reached.items()
            if score == scores[user_id] and session_id in extras
        }


def _head(shown: Shown) -> str:
    period_id = None if shown.place is None else shown.place.at.period_id
    return rendering.head(shown.board.name, shown.window.definition.name, period_id)


def _end(text: str) -> End:
    sort, _, reached = text.rpartition("-")
    return End(int(sort), int(reached))
