"""Codes of authenticator apps: RFC 6238's own, and when each counts."""

import base64
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from services.auth.staff import codes, totp

# RFC 6238, appendix B: the secret, and the last six of its eight digits.
SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = {1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037"}


@pytest.mark.parametrize("seconds", VECTORS)
def test_the_codes_of_the_standard_count_at_their_time_and_a_step_around_it(seconds: int) -> None:
    step = seconds // 30
    for skew in (-1, 0, 1):
        assert totp.find_step(SECRET, VECTORS[seconds], datetime.fromtimestamp((step - skew) * 30, UTC)) == step
    for skew in (-2, 2):
        assert totp.find_step(SECRET, VECTORS[seconds], datetime.fromtimestamp((step - skew) * 30, UTC)) is None


def test_a_secret_has_160_random_bits() -> None:
    made = {totp.new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(base64.b32decode(secret)) for secret in made} == {20}


def test_an_app_is_told_whose_secret_it_is() -> None:
    uri = totp.uri_of(SECRET, "Ada & Bob", "leaderboard-auth")
    assert uri == f"otpauth://totp/leaderboard-auth:Ada%20%26%20Bob?secret={SECRET}&issuer=leaderboard-auth"
    document = ET.fromstring(totp.qr_of(uri))  # noqa: S314 - our own
    assert document.tag == "{http://www.w3.org/2000/svg}svg"
    assert {element.tag.rpartition("}")[2] for element in document.iter()} <= {"svg", "g", "path"}


def test_staff_codes_have_120_random_bits_each() -> None:
    made = {code for _ in range(10) for code in codes.new_codes()}
    assert len(made) == 100
    assert {len(base64.b32decode(code.replace("-", "").upper())) for code in made} == {15}
