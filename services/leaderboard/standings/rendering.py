"""Answers as JSON, written straight from what was read: the schemas say what they look like, and tests hold the two together.

A page is rendered once and sent many times, but a rank is rendered for each request, and there Pydantic would cost more than
finding the rank does.
"""

from collections.abc import Sequence
from json.encoder import encode_basestring  # the C one where there is one; like Pydantic it leaves non-ASCII as it is
from typing import NamedTuple

from services.common.tokens import Principal
from services.leaderboard.rules import ranking
from services.leaderboard.rules.places import MAIN
from services.leaderboard.rules.standings import Neighbours, PlaceRank, PlayerScore


def top(found: Neighbours, limit: int, total_players: int) -> bytes:
    """`TopPage`."""
    return f'{{"top":[{_rows(found)}],"limit":{limit},"offset":{found.offset},"total_players":{total_players}}}'.encode()


def around(found: Neighbours) -> bytes:
    """`PlayersAround`."""
    return f'{{"players":[{_rows(found)}]}}'.encode()


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


def submitted(player: Principal, session_id: int, standings: Sequence[RankedIn]) -> bytes:
    """`SubmittedSession`. Names of boards and windows need no escape."""
    name = encode_basestring(player.username)
    main = next((rank for _, _, rank in standings if rank.at == MAIN), None)
    score, place = (None, None) if main is None else (main.score or 0, main.rank)
    listed = [
        f'{{"board":"{board}","window":"{window}","period_id":{rank.at.period_id},"score":{_number(rank.score)},'
        f'"rank":{_number(rank.rank)},"total_players":{_number(rank.total_players)},"counted":true,'
        f'"improved":{"true" if rank.improved else "false"}}}'
        for board, window, rank in standings
    ]
    return (
        f'{{"session_id":{session_id},"user_id":{player.user_id},"username":{name},"total_score":{_number(score)},'
        f'"rank":{_number(place)},"standings":[{",".join(listed)}]}}'
    ).encode()


def _number(value: int | None) -> int | str:
    return "null" if value is None else value


def _rows(found: Neighbours) -> str:
    ranks = ranking.ranks([player.score for player in found.players], found.offset, found.ahead)
    rows = [
        f'{{"rank":{place},"user_id":{user_id},"username":{encode_basestring(username)},"total_score":{score}}}'
        for place, (user_id, username, score) in zip(ranks, found.players, strict=True)
    ]
    return ",".join(rows)
