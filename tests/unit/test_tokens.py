"""Access tokens: what the verifier lets through. RFC 8725."""

import base64
import hmac
import json
import math
import secrets
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from services.auth.sessions.tokens import AccessTokenIssuer
from services.common.http.authentication import require_recent_password
from services.common.http.problems import PasswordTooOld
from services.common.tokens import (
    CLOCK_SKEW_SECONDS,
    InvalidKeys,
    InvalidToken,
    KeyPrincipal,
    KeyRing,
    Principal,
    Scope,
    TokenVerifier,
)

KEY = secrets.token_bytes(64)  # long enough for HS512 too, which must be refused for its name
OTHER_KEY = secrets.token_bytes(64)
RSA_KEY = rsa.generate_private_key(65537, 2048)
RING = KeyRing({"k1": KEY})
VERIFIER = TokenVerifier(RING, "issuer", "audience")
SESSION = uuid.uuid4()
ADA = Principal(7, "Ada", SESSION)
CLIENT_ID = "key-abcdefghijklmnopqrstuvwxyz"
HEADER = {"typ": "at+jwt", "kid": "k1"}


def encoded(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def claims(**changed: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    usual = {
        "iss": "issuer",
        "aud": "audience",
        "sub": "7",
        "name": "Ada",
        "sid": str(SESSION),
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(minutes=15),
        "jti": "x",
    } | changed
    return {name: value for name, value in usual.items() if value is not None}


def signed(header: dict[str, Any] | None = None, key: Any = KEY, algorithm: str = "HS256", **changed: Any) -> str:
    headers = {name: value for name, value in (HEADER | (header or {})).items() if value is not None}
    return jwt.encode(claims(**changed), key, algorithm, headers=headers)


def without(name: str) -> str:
    changed: Any = {name: None}
    return signed(**changed)


def key_claims(**changed: Any) -> dict[str, Any]:
    """What a key's token says, where it is not what a user's says."""
    return {"sub": CLIENT_ID, "client_id": CLIENT_ID, "scope": "scores:write", "name": None, "sid": None} | changed


def user(verifier: TokenVerifier, token: str) -> Principal:
    principal = verifier.verify(token)
    assert isinstance(principal, Principal)
    return principal


def unsigned() -> str:
    parts = [{"alg": "none", **HEADER}, claims(iat=1, nbf=1, exp=2**40)]
    return ".".join(encoded(json.dumps(part).encode()) for part in parts) + "."


def test_an_issued_token_speaks_for_its_user() -> None:
    issuer = AccessTokenIssuer(RING, "issuer", "audience", timedelta(minutes=15))
    assert VERIFIER.verify(issuer.issue(7, "Ada", SESSION, datetime.now(UTC))) == ADA


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_the_type_may_be_written_as_rfc_9068_allows(typ: str) -> None:
    assert user(VERIFIER, signed({"typ": typ})).user_id == 7


def tampered() -> str:
    header, _, signature = signed().split(".")
    return f"{header}.{encoded(json.dumps(claims(iat=1, nbf=1, exp=2**40, sub='1')).encode())}.{signature}"


# Tokens are made when the tests are collected, and may be looked at many minutes later.
now = datetime.now(UTC)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("x", id="word"),
        pytest.param("a.b.c", id="three words"),
        pytest.param("\ud800.\ud800.\ud800", id="surrogates"),
        pytest.param("é.ü.ñ", id="latin"),
        pytest.param(f"{signed()}=", id="padded"),
        pytest.param(f"{signed()}\n", id="a line"),
        pytest.param(f"{signed()}.", id="four parts"),
        pytest.param(signed().replace(".", ".!", 1), id="other letters"),
        pytest.param("a" * 16_384, id="16 KB"),
        pytest.param(signed(name="a" * 12_288), id="16 KB and signed"),
        pytest.param(unsigned(), id="alg none"),
        pytest.param(signed(algorithm="HS512"), id="alg HS512"),
        pytest.param(signed(key=RSA_KEY, algorithm="RS256"), id="alg RS256"),
        pytest.param(signed({"crit": ["exp"]}), id="an extension that must be understood"),
        pytest.param(signed(key=OTHER_KEY), id="other key"),
        pytest.param(signed({"jwk": {"kty": "oct", "k": encoded(OTHER_KEY)}}, key=OTHER_KEY), id="key in the header"),
        pytest.param(signed({"jku": "https://elsewhere.example/keys"}, key=OTHER_KEY), id="keys elsewhere"),
        pytest.param(tampered(), id="edited claims"),
        pytest.param(signed({"kid": "k2"}), id="unknown kid"),
        pytest.param(signed({"kid": None}), id="no kid"),
        pytest.param(signed({"typ": "JWT"}), id="other type"),
        pytest.param(signed({"typ": "refresh+jwt"}), id="refresh type"),
        pytest.param(signed(iss="other"), id="other issuer"),
        pytest.param(signed(aud="other"), id="other audience"),
        pytest.param(signed(aud=["audience", "other"]), id="many audiences"),
        pytest.param(signed(exp=now - timedelta(seconds=10)), id="expired"),
        pytest.param(signed(exp="never"), id="exp a word"),
        pytest.param(signed(exp="4102444800"), id="exp a number as text"),
        pytest.param(signed(nbf=now + timedelta(days=1)), id="not yet"),
        pytest.param(signed(iat=now + timedelta(days=1)), id="issued later"),
        pytest.param(signed(sub="0"), id="sub 0"),
        pytest.param(signed(sub="-1"), id="sub -1"),
        pytest.param(signed(sub="Ada"), id="sub a word"),
        pytest.param(signed(sub="٧"), id="sub another script's digit"),
        pytest.param(signed(sub=str(2**63)), id="sub 2^63"),
        pytest.param(signed(name=7), id="name a number"),
        *(pytest.param(without(name), id=f"no {name}") for name in claims()),
    ],
)
def test_any_other_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidToken):
        VERIFIER.verify(token)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_of_a_time_to_come_is_refused_for_its_clock(claim: str) -> None:
    ahead: dict[str, Any] = {claim: datetime.now(UTC) + timedelta(minutes=1)}
    with pytest.raises(InvalidToken, match="the clock of who issued it is ahead of this one"):
        VERIFIER.verify(signed(**ahead))
    ahead[claim] -= timedelta(seconds=56)
    assert user(VERIFIER, signed(**ahead)).user_id == 7


def signed_as_written(**changes: Any) -> str:
    """A token with these claims, whatever they are: a library would not write them."""
    times = {name: int(value.timestamp()) for name, value in claims().items() if isinstance(value, datetime)}
    head = encoded(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": "k1"}).encode())
    body = encoded(json.dumps({**claims(), **times, **changes}).encode())
    signature = hmac.new(KEY, f"{head}.{body}".encode(), "sha256").digest()
    return f"{head}.{body}.{encoded(signature)}"


WRONG: list[Any] = [None, True, False, "", "soon", "4102444800.0", "1e3", "\ud800", "\0", [], [1], {}, {"a": 1}]
WRONG += [-1, 2**63, 10**30, 1.5, math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "auth_time", "sub", "sid", "aud", "iss", "name"])
@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_a_claim_of_another_type_is_refused_and_breaks_nothing(name: str, value: Any) -> None:
    token = signed_as_written(**{name: value})
    if (name == "name" and isinstance(value, str)) or (name == "auth_time" and value is None):
        VERIFIER.verify(token)
    else:
        with pytest.raises(InvalidToken):
            VERIFIER.verify(token)


def test_when_the_password_was_given_is_told() -> None:
    issuer = AccessTokenIssuer(RING, "issuer", "audience", timedelta(minutes=15))
    moment = datetime.now(UTC) - timedelta(minutes=7)
    told = VERIFIER.verify(issuer.issue(7, "Ada", SESSION, datetime.now(UTC), moment))
    assert told == replace(ADA, auth_time=int(moment.timestamp()))


@pytest.mark.parametrize(("ago", "recent"), [(0, True), (300, True), (301, False), (None, False)])
def test_what_is_grave_wants_a_password_of_the_last_five_minutes(ago: int | None, recent: bool) -> None:
    principal = replace(ADA, auth_time=None if ago is None else 1_000_000 - ago)
    if recent:
        require_recent_password(principal, 1_000_000.0)
        return
    with pytest.raises(PasswordTooOld) as refused:
        require_recent_password(principal, 1_000_000.0)
    assert refused.value.status == 401
    assert refused.value.headers["WWW-Authenticate"] == 'Bearer error="insufficient_user_authentication", max_age=300'


def test_the_scopes_of_staff_are_told_and_a_player_has_none() -> None:
    issuer = AccessTokenIssuer(RING, "issuer", "audience", timedelta(minutes=15))
    scopes = frozenset({Scope.MODERATE, Scope.ADMIN})
    token = issuer.issue(7, "Ada", SESSION, datetime.now(UTC), scopes=scopes)
    assert VERIFIER.verify(token) == replace(ADA, scopes=scopes)
    assert "scope" not in jwt.decode(issuer.issue(7, "Ada", SESSION, datetime.now(UTC)), options={"verify_signature": False})


def test_a_key_speaks_for_itself_with_its_scopes() -> None:
    now = datetime.now(UTC)
    issuer = AccessTokenIssuer(RING, "issuer", "audience", timedelta(minutes=15))
    scopes = frozenset({Scope.SCORES, Scope.BOARDS})
    assert VERIFIER.verify(issuer.issue_to_key(CLIENT_ID, scopes, now, now + timedelta(minutes=10))) == KeyPrincipal(
        CLIENT_ID, scopes
    )


def test_a_scope_that_is_not_known_permits_nothing() -> None:
    assert VERIFIER.verify(signed(**key_claims(scope="scores:write  everything"))).scopes == {Scope.SCORES}


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "key-bbcdefghijklmnopqrstuvwxyz"},
        {"sub": "7"},
        {"client_id": "7", "sub": "7"},
        {"client_id": "key-1", "sub": "key-1"},
        {"client_id": 7},
        {"scope": None},
        {"scope": ["scores:write"]},
        {"client_id": None},
    ],
    ids=repr,
)
def test_a_token_of_a_key_that_was_not_issued_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        VERIFIER.verify(signed(**key_claims(**changed)))


def test_neither_ended_users_nor_revoked_keys_are_let_through() -> None:
    verifier = TokenVerifier(RING, "issuer", "audience", {7, CLIENT_ID})
    for token, why in ((signed(), "account"), (signed(**key_claims()), "key")):
        with pytest.raises(InvalidToken, match=why):
            verifier.verify(token)


def test_a_token_is_looked_at_once_and_again_when_it_has_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"k1": KEY}
    verifier = TokenVerifier(KeyRing(keys), "issuer", "audience")
    expires_at = datetime.now(UTC) + timedelta(seconds=60)
    token = signed(exp=expires_at)
    assert verifier.verify(token) == ADA
    keys.clear()  # whoever looks at it from now on refuses it
    last_moment = int(expires_at.timestamp()) + CLOCK_SKEW_SECONDS
    monkeypatch.setattr("services.common.tokens.time", lambda: last_moment - 0.001)
    assert verifier.verify(token) == ADA
    monkeypatch.setattr("services.common.tokens.time", lambda: last_moment)
    with pytest.raises(InvalidToken, match="unknown key"):
        verifier.verify(token)


def test_no_more_tokens_are_remembered_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.common.tokens.MAX_REMEMBERED", 3)
    keys = {"k1": KEY}
    verifier = TokenVerifier(KeyRing(keys), "issuer", "audience")
    tokens = [signed(sub=str(user_id)) for user_id in range(1, 10)]
    for token in tokens:
        verifier.verify(token)
    keys.clear()  # whoever looks at one from now on refuses it
    remembered = []
    for token in tokens:
        with suppress(InvalidToken):
            remembered.append(user(verifier, token).user_id)
    assert remembered == [7, 8, 9]


def test_a_kid_that_is_not_a_string_is_refused() -> None:
    header = {"alg": "HS256", "typ": "at+jwt", "kid": ["k1"]}
    token = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims(iat=1, nbf=1, exp=2**40)))
    with pytest.raises(InvalidToken):
        VERIFIER.verify(f"{token}.{encoded(b'x')}")


def test_two_keys_can_be_live_and_the_first_signs() -> None:
    ring = KeyRing.parse(f"new:{encoded(OTHER_KEY)}, k1:{encoded(KEY)}")
    assert ring.signing_kid == "new"
    verifier = TokenVerifier(ring, "issuer", "audience")
    assert user(verifier, signed()).user_id == 7
    assert user(verifier, signed({"kid": "new"}, OTHER_KEY)).user_id == 7
    with pytest.raises(InvalidToken):
        verifier.verify(signed({"kid": "new"}, KEY))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no key"),
        ("  ", "no key"),
        ("secret", "kid:base64url"),
        ("k1:" + "A" * 42, "31 bytes"),
        ("k1:" + "A" * 43, "not random"),
        ("k1:" + encoded(b"change-me-change-me-change-me-please"), "not random"),
        ("k1:" + "!" * 43, "not base64url"),
        (f"k1:{encoded(KEY)},k1:{encoded(OTHER_KEY)}", "twice"),
        (f"k1:{encoded(KEY)},k2:{encoded(KEY)}", "repeats"),
        (f"k 1:{encoded(KEY)}", "kid"),
    ],
    # Two processes that share the tests out must call them the same, and keys are random.
    ids=["none", "blank", "no kid", "short", "one letter", "a sample", "other letters", "same kid", "same key", "bad kid"],
)
def test_a_missing_short_sample_or_repeated_key_is_refused_without_being_shown(text: str, why: str) -> None:
    with pytest.raises(InvalidKeys, match=why) as refused:
        KeyRing.parse(text)
    assert encoded(KEY) not in str(refused.value)
