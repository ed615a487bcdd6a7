"""The boards that a process knows are found by name, by id and by what a session is tagged with, whatever changed."""

from dataclasses import replace
from random import Random
from time import perf_counter

import pytest

from services.leaderboard.boards.board import Board, Definition, Rule, State, Window, WindowDefinition
from services.leaderboard.boards.known import KnownBoards

ALL = WindowDefinition("all")
TAGS = {"track": "alps"}


def board(board_id: int, name: str | None = None, rule: Rule | None = None, state: State = "active", version: int = 1) -> Board:
    name = name or f"board{board_id}"
    definition = Definition(name, "", "score", "total", "descending", rule, 0, 100, False, "players", state, (ALL,))
    return Board(board_id, version, definition, (Window(board_id, ALL, None),))


def names(boards: object) -> list[str]:
    return [each.name for each in boards]  # type: ignore[attr-defined]


def test_a_session_counts_for_the_boards_whose_rule_it_meets_by_name() -> None:
    known = KnownBoards(
        [
            board(1, "z", Rule()),
            board(2, "m", Rule(("track", "alps"))),
            board(3, "a", Rule(("track", "alps"))),
            board(4, "b", Rule(("track", "coast"))),
            board(5, "c", Rule(("mode", "alps"))),
            board(6, "d"),
            board(7, "e", Rule(), "closed"),
        ]
    )
    assert names(known.matching({})) == ["z"]
    assert names(known.matching(TAGS)) == ["a", "m", "z"]
    assert names(known.matching({"mode": "alps", "track": "coast"})) == ["b", "c", "z"]


def test_a_change_moves_a_board_and_leaves_lists_that_others_hold() -> None:
    known = KnownBoards([board(1, "main", Rule()), board(2, "alps", Rule())])
    held = known.matching({})
    known.put(board(2, "alps", Rule(("track", "alps"))))
    assert names(held) == ["alps", "main"]
    assert names(known.matching({})) == ["main"]
    assert names(known.matching(TAGS)) == ["alps", "main"]
    known.put(board(2, "alps", Rule(("track", "alps")), "closed"))
    assert names(known.matching(TAGS)) == ["main"]
    assert known.by_id(2) is known.by_name("alps") is not None


def test_a_board_that_has_the_name_of_one_that_is_gone_takes_its_place() -> None:
    known = KnownBoards([board(1, "cup", Rule())])
    known.put(board(2, "cup", Rule()))
    assert known.by_id(1) is None
    assert len(known) == 1
    assert [each.board_id for each in known.matching({})] == [2]


def test_what_is_not_kept_is_forgotten() -> None:
    known = KnownBoards([board(number, rule=Rule()) for number in range(5)])
    known.keep({1, 3})
    assert names(known.page("", "", 10)) == names(known.matching({})) == ["board1", "board3"]
    known.remove(7)
    assert len(known) == 2


@pytest.mark.parametrize(
    ("prefix", "after", "limit", "found"),
    [
        ("", "", 3, ["a", "a.1", "a.2"]),
        ("", "a.2", 2, ["b", "c"]),
        ("a.", "", 9, ["a.1", "a.2"]),
        ("a.", "a.1", 9, ["a.2"]),
        ("a.", "c", 9, []),
        ("b", "a", 9, ["b"]),
        ("d", "", 9, []),
    ],
)
def test_a_page_goes_on_where_the_one_before_ended(prefix: str, after: str, limit: int, found: list[str]) -> None:
    known = KnownBoards([board(number, name) for number, name in enumerate(["c", "a.2", "b", "a", "a.1"])])
    assert names(known.page(prefix, after, limit)) == found


def test_any_order_of_changes_comes_to_the_same() -> None:
    random = Random(7)
    rules = [None, Rule(), Rule(("track", "alps")), Rule(("track", "coast"))]
    known, truth = KnownBoards(), dict[int, Board]()
    for version in range(1, 2000):
        board_id = random.randrange(20)
        if random.random() < 0.2:
            known.remove(board_id)
            truth.pop(board_id, None)
        else:
            state: State = "closed" if random.random() < 0.3 else "active"
            truth[board_id] = board(board_id, rule=random.choice(rules), state=state, version=version)
            known.put(truth[board_id])
        fresh = KnownBoards(truth.values())
        assert known.page("", "", 99) == fresh.page("", "", 99)
        for tags in ({}, TAGS, {"track": "coast"}):
            assert list(known.matching(tags)) == list(fresh.matching(tags))


def test_ten_thousand_boards_cost_a_session_no_more_than_ten() -> None:
    few, many = (
        KnownBoards([board(number, rule=Rule(("level", str(number)))) for number in range(count)]) for count in (10, 10_000)
    )

    def seconds(known: KnownBoards) -> float:
        best = 1.0
        for _ in range(50):
            began = perf_counter()
            for number in range(100):
                known.matching({"level": str(number % 10)})
            best = min(best, perf_counter() - began)
        return best

    assert seconds(many) < 10 * seconds(few)
    changed = board(1, rule=Rule(("level", "new")))
    many.put(replace(changed, version=2))
    assert len(many) == 10_000
