"""Where webhooks may be: public addresses, and the networks that an operator names."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.leaderboard.rules.networks import InvalidNetworks, is_public, parse_networks, read_address
from services.leaderboard.webhooks.schedule import LONGEST, RETRIES, find_wait, read_retry_after
from services.leaderboard.webhooks.targets import Addresses, RefusedTarget, Target, parse_url

PRIVATE = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.1.2.3 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1
192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1
100::1 2001::1 2001:0:7f00:1::1 2001:db8::1 2002:7f00:1::1 2002:808:808::1 3fff::1 5f00::1 fc00::1 fd12::1 fe80::1 fe80::1%2
fec0::1 ff02::1 ff0e::1
""".split()  # noqa: SIM905 - a table
PUBLIC = "1.1.1.1 8.8.8.8 172.32.0.1 ::ffff:8.8.8.8 64:ff9b::808:808 2606:4700:4700::1111 2a00:1450::1".split()  # noqa: SIM905


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_not_everybody_reaches_is_not_public(address: str) -> None:
    assert not is_public(read_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_that_everybody_reaches_is_public(address: str) -> None:
    assert is_public(read_address(address))


@pytest.mark.parametrize("written", ["10.0.0.1/8", "studio.example", "10.0.0.0/8,", "10.0.0.0/33", "fd00::/8;"])
def test_what_is_no_list_of_networks_is_refused(written: str) -> None:
    with pytest.raises(InvalidNetworks):
        parse_networks(written)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://hooks.example", Target("https", "hooks.example", 443, "/")),
        ("HTTPS://Hooks.Example:8443/A?b=c", Target("https", "hooks.example", 8443, "/A?b=c")),
        ("https://hooks.example?b", Target("https", "hooks.example", 443, "/?b")),
        ("http://[FD00::1]:80/", Target("http", "fd00::1", 80, "/")),
    ],
)
def test_a_url_is_read(url: str, target: Target) -> None:
    assert parse_url(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example",
        "ftp://hooks.example/",
        "https://",
        "https:///path",
        "https://user:secret@hooks.example/",
        "https://hooks.example@10.0.0.1/",
        "https://hooks.example/#part",
        "https://hooks.example\\@10.0.0.1/",
        "https://hooks.example/a b",
        "https://hooks.example/\r\nX-Other: 1",
        "https://hooks.example/\n",
        "https://häuser.example/",
        "https://hooks.example/ü",
        "https://hooks.example:0/",
        "https://hooks.example:65536/",
        "https://hooks.example:8 0/",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://hooks.example/" + "a" * 2000,
    ],
)
def test_a_url_that_two_readers_may_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(RefusedTarget):
        parse_url(url)


async def find(url: str, *addresses: str, networks: str = "") -> list[str]:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return list(await Addresses(parse_networks(networks), resolve).find(parse_url(url)))


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_host_with_one_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(RefusedTarget, match="not a public address"):
        await find("https://hooks.example/", "8.8.8.8", address)


async def test_http_is_for_named_networks_alone() -> None:
    assert await find("https://hooks.example/", "8.8.8.8") == ["8.8.8.8"]
    with pytest.raises(RefusedTarget, match="needs https"):
        await find("http://hooks.example/", "8.8.8.8")
    assert await find("http://hooks.example/", "10.1.2.3", networks="fd00::/8, 10.0.0.0/8") == ["10.1.2.3"]
    with pytest.raises(RefusedTarget, match="needs https"):
        await find("http://hooks.example/", "10.1.2.3", "8.8.8.8", networks="10.0.0.0/8")
    with pytest.raises(RefusedTarget, match="not a public address"):
        await find("https://hooks.example/", "10.1.2.3", "192.168.0.1", networks="10.0.0.0/8")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:7f00:1]", "0"])
async def test_however_an_address_of_this_machine_is_written_it_is_refused(host: str) -> None:
    addresses = Addresses(())
    try:
        with pytest.raises(RefusedTarget, match="not a public address"):
            await addresses.find(parse_url(f"https://{host}/"))
    finally:
        addresses.close()


async def test_a_host_without_a_name_is_not_found() -> None:
    addresses = Addresses(())
    try:
        for host in ("nobody.invalid", "a" * 64 + ".invalid", "..", "-"):
            with pytest.raises(OSError, match=r"."):
                await addresses.find(parse_url(f"https://{host}/"))
    finally:
        addresses.close()
    with pytest.raises(OSError, match="has no address"):
        await find("https://hooks.example/")


def test_retries_go_from_five_seconds_to_a_day_over_three_days() -> None:
    assert (RETRIES[0], RETRIES[-1]) == (timedelta(seconds=5), timedelta(hours=24))
    assert timedelta(days=3) <= sum(RETRIES, timedelta()) <= timedelta(days=3.5)
    assert list(RETRIES) == sorted(RETRIES)
    for tries, retry in enumerate(RETRIES, 1):
        waits = [find_wait(RETRIES, tries) for _ in range(50)]
        assert all(wait is not None and retry * 0.8 <= wait <= retry * 1.2 for wait in waits)
        assert len(set(waits)) > 1
    assert find_wait(RETRIES, len(RETRIES) + 1) is None
    assert find_wait(RETRIES, 99) is None


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("0", timedelta()),
        (" 120 ", timedelta(minutes=2)),
        ("9" * 5000, LONGEST),
        ("Tue, 03 Feb 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Tue, 03 Feb 2026 11:00:00 GMT", timedelta()),
        ("Tue, 03 Feb 2099 11:00:00 GMT", LONGEST),
        ("Tue, 99 Feb 2026 11:00:00 GMT", None),
        ("Tue, 03 Feb 2026 12:05:00", timedelta(minutes=5)),
    ],
)
def test_retry_after_is_read_and_bounded(value: str | None, wait: timedelta | None) -> None:
    assert read_retry_after(value, datetime(2026, 2, 3, 12, tzinfo=UTC)) == wait


async def test_names_are_looked_up_beside_each_other() -> None:
    addresses = Addresses(parse_networks("127.0.0.0/8"))
    try:
        found = await asyncio.gather(*(addresses.find(Target("http", "127.0.0.1", port, "/")) for port in range(1, 40)))
    finally:
        addresses.close()
    assert found == [["127.0.0.1"]] * 39
