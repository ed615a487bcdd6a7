"""Every event arrives at each webhook that wants it, signed, whatever its receiver or a process does meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from standardwebhooks.webhooks import WebhookVerificationError

from services.common.mysql.database import Database
from services.leaderboard import events
from services.leaderboard.boards import periods
from services.leaderboard.events import Kind
from services.leaderboard.rules.networks import parse_networks
from services.leaderboard.seasons import corrections
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.webhooks import deliveries, endpoints, messages
from services.leaderboard.webhooks.client import Client, Unanswered
from services.leaderboard.webhooks.deliveries import DeliveryState
from services.leaderboard.webhooks.sender import AT_ONCE
from services.leaderboard.webhooks.targets import Addresses, RefusedTarget, parse_url
from tests.certificates import make_certificate
from tests.receivers import (
    LOOPBACK,
    QUICK,
    Receiver,
    Reply,
    Subscriber,
    answering,
    drain,
    hang,
    hanging_at,
    late_at,
    receiving,
    sending,
)
from tests.seasons import make_cup
from tests.system import eventually, rows
from tests.timing import HOUR, mysql_now, put

STATES = "SELECT state, tries, status, error FROM deliveries ORDER BY id"
DATA = {"board": "cup", "window": "hours", "period_id": 7}


@pytest.fixture
def webhook_settings(leaderboard_settings: LeaderboardSettings) -> LeaderboardSettings:
    """The service's, where receivers may be on this machine."""
    return leaderboard_settings.model_copy(update={"webhook_networks": LOOPBACK})


@pytest.fixture
def studio(webhook_settings: LeaderboardSettings, leaderboard_database: Database) -> Subscriber:
    return Subscriber(webhook_settings, leaderboard_database)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def happen(database: Database, times: int = 1, kind: Kind = Kind.PERIOD_SETTLED) -> None:
    """Write events, each in a transaction of its own."""
    for number in range(times):
        await database.transaction(lambda connection: events.add(connection, kind, {**DATA, "number": number}))  # noqa: B023


def make_due(mysql: Any) -> None:
    rows(mysql, "UPDATE deliveries SET next_at = NOW(6) WHERE state = 'pending'")


async def test_a_delivery_is_written_with_the_event_for_each_webhook_that_wants_it(
    studio: Subscriber, leaderboard_database: Database, mysql: Any
) -> None:
    await studio.put("both", "https://127.0.0.1/", Kind.PERIOD_SETTLED, Kind.PERIOD_CORRECTED)
    await studio.put("other", "https://127.0.0.1/", Kind.PERIOD_OPENED)
    await studio.put("settled", "https://127.0.0.1/", Kind.PERIOD_SETTLED)
    await studio.put("off", "https://127.0.0.1/", Kind.PERIOD_SETTLED)
    rows(mysql, "UPDATE webhooks SET state = 'off' WHERE name = 'off'")
    written = (
        "SELECT w.name, e.kind FROM deliveries AS d JOIN webhooks AS w ON w.id = d.webhook_id"
        " JOIN events AS e ON e.id = d.event_id ORDER BY d.id"
    )

    async def roll_back(connection: AsyncConnection) -> None:
        await events.add(connection, Kind.PERIOD_SETTLED, DATA)
        raise LookupError

    with pytest.raises(LookupError):
        await leaderboard_database.transaction(roll_back)
    assert rows(mysql, written) == []
    await happen(leaderboard_database)
    assert rows(mysql, written) == [("both", "period.settled"), ("settled", "period.settled")]
    cup = await make_cup(leaderboard_database, mysql)
    now = mysql_now(mysql)
    for hour in range(3):
        put(mysql, now - HOUR * (hour + 1), now - HOUR * hour, board_id=cup.board_id, window_id=cup.window_id)
    await leaderboard_database.transaction(lambda connection: periods.tell_begun(connection, 100))
    assert rows(mysql, written)[2:] == [("other", "period.opened")] * 3
    assert len(set(rows(mysql, "SELECT event_id FROM deliveries WHERE webhook_id = 2"))) == 3


async def test_it_arrives_as_the_standard_says(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, receiver: Receiver
) -> None:
    await studio.put("studio", receiver.url)
    await happen(leaderboard_database)
    async with sending(webhook_settings) as sender:
        await drain(sender)
    [request] = receiver.received
    assert request.path == "/hook?from=leaderboard"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    said = request.verified(studio.secrets["studio"])
    [(event_id, nonce, happened)] = rows(mysql, "SELECT id, nonce, created_at FROM events")
    assert said == {
        "type": "period.settled",
        "timestamp": f"{happened:%Y-%m-%dT%H:%M:%S.%fZ}",
        "data": {**DATA, "number": 0},
    }
    assert request.message_id == f"evt_{nonce.hex()}_{event_id}"
    with pytest.raises(WebhookVerificationError):
        request.verified("whsec_" + "A" * 44)
    assert rows(mysql, STATES) == [("delivered", 1, 204, None)]


def test_the_largest_event_is_below_what_the_standard_allows() -> None:
    change = {"user_id": 2**63 - 1, "was": "a" * 64, "became": "b" * 64}
    data = {"board": "c" * 64, "window": "d" * 64, "period_id": 2**32 - 1, "changed": [change] * corrections.MOST_TOLD}
    message = messages.write(b"12345678", 2**63, "period.corrected", {**data, "more": True}, datetime.now(UTC))
    assert len(message.body) < messages.MAX_BYTES


async def test_a_failed_try_is_repeated_with_the_same_id_and_a_time_of_its_own(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, receiver: Receiver
) -> None:
    receiver.reply = answering("500 Oops", "302 Found\r\nLocation: https://elsewhere.example/", "404 What")
    await studio.put("studio", receiver.url)
    await happen(leaderboard_database)
    async with sending(webhook_settings) as sender:
        for expected in (
            ("pending", 1, 500, "answered 500"),
            ("pending", 2, 302, "answered 302: redirects are not followed"),
            ("pending", 3, 404, "answered 404"),
        ):
            assert await sender.round() == 1
            await sender.finish()
            assert rows(mysql, STATES) == [expected]
        await drain(sender)
    assert [state for state, *_ in rows(mysql, STATES)] == ["delivered"]
    assert len(set(receiver.ids)) == 1
    assert len({each.body for each in receiver.received}) == 1
    for each in receiver.received:
        each.verified(studio.secrets["studio"])


async def test_after_the_last_try_it_is_given_up_and_can_be_replayed_with_the_same_id(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, receiver: Receiver
) -> None:
    receiver.reply = answering(*["503 No"] * (2 * len(QUICK) + 2))
    await studio.put("studio", receiver.url)
    await happen(leaderboard_database, 2)
    async with sending(webhook_settings) as sender:
        await drain(sender)
        assert rows(mysql, STATES) == [("failed", len(QUICK) + 1, 503, "answered 503")] * 2
        assert len(receiver.received) == 2 * (len(QUICK) + 1)
        assert await studio.subscriptions.replay_failed("studio", studio.by) == 2
        await drain(sender)
    assert rows(mysql, STATES) == [("delivered", 1, 204, None)] * 2
    assert len(set(receiver.ids)) == 2


async def test_a_webhook_that_answers_410_is_switched_off_until_it_is_put_again(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, receiver: Receiver
) -> None:
    receiver.reply = answering("410 Gone")
    await studio.put("studio", receiver.url)
    await happen(leaderboard_database, 2)
    async with sending(webhook_settings) as sender:
        await drain(sender)
        assert (await studio.subscriptions.get("studio")).webhook.state == "off"
        assert len(receiver.received) == 1
        await happen(leaderboard_database)
        assert len(rows(mysql, STATES)) == 2
        await studio.put("studio", receiver.url)
        await drain(sender)
    assert rows(mysql, STATES) == [("delivered", 2, 204, None), ("delivered", 1, 204, None)]


async def test_retry_after_holds_for_all_that_waits_for_the_webhook(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, receiver: Receiver
) -> None:
    receiver.reply = answering("429 Slow down\r\nRetry-After: 3600")
    await studio.put("studio", receiver.url)
    await happen(leaderboard_database, 3)
    async with sending(webhook_settings) as sender:
        await drain(sender)
        assert len(receiver.received) == 1
        paused = (await studio.subscriptions.get("studio")).webhook.paused_until
        assert paused is not None
        assert timedelta(minutes=59) < paused - mysql_now(mysql) <= timedelta(hours=1)
        [(wait,)] = rows(mysql, "SELECT MAX(TIMESTAMPDIFF(SECOND, NOW(6), next_at)) FROM deliveries")
        assert 3500 < wait <= 3600
        rows(mysql, "UPDATE webhooks SET paused_until = NOW(6)")
        make_due(mysql)
        await drain(sender)
    assert [state for state, *_ in rows(mysql, STATES)] == ["delivered"] * 3
    assert len(set(receiver.ids)) == 3


async def test_a_receiver_that_hangs_delays_no_other_and_has_one_try_at_a_time(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, receiver: Receiver
) -> None:
    async with receiving(hang) as hanging, sending(webhook_settings, seconds=60) as sender:
        for number in range(5):
            await studio.put(f"hangs-{number}", hanging.url)
        await studio.put("studio", receiver.url)
        await happen(leaderboard_database, 10)
        while len(receiver.received) < 10:
            await sender.round()
            await asyncio.sleep(0)
        assert len(set(receiver.ids)) == 10
        assert len(await hanging.wait_for(5)) == 5


async def test_whatever_receivers_do_each_is_told_everything_signed_and_by_the_same_ids(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    """Two processes send on their own, to receivers of which each misbehaves now and then."""
    replies: dict[str, Reply] = {
        "fine": answering(),
        "fails": answering("500 Oops", "204 Fine", "503 Busy", "502 Bad"),
        "hangs": hanging_at(1, 4),
        "late": late_at(2, 3, seconds=3),
        "gone": answering("204 Fine", "410 Gone"),
        "slow-down": answering("204 Fine", "429 Slow down\r\nRetry-After: 0", "429 Slow down\r\nRetry-After: 1"),
    }
    count = 6
    quick = [timedelta(seconds=0.05)] * 200
    async with AsyncExitStack() as stack:
        receivers = {name: await stack.enter_async_context(receiving(reply)) for name, reply in replies.items()}
        for name, receiver in receivers.items():
            await studio.put(name, receiver.url)
        senders = [
            await stack.enter_async_context(sending(webhook_settings, seconds=1, retries=quick, interval=0.05))
            for _ in range(2)
        ]
        await happen(leaderboard_database, count)
        for sender in senders:
            await sender.start()

        async def all_arrived() -> bool:
            if (await studio.subscriptions.get("gone")).webhook.state == "off":
                await studio.put("gone", receivers["gone"].url)
            return rows(mysql, "SELECT DISTINCT state FROM deliveries") == [("delivered",)]

        await eventually(all_arrived, 60)
    ids = set(receivers["fine"].ids)
    assert len(ids) == count
    for name, receiver in receivers.items():
        assert set(receiver.ids) == ids, name
        for each in receiver.received:
            each.verified(studio.secrets[name])


async def test_a_webhook_that_takes_them_is_told_some_at_once_and_no_more(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, receiver: Receiver
) -> None:
    await studio.put("studio", receiver.url)
    await happen(leaderboard_database, 1 + 2 * AT_ONCE)
    async with sending(webhook_settings, seconds=60) as sender:
        assert await sender.round() == 1
        await sender.finish()
        receiver.reply = hang
        assert await sender.round() == AT_ONCE
        assert await sender.round() == 0


async def test_an_answer_that_comes_late_is_none(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, receiver: Receiver
) -> None:
    receiver.reply = hang
    await studio.put("studio", receiver.url)
    await happen(leaderboard_database)
    async with sending(webhook_settings, seconds=0.3) as sender:
        assert await sender.round() == 1
        await sender.finish()
        assert rows(mysql, STATES) == [("pending", 1, None, "no answer in 0.3 seconds")]
        receiver.reply = answering()
        await drain(sender)
    assert [state for state, *_ in rows(mysql, STATES)] == ["delivered"]


async def test_what_is_no_http_or_not_there_is_a_failure(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, receiver: Receiver
) -> None:
    receiver.reply = answering("what?")
    await studio.put("studio", receiver.url)
    await studio.put("closed", "http://127.0.0.1:1/")
    await happen(leaderboard_database)
    async with sending(webhook_settings) as sender:
        await sender.round()
        await sender.finish()
    no_http, closed = (error for *_, error in rows(mysql, STATES))
    assert no_http.startswith("no answer: ")
    assert closed.startswith("no connection: ")


async def test_a_process_that_ends_between_sending_and_writing_that_down_leaves_it_to_others(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, receiver: Receiver
) -> None:
    receiver.reply = hang
    await studio.put("studio", receiver.url)
    await happen(leaderboard_database)
    async with sending(webhook_settings, seconds=60) as killed:
        assert await killed.round() == 1
        await receiver.wait_for(1)
    # As after a kill: nothing was written down, and the lease holds.
    receiver.reply = answering()
    assert rows(mysql, STATES) == [("pending", 1, None, None)]
    async with sending(webhook_settings) as other:
        assert await other.round() == 0
        make_due(mysql)
        await drain(other)
    assert rows(mysql, STATES) == [("delivered", 2, 204, None)]
    assert len(set(receiver.ids)) == 1


async def test_who_comes_back_after_the_lease_does_not_undo_what_others_did(
    studio: Subscriber, leaderboard_database: Database, mysql: Any
) -> None:
    await studio.put("studio", "https://127.0.0.1/")
    await happen(leaderboard_database)
    [(webhook_id,)] = rows(mysql, "SELECT id FROM webhooks")

    async def claim(connection: AsyncConnection) -> list[deliveries.Claimed]:
        return await deliveries.claim(connection, webhook_id, 10, timedelta())

    [slow] = await leaderboard_database.transaction(claim)
    [quick] = await leaderboard_database.transaction(claim)
    await leaderboard_database.transaction(
        lambda connection: deliveries.note_failed(connection, slow, 500, "slow", None)  # the last try, it thinks
    )
    assert rows(mysql, STATES) == [("pending", 2, None, None)]
    await leaderboard_database.transaction(
        lambda connection: deliveries.note_delivered(connection, slow.delivery_id, 200)  # it has arrived, after all
    )
    await leaderboard_database.transaction(
        lambda connection: deliveries.note_failed(connection, quick, 500, "quick", timedelta())
    )
    assert rows(mysql, STATES) == [("delivered", 2, 200, None)]


async def test_of_many_processes_one_tries_each_delivery(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, receiver: Receiver
) -> None:
    await studio.put("studio", receiver.url)
    await happen(leaderboard_database, 40)
    async with sending(webhook_settings) as one, sending(webhook_settings) as two, sending(webhook_settings) as three:
        await asyncio.gather(drain(one), drain(two), drain(three))
        await drain(one)
    assert len(receiver.ids) == 40
    assert len(set(receiver.ids)) == 40
    assert rows(mysql, "SELECT DISTINCT state, tries FROM deliveries") == [("delivered", 1)]


async def test_while_a_secret_is_rotated_both_are_good_and_afterwards_the_new_one_alone(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, receiver: Receiver
) -> None:
    await studio.put("studio", receiver.url)
    old = studio.secrets["studio"]
    new = await studio.subscriptions.rotate("studio", studio.by)
    assert timedelta(hours=23) < new.old_secret_until - mysql_now(mysql) <= timedelta(hours=24)
    async with sending(webhook_settings) as sender:
        await happen(leaderboard_database)
        await drain(sender)
        rows(mysql, "UPDATE webhooks SET old_secret_until = NOW(6)")
        await happen(leaderboard_database)
        await drain(sender)
    both, after = receiver.received
    both.verified(old, new.secret)
    assert both.headers["webhook-signature"].count("v1,") == 2
    after.verified(new.secret)
    with pytest.raises(WebhookVerificationError):
        after.verified(old)


async def test_a_host_that_has_another_address_when_it_is_sent_to_is_not_connected_to(
    studio: Subscriber, webhook_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, receiver: Receiver
) -> None:
    """Rebinding: the name is looked up once a try, and what was looked at is what is connected to."""
    narrow = webhook_settings.model_copy(update={"webhook_networks": "127.0.0.1/32"})
    asked = 0

    async def resolve(_host: str, _port: int) -> list[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.1"] if asked == 1 else ["127.0.0.2"]

    await studio.put("studio", receiver.url)
    rows(mysql, "UPDATE webhooks SET url = REPLACE(url, '127.0.0.1', 'hooks.invalid')")
    await happen(leaderboard_database, 2)
    async with sending(narrow, resolve=resolve) as sender:
        for _ in range(2):
            await sender.round()
            await sender.finish()
    assert [request.headers["host"] for request in receiver.received] == [f"hooks.invalid:{receiver.port}"]
    assert asked == 2
    assert rows(mysql, STATES) == [
        ("delivered", 1, 204, None),
        ("pending", 1, None, "hooks.invalid is at 127.0.0.2, which is not a public address"),
    ]


async def test_tls_verifies_the_name_and_not_the_address(tmp_path: Path) -> None:
    serving, trusting = make_certificate(tmp_path, "hooks.invalid")

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async with receiving(tls=serving) as receiver:
        addresses = Addresses((), resolve)
        allowed = Addresses(parse_networks(LOOPBACK), resolve)
        client = Client(allowed, context=trusting)
        target = parse_url(f"https://hooks.invalid:{receiver.port}/")
        assert (await client.post(target, {"webhook-id": "1"}, b"{}")).status == 204
        with pytest.raises(Unanswered, match="no connection"):
            await client.post(target._replace(host="other.invalid"), {"webhook-id": "2"}, b"{}")
        with pytest.raises(Unanswered, match="no connection"):
            await Client(allowed).post(target, {"webhook-id": "3"}, b"{}")
        with pytest.raises(RefusedTarget):
            await Client(addresses, context=trusting).post(target, {"webhook-id": "4"}, b"{}")
        assert receiver.ids == ["1"]
        for each in (addresses, allowed):
            each.close()


async def test_a_proxy_of_the_environment_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
    studio: Subscriber,
    webhook_settings: LeaderboardSettings,
    leaderboard_database: Database,
    receiver: Receiver,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await studio.put("studio", receiver.url)
    await happen(leaderboard_database)
    async with sending(webhook_settings) as sender:
        await drain(sender)
    assert len(receiver.received) == 1


async def test_what_is_kept_no_longer_is_forgotten_and_what_cannot_be_sent_is_given_up(
    studio: Subscriber, leaderboard_database: Database, mysql: Any
) -> None:
    await studio.put("studio", "https://127.0.0.1/")
    await studio.put("gone", "https://127.0.0.1/")
    await happen(leaderboard_database, 4)
    named = "SELECT d.id FROM deliveries AS d JOIN webhooks AS w ON w.id = d.webhook_id WHERE w.name = 'studio' ORDER BY d.id"
    kept, failed, unsent, waits = (delivery_id for (delivery_id,) in rows(mysql, named))
    for delivery_id, state, days in ((kept, "delivered", 1), (failed, "failed", -1), (unsent, "pending", -5)):
        rows(
            mysql,
            "UPDATE deliveries SET state = %s, next_at = NOW(6) + INTERVAL %s DAY WHERE id = %s",
            state,
            days,
            delivery_id,
        )
    await studio.subscriptions.delete("gone", studio.by)
    now = mysql_now(mysql)
    work = leaderboard_database.transaction
    assert await work(lambda connection: deliveries.give_up_unsent(connection, now, 100)) == 1
    assert await work(lambda connection: deliveries.forget(connection, now, 3)) == 3
    assert await work(lambda connection: deliveries.forget(connection, now, 3)) == 2
    assert rows(mysql, "SELECT id, state, error FROM deliveries ORDER BY id") == [
        (kept, "delivered", None),
        (unsent, "failed", "the webhook is off"),
        (waits, "pending", None),
    ]
    [(days,)] = rows(mysql, "SELECT TIMESTAMPDIFF(DAY, NOW(6), next_at) + 1 FROM deliveries WHERE id = %s", unsent)
    assert days == 30


async def test_what_waits_is_found_by_the_index_alone(studio: Subscriber, leaderboard_database: Database, mysql: Any) -> None:
    await studio.put("studio", "https://127.0.0.1/")
    await happen(leaderboard_database, 3)
    explained = rows(
        mysql,
        "EXPLAIN SELECT id FROM deliveries FORCE INDEX (ix_deliveries_webhook_id_state_next_at) WHERE webhook_id = 1"
        " AND state = 'pending' AND next_at <= NOW(6) ORDER BY next_at LIMIT 4 FOR UPDATE SKIP LOCKED",
    )
    assert json.dumps(explained).count("filesort") == 0
    [waiting] = await endpoints.list_waiting(leaderboard_database)
    async with leaderboard_database.reading() as connection:
        assert await deliveries.count(connection) == {(waiting.webhook_id, DeliveryState.PENDING): 3}
