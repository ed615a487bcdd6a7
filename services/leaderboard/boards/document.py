"""A board as people write it down, in a file and over HTTP. What is wrong with it is told with its place."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, NoReturn, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, to_jsonable_python

from services.leaderboard.boards.board import (
    ALL,
    DEFAULT_GRACE_SECONDS,
    MOST_WINDOWS,
    USUAL,
    Aggregate,
    Board,
    Definition,
    Direction,
    Rule,
    State,
    Submitters,
    WindowDefinition,
)
from services.leaderboard.rules.calendar import InvalidSchedule, Schedule
from services.leaderboard.rules.holds import Hold
from services.leaderboard.rules.names import BOARD_NAME, MAX_TAG_VALUE, METRIC_NAME, SCORE
from services.leaderboard.rules.ranking import MAX_SESSION_SCORE, MAX_TOTAL
from services.leaderboard.rules.rewards import MOST_REWARDS, Reward

Location = tuple[str | int, ...]
_DAY_SECONDS = 86_400
_MOST_KEPT = 1_000_000
_MOST_RANK = 1_000_000_000
_MOST_PER_MINUTE = 1_000


class Fault(NamedTuple):
    """One thing that is wrong, and where: the names of members and the numbers of elements that lead there."""

    at: Location
    detail: str

    def __str__(self) -> str:
        return f"{toml_path(self.at)}: {self.detail}" if self.at else self.detail


class InvalidDocument(ValueError):
    """A file that does not say what boards there are to be. ``faults`` tell why."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def toml_path(at: Location) -> str:
    """A place in a file, as ``boards[2].windows[1].zone``. Elements are counted from 0."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at)
    return path.removeprefix(".")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("not_printable", "Every character must be one that is shown")
    return text


def _as_text(value: object) -> object:
    """A time that TOML reads as one, as it would be written between quotation marks."""
    if isinstance(value, datetime):
        return value.isoformat().removesuffix("+00:00") + ("Z" if value.tzinfo is UTC else "")
    return value


def whole(value: object) -> object:
    """1200 for 1200.0: to JSON Schema both are integers, and there are clients that know no others than the second.

    A number with a fraction is read as a double, as nearly every reader of JSON does (RFC 8259, section 6).
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


Name = Annotated[str, Field(pattern=BOARD_NAME)]
MetricName = Annotated[str, Field(pattern=METRIC_NAME)]
TagValue = Annotated[str, Field(min_length=1, max_length=MAX_TAG_VALUE), AfterValidator(_printable)]
Title = Annotated[str, Field(max_length=100), AfterValidator(_printable)]
Value = Annotated[int, Field(ge=-MAX_TOTAL, le=MAX_TOTAL), BeforeValidator(whole, json_schema_input_type=int)]


class _Written(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Rank = Annotated[int, Field(ge=1, le=_MOST_RANK)]


class RewardDocument(_Written):
    """What players of some ranks get when a period is settled: of `ranks`, the best `percent`, or `everyone`."""

    name: Name = Field(examples=["gold"])
    ranks: Annotated[list[Rank], Field(min_length=2, max_length=2)] | None = Field(
        None, description="first and last rank that get it, as `[1, 3]`"
    )
    percent: int | None = Field(None, ge=1, le=100, description="so many of a hundred players, rounded up")
    everyone: bool = Field(False, description="whoever is ranked")

    @classmethod
    def of(cls, reward: Reward) -> Self:
        """The document of a reward."""
        everyone = reward.ranks is None and reward.percent is None
        ranks = None if reward.ranks is None else list(reward.ranks)
        return cls(name=reward.name, ranks=ranks, percent=reward.percent, everyone=everyone)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.ranks is not None) + (self.percent is not None) + self.everyone != 1:
            _refuse([Fault((), "A reward has one of `ranks`, `percent` and `everyone`")])
        if self.ranks is not None and self.ranks[0] > self.ranks[1]:
            _refuse([Fault(("ranks",), "The first rank comes after the last")])
        return self

    def reward(self) -> Reward:
        """The reward that is written down here."""
        return Reward(self.name, None if self.ranks is None else (self.ranks[0], self.ranks[1]), self.percent)


class WindowDocument(_Written):
    """When a board starts anew. `all` never does; `day`, `week` (from Monday) and `month` need nothing but their name."""

    name: Name = Field(examples=["week"])
    zone: str | None = Field(None, max_length=64, description="IANA time zone of `first`; UTC where none is named")
    first: Annotated[str | None, BeforeValidator(_as_text)] = Field(
        None, max_length=32, description="when the first period begins: a local time of the zone, as `2026-12-01T18:00:00`"
    )
    every: str | None = Field(
        None, max_length=32, description="length of a period: a number of `seconds` (at least 60), `days`, `weeks` or `months`"
    )
    grace: int | None = Field(
        None,
        ge=10,
        le=7 * _DAY_SECONDS,
        description="for how many seconds after its end a period still counts sessions; default 60",
    )
    keep: int | None = Field(None, ge=1, le=_MOST_KEPT, description="settled periods that are kept; null: all")
    listed: bool = Field(False, description="whether its periods are written down one by one")
    rewards: list[RewardDocument] = Field(
        [],
        max_length=MOST_REWARDS,
        description="who is rewarded when a period is settled: a player gets the first one that fits. Changes apply to later "
        "periods",
    )

    @classmethod
    def of(cls, window: WindowDefinition) -> Self:
        """The document of a window, with everything that its name alone may stand for."""
        schedule = window.schedule
        utc = schedule is not None and schedule.unit == "seconds"
        return cls(
            name=window.name,
            zone=None if schedule is None or utc else schedule.zone,
            first=None if schedule is None else schedule.first.isoformat() + "Z" * utc,
            every=None if schedule is None else _length(schedule),
            grace=window.grace_seconds,
            keep=window.keep,
            listed=window.listed,
            rewards=[RewardDocument.of(reward) for reward in window.rewards],
        )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        self.definition()
        faults = list(_repeated(("rewards",), [reward.name for reward in self.rewards], "rewards"))
        if faults:
            _refuse(faults)
        return self

    def definition(self) -> WindowDefinition:
        """The window that is written down here. Raises ValidationError."""
        if self.name == ALL:
            self._refuse_all_but("name", "The window `all` never ends: it has a name and nothing else")
            return WindowDefinition(ALL)
        grace = DEFAULT_GRACE_SECONDS if self.grace is None else self.grace
        rewards = tuple([reward.reward() for reward in self.rewards])
        if self.listed:
            self._refuse_all_but("name listed grace keep rewards", "Periods that are written down one by one have no schedule")
        schedule = None if self.listed else self._schedule()
        return WindowDefinition(self.name, schedule, self.listed, grace, self.keep, rewards)

    def _schedule(self) -> Schedule:
        try:
            if self.first is None and self.every is None and self.name in USUAL:
                return USUAL[self.name] if self.zone is None else replace(USUAL[self.name], zone=self.zone)
            missing = [Fault((field,), _MISSING) for field in ("first", "every") if getattr(self, field) is None]
            if self.first is None or self.every is None:
                _refuse(missing)
            return Schedule.parse(self.first, self.every, self.zone)
        except InvalidSchedule as error:
            _refuse([Fault((error.field,), str(error))])

    def _refuse_all_but(self, fields: str, why: str) -> None:
        given = (name for name, field in type(self).model_fields.items() if getattr(self, name) != field.get_default())
        faults = [Fault((name,), why) for name in given if name not in fields.split()]
        if faults:
            _refuse(faults)


_MISSING = "Is needed: of windows only `all`, `day`, `week` and `month` say by their name when they start anew"


class RuleDocument(_Written):
    """Which sessions that name no board count: those with this tag and value; every one where none is named."""

    where: dict[MetricName, TagValue] = Field(max_length=1, examples=[{"track": "alps"}])


class HoldDocument(_Written):
    """Which sessions are held until somebody has looked at them. Over is where better players are: with `ascending`, below."""

    score_over: Value | None = Field(None, description="sessions with a better value than this")
    gain_over: Annotated[int, Field(ge=0, le=MAX_TOTAL), BeforeValidator(whole, json_schema_input_type=int)] | None = Field(
        None, description="sessions that beat the player's best score by more than this; only on boards by best score"
    )
    sessions_per_minute_over: (
        Annotated[int, Field(ge=1, le=_MOST_PER_MINUTE), BeforeValidator(whole, json_schema_input_type=int)] | None
    ) = Field(None, description="sessions that follow so many others of the player within a minute, on any board")

    @classmethod
    def of(cls, hold: Hold) -> Self:
        """The document of a board's rules."""
        return cls(score_over=hold.score_over, gain_over=hold.gain_over, sessions_per_minute_over=hold.sessions_per_minute_over)

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.hold() == Hold():
            _refuse([Fault((), "Has one of `score_over`, `gain_over` and `sessions_per_minute_over` at least")])
        return self

    def hold(self) -> Hold:
        """The rules that are written down here."""
        return Hold(self.score_over, self.gain_over, self.sessions_per_minute_over)


class BoardDocument(_Written):
    """What ranks players, whole. `name`, `metric`, `aggregate`, `direction` and each window are fixed once it is made."""

    name: Name = Field(examples=["alps"])
    title: Title = Field("", description="what players read")
    metric: MetricName = Field(SCORE, description="which value of a session is ranked; every session has `score`")
    aggregate: Aggregate = Field("total", description="the sum of all sessions, the best one, or the latest one")
    direction: Direction = Field("descending", description="descending: more is better; ascending: less is")
    rule: RuleDocument | None = Field(
        None,
        description="which sessions count that name no board. `{where: {}}`: all; with a tag: those that have it; null: none",
    )
    min_score: Value = Field(0, description="least value of a session; for totals at least 0")
    max_score: Value = Field(MAX_SESSION_SCORE, description="greatest value of one session")
    show_extra: bool = Field(False, description="whether the `extra` of the session behind a score is shown")
    submitters: Submitters = Field(
        "players", description="`servers`: only game servers submit to it, with a key; `players`: players too"
    )
    hold: HoldDocument | None = Field(None, description="which sessions are held until staff have approved them")
    state: State = Field("active", description="a closed board counts nothing, and is read on")
    windows: list[WindowDocument] = Field(min_length=1, max_length=MOST_WINDOWS, description="the first one is shown first")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        faults = list(_repeated(("windows",), [window.name for window in self.windows], "windows"))
        if self.aggregate == "total":
            if self.min_score < 0:
                faults.append(Fault(("min_score",), "A total takes no negative values"))
            if self.max_score > MAX_SESSION_SCORE:
                faults.append(Fault(("max_score",), f"One session of a total is {MAX_SESSION_SCORE:,} at most"))
        if self.hold is not None and self.hold.gain_over is not None and self.aggregate != "best":
            why = "Compares with the player's best session, which only a board of best scores keeps"
            faults.append(Fault(("hold", "gain_over"), why))
        if self.min_score > self.max_score:
            faults.append(Fault(("max_score",), "Is less than `min_score`"))
        if faults:
            _refuse(faults)
        return self

    def definition(self) -> Definition:
        """The board that is written down here."""
        rule = None if self.rule is None else Rule(next(iter(self.rule.where.items()), None))
        windows = tuple(window.definition() for window in self.windows)
        return Definition(
            self.name,
            self.title,
            self.metric,
            self.aggregate,
            self.direction,
            rule,
            self.min_score,
            self.max_score,
            self.show_extra,
            self.submitters,
            self.state,
            windows,
            None if self.hold is None else self.hold.hold(),
        )


class BoardsDocument(_Written):
    """A file of boards."""

    boards: list[BoardDocument]

    @model_validator(mode="after")
    def _has_each_once(self) -> Self:
        faults = list(_repeated(("boards",), [board.name for board in self.boards], "boards"))
        if faults:
            _refuse(faults)
        return self


def parse_toml(data: bytes) -> list[Definition]:
    """The boards that a file names, in its order. Raises InvalidDocument."""
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidDocument([Fault((), f"The file is not UTF-8: byte {error.start} is {data[error.start]:#04x}")]) from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidDocument([Fault((), f"The file is not TOML: {error}")]) from None
    except RecursionError:
        raise InvalidDocument([Fault((), "The file is not TOML that can be read: it is nested too deeply")]) from None
    try:
        return [board.definition() for board in BoardsDocument.model_validate(document).boards]
    except ValidationError as error:
        raise InvalidDocument([Fault(each["loc"], each["msg"]) for each in error.errors(include_url=False)]) from None


def board_json(board: Board) -> Any:
    """A board as JSON has it for whom writes boards down: with its rules of holding sessions, where there are any."""
    definition = board.definition
    named = {name: getattr(definition, name) for name in BoardDocument.model_fields if name not in {"rule", "hold", "windows"}}
    hold = {} if definition.hold is None else {"hold": HoldDocument.of(definition.hold)}
    windows = [{**WindowDocument.of(each.definition).model_dump(), "counts_from": each.counts_from} for each in board.windows]
    return to_jsonable_python({**named, "rule": rule_json(definition.rule), **hold, "windows": windows})


def rule_json(rule: Rule | None) -> Any:
    """A rule as JSON has it, null where there is none."""
    return None if rule is None else {"where": dict([rule.tag] if rule.tag else [])}


def parse_rule(document: Any) -> Rule | None:
    """A rule that `rule_json` wrote."""
    return None if document is None else Rule(next(iter(document["where"].items()), None))


def hold_json(hold: Hold | None) -> Any:
    """A board's rules of holding sessions as JSON has them, null where there are none."""
    return None if hold is None else HoldDocument.of(hold).model_dump(exclude_none=True)


def parse_hold(document: Any) -> Hold | None:
    """Rules that `hold_json` wrote."""
    return None if document is None else HoldDocument.model_validate(document).hold()


def rewards_json(rewards: Iterable[Reward]) -> Any:
    """Rewards as JSON has them, null where there are none."""
    return [RewardDocument.of(each).model_dump(exclude_defaults=True) for each in rewards] or None


def parse_rewards(document: Any) -> tuple[Reward, ...]:
    """Rewards that `rewards_json` wrote."""
    return tuple([RewardDocument.model_validate(each).reward() for each in document or ()])


def _length(schedule: Schedule) -> str:
    return f"{schedule.every} {schedule.unit if schedule.every > 1 else schedule.unit.removesuffix('s')}"


def _repeated(at: Location, names: Iterable[str], what: str) -> Iterable[Fault]:
    seen: dict[str, int] = {}
    for number, name in enumerate(names):
        if name in seen:
            yield Fault((*at, number, "name"), f"`{what}[{seen[name]}]` has this name already")
        seen.setdefault(name, number)


def refuse(at: Location, detail: str) -> NoReturn:
    """Tell one fault from within a validator of a whole model. Raises ValidationError."""
    _refuse([Fault(at, detail)])


def _refuse(faults: Iterable[Fault]) -> NoReturn:
    """What pydantic raises, with places that a validator of a whole model could not tell by itself."""
    errors = [
        InitErrorDetails(type=PydanticCustomError("definition", "{detail}", {"detail": fault.detail}), loc=fault.at, input=None)
        for fault in faults
    ]
    raise ValidationError.from_exception_data("board", errors)
