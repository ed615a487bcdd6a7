"""Answers as JSON, written straight from what was read: the schemas say what they look like, and tests hold the two together.

A page is rendered once and sent many times, but a rank is rendered for each request, and there Pydantic would cost more than
finding the rank does.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from json.encoder import encode_basestring  # the C one where there is one; like Pydantic it leaves non-ASCII as it is
from types import MappingProxyType
from typing import NamedTuple

from services.leaderboard.rules import distribution, percentiles, ranking
from services.leaderboard.rules.distribution import Distribution
from services.leaderboard.rules.places import MAIN
from services.leaderboard.rules.standings import Neighbours, PlaceRank, Placing, PlayerScore, Position, Span


def top(found: Neighbours, span: Span, total_players: int) -> bytes:
    """`TopPage`."""
    shown = f'"limit":{span.limit},"offset":{found.offset},"total_players":{total_players}'
    return f'{{"top":[{_rows(found, "total_score")}],{shown}}}'.encode()


def around(found: Neighbours) -> bytes:
    """`PlayersAround`."""
    return f'{{"players":[{_rows(found, "total_score")}]}}'.encode()


def board_page(
    head: str, found: Neighbours, extras: Mapping[int, str], total_players: int, generation: str | None, next_cursor: str | None
) -> bytes:
    """`BoardPage`. ``extras``: what is shown of players beside their scores, by their place among those found."""
    ends = f'"total_players":{total_players},"generation":{_quoted(generation)},"next_cursor":{_quoted(next_cursor)}'
    return f'{{{head},"top":[{_rows(found, "score", extras)}],"offset":{found.offset},{ends}}}'.encode()


def board_around(head: str, found: Neighbours | None, extras: Mapping[int, str], total_players: int) -> bytes:
    """`BoardAround`."""
    rows = "" if found is None else _rows(found, "score", extras)
    return f'{{{head},"players":[{rows}],"total_players":{total_players}}}'.encode()


def board_rank(head: str, placing: Placing, extra: str | None) -> bytes:
    """`BoardRank`."""
    (player, ahead), total_players, next_rank = placing
    more = "" if extra is None else f',"extra":{extra}'
    to_next = "null" if next_rank is None else f'{{"points":{next_rank.points},"rank":{next_rank.rank}}}'
    # An index that has not heard of the player yet counts only the others.
    counted = max(total_players, 1 + ahead)
    percentile = percentiles.percentile(counted - ahead, counted)
    return (
        f'{{{head},"rank":{1 + ahead},"user_id":{player.user_id},"username":{encode_basestring(player.username)},'
        f'"score":{player.score}{more},"total_players":{total_players},"percentile":{percentile},"to_next":{to_next}}}'
    ).encode()


def unranked(head: str, user_id: int, username: str, total_players: int) -> bytes:
    """`OwnBoardRank` of one who has no score there."""
    return (
        f'{{{head},"rank":null,"user_id":{user_id},"username":{encode_basestring(username)},"score":null,'
        f'"total_players":{total_players},"percentile":null,"to_next":null}}'
    ).encode()


def score_rank(head: str, score: int, ahead: int, total_players: int) -> bytes:
    """`ScoreRank`."""
    percentile = percentiles.percentile(total_players - ahead, total_players) if total_players else "null"
    return (f'{{{head},"score":{score},"rank":{1 + ahead},"total_players":{total_players},"percentile":{percentile}}}').encode()


def player_ranks(
    head: str, positions: Sequence[Position], others: Sequence[tuple[int, str | None]], total_players: int
) -> bytes:
    """`PlayerRanks`: of those who are ranked, by rank, then of ``others``, with their names if they have any."""
    rows = []
    place, before = 0, -1
    for number, ((user_id, username, score), ahead) in enumerate(positions, 1):
        if ahead != before:
            place, before = number, ahead
        of_player = f'"user_id":{user_id},"username":{encode_basestring(username)}'
        rows.append(f'{{{of_player},"rank":{1 + ahead},"score":{score},"place":{place}}}')
    for user_id, name in others:
        shown = "null" if name is None else encode_basestring(name)
        rows.append(f'{{"user_id":{user_id},"username":{shown},"rank":null,"score":null,"place":null}}')
    return f'{{{head},"ranks":[{",".join(rows)}],"total_players":{total_players}}}'.encode()


def score_distribution(head: str, found: Distribution) -> bytes:
    """`ScoreDistribution`."""
    bins = ",".join([f'{{"from":{least},"to":{greatest},"count":{count}}}' for least, greatest, count in found.bins])
    quantiles = zip_longest(distribution.QUANTILES, found.quantiles)
    told = ",".join([f'"{percent}":{_number(score)}' for percent, score in quantiles])
    return f'{{{head},"total_players":{found.total_players},"bins":[{bins}],"quantiles":{{{told}}}}}'.encode()


def standing(board: str, window: str, period_id: int, score: int, rank: int, total_players: int | None) -> str:
    """A `PlayerStanding`."""
    more = f'"score":{score},"rank":{rank},"total_players":{_number(total_players)}'
    return f'{{"board":"{board}","window":"{window}","period_id":{period_id},{more}}}'


def standings(listed: Sequence[str]) -> bytes:
    """`PlayerStandings`."""
    return f'{{"standings":[{",".join(listed)}]}}'.encode()


def head(board: str, window: str, period_id: int | None) -> str:
    """What every answer of a board begins with. Names of boards and windows need no escape."""
    return f'"board":"{board}","window":"{window}","period_id":{_number(period_id)}'


def rank(player: PlayerScore, ahead: int | None) -> bytes:
    """`PlayerRank`, or an `OwnRank` without a rank."""
    place = "null" if ahead is None else 1 + ahead
    name = encode_basestring(player.username)
    return f'{{"user_id":{player.user_id},"username":{name},"total_score":{player.score},"rank":{place}}}'.encode()


class RankedIn(NamedTuple):
    """How a player stands in a place, by the names of its board and of its window."""

    board: str
    window: str
    rank: PlaceRank


def submitted(user_id: int, username: str, session_id: int, standings: Sequence[RankedIn], *, held: bool = False) -> bytes:
    """`SubmittedSession`. Names of boards and windows need no escape."""
    name = encode_basestring(username)
    main = next((rank for _, _, rank in standings if rank.at == MAIN), None)
    score, place = (None, None) if main is None else (main.score or 0, main.rank)
    return (
        f'{{"session_id":{session_id},"user_id":{user_id},"username":{name},"total_score":{_number(score)},'
        f'"rank":{_number(place)},{_counting(standings, held=held)}}}'
    ).encode()


def stored_item(status: int, session_id: int, standings: Sequence[RankedIn], *, held: bool = False) -> str:
    """`StoredItem`."""
    return f'{{"status":{status},"session_id":{session_id},{_counting(standings, held=held)}}}'


def results(items: Sequence[str]) -> bytes:
    """`BatchResults`."""
    return f'{{"results":[{",".join(items)}]}}'.encode()


def _counting(standings: Sequence[RankedIn], *, held: bool) -> str:
    counted, is_held = ("false", "true") if held else ("true", "false")
    listed = ",".join(
        [
            f'{{"board":"{board}","window":"{window}","period_id":{rank.at.period_id},"score":{_number(rank.score)},'
            f'"rank":{_number(rank.rank)},"total_players":{_number(rank.total_players)},"counted":{counted},'
            f'"improved":{"true" if rank.improved else "false"}}}'
            for board, window, rank in standings
        ]
    )
    return f'"held":{is_held},"standings":[{listed}]'


def _number(value: int | None) -> int | str:
    return "null" if value is None else value


def _quoted(text: str | None) -> str:
    return "null" if text is None else f'"{text}"'


def _rows(found: Neighbours, score_name: str, extras: Mapping[int, str] = MappingProxyType({})) -> str:
    ranks = ranking.ranks([player.score for player in found.players], found.offset, found.ahead)
    rows = [
        f'{{"rank":{place},"user_id":{user_id},"username":{encode_basestring(username)},"{score_name}":{score}}}'
        for place, (user_id, username, score) in zip(ranks, found.players, strict=True)
    ]
    for number, extra in extras.items():
        rows[number] = f'{rows[number][:-1]},"extra":{extra}}}'
    return ",".join(rows)
