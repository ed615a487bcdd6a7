"""The area under the ROC curve: what it is for times that tell everything, and for times that tell nothing."""

from random import Random

import pytest

from tests.bench.timing import area


@pytest.mark.parametrize(
    ("known", "unknown", "expected"),
    [
        ([2, 3], [0, 1], 1.0),
        ([0, 1], [2, 3], 0.0),
        ([1, 1], [1, 1, 1], 0.5),
        ([1, 3], [2, 4], 0.25),
        ([1, 2, 3], [2], 0.5),
    ],
)
def test_it_is_how_often_a_known_one_takes_longer(known: list[float], unknown: list[float], expected: float) -> None:
    assert area(known, unknown) == pytest.approx(expected)


def test_times_of_one_kind_tell_nothing_and_a_little_more_is_seen() -> None:
    random = Random(7)
    times = [random.gauss(45, 2) for _ in range(4000)]
    assert abs(area(times[::2], times[1::2]) - 0.5) < 0.03
    assert area([each + 1 for each in times[::2]], times[1::2]) > 0.6
