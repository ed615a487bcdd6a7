"""Whose account a typed name is, and which count a guess at it is added to."""

from dataclasses import dataclass
from datetime import datetime

from services.auth.accounts import users
from services.auth.accounts.usernames import InvalidUsername, Username
from services.auth.accounts.users import UserRecord
from services.auth.passwords import attempts
from services.auth.passwords.device_cookies import DeviceCookies
from services.common.mysql.database import Database


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says who is not signed in: that they are ``user``, or somebody whom nobody knows (None)."""

    user: UserRecord | None
    count: bytes


async def find_claim(
    database: Database, devices: DeviceCookies, username: str, device_cookie: str | None, now: datetime
) -> Claim:
    """The claim of whoever types ``username``, in a browser that an earlier login gave ``device_cookie``, if there was one.

    What no account can be called is only a name that nobody has.
    """
    try:
        canonical = Username.parse(username).canonical
    except InvalidUsername:
        return Claim(None, attempts.by_name(username))
    async with database.reading() as connection:
        user = await users.find_user_by_name(connection, canonical)
    device = devices.find_device(device_cookie, user, now)
    if user is None:
        return Claim(None, attempts.by_name(canonical))
    return Claim(user, attempts.by_account(user.user_id) if device is None else attempts.by_device(user.user_id, device))
