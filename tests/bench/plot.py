"""The plot: an SVG of its own, which follows the reader's light or dark scheme and needs nothing to be shown."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from xml.sax.saxutils import escape, quoteattr

from tests.bench.figures import Outcome, Verdict
from tests.bench.report import Report, mark, shown

_TITLE = "What the leaderboard does in a second, against its framework's ceiling"
_WIDTH = 1010
_LETTERS = 140  # of the small print, in a line
_LABELS = 502
_BARS = 360
_LEFT = _LABELS + 16
_ROW = 30
_BAR = 14

_STYLE = """
  svg { --ground: #ffffff; --ink: #1f2328; --faint: #59636e; --line: #d1d9e0; --good: #1a7f37; --fair: #0969da; --poor: #cf222e;
    --told: #8c959f; }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #0d1117; --ink: #e6edf3; --faint: #9198a1; --line: #3d444d; --good: #3fb950; --fair: #4493f8;
      --poor: #f85149; --told: #6e7681; }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); }
  .title { font-size: 17px; font-weight: 600; }
  .heading { font-weight: 600; }
  .faint { font-size: 12px; fill: var(--faint); }
  .ground { fill: var(--ground); }
  .axis { stroke: var(--line); }
  .spread { stroke: var(--ink); stroke-width: 1.5; }
  .floor { stroke: var(--ink); stroke-width: 2.5; }
  .aim { stroke: var(--ink); stroke-width: 2; stroke-dasharray: 3 2; }
  rect { fill-opacity: 0.6; }
  .ground { fill-opacity: 1; }
  .good { fill: var(--good); } .fair { fill: var(--fair); } .poor { fill: var(--poor); } .told { fill: var(--told); }
"""
_FILL = {Verdict.AIM: "good", Verdict.FLOOR: "fair", Verdict.BELOW: "poor", Verdict.TOLD: "told"}


def draw(report: Report) -> str:
    """The run's figures as bars, with spread, floor and aim: ratios on one axis, all else each against its own floor."""
    ratios = [outcome for outcome in report.outcomes if not outcome.figure.unit]
    others = [outcome for outcome in report.outcomes if outcome.figure.unit]
    body = [*_heading(report)]
    top = 104
    greatest = max([1.0, *(number for outcome in ratios for number in _numbers(outcome))])
    body += _panel("Ratios within a round (more is better)", ratios, [greatest] * len(ratios), top, axis=greatest)
    top += _panel_height(ratios)
    if others:
        scales = [max(_numbers(outcome), default=1.0) for outcome in others]
        body += _panel("Times and sizes (less is better), each on its own scale", others, scales, top)
        top += _panel_height(others)
    notes = [line for name, value in report.machine.items() for line in wrap(f"{name}: {value}", _LETTERS)]
    body += [_text(24, top + 18 * number, line, "faint") for number, line in enumerate(notes)]
    height = top + 24 + 18 * len(notes)
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(_TITLE)}>'
    ground = f'<rect class="ground" width="{_WIDTH}" height="{height}" rx="8"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", ground, *body, "</svg>\n"])


def _heading(report: Report) -> Iterator[str]:
    yield _text(24, 36, _TITLE, "title")
    settings = ", ".join(f"{name} {value:,}" for name, value in report.settings.items())
    note = " – a smoke run, whose figures mean nothing" if report.smoke else ""
    yield _text(24, 58, f"{report.began:%Y-%m-%d}: {settings}{note}", "faint")
    x = 24
    for kind, words, gap in (("floor", "floor", 64), ("aim", "aim", 58), ("spread", "spread of the rounds", 164)):
        yield _line(kind, x + 6, 70, x + 6, 84) if kind != "spread" else _line(kind, x, 77, x + 14, 77)
        yield _text(x + 20, 81, words, "faint")
        x += gap
    for verdict in (Verdict.AIM, Verdict.FLOOR, Verdict.BELOW, Verdict.TOLD):
        yield f'<rect class="{_FILL[verdict]}" x="{x}" y="71" width="12" height="12" rx="2"/>'
        yield _text(x + 18, 81, verdict.value, "faint")
        x += 116


def _panel(title: str, outcomes: Sequence[Outcome], scales: Sequence[float], top: int, axis: float = 0) -> Iterator[str]:
    yield _text(24, top + 14, title, "heading")
    first, last = top + 28, top + 28 + _ROW * len(outcomes)
    yield _line("axis", _LEFT, first, _LEFT, last)
    for tick in range(1, int(axis * 2) + 1):
        x = _LEFT + _BARS * tick / 2 / axis
        yield _line("axis", x, first, x, last)
        yield _text(x, last + 14, f"{tick / 2:.1f}", "faint", "middle")
    for row, (outcome, scale) in enumerate(zip(outcomes, scales, strict=True)):
        yield from _row(outcome, scale, first + row * _ROW + _ROW / 2)


def _row(outcome: Outcome, scale: float, y: float) -> Iterator[str]:
    figure = outcome.figure

    def x(value: float) -> float:
        return _LEFT + _BARS * value / scale

    yield _text(_LABELS, y + 4.5, figure.title, "", "end")
    if outcome.value is None or outcome.low is None or outcome.high is None:
        yield _text(_LEFT + 8, y + 4.5, outcome.verdict.value, "faint")
        return
    words = [f"{figure.title}: {shown(figure, outcome.value)}", outcome.verdict.value]
    words += [f"{name} {mark(figure, value)}" for name, value in (("floor", figure.floor), ("aim", figure.aim)) if value]
    width = x(outcome.value) - _LEFT
    yield f"<g><title>{escape(', '.join(words))}</title>"
    place = f'x="{_LEFT}" y="{y - _BAR / 2:.1f}" width="{width:.1f}" height="{_BAR}"'
    yield f'<rect class="{_FILL[outcome.verdict]}" {place} rx="2"/>'
    yield _line("spread", x(outcome.low), y, x(outcome.high), y)
    for kind, value in (("floor", figure.floor), ("aim", figure.aim)):
        if value is not None:
            yield _line(kind, x(value), y - _BAR / 2 - 4, x(value), y + _BAR / 2 + 4)
    yield "</g>"
    yield _text(_WIDTH - 24, y + 4.5, shown(figure, outcome.value), "", "end")


def _panel_height(outcomes: Sequence[Outcome]) -> int:
    return 28 + _ROW * len(outcomes) + 44


def _numbers(outcome: Outcome) -> list[float]:
    """What must fit on the outcome's axis."""
    return [n for n in (outcome.high, outcome.figure.floor, outcome.figure.aim) if n is not None]


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    style = f" class={quoteattr(kind)}" if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
