"""What a run came to: as JSON, and as tables for people, which read well on a terminal and as Markdown alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from tests.bench.figures import Figure, Outcome
from tests.bench.generator import Measurement

# More of the machine's cores than this, busy with something else, and a round is not a clean one.
_ELSEWHERE_CORES = 0.1


@dataclass
class Report:
    """One run. ``faults`` are what makes it fail beside figures below their floors."""

    began: datetime
    machine: Mapping[str, str]
    settings: Mapping[str, int]
    outcomes: list[Outcome] = field(default_factory=list)
    measured: dict[str, list[Measurement]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader should know of the run, and does not make it fail."""
    smoke: bool = False
    """A run too short for its figures to mean anything: only faults make it fail."""

    @property
    def succeeded(self) -> bool:
        """Whether everything was there, answered, and held its floor."""
        return not self.faults and (self.smoke or all(outcome.holds for outcome in self.outcomes))

    @property
    def rates(self) -> dict[str, list[float]]:
        """Answers a second of each load, by round."""
        return {name: [one.rate for one in rounds] for name, rounds in self.measured.items()}

    def add(self, measured: Mapping[str, list[Measurement]], faults: Sequence[str]) -> None:
        """Take in what some rounds came to."""
        self.measured |= measured
        self.faults += faults

    @property
    def elsewhere(self) -> float:
        """Cores that were busy with something else, in the median of the rounds."""
        return median([one.cores.get("elsewhere", 0.0) for rounds in self.measured.values() for one in rounds] or [0.0])

    def to_json(self) -> dict[str, Any]:
        """All of it, for machines."""
        return {
            "began": self.began.isoformat(),
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            "smoke": self.smoke,
            "succeeded": self.succeeded,
            "faults": self.faults,
            "notes": self.notes,
            "figures": [
                {
                    "name": outcome.figure.name,
                    "title": outcome.figure.title,
                    "unit": outcome.figure.unit or "ratio",
                    "floor": outcome.figure.floor,
                    "aim": outcome.figure.aim,
                    "median": _rounded(outcome.value),
                    "low": _rounded(outcome.low),
                    "high": _rounded(outcome.high),
                    "verdict": outcome.verdict.value,
                }
                for outcome in self.outcomes
            ],
            "loads": {
                name: [
                    {"rate": round(one.rate, 1), "p50_ms": one.p50, "p99_ms": one.p99, "cores": dict(one.cores)}
                    for one in rounds
                ]
                for name, rounds in self.measured.items()
            },
        }

    def lines(self) -> list[str]:
        """All of it, for people."""
        lines = _table(("figure", "median", "spread", "floor", "aim", "verdict"), [_figure_row(each) for each in self.outcomes])
        lines += [
            "",
            "Medians of the rounds: answers a second, milliseconds to an answer, microseconds of processor that our process",
        ]
        lines += ["spent on one (which a busy machine changes least), and how many cores each part kept busy:", ""]
        lines += _table(
            ("load", "a second", "p50", "p99", "µs", "service", "MySQL", "Redis", "gateway", "generator", "elsewhere"),
            [_load_row(name, rounds) for name, rounds in self.measured.items() if rounds],
        )
        lines += ["", *(f"- {name}: {value}" for name, value in self.machine.items())]
        lines += [f"- Measured: {self.began:%Y-%m-%d %H:%M} UTC, {', '.join(f'{n} {v:,}' for n, v in self.settings.items())}"]
        lines += [line for note in self.notes for line in ("", note)]
        if self.elsewhere > _ELSEWHERE_CORES:
            lines += ["", f"Something else kept {self.elsewhere:.2f} cores busy meanwhile: these figures are not clean ones."]
        if self.smoke:
            lines += ["", "A smoke run: its figures mean nothing, and no floor is held against them."]
        return lines + self.verdict_lines()

    def verdict_lines(self) -> list[str]:
        """What is wrong with it, a line each; nothing if it succeeded."""
        below = [] if self.smoke else [outcome for outcome in self.outcomes if not outcome.holds]
        wrong = [f"{each.figure.title}: {each.verdict.value}" for each in below] + self.faults
        return ["", *(f"FAILED  {line}" for line in wrong)] if wrong else []


def shown(figure: Figure, value: float | None) -> str:
    """A value of the figure, or one of its marks."""
    if value is None:
        return "–"
    shapes = {
        "": "{:.2f}",
        "s": "{:.1f} s",
        "ms": "{:.0f} ms",
        "a second": "{:,.0f}",
        "bytes": "{:.0f} B",
        "MiB": "{:.0f} MiB",
        "area": "{:.3f}",
    }
    return shapes[figure.unit].format(value)


def mark(figure: Figure, value: float | None) -> str:
    """A mark of the figure, with its direction."""
    return ("≤ " if figure.less_is_better and value is not None else "") + shown(figure, value)


def _figure_row(outcome: Outcome) -> list[str]:
    figure = outcome.figure
    spread = "–" if outcome.low is None else f"{shown(figure, outcome.low)} to {shown(figure, outcome.high)}"
    return [
        figure.title,
        shown(figure, outcome.value),
        spread,
        mark(figure, figure.floor),
        mark(figure, figure.aim),
        outcome.verdict.value,
    ]


def _load_row(name: str, rounds: Sequence[Measurement]) -> list[str]:
    def cores(*parts: str) -> str:
        return f"{median(sum(one.cores.get(part, 0.0) for part in parts) for one in rounds):.2f}"

    return [
        name,
        f"{median(one.rate for one in rounds):,.0f}",
        f"{median(one.p50 for one in rounds):.2f}",
        f"{median(one.p99 for one in rounds):.2f}",
        f"{median(_own(one) / one.rate for one in rounds) * 1e6:.0f}",
        cores("service", "auth", "ceiling"),
        cores("mysql"),
        cores("redis"),
        cores("gateway"),
        cores("generator"),
        cores("elsewhere"),
    ]


def _own(measurement: Measurement) -> float:
    """Cores that our own process kept busy, or the ceiling's."""
    return sum(measurement.cores.get(part, 0.0) for part in ("service", "auth", "ceiling"))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns line up: the first to the left, figures to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if not n else cell.rjust(width) for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join(f":{'-' * (width + 1)}" if not n else f"{'-' * (width + 1)}:" for n, width in enumerate(widths)) + "|"
    return [line(head), rule, *(line(row) for row in rows)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
