"""When a figure holds, and what a run says about it: in its tables, in its JSON and in its plot."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from tests.bench.figures import (
    BOX_LOADS,
    GATEWAY,
    LIVE,
    ONE_PROCESS,
    PERIODS,
    Figure,
    Outcome,
    Verdict,
    at,
    best_count,
    boards_figures,
    box_figures,
    judge,
    judge_ratio,
    scale_figures,
)
from tests.bench.generator import Measurement
from tests.bench.plot import draw
from tests.bench.report import Report

TOP = Figure("top", "/top / bytes ceiling", 0.75, 0.9, "top", "bytes")
REBUILD = Figure("rebuild", "Rebuild of <1,000,000> players & more", 45, 20, unit="s", less_is_better=True)
TOLD = Figure("told", "Told", of="told", against="bytes")
AIMED = Figure("aimed", "Aimed", aim=0.5, of="aimed", against="bytes")
SVG = "{http://www.w3.org/2000/svg}"


def report(*outcomes: Outcome, faults: Sequence[str] = (), smoke: bool = False) -> Report:
    """A run that came to these outcomes."""
    measured = {"top": [Measurement(4000, 2.0, 9.0, {"generator": 0.2, "elsewhere": 0.02})], "around": []}
    machine, settings = {"Processor": "A & B <fast>"}, {"players": 200_000}
    return Report(datetime(2026, 1, 2, tzinfo=UTC), machine, settings, list(outcomes), measured, list(faults), smoke=smoke)


@pytest.mark.parametrize(
    ("figure", "values", "verdict"),
    [
        (TOP, [0.95, 0.9, 0.2], Verdict.AIM),
        (TOP, [0.89, 0.75, 0.75], Verdict.FLOOR),
        (TOP, [0.9, 0.74, 0.7], Verdict.BELOW),
        (TOP, [], Verdict.MISSING),
        (TOLD, [0.01], Verdict.TOLD),
        (TOLD, [], Verdict.MISSING),
        (AIMED, [0.5], Verdict.AIM),
        (AIMED, [0.49], Verdict.TOLD),
        (REBUILD, [20.0], Verdict.AIM),
        (REBUILD, [45.0], Verdict.FLOOR),
        (REBUILD, [45.1], Verdict.BELOW),
    ],
)
def test_the_median_of_the_rounds_is_held_against_the_marks(figure: Figure, values: list[float], verdict: Verdict) -> None:
    assert judge(figure, values).verdict is verdict


def test_a_ratio_is_that_of_two_loads_in_the_same_round() -> None:
    # The machine was half as fast in the second round: the ratio does not see it.
    outcome = judge_ratio(TOP, {"top": [900.0, 450.0, 880.0], "bytes": [1000.0, 500.0, 1100.0]})
    assert (outcome.value, outcome.low, outcome.high) == (0.9, 0.8, 0.9)


def test_what_is_not_there_and_what_failed_are_told_apart() -> None:
    assert judge_ratio(TOP, {"bytes": [1000.0]}).verdict is Verdict.MISSING
    assert judge_ratio(TOP, {"top": [], "bytes": [1000.0]}).verdict is Verdict.FAILED


def test_every_number_of_processes_is_compared_and_the_best_is_held_against_the_marks() -> None:
    rates = {at(load, count): [float(100 * count if count < 4 else 50)] for load in BOX_LOADS for count in (1, 2, 4)}
    best = best_count(rates, [1, 2, 4])
    assert best == 2
    figures = box_figures(best, [1, 2, 4])
    assert {figure.of for figure in figures} == {at(load, 2) for load in BOX_LOADS} | {at("rank", 4)}
    assert all(figure.floor is not None for figure in figures if figure.name.startswith("box-"))


def test_figures_have_names_of_their_own_and_an_aim_beyond_the_floor() -> None:
    several = [*box_figures(2, [1, 2]), *boards_figures(5, 10_000, 1_000), *scale_figures(10_000, 1_000_000)]
    figures = [*ONE_PROCESS, *GATEWAY, *LIVE, *PERIODS, *several]
    assert len({figure.name for figure in figures}) == len(figures)
    for figure in figures:
        if figure.floor is not None and figure.aim is not None:
            assert (figure.aim < figure.floor) is figure.less_is_better, figure.name


@pytest.mark.parametrize("verdict", [Verdict.BELOW, Verdict.MISSING, Verdict.FAILED])
def test_a_run_fails_with_one_figure_that_does_not_hold_and_says_which(verdict: Verdict) -> None:
    failed = report(judge(REBUILD, [1.0]), Outcome(TOP, verdict))
    assert not failed.succeeded
    assert failed.verdict_lines() == ["", f"FAILED  /top / bytes ceiling: {verdict.value}"]


def test_a_run_fails_with_a_fault_whatever_its_figures_are() -> None:
    failed = report(judge(TOP, [1.0]), faults=["around: not there: it answers 404"])
    assert not failed.succeeded
    assert "FAILED  around: not there: it answers 404" in failed.lines()


def test_a_smoke_run_fails_by_faults_alone() -> None:
    assert report(judge(TOP, [0.1]), smoke=True).succeeded
    assert not report(judge(TOP, [0.1]), faults=["submit: 1 answer cut off"], smoke=True).succeeded


def test_a_run_in_which_all_holds_succeeds_and_complains_of_nothing() -> None:
    succeeded = report(judge(TOP, [0.8]), judge(TOLD, [0.1]), judge(REBUILD, [30.0]))
    assert succeeded.succeeded
    assert succeeded.verdict_lines() == []


def test_the_table_lines_up_and_says_what_came_of_each_figure() -> None:
    lines = report(judge(TOP, [0.8, 0.85, 0.9]), judge(REBUILD, [30.0]), Outcome(TOLD, Verdict.MISSING)).lines()
    table = [line for line in lines[:5] if line.startswith("|")]
    assert len(table) == 5
    assert len({len(line) for line in table}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert cells[2] == ["/top / bytes ceiling", "0.85", "0.80 to 0.90", "0.75", "0.90", "floor held"]
    assert cells[3] == [REBUILD.title, "30.0 s", "30.0 s to 30.0 s", "≤ 45.0 s", "≤ 20.0 s", "floor held"]
    assert cells[4] == ["Told", "–", "–", "–", "–", "not there"]


def test_a_busy_machine_is_told() -> None:
    run = report(judge(TOP, [0.8]))
    assert not any("not clean" in line for line in run.lines())
    run.measured["top"] = [Measurement(4000, 2.0, 9.0, {"elsewhere": 0.9})]
    assert "Something else kept 0.90 cores busy meanwhile: these figures are not clean ones." in run.lines()


def test_a_note_is_told_and_does_not_make_a_run_fail() -> None:
    run = report(judge(TOP, [0.8]))
    run.notes.append("MySQL answered for a while.")
    assert run.succeeded
    assert "MySQL answered for a while." in run.lines()
    assert run.to_json()["notes"] == run.notes


def test_the_json_holds_every_figure_and_every_round() -> None:
    document = json.loads(json.dumps(report(judge(TOP, [0.8]), Outcome(TOLD, Verdict.MISSING)).to_json()))
    assert [(figure["name"], figure["median"], figure["verdict"]) for figure in document["figures"]] == [
        ("top", 0.8, "floor held"),
        ("told", None, "not there"),
    ]
    assert document["loads"]["top"][0]["rate"] == 4000
    assert document["machine"] == {"Processor": "A & B <fast>"}


@pytest.mark.parametrize(
    "outcomes",
    [
        [],
        [judge(TOP, [0.8, 0.7, 1.4]), judge(REBUILD, [60.0]), Outcome(TOLD, Verdict.FAILED), judge(TOLD, [2.5])],
        [judge(REBUILD, [0.0]), judge(TOP, [0.0])],
    ],
)
def test_the_plot_is_well_formed_and_shows_every_figure_within_its_frame(outcomes: list[Outcome]) -> None:
    image = ET.fromstring(draw(report(*outcomes)))  # noqa: S314  # our own drawing
    assert image.tag == f"{SVG}svg"
    _, _, width, height = map(float, image.attrib["viewBox"].split())
    texts = ["".join(text.itertext()) for text in image.iter(f"{SVG}text")]
    for outcome in outcomes:
        assert outcome.figure.title in texts
    for element in image.iter():
        for x, y in (("x", "y"), ("x1", "y1"), ("x2", "y2")):
            assert 0 <= float(element.get(x, 0)) <= width
            assert 0 <= float(element.get(y, 0)) <= height
        assert float(element.get("width", 0)) >= 0


def test_the_plot_marks_floors_and_aims_and_follows_the_reader_into_the_dark() -> None:
    drawn = draw(report(judge(TOP, [0.8]), judge(TOLD, [0.8])))
    lines = [line.get("class") for line in ET.fromstring(drawn).iter(f"{SVG}line")]  # noqa: S314  # our own drawing
    assert lines.count("floor") == 2  # one in the legend
    assert lines.count("aim") == 2
    assert "prefers-color-scheme: dark" in drawn
