"""How a time is written, wherever it is not a framework that writes it."""

from datetime import UTC, datetime


def write_time(time: datetime) -> str:
    """RFC 3339: UTC, always to the microsecond."""
    return f"{time.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"
