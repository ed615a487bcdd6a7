"""What the security documents name is there, and of ASVS 5.0 no requirement is left out."""

import re
from collections.abc import Iterator

import pytest

from services.auth.audit.events import Event
from services.auth.settings import AuthSettings
from services.leaderboard.settings import LeaderboardSettings
from services.local import ROOT
from services.local.gateway import GatewaySettings

DOCUMENTS = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("security.md", "asvs.md")}
TESTS = {
    name
    for file in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^\s*(?:async )?def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE)
}
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
ROW = re.compile(r"^\| (\d+\.\d+\.\d+)(?:–(\d+\.\d+\.\d+))? \| ([123]) \| ([^|]+) \| (\w+|–) \|([^|]*)\|([^|]*)\|$")

# How many requirements each section of ASVS 5.0.0 has, and which of them are of level 3 alone.
SECTIONS: dict[str, tuple[int, set[int]]] = {
    "1.1": (2, set()), "1.2": (10, {10}), "1.3": (12, {12}), "1.4": (3, set()), "1.5": (3, {3}),
    "2.1": (3, set()), "2.2": (3, set()), "2.3": (5, {5}), "2.4": (2, {2}),
    "3.1": (1, {1}), "3.2": (3, {3}), "3.3": (5, {5}), "3.4": (8, {7, 8}), "3.5": (8, {6, 7, 8}), "3.6": (1, {1}),
    "3.7": (5, {3, 4, 5}),
    "4.1": (5, {4, 5}), "4.2": (5, {2, 3, 4, 5}), "4.3": (2, set()), "4.4": (4, set()),
    "5.1": (1, set()), "5.2": (6, {4, 5, 6}), "5.3": (3, {3}), "5.4": (3, set()),
    "6.1": (3, set()), "6.2": (12, set()), "6.3": (8, {5, 6, 7, 8}), "6.4": (6, {5, 6}), "6.5": (8, {6, 7, 8}),
    "6.6": (4, {4}), "6.7": (2, {1, 2}), "6.8": (4, set()),
    "7.1": (3, set()), "7.2": (4, set()), "7.3": (2, set()), "7.4": (5, set()), "7.5": (3, {3}), "7.6": (2, set()),
    "8.1": (4, {3, 4}), "8.2": (4, {4}), "8.3": (3, {2, 3}), "8.4": (2, {2}),
    "9.1": (3, set()), "9.2": (4, set()),
    "10.1": (2, set()), "10.2": (3, {3}), "10.3": (5, {5}), "10.4": (16, {12, 13, 14, 15, 16}), "10.5": (5, set()),
    "10.6": (2, set()), "10.7": (3, set()),
    "11.1": (4, {3, 4}), "11.2": (5, {4, 5}), "11.3": (5, {4, 5}), "11.4": (4, set()), "11.5": (2, {2}), "11.6": (2, {2}),
    "11.7": (2, {1, 2}),
    "12.1": (5, {4, 5}), "12.2": (2, set()), "12.3": (5, {5}),
    "13.1": (4, {2, 3, 4}), "13.2": (6, {6}), "13.3": (4, {3, 4}), "13.4": (7, {6, 7}),
    "14.1": (2, set()), "14.2": (8, {5, 6, 7, 8}), "14.3": (3, set()),
    "15.1": (5, {4, 5}), "15.2": (5, {4, 5}), "15.3": (7, set()), "15.4": (4, {1, 2, 3, 4}),
    "16.1": (1, set()), "16.2": (5, set()), "16.3": (4, set()), "16.4": (3, set()), "16.5": (4, {4}),
    "17.1": (2, {2}), "17.2": (8, {5, 6, 7, 8}), "17.3": (2, set()),
}  # fmt: skip


def rows() -> Iterator[tuple[list[str], str, str, str, str]]:
    """Each row of the table: its requirements, their level, the answer, where it is met or why not, what shows it."""
    for line in DOCUMENTS["asvs.md"].splitlines():
        if line.startswith("| ") and line[2].isdigit():
            found = ROW.match(line)
            assert found, line
            first, last, level, _, answer, where, shown = found.groups()
            section, _, begin = first.rpartition(".")
            end = int((last or first).rpartition(".")[2])
            yield [f"{section}.{number}" for number in range(int(begin), end + 1)], level, answer, where.strip(), shown.strip()


def test_no_requirement_of_levels_1_and_2_is_left_out_and_none_is_told_twice() -> None:
    told = [requirement for requirements, *_ in rows() for requirement in requirements]
    assert len(told) == len(set(told))
    there = {f"{section}.{number}" for section, (most, _) in SECTIONS.items() for number in range(1, most + 1)}
    optional = {f"{section}.{number}" for section, (_, numbers) in SECTIONS.items() for number in numbers}
    assert there - optional <= set(told) <= there
    levels = {requirement: level for requirements, level, *_ in rows() for requirement in requirements}
    assert {requirement for requirement, level in levels.items() if level == "3"} == optional & set(told)


def test_what_is_met_is_shown_and_what_is_not_has_its_reason() -> None:
    for requirements, level, answer, where, shown in rows():
        assert answer in {"yes", "part", "no", "–"}, requirements
        assert answer != "yes" or shown, requirements
        assert answer != "no" or where, requirements
        assert answer != "part" or where, requirements
        assert not (answer in {"no", "–"} and level == "3") or where, requirements


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_test_and_every_target_that_is_named_is_there(name: str) -> None:
    text = DOCUMENTS[name]
    assert set(re.findall(r"`(test_\w+)`", text)) <= TESTS
    assert set(re.findall(r"`make ([a-z]+)[^`]*`", text)) <= TARGETS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_leads_somewhere(name: str) -> None:
    for path in re.findall(r"`((?:services|gateway|frontend|migrations|tests|docs)/[^`*]*)`", DOCUMENTS[name]):
        assert (ROOT / path).exists(), path


def test_settings_and_events_are_called_by_their_names() -> None:
    text = DOCUMENTS["security.md"]
    known = {
        name.upper() for settings in (AuthSettings, LeaderboardSettings, GatewaySettings) for name in settings.model_fields
    }
    named = {
        word for word in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`", text) if word not in {"SERVICE_NAMES", "BIND_ADDRESS"}
    }
    assert named <= known
    [row] = [line for line in text.splitlines() if line.startswith("| the audit log")]
    assert {word for word in re.findall(r"`([a-z_]+)`", row) if word != "audit_events"} == set(Event)
