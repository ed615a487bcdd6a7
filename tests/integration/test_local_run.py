"""`make run` as a person meets it: started from the command line, looked at from outside, stopped and killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from services.local import ROOT
from services.local.ports import free_port
from services.local.state import STATE_FILE, find_state, started_at
from tests.system import PASSWORD, QUICK_PASSWORDS

START_SECONDS = 90.0


class Runner:
    """One ``python -m services.local run`` with a data folder of its own."""

    def __init__(self, home: Path, port: int, command: str = "run", **settings: str) -> None:
        self.home = home
        self.folder = home / ".local"
        self.port = port
        self._output, self._errors = home / "output", home / "errors"
        arguments = ["--folder", str(self.folder), "--env-file", str(home / ".env"), command]
        environment = {**os.environ, **QUICK_PASSWORDS, "PORT": str(port), **settings}
        # As from a terminal: if the tests run under nohup, it would take over that a closed one is to be survived.
        ours = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(  # our own program
                [sys.executable, "-m", "services.local", *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        signal.signal(signal.SIGHUP, ours)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        return self._errors.read_text(encoding="utf-8")

    def wait_running(self) -> "Runner":
        """Wait for the line with the address."""
        deadline = time.monotonic() + START_SECONDS
        while "\n" not in self.output:
            assert self.process.poll() is None, self.errors
            assert time.monotonic() < deadline, self.errors
            time.sleep(0.05)
        return self

    def pids(self) -> dict[str, int]:
        """The processes it has started, by name."""
        state = find_state(self.folder / STATE_FILE)
        assert state is not None
        return {child.name: child.pid for child in state.children}

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(60)


Start = Callable[..., Runner]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts runs, and ends those that a failed test left."""
    runners: list[Runner] = []

    def start_run(home: Path | None = None, port: int | None = None, command: str = "run", **settings: str) -> Runner:
        runner = Runner(home or tmp_path_factory.mktemp("run"), port or free_port(), command, **settings)
        runners.append(runner)
        return runner

    yield start_run
    for runner in runners:
        if runner.process.poll() is None:
            runner.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def running(start: Start) -> Runner:
    """A run for tests that only look."""
    return start(REDIS_MEMORY="200mb").wait_running()


def wait_gone(pids: dict[str, int]) -> None:
    """Hold that all of them end within a few seconds."""
    deadline = time.monotonic() + 5
    while left := [name for name, pid in pids.items() if started_at(pid) is not None]:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.02)


def submit(url: str, username: str, score: int) -> None:
    """Register, log in, submit."""
    credentials = {"username": username, "password": PASSWORD}
    with httpx.Client(base_url=url) as client:
        assert client.post("/auth/register", json=credentials).status_code == 201
        token = client.post("/auth/login", json=credentials).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert client.post("/api/leaderboard/submit", json={"score": score}, headers=headers).status_code == 201


def top(url: str) -> list[tuple[str, int]]:
    """Who is on the board."""
    page = httpx.get(f"{url}/api/leaderboard/top").json()
    return [(player["username"], player["total_score"]) for player in page["top"]]


def test_one_line_says_where_it_is_and_the_page_is_there(running: Runner) -> None:
    assert running.output.count("\n") == 1
    assert f"http://localhost:{running.port} " in running.output
    assert "text/html" in httpx.get(running.url).headers["content-type"]


def test_secrets_and_coordinates_are_their_owners_alone(running: Runner) -> None:
    for path in (running.home / ".env", running.folder / STATE_FILE, running.folder / "redis" / "redis.conf"):
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert running.folder.stat().st_mode & 0o777 == 0o700
    secrets = [
        line.partition("=")[2] for line in (running.home / ".env").read_text(encoding="utf-8").splitlines() if "=" in line
    ]
    assert len(secrets) == 7
    logs = "".join(log.read_text(encoding="utf-8") for log in (running.folder / "logs").iterdir())
    assert not [secret for secret in secrets if secret in logs + running.output + running.errors]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_process_has_a_secret_that_is_not_its_own(running: Runner) -> None:
    pids = running.pids()

    def knows(name: str) -> set[str]:
        environment = Path(f"/proc/{pids[name]}/environ").read_bytes().decode().split("\0")
        named = {setting.partition("=")[0] for setting in environment}
        return {setting for setting in named if setting.endswith(("PASSWORD", "_KEYS"))}

    assert knows("auth") == {"JWT_KEYS", "ENCRYPTION_KEYS", "AUTH_MYSQL_PASSWORD"}
    assert knows("leaderboard") == {"JWT_KEYS", "ENCRYPTION_KEYS", "LEADERBOARD_MYSQL_PASSWORD", "REDIS_PASSWORD"}
    assert all(knows(name) == set() for name in pids.keys() - {"auth", "leaderboard"})


def test_nothing_can_be_reached_from_other_machines(running: Runner) -> None:
    state = find_state(running.folder / STATE_FILE)
    assert state is not None
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses the address that would be sent from
        except OSError:
            pytest.skip("this machine has no other address")
        host_address = probe.getsockname()[0]
    for port in (running.port, state.mysql_port, int(state.redis_url.rpartition(":")[2].removesuffix("/0"))):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host_address, port), timeout=5)


def test_a_second_run_in_the_same_folder_is_refused_in_one_line(running: Runner, start: Start) -> None:
    second = start(running.home)
    assert second.process.wait(30) == 1
    assert second.errors.count("\n") == 1
    assert "running already" in second.errors
    assert f"kill {running.process.pid}" in second.errors
    assert httpx.get(f"{running.url}/auth/health/ready").status_code == 200


def test_a_taken_port_is_said_in_one_line_before_anything_starts(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        runner = start(port=port)
        assert runner.process.wait(30) == 1
    assert runner.errors == f"Port {port} is taken; choose another with PORT={port + 1} make run\n"
    assert not (runner.folder / "mysql").exists()


def test_redis_may_use_the_memory_that_is_asked_for(running: Runner) -> None:
    assert "\nmaxmemory 200mb\n" in (running.folder / "redis" / "redis.conf").read_text(encoding="utf-8")


@pytest.mark.parametrize("memory", ["lots", "0", "-1", "1tb", "256mb\nrequirepass x", "256 mb"])
def test_a_memory_that_is_no_size_is_said_in_one_line_before_anything_starts(start: Start, memory: str) -> None:
    runner = start(REDIS_MEMORY=memory)
    assert runner.process.wait(60) == 1
    assert runner.errors.startswith("REDIS_MEMORY must be a size")
    assert runner.errors.count("\n") == 1
    assert not runner.folder.joinpath("redis").exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ALLOWED_ORIGINS", "https://game.example/", "ALLOWED_ORIGINS: 'https://game.example/' is no origin"),
        ("TRUSTED_PROXIES", "proxy.example", "TRUSTED_PROXIES: 'proxy.example' is no address"),
        ("PROXIES", "1", "PROXIES: where there are proxies in front, TRUSTED_PROXIES must name their addresses"),
    ],
)
def test_what_cannot_be_around_the_gateway_is_said_in_one_line_before_anything_starts(
    start: Start, name: str, value: str, said: str
) -> None:
    runner = start(**{name: value})
    assert runner.process.wait(60) == 1
    assert runner.errors.startswith(f"cannot start: {said}")
    assert runner.errors.count("\n") == 1
    assert not runner.folder.joinpath("mysql").exists()


def test_what_is_around_the_gateway_can_be_said_in_the_environment_and_in_the_file(start: Start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ALLOWED_ORIGINS=https://game.example\n", encoding="utf-8")
    runner = start(tmp_path, TRUSTED_PROXIES="127.0.0.1").wait_running()
    with httpx.Client(base_url=runner.url) as client:
        told = {"Origin": "https://game.example", "X-Forwarded-Proto": "https"}
        answer = client.get("/api/leaderboard/top", headers=told)
    assert answer.headers["access-control-allow-origin"] == "https://game.example"
    assert "strict-transport-security" in answer.headers
    assert runner.end(signal.SIGINT) == 0


def test_ctrl_c_stops_everything_and_leaves_no_process(start: Start) -> None:
    runner = start().wait_running()
    pids = runner.pids()
    assert pids.keys() == {"mysql", "redis", "page", "auth", "leaderboard", "gateway"}
    assert runner.end(signal.SIGINT) == 0
    assert not [name for name, pid in pids.items() if started_at(pid) is not None]
    assert not (runner.folder / STATE_FILE).exists()


def test_ctrl_c_while_it_starts_leaves_no_process_either(start: Start) -> None:
    runner = start()
    deadline = time.monotonic() + START_SECONDS
    while find_state(runner.folder / STATE_FILE) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pids = runner.pids()
    assert runner.end(signal.SIGINT) == 0
    assert not [name for name, pid in pids.items() if started_at(pid) is not None]
    assert runner.output == ""


def test_a_process_that_dies_is_said_and_ends_the_run(start: Start) -> None:
    runner = start().wait_running()
    pids = runner.pids()
    os.kill(pids["leaderboard"], signal.SIGKILL)
    assert runner.process.wait(60) == 1
    assert "leaderboard was ended by SIGKILL (exit code -9)" in runner.errors
    assert str(runner.folder / "logs" / "leaderboard.log") in runner.errors
    assert "Traceback" not in runner.errors
    wait_gone(pids)


def test_data_is_kept_from_one_run_to_the_next_even_if_the_first_is_killed(start: Start) -> None:
    first = start().wait_running()
    submit(first.url, "Ada", 420)
    pids = first.pids()
    first.end(signal.SIGKILL)
    if sys.platform == "linux":  # elsewhere the next start ends them
        wait_gone(pids)
    second = start(first.home, first.port).wait_running()
    assert top(second.url) == [("Ada", 420)]
    submit(second.url, "Grace", 421)
    assert top(second.url) == [("Grace", 421), ("Ada", 420)]
    pids = second.pids()
    assert second.end(signal.SIGHUP) == 0, "a closed terminal is an orderly stop"
    wait_gone(pids)


def test_dev_shows_the_services_logs_behind_their_names(start: Start) -> None:
    runner = start(command="dev").wait_running()
    pids = runner.pids()
    assert runner.end(signal.SIGTERM) == 0
    assert "auth        | " in runner.output
    assert "leaderboard | " in runner.output
    wait_gone(pids)


def test_an_operator_makes_an_admin_and_a_second_factor_that_is_not_needed_is_said(start: Start) -> None:
    running = start(STAFF_SECOND_FACTOR="no").wait_running()
    place, warning = running.output.splitlines()
    assert place.startswith("The leaderboard is at")
    assert "STAFF_SECOND_FACTOR is off" in warning
    with httpx.Client(base_url=running.url) as client:
        credentials = {"username": "Ada", "password": PASSWORD}
        assert client.post("/auth/register", json=credentials).status_code == 201
        options = ["--folder", str(running.folder), "--env-file", str(running.home / ".env")]
        command = [sys.executable, "-m", "services.local", *options, "operate", "give-role", "Ada"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # our own program
        assert (done.returncode, done.stderr) == (0, "")
        token = client.post("/auth/login", json=credentials).json()["access_token"]
        staff = client.get("/auth/staff", headers={"Authorization": f"Bearer {token}"}).json()["staff"]
    assert [(each["username"], each["role"], each["granted_by"]) for each in staff] == [("Ada", "admin", None)]


def test_seed_fills_the_running_system_and_says_that_all_agrees(running: Runner) -> None:
    options = ["--folder", str(running.folder), "--env-file", str(running.home / ".env")]
    command = [sys.executable, "-m", "services.local", *options, "seed", "--players", "200", "--sessions", "2000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # our own program
    assert done.returncode == 0, done.stderr
    assert "standings of 200 players against 2,000 game sessions: each is what its sessions give" in done.stdout
    # What was written past the services is in the outbox, and shows within a second.
    deadline = time.monotonic() + 10
    while (page := httpx.get(f"{running.url}/api/leaderboard/top?limit=3").json())["total_players"] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    leader = page["top"][0]
    rank = httpx.get(f"{running.url}/api/leaderboard/rank/{leader['user_id']}").json()
    assert json.dumps(rank, sort_keys=True) == json.dumps(leader, sort_keys=True)


def test_seed_says_that_nothing_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.local", "--folder", str(tmp_path), "--env-file", str(tmp_path / ".env"), "seed"]
    # Nor is there a docker, whose containers may well be running.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MYSQL_")} | {"PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Nothing runs here to fill")
    assert done.stderr.count("\n") == 1
