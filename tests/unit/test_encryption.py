"""Encryption at rest: what is stored is read with its key and in its place, and nowhere else."""

import secrets

import pytest

from services.common.encryption import MAX_OVERHEAD, Encryption, Undecryptable
from services.common.tokens import KeyRing

KEYS = {name: secrets.token_bytes(32) for name in ("old", "new")}
PLACE = b"totp:7"


def encrypting(*names: str) -> Encryption:
    return Encryption(KeyRing({name: KEYS[name] for name in names}))


def test_a_secret_is_read_where_it_was_stored_and_is_nothing_that_can_be_seen() -> None:
    encryption = encrypting("old")
    stored = encryption.encrypt(b"a secret", PLACE)
    assert encryption.decrypt(stored, PLACE) == b"a secret"
    assert b"secret" not in stored
    assert encryption.encrypt(b"a secret", PLACE) != stored
    assert len(stored) - len(b"a secret") <= MAX_OVERHEAD


def test_in_another_place_it_cannot_be_read() -> None:
    encryption = encrypting("old")
    with pytest.raises(Undecryptable):
        encryption.decrypt(encryption.encrypt(b"a secret", PLACE), b"totp:8")


def test_the_first_key_encrypts_and_each_decrypts() -> None:
    before = encrypting("old").encrypt(b"a secret", PLACE)
    both = encrypting("new", "old")
    assert both.decrypt(before, PLACE) == b"a secret"
    assert not before.startswith(both.prefix)
    after = both.encrypt(b"a secret", PLACE)
    assert after.startswith(both.prefix)
    assert encrypting("new").decrypt(after, PLACE) == b"a secret"


def test_a_lost_key_is_named_and_nothing_else_is_said() -> None:
    stored = encrypting("old").encrypt(b"a secret", PLACE)
    with pytest.raises(Undecryptable, match="no key old"):
        encrypting("new").decrypt(stored, PLACE)


def test_another_key_of_the_same_name_is_noticed() -> None:
    stored = encrypting("old").encrypt(b"a secret", PLACE)
    with pytest.raises(Undecryptable, match="the key old"):
        Encryption(KeyRing({"old": secrets.token_bytes(32)})).decrypt(stored, PLACE)


def test_whatever_else_stands_there_is_unreadable_and_no_fault() -> None:
    encryption = encrypting("old")
    stored = encryption.encrypt(b"a secret", PLACE)
    changed = [stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :] for at in range(len(stored))]
    for other in (b"", b"\x00", b"\xff", b"\x03old", *(stored[:end] for end in range(len(stored))), *changed):
        with pytest.raises(Undecryptable):
            encryption.decrypt(other, PLACE)
