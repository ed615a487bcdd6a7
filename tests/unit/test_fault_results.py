"""What the fault tests keep: the newest of each test, and a table that sums a proof up."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.proofs import Proof, table, write

DAY = datetime(2026, 11, 23, 12, tzinfo=UTC)


def proof(number: int, test: str, kills: int) -> Proof:
    made = Proof(number, test, True, sys.stderr, passed=True, seconds=2.0)
    made.did("kills", kills)
    made.find("lost")
    return made


def test_a_proof_is_summed_up_over_its_tests() -> None:
    failed = Proof(2, "third", True, sys.stderr)
    with pytest.raises(AssertionError, match="lost"):
        failed.find("lost", ["a session"])
    tests = [each.to_json(DAY) for each in (proof(2, "first", 3), proof(2, "second", 4), failed, proof(3, "other", 1))]
    [_, _, second, third] = table(tests)
    assert second.endswith("| 2 of 3 passed | kills 7 | lost 1 | 4 |")
    assert third.endswith("| 1 of 1 passed | kills 1 | lost 0 | 2 |")


def test_a_run_of_some_tests_leaves_the_results_of_the_others(tmp_path: Path) -> None:
    for kills, names in ((3, ("first", "second")), (5, ("second",))):
        write(tmp_path, [proof(2, name, kills).to_json(DAY) for name in names], {"Processor": "one"})
    kept = json.loads((tmp_path / "faults.json").read_text(encoding="utf-8"))
    assert [(each["test"], each["done"]["kills"]) for each in kept["tests"]] == [("first", 3), ("second", 5)]
    told = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "kills 8" in told
    assert "- Run: 2026-11-23 12:00 UTC\n" in told
