"""Who sends a request, as far as the connection tells: what sessions are shown by and what the audit log keeps."""

import ipaddress
from dataclasses import dataclass

MAX_USER_AGENT = 256


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from. Either is empty when it is not known. They decide whose turn it is, and nothing else.

    ``address`` is the connection's, or what the trusted gateway says of it, in the usual spelling. ``user_agent`` is whatever
    the client calls itself, printable and at most MAX_USER_AGENT characters.
    """

    address: str
    user_agent: str

    @property
    def network(self) -> str:
        """What counts as one address: an IPv4 address, or an IPv6 network of /64, which is what one customer has at least."""
        if ":" not in self.address:
            return self.address
        return str(ipaddress.IPv6Network((self.address, 64), strict=False))

    @classmethod
    def of(cls, host: str | None, user_agent: str) -> "Client":
        """The client at ``host`` that calls itself ``user_agent``."""
        printable = "".join(character for character in user_agent if character.isprintable())
        return cls(_address(host or ""), printable[:MAX_USER_AGENT].strip())


def _address(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])  # an IPv6 zone says something about this machine only
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
