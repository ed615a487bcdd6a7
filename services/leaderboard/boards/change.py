"""What making or changing a board comes to: what it will be, or what about it cannot be changed. No I/O."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from services.leaderboard.boards.board import Board, Definition, WindowDefinition
from services.leaderboard.boards.document import Fault, WindowDocument, hold_json, rewards_json, rule_json

Outcome = Literal["created", "changed", "unchanged"]

_FIXED = "metric", "aggregate", "direction"
_CHANGEABLE = "title", "rule", "min_score", "max_score", "show_extra", "submitters", "hold", "state"


@dataclass(frozen=True, slots=True)
class Change:
    """From ``board``, None where there is none, to ``definition``: what differs, as sentences, and what stands against it.

    ``has_sessions``: whether windows are added to a board that has sessions, so that they count from their next period.
    ``rewarding``: the windows that have other rewards from then on.
    """

    definition: Definition
    board: Board | None
    added: tuple[WindowDefinition, ...]
    differences: tuple[str, ...]
    conflicts: tuple[Fault, ...]
    has_sessions: bool = False
    rewarding: tuple[WindowDefinition, ...] = ()

    @property
    def outcome(self) -> Outcome:
        if self.board is None:
            return "created"
        return "changed" if self.differences else "unchanged"

    def tell(self, would: str = "") -> str:
        """A line about it: ``would`` stands before what is done."""
        told = f"{self.definition.name}: {'' if self.outcome == 'unchanged' else would}{self.outcome}"
        return f"{told}: {', '.join(self.differences)}" if self.differences else told


def compare(definition: Definition, board: Board | None) -> Change:
    """What making ``board`` what ``definition`` says comes to. Whether it has sessions, which windows may have to know, is not
    looked at.
    """
    if board is None:
        return Change(definition, None, definition.windows, (), ())
    before = board.definition
    conflicts = [
        Fault((field,), f"Is {getattr(before, field)} and cannot be changed: another {field} is another board")
        for field in _FIXED
        if getattr(definition, field) != getattr(before, field)
    ]
    differences = [
        f"{field} {_written(before, field)} → {_written(definition, field)}"
        for field in _CHANGEABLE
        if getattr(definition, field) != getattr(before, field)
    ]
    conflicts += _windows_conflicts(definition.windows, before.windows)
    known = {window.name: window for window in before.windows}
    added = tuple([window for window in definition.windows if window.name not in known])
    differences += [f"window {window.name} added" for window in added]
    rewarding = tuple([each for each in definition.windows if each.name in known and each.rewards != known[each.name].rewards])
    differences += [
        f"window {each.name}: rewards {rewards_json(known[each.name].rewards)} → {rewards_json(each.rewards)}"
        for each in rewarding
    ]
    return Change(definition, board, added, tuple(differences), tuple(conflicts), rewarding=rewarding)


def _windows_conflicts(windows: tuple[WindowDefinition, ...], before: tuple[WindowDefinition, ...]) -> Iterator[Fault]:
    numbers = {window.name: number for number, window in enumerate(windows)}
    for window in before:
        number = numbers.get(window.name)
        if number is None:
            yield Fault(("windows",), f"The window {window.name} cannot be removed")
        elif replace(windows[number], rewards=window.rewards) != window:
            was = WindowDocument.of(window).model_dump_json(exclude_none=True, exclude_defaults=True)
            yield Fault(("windows", number), f"The window {window.name} cannot be changed: it is {was}")
    kept = [window.name for window in before if window.name in numbers]
    if [window.name for window in windows[: len(kept)]] != kept:
        yield Fault(("windows",), f"The windows that the board has come first, in this order: {', '.join(kept)}")


def _written(definition: Definition, field: str) -> str:
    value = getattr(definition, field)
    if field == "rule":
        value = rule_json(value)
    elif field == "hold":
        value = hold_json(value)
    return repr(value)
