"""Holding a typed password against an account's: the one place through which every guess goes."""

from services.auth import passwords
from services.auth.passwords import Passwords
from services.auth.repository import UserRecord


class PasswordCheck:
    """Checks what somebody says is an account's password: at login, and again for what a stolen session must not do."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def check(self, account: str, user: UserRecord | None, typed: str) -> str | None:
        """The normal form of ``typed`` when it is the password of ``user``, else None. Raises PasswordQueueFull.

        ``account`` is the canonical name that was tried (as typed, where no account can have it), whether ``user`` has it or
        nobody does: both take the same work.
        """
        try:
            normal = passwords.normalize(typed)
        except passwords.InvalidPassword:
            # No such password can have been set. The same work as for any other.
            await self._passwords.verify(None, "")
            return None
        return normal if await self._passwords.verify(user.password_hash if user else None, normal) else None
