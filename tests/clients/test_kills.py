"""A game that is killed at any moment loses no score, and no score is counted twice. `make faults` has the long form."""

from pathlib import Path

import pytest

from tests.clients.killing import FindCounted, kill_often
from tests.clients.losing import Losing
from tests.clients.samples import SAMPLES


@pytest.mark.parametrize("language", SAMPLES)
async def test_scores_are_counted_once_whenever_the_game_is_killed(
    language: str, losing: Losing, counted: FindCounted, tmp_path: Path
) -> None:
    losing.requests = losing.answers = 0.03
    killed = await kill_often(SAMPLES[language], losing, tmp_path, counted, kills=4, games=8)
    assert killed.kills == 4
