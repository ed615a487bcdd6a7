"""What is rendered of boards is what the schemas say: every field of theirs, and no other."""

import json
from collections.abc import Mapping
from itertools import zip_longest
from operator import attrgetter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from services.leaderboard.http.number_schemas import (
    AskedPlayerRank,
    PlayerRanks,
    ScoreBin,
    ScoreDistribution,
    ScoreRank,
)
from services.leaderboard.http.schemas import (
    BoardAround,
    BoardPage,
    BoardRank,
    BoardRow,
    OwnBoardRank,
    PlayerStanding,
    PlayerStandings,
    SubmittedSession,
    SubmittedStanding,
)
from services.leaderboard.rules import percentiles, ranking
from services.leaderboard.rules.distribution import Bin, Distribution
from services.leaderboard.rules.places import MAIN, Place
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.rules.standings import Neighbours, NextRank, PlaceRank, Placing, PlayerScore, Position
from services.leaderboard.standings import rendering
from services.leaderboard.standings.rendering import RankedIn

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=32) | st.sampled_from(
    ['"', "\\", "日本", "</script>", "\x7f"]
)
BOARD_NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
SCORES = st.integers(-3, 3) | st.integers(-MAX_TOTAL, MAX_TOTAL)
IDS = st.integers(1, 2**63 - 1)
COUNTS = st.integers(0, 10**9)
PERIODS = st.integers(0, 2**32 - 1)
PLAYERS = st.builds(PlayerScore, IDS, TEXT, SCORES)
EXTRAS = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def written(extra: object) -> str:
    return json.dumps(extra, ensure_ascii=False, separators=(",", ":"))


def same(rendered: bytes, model: BaseModel) -> None:
    """Hold what was rendered to be the model's JSON; but an ``extra`` that is not there is left out."""
    assert json.loads(rendered) == model.model_dump(mode="json", exclude_unset=True)
    assert type(model).model_validate_json(rendered) == model


def rows(found: Neighbours, extras: Mapping[int, Any]) -> list[BoardRow]:
    ranks = ranking.ranks([player.score for player in found.players], found.offset, found.ahead)
    return [
        BoardRow(
            rank=rank,
            user_id=player.user_id,
            username=player.username,
            score=player.score,
            **({"extra": extras[number]} if number in extras else {}),
        )
        for number, (rank, player) in enumerate(zip(ranks, found.players, strict=True))
    ]


@given(
    names=st.tuples(BOARD_NAMES, BOARD_NAMES, st.none() | PERIODS),
    players=st.lists(PLAYERS, max_size=6),
    offset=COUNTS,
    ahead=COUNTS,
    total_players=COUNTS,
    extras=st.dictionaries(st.integers(0, 5), EXTRAS),
    generation=st.none() | st.from_regex("[0-9a-f]{16}", fullmatch=True),
    next_cursor=st.none() | st.from_regex("[A-Za-z0-9_-]{1,80}", fullmatch=True),
)
def test_pages_and_neighbours_are_their_schemas(
    names: tuple[str, str, int | None],
    players: list[PlayerScore],
    offset: int,
    ahead: int,
    total_players: int,
    extras: dict[int, Any],
    generation: str | None,
    next_cursor: str | None,
) -> None:
    board, window, period_id = names
    extras = {number: extra for number, extra in extras.items() if number < len(players)}
    texts = {number: written(extra) for number, extra in extras.items()}
    found = Neighbours(players, offset, ahead)
    head = rendering.head(board, window, period_id)
    of_board: dict[str, Any] = {"board": board, "window": window, "period_id": period_id, "total_players": total_players}
    page = rendering.board_page(head, found, texts, total_players, generation, next_cursor)
    shown = rows(found, extras)
    same(page, BoardPage(**of_board, top=shown, offset=offset, generation=generation, next_cursor=next_cursor))
    same(rendering.board_around(head, found, texts, total_players), BoardAround(**of_board, players=shown))


PLACINGS = st.builds(
    Placing, st.builds(Position, PLAYERS, COUNTS), COUNTS, st.none() | st.builds(NextRank, st.integers(1, MAX_TOTAL), COUNTS)
)


@given(BOARD_NAMES, BOARD_NAMES, PERIODS, PLACINGS, st.none() | EXTRAS)
def test_ranks_are_their_schemas(board: str, window: str, period_id: int, placing: Placing, extra: Any) -> None:
    (player, ahead), total_players, next_rank = placing
    head = rendering.head(board, window, period_id)
    of_board: dict[str, Any] = {"board": board, "window": window, "period_id": period_id, "total_players": total_players}
    text, more = (None, {}) if extra is None else (written(extra), {"extra": extra})
    named: dict[str, Any] = {"user_id": player.user_id, "username": player.username}
    counted = max(total_players, 1 + ahead)
    numbers: dict[str, Any] = {
        "percentile": percentiles.percentile(counted - ahead, counted),
        "to_next": None if next_rank is None else next_rank._asdict(),
    }
    rank = rendering.board_rank(head, placing, text)
    same(rank, BoardRank(**of_board, **named, **more, **numbers, rank=1 + ahead, score=player.score))
    same(rank, OwnBoardRank(**of_board, **named, **more, **numbers, rank=1 + ahead, score=player.score))
    nobody = rendering.unranked(head, player.user_id, player.username, total_players)
    same(nobody, OwnBoardRank(**of_board, **named, rank=None, score=None, percentile=None, to_next=None))


@given(BOARD_NAMES, BOARD_NAMES, st.none() | PERIODS, SCORES, COUNTS, COUNTS)
def test_the_rank_of_a_score_is_its_schema(
    board: str, window: str, period_id: int | None, score: int, ahead: int, below: int
) -> None:
    players = ahead + below
    of_board: dict[str, Any] = {"board": board, "window": window, "period_id": period_id, "total_players": players}
    percentile = percentiles.percentile(players - ahead, players) if players else None
    rendered = rendering.score_rank(rendering.head(board, window, period_id), score, ahead, players)
    same(rendered, ScoreRank(**of_board, score=score, rank=1 + ahead, percentile=percentile))


@given(
    st.lists(st.builds(Position, PLAYERS, st.integers(0, 3)), max_size=6).map(
        lambda each: sorted(each, key=attrgetter("ahead"))
    ),
    st.lists(st.tuples(IDS, st.none() | TEXT), max_size=3),
    COUNTS,
)
def test_ranks_of_some_players_are_their_schema(
    positions: list[Position], others: list[tuple[int, str | None]], total_players: int
) -> None:
    rows = [
        AskedPlayerRank(
            user_id=player.user_id,
            username=player.username,
            rank=1 + ahead,
            score=player.score,
            place=1 + sum(other.ahead < ahead for other in positions),
        )
        for player, ahead in positions
    ]
    rows += [AskedPlayerRank(user_id=each, username=name, rank=None, score=None, place=None) for each, name in others]
    of_board: dict[str, Any] = {"board": "alps", "window": "all", "period_id": 0, "total_players": total_players}
    rendered = rendering.player_ranks(rendering.head("alps", "all", 0), positions, others, total_players)
    same(rendered, PlayerRanks(**of_board, ranks=rows))


@given(st.lists(st.builds(Bin, SCORES, SCORES, COUNTS), max_size=5), st.lists(SCORES, min_size=6, max_size=6) | st.just([]))
def test_a_distribution_is_its_schema(bins: list[Bin], quantiles: list[int]) -> None:
    found = Distribution(sum(each.players for each in bins), bins, quantiles)
    model = ScoreDistribution(
        board="alps",
        window="all",
        period_id=0,
        total_players=found.total_players,
        bins=[ScoreBin(**{"from": least, "to": greatest, "count": players}) for least, greatest, players in bins],
        quantiles=dict(zip_longest(["10", "25", "50", "75", "90", "99"], quantiles)),
    )
    same(rendering.score_distribution(rendering.head("alps", "all", 0), found), model)


@given(st.lists(st.tuples(BOARD_NAMES, BOARD_NAMES, PERIODS, SCORES, COUNTS, COUNTS), max_size=5))
def test_a_players_standings_are_their_schema(listed: list[tuple[str, str, int, int, int, int]]) -> None:
    fields = "board", "window", "period_id", "score", "rank", "total_players"
    model = PlayerStandings(standings=[PlayerStanding(**dict(zip(fields, each, strict=True))) for each in listed])
    same(rendering.standings([rendering.standing(*each) for each in listed]), model)


RANKED_IN = st.tuples(
    BOARD_NAMES,
    BOARD_NAMES,
    st.builds(
        PlaceRank,
        st.builds(Place, st.integers(1, 3), st.integers(0, 2)),
        st.none() | SCORES,
        st.none() | COUNTS,
        st.none() | COUNTS,
        st.booleans(),
    ),
)


@given(IDS, TEXT, IDS, st.lists(RANKED_IN, max_size=4), st.booleans())
def test_what_a_submission_is_answered_is_its_schema(
    user_id: int, username: str, session_id: int, told: list[tuple[str, str, PlaceRank]], held: bool
) -> None:
    main = next((rank for _, _, rank in told if rank.at == MAIN), None)
    model = SubmittedSession(
        session_id=session_id,
        user_id=user_id,
        username=username,
        total_score=None if main is None else main.score or 0,
        rank=None if main is None else main.rank,
        held=held,
        standings=[
            SubmittedStanding(
                board=board,
                window=window,
                period_id=rank.at.period_id,
                score=rank.score,
                rank=rank.rank,
                total_players=rank.total_players,
                counted=not held,
                improved=rank.improved,
            )
            for board, window, rank in told
        ],
    )
    same(rendering.submitted(user_id, username, session_id, [RankedIn(*each) for each in told], held=held), model)
