"""What becomes of sessions that are voided together."""

from enum import IntEnum


class Became(IntEnum):
    """What became of a session that a job has found.

    ``VOIDED``: by the job, and nobody has restored or voided it by hand since. ``LEFT``: somebody has, or it was voided or
    erased before its turn came, or could not be voided.
    """

    FOUND = 0
    VOIDED = 1
    LEFT = 2
    RESTORED = 3
    NOT_RESTORED = 4
