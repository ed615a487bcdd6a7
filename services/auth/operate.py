"""What an operator may do to accounts: `python -m services.auth.operate COMMAND NAME`, and `end-sessions --everybody`.

The commands are end-sessions, delete-account, give-role, take-role and reset-second-factor. An operator may take the last
admin's role too: it is the operator who makes the first one.

What an access token says is believed until it expires by whoever does not ask this service; it does, so to it the sessions
have ended at once.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.accounts import users
from services.auth.accounts.endings import end_account
from services.auth.accounts.usernames import InvalidUsername, Username
from services.auth.accounts.users import UserRecord
from services.auth.audit import events
from services.auth.audit.events import Event
from services.auth.errors import NotStaff
from services.auth.roles import give_role, remove_second_factor
from services.auth.sessions import families
from services.auth.settings import AuthSettings
from services.auth.staff import roles
from services.auth.staff.roles import Role
from services.common.http.problems import Problem
from services.common.mysql.database import Database
from services.common.settings import load_settings
from services.common.telemetry import configure_logging

BATCH = 500
# In the audit log, where an address would be.
_BY = "operator"
_NAMED = {Role.ADMIN: "an admin", Role.MODERATOR: "a moderator"}


class NoSuchAccount(LookupError):
    """Nobody has this name."""


class Operator:
    """Does it, and leaves a word of it in the audit log."""

    def __init__(
        self, database: Database, *, name_kept_for: timedelta, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._name_kept_for = name_kept_for
        self._clock = clock

    async def end_sessions(self, name: str) -> int:
        """Sign a user out everywhere; gives how many sessions have ended. Raises NoSuchAccount."""

        async def end(connection: AsyncConnection) -> int:
            user = await _lock(connection, name)
            ended = await families.end_every_family(connection, user.user_id)
            now = self._clock()
            await events.record(connection, Event.SESSIONS_ENDED, None, user_id=user.user_id, now=now, sessions=ended, by=_BY)
            return ended

        return await self._database.transaction(end)

    async def end_all_sessions(self) -> int:
        """Sign everybody out who signed in before now, a batch a transaction; gives how many sessions have ended."""
        began, ended = self._clock(), 0
        while batch := await self._database.transaction(lambda c: families.end_some_families(c, began, BATCH)):
            ended += batch
        await self._database.transaction(
            lambda c: events.record(c, Event.SESSIONS_ENDED, None, user_id=None, now=self._clock(), sessions=ended, by=_BY)
        )
        return ended

    async def delete_account(self, name: str) -> int:
        """Delete an account as its owner could; gives its number. Raises NoSuchAccount."""

        async def delete(connection: AsyncConnection) -> int:
            user = await _lock(connection, name)
            now = self._clock()
            await end_account(connection, user, None, now, name_kept_until=now + self._name_kept_for, by=_BY)
            return user.user_id

        return await self._database.transaction(delete)

    async def give_role(self, name: str, role: Role) -> bool:
        """Give a user a role; gives whether they had none. Raises NoSuchAccount or NotForGuests."""

        async def give(connection: AsyncConnection) -> bool:
            user = await _lock(connection, name)
            return await give_role(connection, user, role, None, self._clock(), by=_BY)

        return await self._database.transaction(give)

    async def take_role(self, name: str) -> None:
        """Take a user's role, and with it their second factor. Raises NoSuchAccount or NotStaff."""

        async def take(connection: AsyncConnection) -> None:
            user = await _lock(connection, name)
            if await roles.find_staff(connection, user.user_id) is None:
                raise NotStaff(f"{name} has no role")
            await roles.take(connection, user.user_id)
            await events.record(connection, Event.ROLE_TAKEN, None, user_id=user.user_id, now=self._clock(), by=_BY)

        await self._database.transaction(take)

    async def reset_second_factor(self, name: str) -> None:
        """Remove a user's second factor, who sets up another. Raises NoSuchAccount or NoSecondFactor."""

        async def reset(connection: AsyncConnection) -> None:
            user = await _lock(connection, name)
            await remove_second_factor(connection, user.user_id, None, self._clock(), by=_BY)

        await self._database.transaction(reset)


async def _lock(connection: AsyncConnection, name: str) -> UserRecord:
    """The account of this name, which nobody changes or signs in to until the transaction ends. Raises NoSuchAccount."""
    try:
        canonical = Username.parse(name).canonical
    except InvalidUsername:
        raise NoSuchAccount(name) from None
    found = await users.find_user_by_name(connection, canonical)
    user = await users.lock_user(connection, found.user_id) if found else None
    if user is None or user.canonical != canonical:
        raise NoSuchAccount(name)
    return user


async def operate(settings: AuthSettings, arguments: argparse.Namespace) -> str:
    """Do what the command line says; gives what to tell of it. Raises NoSuchAccount, Problem or SQLAlchemyError."""
    database = Database(settings, settings.auth_mysql_user, settings.auth_mysql_password.get_secret_value())
    operator = Operator(database, name_kept_for=timedelta(days=settings.username_kept_days))
    try:
        return await _do(operator, arguments)
    finally:
        await database.dispose()


async def _do(operator: Operator, arguments: argparse.Namespace) -> str:
    name = arguments.name
    match arguments.command:
        case "delete-account":
            user_id = await operator.delete_account(name)
            return f"{name} was account {user_id}, and is deleted. What they played is erased within a second"
        case "give-role":
            role = Role(arguments.role)
            await operator.give_role(name, role)
            return f"{name} is {_NAMED[role]}. It counts in sessions with a second factor: POST /auth/me/second-factor"
        case "take-role":
            await operator.take_role(name)
            return f"{name} has no role any more. Access tokens that are out are believed elsewhere until they expire"
        case "reset-second-factor":
            await operator.reset_second_factor(name)
            return f"{name} has no second factor any more, and sets up another: POST /auth/me/second-factor"
        case _ if arguments.everybody:
            return f"Sessions that have ended: {await operator.end_all_sessions():,}"
        case _:
            return f"Sessions of {name} that have ended: {await operator.end_sessions(name):,}"


def main() -> int:
    """Do it and tell. 1 when it was not done."""
    parser = argparse.ArgumentParser(prog="python -m services.auth.operate", description="What an operator may do to accounts.")
    commands = parser.add_subparsers(dest="command", required=True)
    ending = commands.add_parser("end-sessions", help="sign a user out everywhere, or everybody").add_mutually_exclusive_group(
        required=True
    )
    ending.add_argument("name", nargs="?", help="whose sessions")
    ending.add_argument("--everybody", action="store_true", help="every session there is")
    deleting = commands.add_parser("delete-account", help="delete a user's account; what they played is erased by itself")
    deleting.add_argument("name", help="whose account")
    giving = commands.add_parser("give-role", help="make a user an admin, or a moderator")
    giving.add_argument("name", help="whom")
    giving.add_argument(
        "--role", choices=[role.value for role in Role], default=Role.ADMIN.value, help="which (default: admin)"
    )
    taking = commands.add_parser("take-role", help="take a user's role, the last admin's too")
    taking.add_argument("name", help="whose role")
    resetting = commands.add_parser("reset-second-factor", help="remove a user's second factor, who has lost it")
    resetting.add_argument("name", help="whose second factor")
    arguments = parser.parse_args()
    settings = load_settings(AuthSettings)
    # The audit log's row is what counts; its line would be on the operator's terminal only.
    configure_logging(settings.model_copy(update={"log_level": "WARNING"}), "auth")
    try:
        told = asyncio.run(operate(settings, arguments))
    except NoSuchAccount as error:
        sys.stderr.write(f"nobody is called {error}\n")
        return 1
    except Problem as problem:
        sys.stderr.write(f"{problem.detail}\n")
        return 1
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        sys.stderr.write(f"not done, or not known to be: {error or type(error).__name__}\n")
        return 1
    sys.stdout.write(f"{told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
