"""Games with our clients in them, killed at any moment on a network that loses answers: each score is counted once."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.clients.counted import find_counted
from tests.clients.killing import kill_often
from tests.clients.losing import losing_before
from tests.clients.samples import SAMPLES
from tests.faults.proofs import Proof

KILLS = 1_000
"""Of the long form, of all samples together."""


@pytest.mark.proof(14)
@pytest.mark.parametrize("language", SAMPLES)
async def test_each_score_is_counted_once_whenever_the_game_is_killed(
    language: str,
    stack: Stack,
    stack_settings: LeaderboardSettings,
    tmp_path: Path,
    rounds: Callable[[int, int], int],
    proof: Proof,
) -> None:
    kills = rounds(3, -(-KILLS // len(SAMPLES)))
    async with losing_before(stack.gateway_url) as losing:
        losing.requests = losing.answers = 0.03
        with proof.progress(f"kills of the sample in {language}", kills) as bar:
            killed = await kill_often(
                SAMPLES[language], losing, tmp_path, partial(find_counted, stack), kills=kills, games=8, on_kill=bar.advance
            )
    proof.did("games killed", killed.kills)
    proof.did("scores queued", len(killed.queued))
    proof.did("scores queued, but not told of before the kill", killed.unannounced)
    proof.did("requests and answers that games sent and waited for", len(losing.seen))
    # `kill_often` holds it.
    proof.find("scores lost")
    proof.find("scores counted twice")
    await proof.whole(stack_settings)
