"""The use cases of a studio that knows its players already: they need no second sign-up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import external, kept_names, reserved_names, suffixed_names, users
from services.auth.accounts.external import Identity, IdentityTaken, KnownPlayer
from services.auth.accounts.usernames import Username
from services.auth.audit import events
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.errors import IdentityNotFound, StaffSignIn, UsernameTaken
from services.auth.keys.live import require_key
from services.auth.sessions.access import SessionAccess
from services.auth.sessions.beginning import Beginnings, SignedIn
from services.auth.sessions.families import Kind
from services.auth.staff import roles
from services.common.http.problems import ServiceUnavailable
from services.common.mysql.database import Database
from services.common.tokens import Caller, Principal, Scope

# Accounts that are made in one transaction, by a dozen statements.
_TOGETHER = 250
# Each is one more who made the same users, or took the same names, at the same time.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class WantedPlayer:
    """Whose user is asked for, and what they would be called."""

    identity: Identity
    username: Username


@dataclass(frozen=True, slots=True)
class Provided:
    """The user of an identity. ``made``: just now. ``renamed``: the name is not the one that was asked for."""

    user_id: int
    username: str
    made: bool
    renamed: bool


@dataclass(frozen=True, slots=True)
class _Player:
    known: KnownPlayer | None
    """None: no name was to be had."""
    made: bool


class StudioService:
    """Users of a studio's own accounts. They have no password, and are not deleted when nobody can reach them.

    Each use case raises Unauthenticated when the caller's key was revoked, or the caller's session has ended.
    """

    def __init__(
        self, database: Database, access: SessionAccess, beginnings: Beginnings, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._access = access
        self._beginnings = beginnings
        self._clock = clock

    async def provide(self, caller: Caller, wanted: Sequence[WantedPlayer], client: Client) -> list[Provided | UsernameTaken]:
        """Find or make the user of each identity; gives them in the same order. An identity may be there several times.

        A user keeps the name they have. One that is made has the name that is asked for, or if it is not to be had that name
        with a number behind it. UsernameTaken: not even that was to be had.
        """
        first: dict[Identity, WantedPlayer] = {}
        for each in wanted:
            first.setdefault(each.identity, each)
        # In one order, so that two calls for the same identities wait for each other instead of deadlocking.
        ordered = sorted(first.values(), key=lambda each: each.identity)
        players: dict[Identity, _Player] = {}
        for start in range(0, len(ordered) or 1, _TOGETHER):  # nobody too: whether the key is live is looked at in any case
            players |= await self._provide(caller, ordered[start : start + _TOGETHER], client)
        return [_answer(each, players[each.identity], first=first[each.identity] is each) for each in wanted]

    async def sign_in(self, caller: Caller, identity: Identity, client: Client) -> SignedIn:
        """Begin a session of the user of an identity, without a cookie. Raises IdentityNotFound, or StaffSignIn."""

        async def begin(connection: AsyncConnection) -> SignedIn:
            now = self._clock()
            await self._require_live(connection, caller, now)
            found = await external.find_players(connection, [identity])
            user = await users.lock_user(connection, found[identity].user_id) if identity in found else None
            if user is None:
                raise IdentityNotFound("Nobody was made of this identity, or they have deleted their account.")
            if await roles.find_staff(connection, user.user_id) is not None:
                raise StaffSignIn("This player is of the staff, and signs in with the password.")
            return await self._beginnings.begin(connection, user, Kind.APP, client, now, **_by(caller))

        return await self._database.transaction(begin)

    async def _require_live(self, connection: AsyncConnection, caller: Caller, now: datetime) -> None:
        if isinstance(caller, Principal):
            await self._access.require_scope(connection, caller, Scope.PLAYERS, now)
        else:
            await require_key(connection, caller, now)

    async def _provide(self, caller: Caller, batch: Sequence[WantedPlayer], client: Client) -> dict[Identity, _Player]:
        async def provide(connection: AsyncConnection) -> dict[Identity, _Player]:
            now = self._clock()
            await self._require_live(connection, caller, now)
            found = await external.find_players(connection, [each.identity for each in batch])
            names = await _choose(connection, [each for each in batch if each.identity not in found], now)
            made: dict[Identity, KnownPlayer] = {}
            if names:
                made = await _make(connection, names, now)
                ids = [player.user_id for player in made.values()]
                await events.record_for_many(connection, Event.EXTERNAL_MADE, client, ids, now, **_by(caller))
            known = {identity: _Player(player, made=False) for identity, player in found.items()}
            new = {identity: _Player(player, made=True) for identity, player in made.items()}
            return {each.identity: _Player(None, made=False) for each in batch} | known | new

        for _ in range(_ATTEMPTS):
            try:
                return await self._database.transaction(provide)
            except (IdentityTaken, UsernameTaken):
                continue
        raise ServiceUnavailable("Others make the same players. Try again in a moment.")


async def _choose(connection: AsyncConnection, wanted: Sequence[WantedPlayer], now: datetime) -> dict[Identity, Username]:
    """A free name for each, the one that is asked for if it can be had. Who is not in it can have none."""
    chosen: dict[Identity, Username] = {}
    used: set[str] = set()
    for attempt in range(1 + suffixed_names.ATTEMPTS):
        tried = {
            each.identity: each.username if attempt == 0 else suffixed_names.make(each.username, attempt - 1)
            for each in wanted
            if each.identity not in chosen
        }
        if not tried:
            break
        names = {name.canonical for name in tried.values()}
        taken = await users.list_taken(connection, names) | await kept_names.list_unfree(connection, names, now)
        for identity, name in tried.items():
            if name.canonical not in taken | used and not reserved_names.is_reserved(name):
                chosen[identity] = name
                used.add(name.canonical)
    return chosen


async def _make(connection: AsyncConnection, names: dict[Identity, Username], now: datetime) -> dict[Identity, KnownPlayer]:
    """Make the users of identities that have none.

    Raises IdentityTaken, or UsernameTaken where a name was taken or given up meanwhile: then nothing may be stored.
    """
    ids = await users.add_players(connection, names.values(), now)
    if await kept_names.list_unfree(connection, ids.keys(), now):
        raise UsernameTaken("One of the names was given up, and is kept for its owner.")
    made = {identity: KnownPlayer(ids[name.canonical], name.display, name.canonical) for identity, name in names.items()}
    await external.add(connection, {identity: player.user_id for identity, player in made.items()}, now)
    return made


def _answer(wanted: WantedPlayer, player: _Player, *, first: bool) -> Provided | UsernameTaken:
    known, asked = player.known, wanted.username
    if known is None:
        return UsernameTaken(f"{asked.display} is taken, and so is each name like it that was tried. Choose another name.")
    return Provided(known.user_id, known.username, player.made and first, known.canonical != asked.canonical)


def _by(caller: Caller) -> dict[str, str | int]:
    """Who it was, for the audit log."""
    return {"staff": caller.user_id} if isinstance(caller, Principal) else {"client_id": caller.client_id}
