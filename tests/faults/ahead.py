"""`python -m tests.faults.ahead` serves the leaderboard service by a clock that is two seconds ahead of everybody else's.

The time of day is changed for the whole process, before anything of it is imported: whatever asks Python what time it is hears
the wrong one. Durations are measured by another clock, and stay right.
"""

import datetime
import runpy
import time
from typing import Any

AHEAD = datetime.timedelta(seconds=2)

_datetime = datetime.datetime
_time = time.time


class _Kind(type):
    """What C code makes are plain datetimes: they must not be others than these."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _datetime)


class _Ahead(_datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return super().now(tz) + AHEAD


if __name__ == "__main__":
    datetime.datetime = _Ahead  # type: ignore[misc]
    time.time = lambda: _time() + AHEAD.total_seconds()
    runpy.run_module("services.leaderboard", run_name="__main__")
