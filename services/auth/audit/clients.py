"""Who sends a request, as far as the connection tells: what sessions are shown by and what the audit log keeps."""

from dataclasses import dataclass

from services.common import addresses

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
        """What counts as one address."""
        return addresses.network(self.address)

    @classmethod
    def of(cls, host: str | None, user_agent: str) -> "Client":
        """The client at ``host`` that calls itself ``user_agent``."""
        printable = "".join(character for character in user_agent if character.isprintable())
        return cls(addresses.spell(host or ""), printable[:MAX_USER_AGENT].strip())
