"""What the gateway answers by itself: problems, as the services tell them, with what browsers of other origins need."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import httpx
import pytest
import yaml

from services.local import ROOT
from services.local.gateway import GatewaySettings
from services.local.ports import LOOPBACK, free_port
from services.local.stack import Stack
from services.local.web import Gateway
from tests.gateways import gateway_before
from tests.security.wire import CLOSE, HOST, exchange
from tests.system import assert_problem

GAME = "https://game.example"
SETTINGS = GatewaySettings(allowed_origins=GAME)
RETRY_AFTER = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlater"


class ImpatientGateway(Gateway):
    """The gateway as it is configured, but that it waits for a second only."""

    def prepare(self) -> None:
        super().prepare()
        dynamic = self.folder / "dynamic"
        shutil.copytree(ROOT / "gateway" / "dynamic", dynamic)
        services = (dynamic / "services.yaml").read_text(encoding="utf-8")
        assert "responseHeaderTimeout: 30s" in services
        (dynamic / "services.yaml").write_text(self.changed(services), encoding="utf-8")
        configuration = yaml.safe_load(self.configuration_file.read_text(encoding="utf-8"))
        configuration["providers"]["file"]["directory"] = str(dynamic)
        self.configuration_file.write_text(yaml.safe_dump(configuration), encoding="utf-8")

    def changed(self, services: str) -> str:
        return services.replace("responseHeaderTimeout: 30s", "responseHeaderTimeout: 1s")


class EmptyGateway(ImpatientGateway):
    """One that knows of no auth service at all."""

    def changed(self, services: str) -> str:
        before, auth, after = services.partition("""- url: '{{ env "AUTH_URL" | default "http://auth:8000" }}'""")
        assert auth
        return before.rstrip() + " []" + after


class Upstream:
    """Takes connections and answers each with the same bytes; with none, it leaves the client waiting."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._socket = socket.create_server((LOOPBACK, 0))
        self._waiting: list[socket.socket] = []
        self.received: list[bytes] = []
        self.url = f"http://{LOOPBACK}:{self._socket.getsockname()[1]}"
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            self.received.append(connection.recv(65536))
            if not self.received[-1]:  # see close()
                connection.close()
                return
            if self._answer:
                connection.sendall(self._answer)
                connection.close()
            else:
                self._waiting.append(connection)

    def close(self) -> None:
        with socket.create_connection(self._socket.getsockname()):
            pass
        self._thread.join()
        for each in (self._socket, *self._waiting):
            each.close()


@pytest.fixture(scope="module")
def broken_url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway whose auth service is gone, and whose leaderboard service never answers."""
    silent = Upstream(b"")
    gone = f"http://{LOOPBACK}:{free_port()}"
    folder = tmp_path_factory.mktemp("broken")
    try:
        with gateway_before(
            stack, folder, ImpatientGateway, settings=SETTINGS, auth_url=gone, leaderboard_url=silent.url
        ) as gateway:
            yield gateway.url
    finally:
        silent.close()


@pytest.fixture(scope="module")
def refusing_url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway without an auth service, and whose leaderboard service wants to be asked later."""
    later = Upstream(RETRY_AFTER)
    try:
        with gateway_before(
            stack, tmp_path_factory.mktemp("refusing"), EmptyGateway, settings=SETTINGS, leaderboard_url=later.url
        ) as gateway:
            yield gateway.url
    finally:
        later.close()


def assert_readable(answer: httpx.Response) -> None:
    assert answer.headers["access-control-allow-origin"] == GAME
    assert answer.headers["vary"].endswith("Origin")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def ask(url: str, method: str, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, headers={"Origin": GAME, **headers}) as client:
        answer = await client.request(method, path)
    assert_readable(answer)
    return answer


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_service_that_is_gone_is_told_as_a_problem(broken_url: str, method: str) -> None:
    answer = await ask(broken_url, method, "/auth/me")
    assert_problem(answer, 502, "bad-gateway")
    assert answer.headers["cache-control"] == "no-store"


async def test_so_is_one_that_does_not_answer(broken_url: str) -> None:
    answer = await ask(broken_url, "POST", "/api/leaderboard/submit")
    assert_problem(answer, 504, "gateway-timeout")
    assert answer.headers["cache-control"] == "no-store"


async def test_the_problem_is_told_whole_whatever_the_client_asks_to_be_spared(broken_url: str) -> None:
    answer = await ask(broken_url, "GET", "/auth/me", **{"If-None-Match": "*", "Range": "bytes=0-3"})
    assert_problem(answer, 502, "bad-gateway")


async def test_whoever_tells_the_problem_is_not_told_the_clients_secrets(stack: Stack, tmp_path: Path) -> None:
    page = Upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntold")
    gone = f"http://{LOOPBACK}:{free_port()}"
    try:
        with gateway_before(stack, tmp_path, settings=SETTINGS, auth_url=gone, page_url=page.url) as gateway:
            answer = await ask(gateway.url, "GET", "/auth/me", Authorization="Bearer secret", Cookie="refresh_token=secret")
    finally:
        page.close()
    assert (answer.status_code, answer.text) == (502, "told")
    [told] = [each for each in page.received if b"/problems/502" in each]
    assert b"secret" not in told


async def test_a_refused_path_is_told_as_a_problem(broken_url: str) -> None:
    for path in ("/auth/me%2fx", "/api/leaderboard/%2F", "/nothing%2F", "/auth/me%0A"):
        answer = await ask(broken_url, "GET", path)
        assert_problem(answer, 400, "malformed-request")


def test_so_is_a_body_that_is_too_large_with_a_length_and_without(broken_url: str) -> None:
    """The services are not asked: none of them answers here."""
    head = b"POST /auth/login HTTP/1.1\r\nOrigin: " + GAME.encode() + b"\r\n" + HOST + CLOSE
    chunked = b"Transfer-Encoding: chunked\r\n\r\n" + b"40001\r\n" + b"a" * 0x40001 + b"\r\n0\r\n\r\n"
    for message in (head + b"Content-Length: 262145\r\n\r\n[", head + chunked):
        answer = exchange(broken_url, message)
        assert answer.statuses == [413]
        assert b"access-control-allow-origin: " + GAME.encode() in answer.head
        assert b"content-type: application/problem+json" in answer.head
        assert b'"urn:problem:body-too-large"' in answer.data


async def test_a_body_too_large_for_the_service_is_told_in_the_same_words(stack: Stack) -> None:
    body = b" " * 20_000
    async with httpx.AsyncClient(headers={"Content-Type": "application/json"}) as client:
        direct = await client.post(f"{stack.auth.url}/auth/login", content=body)
        through = await client.post(f"{stack.gateway_url}/auth/login", content=body)
    assert_problem(direct, 413, "body-too-large")
    assert_problem(through, 413, "body-too-large")
    assert through.json() == direct.json()


async def test_a_service_that_asks_to_be_asked_later_is_passed_on_with_when(refusing_url: str) -> None:
    answer = await ask(refusing_url, "POST", "/api/leaderboard/submit")
    assert (answer.status_code, answer.headers["retry-after"], answer.text) == (503, "7", "later")


async def test_a_service_that_is_nowhere_is_told_to_other_origins_too(refusing_url: str) -> None:
    assert (await ask(refusing_url, "GET", "/auth/me")).status_code == 503


async def test_the_texts_can_be_asked_for_and_are_what_they_say(gateway_url: str) -> None:
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        for status in (400, 413, 502, 504):
            assert_problem(await client.get(f"/problems/{status}"), status)
        assert (await client.get("/problems/404")).headers["content-type"].startswith("text/html")
