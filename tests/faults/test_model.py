"""Random operations against the model of model.py, whatever fails meanwhile. One process's clock is two seconds ahead."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from services.local.stack import Stack
from services.local.web import Service
from tests.conftest import settings_of
from tests.faults.judging import Judgement
from tests.faults.machine import EVERYWHERE, PLAYERS, PROCESSES, Machine
from tests.faults.model import Model
from tests.faults.proofs import Proof
from tests.faults.subject import Subject
from tests.playing import API
from tests.system import Accounts

pytestmark = pytest.mark.proof(1)


@pytest.fixture
def ahead(own_stack: Stack, tmp_path: Path) -> Iterator[Service]:
    """A process whose clock is ahead of the other's and of MySQL's, in the place of one of the stack's."""
    own_stack.leaderboards[1].kill()
    service = Service(
        "leaderboard-ahead",
        module="tests.faults.ahead",
        ready_path=f"{API}/health/ready",
        log=tmp_path / "ahead.log",
        environment=own_stack.leaderboard.environment(),
    )
    service.start()
    yield service
    service.kill()
    own_stack.leaderboards[1].start()


@pytest.fixture
def make_subject(own_stack: Stack, ahead: Service, secrets: Mapping[str, str]) -> Callable[[Model], Subject]:
    own = settings_of(own_stack, secrets)
    return lambda model: Subject(own_stack, [own_stack.leaderboard, ahead], own, model)


def test_every_answer_is_the_models(
    make_subject: Callable[[Model], Subject], accounts: Accounts, rounds: Callable[[int, int], int], proof: Proof
) -> None:
    number = rounds(3, 100)
    examples = settings(
        max_examples=number,
        stateful_step_count=50,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],  # a shorter history that fails is looked for in hours, for each one starts processes
        suppress_health_check=list(HealthCheck),
    )
    patience, waits = rounds(4, 11), rounds(1, 10)
    errors: list[BaseException] = []
    with proof.progress("examples", number) as bar:
        machine: Any = lambda: Machine(make_subject, accounts, proof, bar, patience, waits, errors)  # noqa: E731 - called as the class would be
        try:
            run_state_machine_as_test(machine, settings=examples)
        except Flaky as flaky:  # played again, time has gone on, and it may be another example
            raise errors[0] from flaky
    for what in (
        "sessions",
        "sessions with a key",
        "repeats",
        "players removed",
        "sessions voided",
        "sessions restored",
        "players banned",
        "players unbanned",
        "judgements refused",
        "players' standings compared",
        "last events of watchers compared",
    ):
        assert proof.done[what] > 0, what


def test_a_window_that_starts_anew_is_one_that_replays_removals_voids_and_bans_reach_back_over(
    make_subject: Callable[[Model], Subject], accounts: Accounts, proof: Proof
) -> None:
    """The same machine, without chance: both processes count in every window from before one starts anew until after.

    What is over is settled then. So what is done after that changes standings, and no results.
    """
    with proof.progress("examples", 1) as bar:
        machine = Machine(make_subject, accounts, proof, bar, 11, 1, [])
        try:
            machine.everyone_plays([(1, False)] * PLAYERS)
            for player in range(PLAYERS):
                machine.submit_one(player, player % PROCESSES, EVERYWHERE, "b")
            machine.play_over_a_rollover([(player, EVERYWHERE) for player in range(PLAYERS)])
            machine.repeat([(number % PROCESSES, number) for number in range(PLAYERS)])
            for number in range(PLAYERS):
                machine.judge([Judgement("void", 0, 7 * number + 1, number % PROCESSES, by_key=bool(number % 3))])
            machine.judge([Judgement("ban", player, player, 1, by_key=False) for player in range(3)])
            machine.submit_one(0, 0, EVERYWHERE)  # who is banned
            machine.settle()
            machine.fault("kill", 0)
            machine.fault("stop", 0)
            machine.repeat([(number % PROCESSES, number) for number in range(PLAYERS)])
            machine.judge([Judgement("unban", player, 0, 0, by_key=True) for player in range(2)])
            machine.judge([Judgement("restore", 0, 1, number % PROCESSES, by_key=False) for number in range(PLAYERS)])
            machine.leave(0, 1)
            machine.judge([Judgement("void", 0, 0, 1, by_key=False)])  # which was erased
            machine.rename(1, 0, at_once=True)
            machine.submit_one(0, 0, EVERYWHERE, "b")  # which was erased
            machine.submit_one(0, 1, EVERYWHERE)
        finally:
            machine.teardown()
    for what in (
        "windows that started anew",
        "repeats across a rollover",
        "places that had ended, and a player was removed from",
        "answers about periods that had ended",
        "periods settled, and results compared",
        "corrections told",
        "answers about results",
    ):
        assert proof.done[what] > 0, what
