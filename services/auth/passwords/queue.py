"""Whose password is hashed next: one queue for everything that hashes one, fair between addresses."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from services.auth.errors import PasswordQueueFull


@dataclass(eq=False, slots=True)
class Place:
    """One request's place in the queue."""

    network: str
    account: bytes | None
    turn: "asyncio.Future[bool]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    served: bool = False


class FairQueue:
    """Serves ``at_once`` requests at a time, and the addresses in turn: the one that was served longest ago comes next.

    So whoever has a hundred requests waiting delays another address by one request and not by a hundred. Requests about one
    account are served one after the other, whichever addresses they come from.

    ``most`` requests wait in all, and ``most_by_network`` of one address. When more come, the address that has most waiting
    is refused its newest request. A request waits for ``seconds`` and no longer.
    """

    def __init__(self, *, at_once: int, most: int, most_by_network: int, seconds: float) -> None:
        self._free = at_once
        self._most = most
        self._most_by_network = most_by_network
        self._seconds = seconds
        self._lines: dict[str, deque[Place]] = {}  # in the order in which the addresses are served; none is empty
        self._accounts: set[bytes] = set()

    async def enter(self, network: str, account: bytes | None = None) -> Place:
        """Wait until it is the turn of this request, which must `leave` afterwards. Raises PasswordQueueFull.

        ``network`` is the address that it comes from. ``account`` is what requests are served one after the other by; None:
        this one is about no account.
        """
        place = Place(network, account)
        self._lines.setdefault(network, deque()).append(place)
        self._advance()
        self._refuse_surplus(network)
        admitted = False
        try:
            async with asyncio.timeout(self._seconds):
                admitted = await place.turn
        except TimeoutError:
            pass
        finally:
            if not admitted:
                self._abandon(place)
        if not admitted:
            raise PasswordQueueFull("Try again in a moment.")
        return place

    def leave(self, place: Place) -> None:
        """Let the next one in."""
        self._free += 1
        if place.account is not None:
            self._accounts.remove(place.account)
        self._advance()

    def _advance(self) -> None:
        while self._free and (place := self._find_next()):
            self._take_out(place)
            if place.turn.cancelled():  # its caller has gone
                continue
            if line := self._lines.pop(place.network, None):
                self._lines[place.network] = line  # behind the other addresses
            self._free -= 1
            if place.account is not None:
                self._accounts.add(place.account)
            place.served = True
            place.turn.set_result(True)

    def _find_next(self) -> Place | None:
        # An address whose requests all wait for their accounts keeps its place before the others.
        return next(
            (place for line in self._lines.values() for place in line if place.account not in self._accounts),
            None,
        )

    def _refuse_surplus(self, newcomer: str) -> None:
        line = self._lines.get(newcomer, deque())
        if len(line) <= self._most_by_network:
            if sum(map(len, self._lines.values())) <= self._most:
                return
            # Of addresses that have as many waiting, the one whose request came last is refused: the others wait already.
            line = max(line, *self._lines.values(), key=len)
        refused = line[-1]
        self._take_out(refused)
        if not refused.turn.done():
            refused.turn.set_result(False)

    def _abandon(self, place: Place) -> None:
        if place.served:
            self.leave(place)
        elif place in self._lines.get(place.network, ()):
            self._take_out(place)

    def _take_out(self, place: Place) -> None:
        line = self._lines[place.network]
        line.remove(place)
        if not line:
            del self._lines[place.network]
