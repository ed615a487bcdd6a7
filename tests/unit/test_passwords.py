"""The rules of passwords, and the pool that hashes them."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.audit.clients import Client
from services.auth.errors import PasswordQueueFull
from services.auth.passwords import rules
from services.auth.passwords.hashing import NICENESS, Passwords
from services.auth.passwords.rules import InvalidPassword
from services.auth.settings import AuthSettings
from tests.system import eventually

CLIENT = Client("192.0.2.7", "a browser")
SETTINGS = AuthSettings.model_construct(
    argon2_time_cost=1,
    argon2_memory_kib=64,
    argon2_parallelism=1,
    password_workers=1,
    password_queue=1,
    password_queue_per_address=32,
    password_queue_seconds=10.0,
)


@pytest.mark.parametrize(
    "password", ["83910274", "x" * 128, "𝛑" * 128, "pass word with spaces", "café au lait", "密码密码密码密码"]
)
def test_any_characters_make_a_password(password: str) -> None:
    rules.new_password(password, 8)


@pytest.mark.parametrize(
    "password",
    ["", "1234567", "x" * 129, "𝛑" * 129, "e\u0301" * 129, "\ufdfa" * 8, "nul\x00nulnul", "line\nbreak", "\ud800surrogate"],
)
def test_length_is_counted_after_nfkc_and_control_characters_are_refused(password: str) -> None:
    with pytest.raises(InvalidPassword):
        rules.new_password(password, 8)


@given(st.text(max_size=200))
def test_the_normal_form_is_stable_or_refused(text: str) -> None:
    try:
        normal = rules.normalize(text)
    except InvalidPassword:
        return
    assert rules.normalize(normal) == normal


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """One worker, so that two requests have turns at once: one hashes, and one is the next."""
    found = Passwords(SETTINGS)
    yield found
    found.close()


async def test_the_right_password_and_only_it_is_verified(passwords: Passwords) -> None:
    stored = await passwords.hash("right", CLIENT)
    async with passwords.turn(CLIENT) as turn:
        assert await turn.verify(stored, "right")
        assert not await turn.verify(stored, "wrong")
        assert not await turn.verify(None, "nobody has this password")
        assert not await turn.verify("not a hash", "right")


async def test_what_is_beyond_the_queue_is_told_at_once_and_a_caller_that_leaves_gives_its_place_back(
    passwords: Passwords,
) -> None:
    async with passwords.turn(CLIENT), passwords.turn(CLIENT):
        waiting = asyncio.create_task(passwords.hash("waits", CLIENT))
        await asyncio.sleep(0)  # let it take the only place
        with pytest.raises(PasswordQueueFull):
            await passwords.hash("too many", CLIENT)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        after = asyncio.create_task(passwords.hash("after", CLIENT))
        await asyncio.sleep(0)
    assert await after


async def test_a_turn_whose_caller_has_gone_ends_when_its_thread_is_done() -> None:
    """A thread cannot be stopped. A turn that ended before would let in more than the workers can do."""
    slow = Passwords(SETTINGS.model_copy(update={"argon2_time_cost": 300, "password_queue": 0}))
    gone = [asyncio.create_task(slow.hash("slow", CLIENT)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    await asyncio.wait(gone)
    with pytest.raises(PasswordQueueFull):
        await slow.hash("too early", CLIENT)

    async def has_room() -> bool:
        with suppress(PasswordQueueFull):
            async with slow.turn(CLIENT), slow.turn(CLIENT):
                return True
        return False

    await eventually(has_room)
    slow.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
async def test_hashing_leaves_the_processor_to_the_loop_first() -> None:
    pool = Passwords(SETTINGS)
    before = set(threading.enumerate())
    await pool.hash("password", CLIENT)
    threads = [thread.native_id for thread in set(threading.enumerate()) - before if thread.native_id is not None]
    niceness = [os.getpriority(os.PRIO_PROCESS, thread) for thread in threads]
    assert niceness == [min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)]
    pool.close()
