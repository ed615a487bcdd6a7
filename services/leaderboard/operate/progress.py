"""A progress bar on the terminal, for what runs in the services' own image."""

import sys
from time import monotonic

_WIDTH = 30
_PAUSE_SECONDS = 0.1


class Bar:
    """How far something is. Drawn over itself on a terminal; elsewhere only its end is told."""

    def __init__(self, name: str, total: int) -> None:
        self._name = name
        self._total = total
        self._count = 0
        self._began = monotonic()
        self._drawn = 0.0

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._count += count
        if sys.stderr.isatty() and monotonic() - self._drawn > _PAUSE_SECONDS:
            self._drawn = monotonic()
            self._draw("\r")

    def done(self) -> None:
        """All of it is done."""
        self._total = max(self._total, self._count)
        self._draw("\r" if sys.stderr.isatty() else "", "\n")

    def _draw(self, before: str, after: str = "") -> None:
        share = min(1.0, self._count / self._total) if self._total else 1.0
        filled = "━" * round(share * _WIDTH)
        line = f"{self._name} {filled:<{_WIDTH}} {self._count:,}/{self._total:,} {monotonic() - self._began:.1f} s"
        sys.stderr.write(f"{before}{line}{after}")
        sys.stderr.flush()
