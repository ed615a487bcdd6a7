"""Refresh tokens that follow others: each is derived from the one before, by a key that is derived from the system's."""

import base64
import hmac
import secrets

from services.auth.sessions.tokens import Successors, new_refresh_token, refresh_token_hash
from services.common.tokens import KeyRing

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)
TOKEN = new_refresh_token()


def test_the_successor_is_always_the_same_and_looks_like_any_token() -> None:
    successor = Successors(KeyRing({"k1": OLD})).next(TOKEN)
    assert successor == Successors(KeyRing({"k7": OLD})).next(TOKEN)
    assert successor != TOKEN
    assert len(successor) == len(TOKEN) == 43
    assert Successors(KeyRing({"k1": OLD})).next(successor) not in {TOKEN, successor}


def test_it_takes_a_key_to_tell_it_and_that_is_not_the_one_that_signs_access_tokens() -> None:
    successors = {Successors(KeyRing({"k1": key})).next(TOKEN) for key in (OLD, NEW)}
    assert len(successors) == 2
    by_the_key_itself = base64.urlsafe_b64encode(hmac.digest(OLD, TOKEN.encode(), "sha256")).rstrip(b"=").decode()
    assert by_the_key_itself not in successors


def test_while_the_key_is_rotated_the_successors_under_either_are_known_by_their_hashes() -> None:
    for keys in ({"k1": OLD, "k2": NEW}, {"k2": NEW, "k1": OLD}):
        known = Successors(KeyRing(keys)).known(TOKEN)
        assert set(known.values()) == {Successors(KeyRing({"k": key})).next(TOKEN) for key in (OLD, NEW)}
        assert all(refresh_token_hash(token) == hashed for hashed, token in known.items())
        assert Successors(KeyRing(keys)).next(TOKEN) == Successors(KeyRing({"k": next(iter(keys.values()))})).next(TOKEN)


def test_what_is_no_token_has_a_successor_too_and_raises_nothing() -> None:
    for odd in ("", "\ud800", "é" * 100, "x" * 10_000):
        assert len(Successors(KeyRing({"k1": OLD})).next(odd)) == 43
