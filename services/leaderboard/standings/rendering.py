"""Answers as JSON, written straight from what was read: the schemas say what they look like, and tests hold the two together.

A page is rendered once and sent many times, but a rank is rendered for each request, and there Pydantic would cost more than
finding the rank does.
"""

from json.encoder import encode_basestring  # the C one where there is one; like Pydantic it leaves non-ASCII as it is

from services.common.tokens import Principal
from services.leaderboard.rules import ranking
from services.leaderboard.rules.standings import Neighbours, PlayerScore


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


def submitted(player: Principal, session_id: int, total_score: int, rank: int | None) -> bytes:
    """`SubmittedSession`."""
    place = "null" if rank is None else rank
    name = encode_basestring(player.username)
    return (
        f'{{"session_id":{session_id},"user_id":{player.user_id},"username":{name},"total_score":{total_score},"rank":{place}}}'
    ).encode()


def _rows(found: Neighbours) -> str:
    ranks = ranking.ranks([player.score for player in found.players], found.offset, found.ahead)
    rows = [
        f'{{"rank":{place},"user_id":{user_id},"username":{encode_basestring(username)},"total_score":{score}}}'
        for place, (user_id, username, score) in zip(ranks, found.players, strict=True)
    ]
    return ",".join(rows)
