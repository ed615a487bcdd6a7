"""The rules of passwords, and the pool that hashes them."""

import asyncio
import os
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.errors import PasswordQueueFull
from services.auth.passwords import rules
from services.auth.passwords.hashing import NICENESS, Passwords
from services.auth.passwords.rules import InvalidPassword
from services.auth.settings import AuthSettings

SETTINGS = AuthSettings.model_construct(
    argon2_time_cost=1,
    argon2_memory_kib=64,
    argon2_parallelism=1,
    password_workers=1,
    password_queue=1,
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


async def test_the_right_password_and_only_it_is_verified() -> None:
    pool = Passwords(SETTINGS)
    stored = await pool.hash("right")
    assert await pool.verify(stored, "right")
    assert not await pool.verify(stored, "wrong")
    assert not await pool.verify(None, "nobody has this password")
    assert not await pool.verify("not a hash", "right")
    pool.close()


async def test_what_is_beyond_the_queue_is_told_at_once_and_a_caller_that_leaves_gives_its_place_back() -> None:
    pool = Passwords(SETTINGS.model_copy(update={"argon2_time_cost": 300}))
    running = asyncio.create_task(pool.hash("one"))
    waiting = asyncio.create_task(pool.hash("two"))
    await asyncio.sleep(0)  # let both begin
    with pytest.raises(PasswordQueueFull):
        await pool.hash("three")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    after = asyncio.create_task(pool.hash("four"))
    assert await running
    assert await after
    pool.close()


async def test_what_waits_too_long_for_a_worker_is_told_so() -> None:
    pool = Passwords(SETTINGS.model_copy(update={"argon2_time_cost": 300, "password_queue_seconds": 0.001}))
    running = asyncio.create_task(pool.hash("one"))
    await asyncio.sleep(0)
    with pytest.raises(PasswordQueueFull):
        await pool.hash("two")
    assert await running
    pool.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
async def test_hashing_leaves_the_processor_to_the_loop_first() -> None:
    pool = Passwords(SETTINGS)
    before = set(threading.enumerate())
    await pool.hash("password")
    threads = [thread.native_id for thread in set(threading.enumerate()) - before if thread.native_id is not None]
    niceness = [os.getpriority(os.PRIO_PROCESS, thread) for thread in threads]
    assert niceness == [min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)]
    pool.close()
