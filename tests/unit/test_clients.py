"""What is kept of who sends a request."""

import pytest

from services.auth.audit.clients import MAX_USER_AGENT, Client


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("a name", ""),
        ("203.0.113.7; DROP", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address_is_kept_in_the_usual_spelling_and_nothing_else_is(host: str | None, address: str) -> None:
    assert Client.of(host, "").address == address


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"),
        ("a\tb\x1b[31m\x85c", "ab[31mc"),
        ("  x ", "x"),
        ("é" * 300, "é" * MAX_USER_AGENT),
        ("", ""),
    ],
)
def test_a_user_agent_is_kept_printable_and_short(sent: str, kept: str) -> None:
    assert Client.of(None, sent).user_agent == kept
