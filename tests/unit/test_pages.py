"""Rendered answers are what the schemas say, to the byte, and are named by a tag."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.leaderboard.http.rankings import names_page
from services.leaderboard.http.schemas import OwnRank, PlayerRank, PlayersAround, RankedPlayer, TopPage
from services.leaderboard.index.pages import RenderedPage
from services.leaderboard.rules import ranking
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.rules.standings import Neighbours, PlayerScore, Span
from services.leaderboard.standings import rendering

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=32) | st.sampled_from(
    ['"', "\\", "é", "日本", "</script>", "\x7f"]
)
PLAYERS = st.lists(
    st.builds(PlayerScore, st.integers(1, 2**63 - 1), NAMES, st.integers(0, 3) | st.integers(0, MAX_TOTAL)), max_size=8
).map(lambda players: sorted(players, key=lambda player: -player.score))


def as_schema(found: Neighbours) -> list[RankedPlayer]:
    ranks = ranking.ranks([player.score for player in found.players], found.offset, found.ahead)
    return [
        RankedPlayer(rank=rank, user_id=player.user_id, username=player.username, total_score=player.score)
        for rank, player in zip(ranks, found.players, strict=True)
    ]


@given(PLAYERS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_page_and_neighbours_are_rendered_as_their_schemas_would(players: list[PlayerScore], offset: int, ahead: int) -> None:
    found = Neighbours(players, offset, ahead)
    page = TopPage(top=as_schema(found), limit=10, offset=offset, total_players=77)
    assert TopPage.model_validate_json(rendering.top(found, Span(10, offset), 77)) == page
    assert rendering.top(found, Span(10, offset), 77) == page.model_dump_json().encode()
    assert rendering.around(found) == PlayersAround(players=as_schema(found)).model_dump_json().encode()


@given(st.builds(PlayerScore, st.integers(1, 2**63 - 1), NAMES, st.integers(0, MAX_TOTAL)), st.integers(0, 10**6))
def test_a_rank_is_rendered_as_its_schema_would(player: PlayerScore, ahead: int) -> None:
    fields = {"user_id": player.user_id, "username": player.username, "total_score": player.score}
    assert rendering.rank(player, ahead) == PlayerRank(**fields, rank=1 + ahead).model_dump_json().encode()
    assert rendering.rank(player, None) == OwnRank(**fields, rank=None).model_dump_json().encode()


def test_the_tag_is_of_what_the_page_says_and_of_nothing_else() -> None:
    assert RenderedPage.of(b"one").etag == RenderedPage.of(b"one").etag != RenderedPage.of(b"two").etag
    assert RenderedPage.of(b"one").etag.startswith('W/"')


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ([], False),
        (['W/"a"'], True),
        (['"a"'], True),
        (['"b", W/"a"'], True),
        (['"b"', '"a"'], True),
        (["*"], True),
        (['W/"b"'], False),
        (["a"], False),
        ([""], False),
        (['"aa"'], False),
    ],
)
def test_if_none_match_compares_weakly(header: list[str], named: bool) -> None:
    assert names_page(header, 'W/"a"') == named
