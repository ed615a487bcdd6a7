"""What the index is asked of a place: the scripts, what they are given, and what they tell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Generic, NamedTuple, TypeVar

from services.leaderboard.index.connection import Arguments, Script
from services.leaderboard.index.layout import keys, neighbours, page, page_key, parse_sort, player, sort_key
from services.leaderboard.rules import distribution
from services.leaderboard.rules.distribution import Bin, Distribution
from services.leaderboard.rules.places import Ranked
from services.leaderboard.rules.standings import Neighbours, NextRank, Placing, PlayerScore, Position, Span

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
    return keys(place.at), [epoch, *(part for question in asked for part in (*question, ""))]


def _parse_arounds(place: Ranked, _asked: Sequence[tuple[int, int]], answer: Any) -> list[tuple[Neighbours | None, int]]:
    total_players, *found = answer
    return [(rows and neighbours(rows[0], rows[1], place.direction), total_players) for rows in found]


class Close(NamedTuple):
    """A player among others, or none if they are not ranked, and how many are. ``digest`` tells whether it is still so, '' of
    a player who is not ranked.
    """

    neighbours: Neighbours | None
    total_players: int
    digest: str


def _ask_close(place: Ranked, epoch: str, asked: Sequence[tuple[int, int, str]]) -> tuple[list[str], Arguments]:
    return keys(place.at), [epoch, *(part for question in asked for part in question)]


def _parse_close(place: Ranked, _asked: Sequence[tuple[int, int, str]], answer: Any) -> list[Close | None]:
    total_players, *found = answer
    return [None if each == 1 else _close(place, each, total_players) for each in found]


def _close(place: Ranked, found: tuple[int, bytes] | None, total_players: int) -> Close:
    if found is None:
        return Close(None, total_players, "")
    offset, rows = found
    digest = sha1(b"%d %d %b" % (total_players, offset, rows), usedforsecurity=False).hexdigest()  # what Redis has
    return Close(neighbours(offset, rows, place.direction), total_players, digest)


def _ask_placings(place: Ranked, epoch: str, user_ids: Sequence[int]) -> tuple[list[str], Arguments]:
    return keys(place.at), [epoch, *(f"U{user_id}" for user_id in user_ids)]


def _parse_placings(place: Ranked, user_ids: Sequence[int], answer: Any) -> list[Placing | None]:
    total_players, *found = answer
    placings: list[Placing | None] = []
    for user_id, each in zip(user_ids, found, strict=True):
        if each is None:
            placings.append(None)
            continue
        sort, ahead, username, *better = each
        position = Position(player(user_id, sort, username, place.direction), ahead)
        placings.append(Placing(position, total_players, _next_rank(parse_sort(sort), better)))
    return placings


def _ask_own_placings(place: Ranked, epoch: str, own: Sequence[PlayerScore]) -> tuple[list[str], Arguments]:
    return keys(place.at), [epoch, *(f"S{place.direction.sort(each.score)} {each.user_id}" for each in own)]


def _parse_own_placings(place: Ranked, own: Sequence[PlayerScore], answer: Any) -> list[Placing]:
    total_players, *found = answer
    return [
        Placing(Position(each, ahead), total_players, _next_rank(place.direction.sort(each.score), better))
        for each, (ahead, *better) in zip(own, found, strict=True)
    ]


def _next_rank(sort: int, better: Sequence[Any]) -> NextRank | None:
    """What is told of the next better sort, and how many are ahead of that."""
    return NextRank(sort - parse_sort(better[0]), 1 + better[1]) if better else None


def _ask_lists(place: Ranked, epoch: str, asked: Sequence[tuple[int, ...]]) -> tuple[list[str], Arguments]:
    return _ask_ranks(place, epoch, [user_id for user_ids in asked for user_id in user_ids])


def _parse_lists(place: Ranked, asked: Sequence[tuple[int, ...]], answer: Any) -> list[tuple[list[Position], int]]:
    found = iter(_parse_ranks(place, [user_id for user_ids in asked for user_id in user_ids], answer))
    lists = [[next(found)[0] for _ in user_ids] for user_ids in asked]
    return [([position for position in each if position is not None], answer[0]) for each in lists]


def _ask_distributions(place: Ranked, epoch: str, bins: Sequence[int]) -> tuple[list[str], Arguments]:
    percents = " ".join(map(str, distribution.QUANTILES))
    return keys(place.at), [epoch, place.direction.sort(1), percents, *bins]


def _parse_distributions(place: Ranked, bins: Sequence[int], answer: Any) -> list[Distribution]:
    if len(answer) == 1:
        return [Distribution(0, [], [])] * len(bins)
    total_players, sorts, *counted = answer
    least, greatest, *quantiles = [place.direction.score(parse_sort(sort)) for sort in sorts]
    return [
        Distribution(
            total_players,
            [Bin(*edge, each) for edge, each in zip(distribution.edges(least, greatest, most), counts, strict=True)],
            quantiles,
        )
        for most, counts in zip(bins, counted, strict=True)
    ]


PAGES: Kind[tuple[str, Span, bytes], Page] = Kind(Script("page"), _ask_pages, _parse_pages)
"""How it is rendered, which page, and the generation of the one that the asker has."""
_RANKS = Script("ranks")
RANKS: Kind[int, tuple[Position | None, int]] = Kind(_RANKS, _ask_ranks, _parse_ranks)
"""A player. With each answer, how many are ranked."""
AHEADS: Kind[tuple[int, int], tuple[int, int]] = Kind(_RANKS, _ask_aheads, _parse_aheads)
"""A player and a score."""
PLACINGS: Kind[int, Placing | None] = Kind(_RANKS, _ask_placings, _parse_placings)
"""A player, with what they lack of a better rank."""
OWN_PLACINGS: Kind[PlayerScore, Placing] = Kind(_RANKS, _ask_own_placings, _parse_own_placings)
"""The same of a player with this score."""
LISTS: Kind[tuple[int, ...], tuple[list[Position], int]] = Kind(_RANKS, _ask_lists, _parse_lists)
"""Some players: those of them who are ranked, in their order. With each answer, how many are ranked."""
_AROUND = Script("around")
AROUNDS: Kind[tuple[int, int], tuple[Neighbours | None, int]] = Kind(_AROUND, _ask_arounds, _parse_arounds)
"""A player, and how many on either side."""
CLOSE: Kind[tuple[int, int, str], Close | None] = Kind(_AROUND, _ask_close, _parse_close)
"""The same, and the digest of what the asker knows of them, or ''. None: it is still so."""
DISTRIBUTIONS: Kind[int, Distribution] = Kind(Script("distribution"), _ask_distributions, _parse_distributions)
"""How many bins there may be."""
