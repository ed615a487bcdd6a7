"""How the servers of the two pairs differ, where the code allows for it. A pair that stops doing so makes one of these fail.

That the code gives the same on either pair, every other test says: all run on whichever pair was asked for.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from services.leaderboard.index.layout import parse_sort
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.local.stack import Stack
from tests.servers import server_versions
from tests.system import rows


@pytest.fixture
def is_mariadb(stack: Stack) -> bool:
    """Whether the pair's server is MariaDB rather than MySQL."""
    return "MariaDB" in server_versions(stack.mysql, stack.redis)


def test_a_union_of_two_types_of_integers_is_a_decimal_on_mariadb(mysql: Any, is_mariadb: bool) -> None:
    """Allowed for where boards and standings are listed together."""
    [(period_id,)] = rows(mysql, "SELECT 0 UNION SELECT period_id FROM standings")
    assert type(period_id) is (Decimal if is_mariadb else int)


def test_json_is_a_text_with_a_check_on_mariadb(mysql: Any, is_mariadb: bool) -> None:
    """Allowed for where the schema is compared with the models."""
    of_the_note = "table_schema = DATABASE() AND table_name = 'outbox' AND column_name = 'changed'"
    assert rows(mysql, f"SELECT data_type FROM information_schema.columns WHERE {of_the_note}") == [
        ("longtext" if is_mariadb else "json",)
    ]


def test_passwords_of_accounts_are_checked_by_another_plugin_on_mysql(
    mysql: Any, is_mariadb: bool, secrets: Mapping[str, str]
) -> None:
    """MySQL's needs a key exchange where there is no TLS, for which the driver needs `cryptography`."""
    plugin = "mysql_native_password" if is_mariadb else "caching_sha2_password"
    accounts = ("migrate", "auth", "leaderboard")
    assert rows(mysql, "SELECT DISTINCT plugin FROM mysql.user WHERE user IN %s", accounts) == [(plugin,)]


def test_scores_beyond_all_totals_are_written_with_an_exponent_before_redis_8_and_totals_never(stack: Stack) -> None:
    """Allowed for where the scores of the index are read, which are totals, by whatever server."""
    with stack.redis.client() as redis:
        newer = int(redis.info("server")["redis_version"].split(".")[0]) >= 8
        redis.execute_command("SELECT", 1)
        scores = {"beyond": 4 * 10**18, "round": 5 * 10**15, "greatest": MAX_TOTAL}
        redis.zadd("scores", {name: -score for name, score in scores.items()})
        kept = {name: redis.eval("return redis.call('ZSCORE', KEYS[1], ARGV[1])", 1, "scores", name) for name in scores}
        redis.delete("scores")
    assert kept == {
        "beyond": b"-4000000000000000000" if newer else b"-4e+18",
        "round": b"-5000000000000000",
        "greatest": b"-9007199254740991",
    }
    assert {name: -parse_sort(sort) for name, sort in kept.items()} == scores
