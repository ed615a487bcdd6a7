"""Ports that are free, and what is said when something is missing."""

import socket
from pathlib import Path

import pytest

from services.local.errors import MissingPrerequisite, PortTaken
from services.local.ports import LOOPBACK, free_port, require_free
from services.local.prerequisites import Prerequisite, require

MISSING = Prerequisite("Redis", lambda: False, ("redis-server",), "redis", "valkey")
PRESENT = Prerequisite("MySQL", lambda: True, ("mysql-server",), "mysql", "mysql")


def test_free_ports_are_different_ones_and_can_be_listened_on() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    for port in ports:
        with socket.create_server((LOOPBACK, port)):
            pass


def test_a_taken_port_is_said_with_the_command_that_takes_another() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken, match=f"^Port {port} is taken; choose another with PORT={port + 1} make run$"):
            require_free(port, LOOPBACK, "make run")
    require_free(port, LOOPBACK, "make run")


def test_a_port_taken_for_ipv6_alone_is_taken_too() -> None:
    # http://localhost would reach the other program.
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server, pytest.raises(PortTaken):
        require_free(server.getsockname()[1], LOOPBACK, "make run")


@pytest.mark.parametrize(
    ("tool", "command"),
    [
        ("dnf", "sudo dnf install redis"),
        ("brew", "brew install valkey"),
        ("pacman", "your system's package manager"),
    ],
)
def test_where_we_may_not_install_one_line_says_what_to_install(
    tool: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / tool
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPrerequisite) as refusal:
        require((MISSING, PRESENT), report=lambda _: None)
    assert command in str(refusal.value)
    assert "Missing: Redis." in str(refusal.value)
    assert "mysql" not in str(refusal.value).lower()
    assert "\n" not in str(refusal.value)


def test_nothing_is_done_when_nothing_is_missing() -> None:
    def fail(step: str) -> None:
        pytest.fail(step)

    require((PRESENT,), report=fail)
