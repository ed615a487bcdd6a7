"""The page cache: pages of the board as they were rendered, good as long as the board's generation is the same.

The index gives a board and period a new generation with every change, in the script that makes the change, and a page is
read together with the generation that it shows. So a page is good if, and only if, it was rendered under the generation of
now: nothing has to be found and deleted, and a page that is stored late is never believed.

A page is looked for in this process, then in Redis, where another process may have left it, and else it is rendered. Finding
out the generation, the page in Redis and the rows to render are one round trip, which all who ask at the same time share.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from services.leaderboard.index.questions import Page
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.standings import Neighbours, Span
from services.leaderboard.settings import LeaderboardSettings

# Pages a process keeps: at 100 players a page about 10 kB each.
MOST_PAGES = 256


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A page as it is sent. The tag is of its bytes alone, so it is the same from every process, and after a restart."""

    body: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> Self:
        # Weak (RFC 9110, section 8.8.3): the gateway may compress the answer, and then its bytes are others.
        return cls(body, f'W/"{blake2b(body, digest_size=12).hexdigest()}"')


@dataclass(frozen=True, slots=True)
class Style:
    """How a page is rendered: from its players, what was asked for, how many are ranked, and its generation, if it has one."""

    name: str
    render: Callable[[Neighbours, Span, int, str | None], Awaitable[bytes]]


class PageCache:
    """Pages of the ranking index."""

    def __init__(self, settings: LeaderboardSettings, index: RankingIndex) -> None:
        self._index = index
        self._ttl_ms = max(1, int(settings.cache_ttl * 1000))
        self._kept: OrderedDict[tuple[Place, str, Span], tuple[bytes, RenderedPage]] = OrderedDict()
        self._storing: set[asyncio.Task[None]] = set()

    @property
    def pages(self) -> int:
        """How many pages this process keeps."""
        return len(self._kept)

    async def find(self, place: Ranked, style: Style, span: Span) -> RenderedPage | None:
        """A page as it is now, in a style. None when the index is not to be read."""
        kept = self._kept.get((place.at, style.name, span))
        found = await self._index.page(place, style.name, span, kept[0] if kept else b"")
        return None if found is None else await self.take(place, style, span, found, kept)

    async def take(
        self, place: Ranked, style: Style, span: Span, found: Page, kept: tuple[bytes, RenderedPage] | None = None
    ) -> RenderedPage:
        """The page that the index tells of, rendered if it was not before. ``kept``: the one that it was told the asker has."""
        name = place.at, style.name, span
        body = found.body
        if found.neighbours is not None:
            body = await style.render(found.neighbours, span, found.total_players, found.generation.decode())
        # Another who asked at the same time may have rendered it since; nothing is awaited from here to where it is kept.
        now = self._kept.get(name)
        if now is not None and now[0] == found.generation:
            self._kept.move_to_end(name)
            return now[1]
        if body is None:
            assert kept is not None  # the index said that what we have is good
            return kept[1]
        page = RenderedPage.of(body)
        if found.neighbours is not None:
            self._store(place.at, style, span, found.generation, page)
        self._kept[name] = found.generation, page
        if len(self._kept) > MOST_PAGES:
            self._kept.popitem(last=False)
        return page

    async def aclose(self) -> None:
        """Return when nothing is on its way to Redis any more."""
        if self._storing:
            await asyncio.wait(self._storing)

    def _store(self, at: Place, style: Style, span: Span, generation: bytes, page: RenderedPage) -> None:
        """Leave the page for other processes, off the answer's path."""
        task = asyncio.create_task(self._index.keep_page(at, style.name, span, generation, page.body, self._ttl_ms))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
