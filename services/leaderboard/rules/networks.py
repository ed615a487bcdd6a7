"""Which addresses a webhook may be sent to: public ones, and those in networks that the operator names.

What a service behind a firewall sends to an address of somebody else's choice must not reach what only it can reach: its own
machine, its neighbours, the metadata of a cloud (OWASP, Server-Side Request Forgery Prevention).
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# RFC 6052: the last 32 bits are an IPv4 address, which a gateway of the network sends on to.
_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
# Within it, and nobody's. Python's own lists differ from version to version.
_NOT_PUBLIC = tuple(
    map(
        ip_network,
        (
            "192.88.99.0/24",  # RFC 7526: relays of 6to4
            "2001::/23",  # RFC 2928: protocols, Teredo among them, which carries IPv4 addresses
            "2001:db8::/32",  # RFC 3849: documentation
            "2002::/16",  # RFC 3056: 6to4, which carries IPv4 addresses
            "3fff::/20",  # RFC 9637: documentation
        ),
    )
)


class InvalidNetworks(ValueError):
    """What should be networks is not."""


def parse_networks(written: str | None) -> Sequence[Network]:
    """Networks, comma separated, as `10.0.0.0/8, fd00::/8`. Raises InvalidNetworks."""
    if not written:
        return ()
    try:
        return tuple(ip_network(each.strip()) for each in written.split(","))
    except ValueError as error:
        raise InvalidNetworks(f"Input should be networks as 10.0.0.0/8, comma separated: {error}") from None


def read_address(text: str) -> Address:
    """An address. One of IPv4 that is written as IPv6 is the one of IPv4, since that is where it leads."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_within(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of these networks."""
    return any(address in network for network in networks)


def is_public(address: Address) -> bool:
    """Whether an address is one that everybody reaches, and one machine's: not private, local, shared or of many."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _UNICAST:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved and not is_within(address, _NOT_PUBLIC)
