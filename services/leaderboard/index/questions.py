"""What the index is asked of a place: the scripts, what they are given, and what they tell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from services.leaderboard.index.connection import Arguments, Script
from services.leaderboard.index.layout import keys, neighbours, page_key, player
from services.leaderboard.rules.places import Ranked
from services.leaderboard.rules.standings import Neighbours, Position

K = TypeVar("K")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Kind(Generic[K, R]):
    """A kind of question: its script, the keys and arguments of a call about many such questions, and their answers."""

    script: Script
    ask: Callable[[Ranked, str, Sequence[K]], tuple[list[str], Arguments]]
    """Is given the place, the epoch, and the questions."""
    parse: Callable[[Ranked, Sequence[K], Any], Sequence[R]]


@dataclass(frozen=True, slots=True)
class Page:
    """Of a page, under a generation: ``body`` as it was rendered before, else its players; neither if the asker has it."""

    generation: bytes
    total_players: int
    body: bytes | None
    neighbours: Neighbours | None


def _ask_pages(place: Ranked, epoch: str, asked: Sequence[tuple[int, int, bytes]]) -> tuple[list[str], Arguments]:
    wanted = [page_key(place.at, limit, offset) for limit, offset, _ in asked]
    return [*keys(place.at), *wanted], [epoch, *(part for question in asked for part in question)]


def _parse_pages(place: Ranked, asked: Sequence[tuple[int, int, bytes]], answer: Any) -> list[Page]:
    generation, total_players, *found = answer
    return [
        Page(
            generation,
            total_players,
            body=page if isinstance(page, bytes) else None,
            neighbours=neighbours(offset, page[0], place.direction) if isinstance(page, list) else None,
        )
        for (_, offset, _), page in zip(asked, found, strict=True)
    ]


def _ask_ranks(place: Ranked, epoch: str, user_ids: Sequence[int]) -> tuple[list[str], Arguments]:
    return keys(place.at), [epoch, *(f"u{user_id}" for user_id in user_ids)]


def _parse_ranks(place: Ranked, user_ids: Sequence[int], answer: Any) -> list[Position | None]:
    return [
        found and Position(player(user, found[0], found[2], place.direction), found[1])
        for user, found in zip(user_ids, answer, strict=True)
    ]


def _ask_aheads(place: Ranked, epoch: str, scores: Sequence[tuple[int, int]]) -> tuple[list[str], Arguments]:
    return keys(place.at), [epoch, *(f"s{place.direction.sort(score)} {user_id}" for user_id, score in scores)]


def _parse_aheads(_place: Ranked, _scores: Sequence[tuple[int, int]], answer: Any) -> list[int]:
    return list(answer)


def _ask_arounds(place: Ranked, epoch: str, asked: Sequence[tuple[int, int]]) -> tuple[list[str], Arguments]:
    return keys(place.at), [epoch, *(part for question in asked for part in question)]


def _parse_arounds(place: Ranked, _asked: Sequence[tuple[int, int]], answer: Any) -> list[Neighbours | None]:
    return [found and neighbours(found[0], found[1], place.direction) for found in answer]


PAGES: Kind[tuple[int, int, bytes], Page] = Kind(Script("page"), _ask_pages, _parse_pages)
"""Limit, offset, and the generation of the page that the asker has."""
_RANKS = Script("ranks")
RANKS: Kind[int, Position | None] = Kind(_RANKS, _ask_ranks, _parse_ranks)
"""A player."""
AHEADS: Kind[tuple[int, int], int] = Kind(_RANKS, _ask_aheads, _parse_aheads)
"""A player and a score."""
AROUNDS: Kind[tuple[int, int], Neighbours | None] = Kind(Script("around"), _ask_arounds, _parse_arounds)
"""A player, and how many on either side."""
