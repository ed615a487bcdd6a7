"""The private servers by themselves: who may enter, what lasts, and where they may live."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from services.local import ROOT
from services.local.errors import ProcessDied
from services.local.mysql import MySqlServer
from services.local.redis import SERVICE_RIGHTS, SERVICE_USER, RedisServer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Longer than the path of a socket may be."""
    return tmp_path / ("deep" * 30)


@pytest.fixture
def mysql_server(folder: Path) -> Iterator[MySqlServer]:
    server = MySqlServer(folder, "it's a \\ password")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(folder: Path) -> Iterator[RedisServer]:
    server = RedisServer(folder, "a-password")
    server.start()
    yield server
    server.stop()


def test_mysql_lets_in_the_administrator_alone(mysql_server: MySqlServer) -> None:
    with mysql_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT user, host FROM mysql.user WHERE user NOT LIKE 'mysql.%' AND user NOT LIKE 'mariadb.%'")
        assert set(cursor.fetchall()) == {("root", "localhost"), ("root", "127.0.0.1")}
    for user, password in (("root", ""), ("root", "wrong"), ("", ""), ("test", "")):
        with pytest.raises(pymysql.OperationalError):
            pymysql.connect(host=mysql_server.host, port=mysql_server.port, user=user, password=password)


def test_the_administrators_password_is_nowhere_once_it_runs(mysql_server: MySqlServer, folder: Path) -> None:
    with mysql_server.connect():
        pass
    assert not [path for path in folder.iterdir() if path.is_file() and b"IDENTIFIED BY" in path.read_bytes()]


def test_mysql_keeps_what_it_answered_and_reads_committed_rows(mysql_server: MySqlServer) -> None:
    with mysql_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW VARIABLES WHERE variable_name IN ('innodb_flush_log_at_trx_commit', 'character_set_server')")
        assert dict(cursor.fetchall()) == {"innodb_flush_log_at_trx_commit": "1", "character_set_server": "utf8mb4"}
        cursor.execute("SHOW VARIABLES WHERE variable_name IN ('tx_isolation', 'transaction_isolation')")
        assert {value for _, value in cursor.fetchall()} == {"READ-COMMITTED"}


def test_data_outlives_a_kill_and_a_new_password(mysql_server: MySqlServer, folder: Path) -> None:
    with mysql_server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE kept")
        cursor.execute("CREATE TABLE kept.numbers (number INT PRIMARY KEY)")
        cursor.execute("INSERT INTO kept.numbers VALUES (42)")
    mysql_server.kill()
    again = MySqlServer(folder, "another password")
    again.start()
    try:
        with again.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT number FROM kept.numbers")
            assert cursor.fetchall() == ((42,),)
    finally:
        again.stop()


def test_a_data_folder_left_half_made_is_made_anew(folder: Path) -> None:
    server = MySqlServer(folder, "a-password")
    unfinished = server.data.with_suffix(".unfinished")
    unfinished.mkdir(parents=True)
    (unfinished / "ibdata1").write_bytes(b"half")
    server.start()
    server.stop()
    assert server.exit_code == 0
    assert not unfinished.exists()


def test_a_server_that_cannot_start_says_why(mysql_server: MySqlServer, tmp_path: Path) -> None:
    second = RedisServer(tmp_path / "second", "a-password", port=mysql_server.port)
    with pytest.raises(ProcessDied, match="Address already in use"):
        second.start()


def test_redis_wants_its_password_and_keeps_nothing(redis_server: RedisServer, folder: Path) -> None:
    assert (folder / "redis.conf").stat().st_mode & 0o777 == 0o600
    with redis_server.client() as client:
        client.set("key", "value")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}
    with RedisServer(folder, "wrong", port=redis_server.port).client() as stranger, pytest.raises(AuthenticationError):
        stranger.ping()
    port = redis_server.port
    redis_server.restart()
    assert redis_server.port == port
    with redis_server.client() as client:
        assert client.get("key") is None
    assert not [path for path in folder.iterdir() if path.suffix in {".rdb", ".aof"}]


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG GET requirepass",
        "KEYS *",
        "SCAN 0",
        "ACL LIST",
        "SHUTDOWN",
        "MONITOR",
        "REPLICAOF NO ONE",
        "FUNCTION LIST",
        "SCRIPT FLUSH",
        "CLUSTER RESET",
        "PUBLISH news 1",
        "GET others",
        "SET others 1",
        "EVAL return(redis.call('GET','others')) 0",
        "EVAL return(redis.call('FLUSHALL')) 0",
    ],
)
def test_the_services_user_reaches_its_own_keys_with_its_own_commands_and_no_more(
    redis_server: RedisServer, command: str
) -> None:
    with redis_server.client() as administrator:
        administrator.set("others", "kept")
    with Redis.from_url(redis_server.url, username=SERVICE_USER, password="a-password") as service:
        assert service.set("lb:{1:0}:mine", "1")
        with pytest.raises(RedisError, match=r"permission|the script can't") as refused:
            service.execute_command(*command.split(" "))
        assert isinstance(refused.value, NoPermissionError) or command.startswith("EVAL")
        assert service.get("lb:{1:0}:mine") == b"1"
    with redis_server.client() as administrator:
        assert administrator.get("others") == b"kept"


def test_the_services_user_is_the_same_in_containers() -> None:
    assert f"user {SERVICE_USER} on >$$(cat /run/secrets/redis_password) {SERVICE_RIGHTS}\n" in (
        ROOT / "compose.yaml"
    ).read_text(encoding="utf-8")


def test_a_hung_redis_answers_nothing_until_it_is_resumed(redis_server: RedisServer) -> None:
    redis_server.suspend()
    with redis_server.client(timeout=0.2) as client, pytest.raises(RedisError):
        client.ping()
    redis_server.resume()
    with redis_server.client() as client:
        assert client.ping()


def test_servers_are_ones_of_this_user(mysql_server: MySqlServer, folder: Path) -> None:
    assert {path.stat().st_uid for path in (folder, mysql_server.data, mysql_server.data / "ibdata1")} == {os.geteuid()}


@pytest.mark.parametrize("server_class", [MySqlServer, RedisServer])
def test_a_servers_socket_is_its_users_own_and_goes_with_it(
    server_class: type[MySqlServer | RedisServer], folder: Path, tmp_path: Path
) -> None:
    for place in (folder, tmp_path / "short"):
        server = server_class(place, "a-password")
        server.start()
        try:
            socket = server.socket.get()
            assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
            answer_through(server)
        finally:
            server.stop()
        assert not socket.exists()
        assert socket.parent.exists() == (place != folder)  # it was made for a socket whose path had been too long


def answer_through(server: MySqlServer | RedisServer) -> None:
    if isinstance(server, RedisServer):
        with Redis.from_url(server.socket_url, username=SERVICE_USER, password="a-password") as redis:
            assert redis.ping()
    else:
        with pymysql.connect(unix_socket=str(server.socket.get()), user="root", password="a-password") as connection:
            connection.ping(reconnect=False)
