"""Redis has another dataset than it had: an older one, another server's, half of one. Nothing that it lacks is believed."""

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from services.leaderboard.index.layout import keys
from services.leaderboard.rules.places import MAIN
from services.leaderboard.settings import LeaderboardSettings
from services.local.redis import RedisServer
from tests.faults.conftest import MakeProcess
from tests.faults.proofs import Proof
from tests.faults.proxy import proxying
from tests.faults.shown import leader, redis_in_use, shows
from tests.playing import API, submit
from tests.servers import pair
from tests.system import Accounts, eventually

pytestmark = pytest.mark.proof(3)

PLAYERS = keys(MAIN)[0]


async def test_an_older_dataset_put_back_by_a_quick_restart_is_not_believed(
    process: httpx.AsyncClient, redis: RedisServer, accounts: Accounts, on_redis: LeaderboardSettings, proof: Proof
) -> None:
    ada = accounts.new("Ada", 1)
    await submit(process, ada, 1)
    assert await leader(process) == 1
    with redis.client() as client:
        client.save()
        keys = set(client.keys())
    await submit(process, ada, 1)
    assert await leader(process) == 2
    redis.kill()
    redis.start()
    with redis.client() as client:
        assert set(client.keys()) == keys  # the older pages are back
    assert await leader(process) == 2
    await redis_in_use(process)
    assert await leader(process) == 2
    proof.did("older datasets put back")
    proof.find("old pages")
    await proof.whole(on_redis)


async def test_an_older_dataset_behind_connections_that_never_broke_is_not_believed(
    process: httpx.AsyncClient, redis: RedisServer, accounts: Accounts, on_redis: LeaderboardSettings, proof: Proof
) -> None:
    ada = accounts.new("Ada", 1)
    await submit(process, ada, 1)
    assert await leader(process) == 1
    with redis.client() as client:
        older = {key: client.dump(key) for key in client.scan_iter()}
        await submit(process, ada, 1)
        assert await leader(process) == 2
        for key, value in older.items():
            client.restore(key, 0, value, replace=True)
        # As after a promotion: the dataset is another one, and no client was told.
        client.replicaof("127.0.0.1", 1)
        client.replicaof("NO", "ONE")
    assert await leader(process) == 2
    proof.did("older datasets put back")
    proof.find("old pages")
    await proof.whole(on_redis)


async def test_a_late_write_to_a_hung_server_brings_no_old_page_back(
    make_process: MakeProcess, redis: RedisServer, accounts: Accounts, on_redis: LeaderboardSettings, proof: Proof
) -> None:
    first, second = await make_process(), await make_process()
    ada = accounts.new("Ada", 1)
    await submit(first, ada, 1)
    assert await leader(second) == 1
    redis.suspend()
    await submit(first, ada, 1)  # its renewal is in the hung server's buffer
    total = (await submit(second, ada, 1))["total_score"]
    redis.resume()  # and is executed now
    await redis_in_use(first)
    await redis_in_use(second)
    for process in (first, second):
        await shows(process, total)
        for _ in range(20):
            assert await leader(process) == total
    proof.did("late writes of a hung server")
    proof.find("old pages")
    await proof.whole(on_redis)


async def test_a_replica_that_lags_and_is_promoted_is_not_believed(
    make_process: MakeProcess,
    redis: RedisServer,
    secrets: Mapping[str, str],
    accounts: Accounts,
    tmp_path: Path,
    on_redis: LeaderboardSettings,
    proof: Proof,
) -> None:
    replica = pair().redis(tmp_path / "replica", secrets["REDIS_PASSWORD"])
    replica.start()
    try:
        async with proxying("127.0.0.1", redis.port) as proxy, proxying("127.0.0.1", redis.port) as link:
            process = await make_process(proxy.port)
            ada = accounts.new("Ada", 1)
            await submit(process, ada, 1)
            with replica.client() as client:
                client.config_set("masterauth", redis.admin_password)
                client.replicaof("127.0.0.1", str(link.port))

                async def has_it() -> bool:
                    return bool(client.hget(PLAYERS, "1")) and client.info("replication")["master_link_status"] == "up"

                await eventually(has_it, 20)
                link.cut()
                total = (await submit(process, ada, 1))["total_score"]  # of which the replica will never hear
                proxy.cut()
                proxy.point(replica.host, replica.port)
                client.replicaof("NO", "ONE")
                assert str(client.hget(PLAYERS, "1")).startswith("b'1 ")
            proxy.mend()
            assert await leader(process) == total
            await redis_in_use(process)
            assert await leader(process) == total
            with replica.client() as client:
                assert str(client.hget(PLAYERS, "1")).startswith("b'2 ")  # it is the promoted one that is read now
            proof.did("lagging replicas promoted")
            await proof.whole(on_redis.model_copy(update={"redis_url": replica.url}))
    finally:
        replica.stop()


async def test_one_key_of_the_index_is_deleted_and_nobody_notices(
    process: httpx.AsyncClient, redis: RedisServer, accounts: Accounts, on_redis: LeaderboardSettings, proof: Proof
) -> None:
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    for key in keys(MAIN):
        await submit(process, ada, 2)
        await submit(process, bob, 1)
        page = (await process.get(f"{API}/top")).json()
        with redis.client() as client:
            client.delete(key)
        assert (await process.get(f"{API}/top")).json() == page
        assert (await process.get(f"{API}/around/2")).json() == {"players": page["top"]}
        total = (await submit(process, ada, 1))["total_score"]
        assert await leader(process) == total
        await redis_in_use(process)
        assert await leader(process) == total
    proof.did("keys deleted", 2)
    proof.find("old pages")
    await proof.whole(on_redis)
