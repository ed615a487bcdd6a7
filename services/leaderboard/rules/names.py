"""How boards, windows, metrics and tags may be called."""

from typing import Final

BOARD_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""A board's name, and a window's: it stands in paths and files."""
METRIC_NAME: Final = r"^[A-Za-z0-9._-]{1,32}$"
"""A metric's name, and a tag's."""
MAX_TAG_VALUE: Final = 64
"""Characters of a tag's value."""
SCORE: Final = "score"
"""The metric that each session has."""
SESSIONS: Final = "sessions"
"""The metric that is 1 of each session: its total is how many there are."""
