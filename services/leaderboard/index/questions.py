"""What the index is asked of a place: the scripts, what they are given, and what they tell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from services.leaderboard.index.connection import Arguments, Script
from services.leaderboard.index.layout import keys, neighbours, page, page_key, player, sort_key
from services.leaderboard.rules.places import Ranked
from services.leaderboard.rules.standings import Neighbours, Position, Span

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


def _ask_pages(place: Ranked, epoch: str, asked: Sequence[tuple[str, Span, bytes]]) -> tuple[list[str], Arguments]:
    arguments: list[str | bytes | int] = [epoch]
    for _, (limit, offset, after), known in asked:
        end = ("", "") if after is None else (after.sort, sort_key(after.reached_session_id))
        arguments += [limit, offset, *end, known]
    return [*keys(place.at), *(page_key(place.at, style, span) for style, span, _ in asked)], arguments


def _parse_pages(place: Ranked, _asked: Sequence[tuple[str, Span, bytes]], answer: Any) -> list[Page]:
    generation, total_players, *found = answer
    return [
        Page(
            generation,
            total_players,
            body=each if isinstance(each, bytes) else None,
            neighbours=page(each[0], each[1], place.direction) if isinstance(each, list) else None,
        )
        for each in found
    ]


def _ask_ranks(place: Ranked, epoch: str, user_ids: Sequence[int]) -> tuple[list[str], Arguments]:
    return keys(place.at), [epoch, *(f"u{user_id}" for user_id in user_ids)]


def _parse_ranks(place: Ranked, user_ids: Sequence[int], answer: Any) -> list[tuple[Position | None, int]]:
    total_players, *positions = answer
    return [
        (found and Position(player(user, found[0], found[2], place.direction), found[1]), total_players)
        for user, found in zip(user_ids, positions, strict=True)
    ]


def _ask_aheads(place: Ranked, epoch: str, scores: Sequence[tuple[int, int]]) -> tuple[list[str], Arguments]:
    return keys(place.at), [epoch, *(f"s{place.direction.sort(score)} {user_id}" for user_id, score in scores)]


def _parse_aheads(_place: Ranked, _scores: Sequence[tuple[int, int]], answer: Any) -> list[tuple[int, int]]:
    total_players, *aheads = answer
    return [(ahead, total_players) for ahead in aheads]


def _ask_arounds(place: Ranked, epoch: str, asked: Sequence[tuple[int, int]]) -> tuple[list[str], Arguments]:
    return keys(place.at), [epoch, *(part for question in asked for part in question)]


def _parse_arounds(place: Ranked, _asked: Sequence[tuple[int, int]], answer: Any) -> list[tuple[Neighbours | None, int]]:
    total_players, *found = answer
    return [(rows and neighbours(rows[0], rows[1], place.direction), total_players) for rows in found]


PAGES: Kind[tuple[str, Span, bytes], Page] = Kind(Script("page"), _ask_pages, _parse_pages)
"""How it is rendered, which page, and the generation of the one that the asker has."""
_RANKS = Script("ranks")
RANKS: Kind[int, tuple[Position | None, int]] = Kind(_RANKS, _ask_ranks, _parse_ranks)
"""A player. With each answer, how many are ranked."""
AHEADS: Kind[tuple[int, int], tuple[int, int]] = Kind(_RANKS, _ask_aheads, _parse_aheads)
"""A player and a score."""
AROUNDS: Kind[tuple[int, int], tuple[Neighbours | None, int]] = Kind(Script("around"), _ask_arounds, _parse_arounds)
"""A player, and how many on either side."""
