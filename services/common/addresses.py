"""What counts as one address, of those that limits are by."""

import ipaddress


def spell(host: str) -> str:
    """An address in the usual spelling; empty for what is none."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])  # an IPv6 zone says something about this machine only
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def network(address: str) -> str:
    """What counts as one: an IPv4 address, or an IPv6 network of /64, which is what one customer has at least."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network((address, 64), strict=False))
