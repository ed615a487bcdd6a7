"""Where a request comes from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent a request: the address as the connection or the trusted gateway tells it, and what it calls itself."""

    address: str
    user_agent: str
