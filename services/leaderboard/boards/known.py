"""The boards that a process knows: found by name, by id, and by what a session is tagged with. No I/O."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter

from services.leaderboard.boards.board import Board, Rule

_by_name = attrgetter("name")


class KnownBoards:
    """What is asked often is found without going through all of them: 10,000 are an ordinary load."""

    def __init__(self, boards: Iterable[Board] = ()) -> None:
        self._by_id: dict[int, Board] = {}
        self._by_name: dict[str, Board] = {}
        self._names: list[str] = []
        # Active boards only, in the order of their names.
        self._by_rule: dict[Rule, list[Board]] = {}
        for board in sorted(boards, key=_by_name):
            self._by_id[board.board_id] = board
            self._by_name[board.name] = board
            self._names.append(board.name)
            if (rule := _counts_by(board)) is not None:
                self._by_rule.setdefault(rule, []).append(board)

    def __len__(self) -> int:
        return len(self._by_id)

    def by_name(self, name: str) -> Board | None:
        return self._by_name.get(name)

    def by_id(self, board_id: int) -> Board | None:
        return self._by_id.get(board_id)

    def matching(self, tags: Mapping[str, str]) -> Sequence[Board]:
        """The active boards whose rule takes a session with these tags, in the order of their names."""
        every: Sequence[Board] = self._by_rule.get(_EVERY, ())
        tagged = [board for tag in tags.items() for board in self._by_rule.get(Rule(tag), ())]
        return sorted([*every, *tagged], key=_by_name) if tagged else every

    def page(self, prefix: str, after: str, limit: int) -> list[Board]:
        """Up to so many boards whose names begin with ``prefix`` and come after ``after``, in the order of their names."""
        start = max(bisect_left(self._names, prefix), bisect_right(self._names, after))
        names = self._names[start : start + limit]
        return [self._by_name[name] for name in names if name.startswith(prefix)]

    def put(self, board: Board) -> None:
        """Know a board as it is now, instead of as it was, and instead of another one that had its name."""
        for before in (self._by_id.get(board.board_id), self._by_name.get(board.name)):
            if before is not None:
                self.remove(before.board_id)
        self._by_id[board.board_id] = board
        self._by_name[board.name] = board
        insort(self._names, board.name)
        if (rule := _counts_by(board)) is not None:
            # Another list: whoever holds the one of before goes on with it.
            self._by_rule[rule] = sorted([*self._by_rule.get(rule, ()), board], key=_by_name)

    def keep(self, board_ids: Collection[int]) -> None:
        """Forget every board that is none of these."""
        for board_id in [known for known in self._by_id if known not in board_ids]:
            self.remove(board_id)

    def remove(self, board_id: int) -> None:
        """Forget a board, if it is known."""
        board = self._by_id.pop(board_id, None)
        if board is None:
            return
        del self._by_name[board.name]
        del self._names[bisect_left(self._names, board.name)]
        if (rule := _counts_by(board)) is not None:
            remaining = [each for each in self._by_rule[rule] if each.board_id != board_id]
            if remaining:
                self._by_rule[rule] = remaining
            else:
                del self._by_rule[rule]


_EVERY = Rule()


def _counts_by(board: Board) -> Rule | None:
    """The rule that finds sessions for a board. None where only those count that name it, or none at all."""
    return board.definition.rule if board.definition.state == "active" else None
