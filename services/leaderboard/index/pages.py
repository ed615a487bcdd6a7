"""The page cache: pages of the board as they were rendered, good as long as the board's generation is the same.

The index gives a board and period a new generation with every change, in the script that makes the change, and a page is
read together with the generation that it shows. So a page is good if, and only if, it was rendered under the generation of
now: nothing has to be found and deleted, and a page that is stored late is never believed.

A page is looked for in this process, then in Redis, where another process may have left it, and else it is rendered. Finding
out the generation, the page in Redis and the rows to render are one round trip, which all who ask at the same time share.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.standings import rendering

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


class PageCache:
    """Pages of the ranking index."""

    def __init__(self, settings: LeaderboardSettings, index: RankingIndex) -> None:
        self._index = index
        self._ttl_ms = max(1, int(settings.cache_ttl * 1000))
        self._kept: OrderedDict[tuple[Place, int, int], tuple[bytes, RenderedPage]] = OrderedDict()
        self._storing: set[asyncio.Task[None]] = set()

    @property
    def pages(self) -> int:
        """How many pages this process keeps."""
        return len(self._kept)

    async def find(self, ranked: Ranked, limit: int, offset: int) -> RenderedPage | None:
        """A page as it is now. None when the index is not to be read."""
        at = ranked.at
        place = at, limit, offset
        kept = self._kept.get(place)
        found = await self._index.page(ranked, limit, offset, kept[0] if kept else b"")
        if found is None:
            return None
        # Another who asked at the same time may have rendered it since; nothing is awaited from here to where it is kept.
        now = self._kept.get(place)
        if now is not None and now[0] == found.generation:
            self._kept.move_to_end(place)
            return now[1]
        if found.neighbours is not None:
            page = RenderedPage.of(rendering.top(found.neighbours, limit, found.total_players))
            self._store(at, limit, offset, found.generation, page)
        elif found.body is not None:
            page = RenderedPage.of(found.body)
        else:
            assert kept is not None  # the index said that what we have is good
            return kept[1]
        self._kept[place] = found.generation, page
        if len(self._kept) > MOST_PAGES:
            self._kept.popitem(last=False)
        return page

    async def aclose(self) -> None:
        """Return when nothing is on its way to Redis any more."""
        if self._storing:
            await asyncio.wait(self._storing)

    def _store(self, at: Place, limit: int, offset: int, generation: bytes, page: RenderedPage) -> None:
        """Leave the page for other processes, off the answer's path."""
        task = asyncio.create_task(self._index.keep_page(at, limit, offset, generation, page.body, self._ttl_ms))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
