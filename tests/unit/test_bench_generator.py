"""What the load generator is given, and how its output is read."""

from pathlib import Path

import pytest

from tests.bench.generator import ITEM_LENGTH, GeneratorFailed, Load, Measurement, merge, parse

RESULT = (
    '{"requests": 8000, "microseconds": 2000000, "p50": 2400, "p99": 4834, '
    '"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0}'
)
OUTPUT = f"""Running 2s test @ http://127.0.0.1:40000
  1 threads and 32 connections
Requests/sec:   4000.00
Transfer/sec:      0.52MB
{RESULT}
"""


def test_a_result_is_read_from_below_what_the_generator_says_itself() -> None:
    assert parse(OUTPUT) == Measurement(rate=4000.0, p50=2.4, p99=4.834)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("connect", "connections refused"),
        ("read", "answers cut off"),
        ("write", "requests not sent"),
        ("status", "answers with an error status"),
        ("timeout", "answers later than the time-out"),
    ],
)
def test_a_round_with_a_single_error_is_refused(kind: str, words: str) -> None:
    with pytest.raises(GeneratorFailed, match=f"^1 {words} beside 8,000 answers$"):
        parse(OUTPUT.replace(f'"{kind}": 0', f'"{kind}": 1'))


def test_a_round_without_an_answer_is_refused() -> None:
    with pytest.raises(GeneratorFailed, match="no answer at all"):
        parse(OUTPUT.replace("8000", "0"))


def test_a_generator_that_fails_is_quoted() -> None:
    with pytest.raises(GeneratorFailed, match="unable to connect to localhost"):
        parse("unable to connect to localhost:1 Connection refused\n")
    with pytest.raises(GeneratorFailed, match="no output"):
        parse("")


def test_of_generators_that_ran_together_rates_add_up_and_the_slowest_answers_count() -> None:
    merged = merge([Measurement(1000, 2.0, 9.0), Measurement(500, 3.0, 7.0)], {"generator": 0.4})
    assert merged == Measurement(1500, 3.0, 9.0, {"generator": 0.4})


def test_a_request_goes_over_the_wire_as_it_was_meant(tmp_path: Path) -> None:
    load = Load("submit", "POST", "/submit", 201, {"Authorization": "Bearer {value}"}, '{"score": 120}', ("a.b.c", "d.e.f"))
    request, values, _ = load.write(tmp_path)
    assert request.read_bytes() == (
        b'POST /submit HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {value}\r\nContent-Length: 14\r\n\r\n{"score": 120}'
    )
    assert values.read_text() == "a.b.c\nd.e.f\n"


def test_what_stands_for_one_of_others_counts_in_the_length_of_a_body(tmp_path: Path) -> None:
    load = Load("submit", "POST", "/submit", 201, {}, '{"boards": ["{other}"]}', ("-",), ("alps", "city"))
    request, _, others = load.write(tmp_path)
    assert request.read_bytes().endswith(b'Content-Length: 20\r\n\r\n{"boards": ["{other}"]}')
    assert others.read_text() == "alps\ncity\n"


def test_what_is_never_the_same_twice_counts_in_the_length_of_a_body_too() -> None:
    load = Load("batches", "POST", "/submissions", 200, {}, '["{item}", "{item}"]')
    assert f"Content-Length: {8 + 2 * ITEM_LENGTH}\r\n" in load.text


def test_a_request_without_a_body_has_no_length() -> None:
    assert Load("top", "GET", "/top").text == "GET /top HTTP/1.1\r\nHost: bench\r\n\r\n"
